"""A collection made of notes alone: their own titles, headings and links are the queries, and are taken out of them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence, Set
from itertools import chain, zip_longest
from pathlib import Path

from notesearch.errors import NoteUnreadable, UsageError
from notesearch.evaluation.collection import Collection, write_copies
from notesearch.notes import NoteFile, lines_are_of_file, read_note
from notesearch.notes.known_items import KnownItem, find_known_items, without_items
from notesearch.records import Note, Skipped

_QUERIES_A_KIND = 300
_LEAST_QUERIES = 10
_TOO_FEW = (
    "Add to the folder, if there are more notes; or write a queries.jsonl into it, with lines like "
    '{"_id": "1", "text": "…", "relevant": ["folder/note.md"]}.'
)


_UNREADABLE = "Make them readable: is the disk there that they are on?"


def read_notes(files: Iterable[NoteFile | Skipped]) -> tuple[list[Note], list[Skipped]]:
    """Reads notes, and names those that cannot be read."""
    notes: list[Note] = []
    skipped: list[Skipped] = []
    for file in files:
        if isinstance(file, Skipped):
            skipped.append(file)
            continue
        try:
            notes.append(read_note(file))
        except NoteUnreadable as error:
            skipped.append(Skipped(str(file.path), error.message, error.for_now))
    return notes, skipped


def choose_items(
    notes: Sequence[Note], most: int = 0, *, learnt: Set[int] = frozenset(), unreadable: Sequence[Skipped] = ()
) -> list[KnownItem]:
    """Chooses queries that notes make: some of each kind, taken at random, always the same.

    Args:
        notes: The notes.
        most: How many queries at most; 0 for 300 of each kind.
        learnt: Numbers of notes that no query is to ask for.
        unreadable: What else could not be read, for messages.

    Raises:
        UsageError: The notes make too few queries to measure by.
    """
    items = _sample([item for item in find_known_items(notes) if item.target not in learnt], most)
    if len(items) < min(most or _LEAST_QUERIES, _LEAST_QUERIES):
        queries = "1 query" if len(items) == 1 else f"{len(items)} queries"
        raise UsageError(
            f"the titles, headings and links of these notes make only {queries}: too few{_told(unreadable)}",
            _UNREADABLE if unreadable and not notes else _TOO_FEW,
        )
    return items


def make_own_collection(
    notes: Sequence[Note], names: Sequence[str], folder: Path, items: Sequence[KnownItem]
) -> Collection:
    """Makes a collection of notes; its grades are the kinds of queries.

    Args:
        notes: The notes.
        names: What each is called in the judgements.
        folder: Where copies of the notes are written: without titles, since a title has to find its note among others
            that have none either; without the words of the queries; under numbers for names.
        items: The queries.
    """
    query_ids = [f"{item.kind}-{number}" for number, item in enumerate(items, start=1)]
    return Collection(
        # Quotation marks would ask for notes that say it word for word, and these words were taken out.
        queries={query_id: item.query.replace('"', " ") for query_id, item in zip(query_ids, items, strict=True)},
        qrels={query_id: {names[item.target]: 1.0} for query_id, item in zip(query_ids, items, strict=True)},
        grades={query_id: item.kind for query_id, item in zip(query_ids, items, strict=True)},
        notes_dir=folder,
        corpus_file=None,
        document_ids=_write_copies(notes, names, items, folder),
    )


def _told(unreadable: Sequence[Skipped]) -> str:
    if not unreadable:
        return ""
    first = unreadable[0]
    return f"; {len(unreadable):,} could not be read, {first.path} for one: {first.reason}"


def _sample(items: Sequence[KnownItem], most: int) -> list[KnownItem]:
    """As many of each kind, in the order in which they were."""
    dice = random.Random(0)
    kinds: dict[str, list[int]] = {}
    for place, item in enumerate(items):
        kinds.setdefault(item.kind, []).append(place)
    for places in kinds.values():
        dice.shuffle(places)
    if most:
        in_turn = chain.from_iterable(zip_longest(*kinds.values()))
        chosen = [place for place in in_turn if place is not None][:most]
    else:
        chosen = [place for places in kinds.values() for place in places[:_QUERIES_A_KIND]]
    return [items[place] for place in sorted(chosen)]


def _text_suffix(path: Path) -> str:
    """The suffix under which a note's text is read as it was: that of a document looks like Markdown."""
    return path.suffix.lower() if lines_are_of_file(path) else ".md"


def _write_copies(
    notes: Sequence[Note], names: Sequence[str], items: Sequence[KnownItem], folder: Path
) -> dict[str, str]:
    """Writes the copies; returns their names, and those of the notes."""
    said: dict[int, list[KnownItem]] = {}
    for item in items:
        said.setdefault(item.source, []).append(item)
    texts = ((_text_suffix(note.path), without_items(note, said.get(number, ()))) for number, note in enumerate(notes))
    return dict(zip(write_copies(folder, texts), names, strict=True))
