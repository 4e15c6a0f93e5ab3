"""What tests ask of a note."""

from notesearch.records import Note


def texts(note: Note) -> list[str]:
    """The characters of each block."""
    return [note.text[block.start : block.end] for block in note.blocks]


def headings(note: Note) -> list[tuple[int, str]]:
    return [(block.level, block.title) for block in note.blocks if block.kind == "heading"]
