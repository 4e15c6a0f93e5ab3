"""Any text → front matter, and the title, tags and date that it gives."""

from datetime import datetime
from pathlib import Path

from notesearch.notes import parse_front_matter, parse_note
from notesearch.notes.metadata import MAX_DEPTH

_MODIFIED = datetime(2024, 1, 2)


def check(data: bytes) -> None:
    """Reads the input as the text of a note; what is no UTF-8 becomes lone surrogates."""
    text = data.decode("utf-8", "surrogateescape")
    found = parse_front_matter(text)
    assert "\n" not in found.problem and "\r" not in found.problem
    assert found.body_start in (0, found.end) and found.end <= len(text)
    assert 0 <= found.span[0] <= found.span[1] <= found.end
    assert depth(found.data) <= MAX_DEPTH
    if found.format:
        assert text[found.span[1] : found.end].rstrip() in ("---", "...", "+++")
        # What stands below changes nothing above.
        below = parse_front_matter(text[: found.end].rstrip("\r\n") + "\nother: [text\n---\n")
        assert repr(below.data) == repr(found.data) and below.problem == found.problem
    note = parse_note(Path("/notes/2024-02-30 name.md"), text, _MODIFIED)
    for words in (note.title, *note.tags):
        words.encode("utf-8")
        assert words == " ".join(words.split())
    assert len({tag.casefold() for tag in note.tags}) == len(note.tags)
    assert note.date.tzinfo is None
    assert all("\n" not in problem and "\r" not in problem for problem in note.problems)


def depth(value: object) -> int:
    """How deep lists and mappings are nested, found without recursion."""
    level: list[object] = [value]
    levels = 0
    while level := [item for item in level if isinstance(item, dict | list)]:
        levels += 1
        level = [one for item in level for one in (item.values() if isinstance(item, dict) else item)]
    return levels
