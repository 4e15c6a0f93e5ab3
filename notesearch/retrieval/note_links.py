"""Which notes of an index a note has links to, and which have links to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from notesearch.notes.links import LinkResolver
from notesearch.records import LinkKind
from notesearch.storage import IndexReader


@dataclass(frozen=True, slots=True)
class LinkedNotes:
    """The notes that links join to a note.

    Attributes:
        to: Ids of those that it has links to.
        back: Ids of those that have links to it.
    """

    to: frozenset[int]
    back: frozenset[int]


def find_linked_notes(
    reader: IndexReader, path: str, note_id: int | None, written: Iterable[tuple[str, LinkKind]] | None = None
) -> LinkedNotes:
    """Finds the notes that links join to a note, in either direction.

    Args:
        reader: The index.
        path: Absolute path of the note.
        note_id: Its id; `None` for a note that the index does not know.
        written: Targets and kinds of its links, if they are not those that the index knows.
    """
    links = reader.links()
    own = [(target, kind) for source, target, kind in links if source == note_id] if written is None else list(written)
    own_name = _rough_name(path)
    others = [link for link in links if link[0] != note_id and (link[2] == "id" or _rough_name(link[1]) == own_name)]
    paths = reader.paths()
    called = reader.note_names() if any(kind == "id" for _, kind in [*own, *(link[1:] for link in others)]) else {}
    # All notes that could be meant, and no others: a resolver for all of them takes longer than the rest of a command.
    meant = {own_name, *(_rough_name(target) for target, _ in own)}
    ids = {Path(known): known_id for known_id, known in paths.items() if _rough_name(known) in meant}
    ids |= {Path(paths[known_id]): known_id for known_id in called.values()}
    resolver = LinkResolver({*ids, Path(path)}, {name: Path(paths[known_id]) for name, known_id in called.items()})
    to = {ids.get(found) for target, kind in own if (found := resolver.resolve(Path(path), target, kind))}
    back = {
        source for source, target, kind in others if resolver.resolve(Path(paths[source]), target, kind) == Path(path)
    }
    return LinkedNotes(frozenset(linked for linked in to if linked not in (None, note_id)), frozenset(back))


def _rough_name(path: str) -> str:
    """The name of a note or a link's target, such that what a link may lead to has the same one."""
    return PurePosixPath(path).name.casefold().partition(".")[0]
