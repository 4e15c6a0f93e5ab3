"""The links between the notes of an index, and where they lead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from notesearch.notes.links import LinkResolver, rough_name, rough_names
from notesearch.notes.properties import ALIAS_KEYS
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


def names_for_links(reader: IndexReader) -> list[tuple[str, str]]:
    """The aliases of notes, and after them the titles in their metadata, by which wikilinks may call them; paths."""
    return [*reader.values_of(ALIAS_KEYS), *reader.values_of(("title",))]


def open_resolver(reader: IndexReader, *more_paths: str) -> LinkResolver:
    """A resolver of links to the notes of an index, and to some that it does not hold."""
    paths = reader.paths()
    return LinkResolver(
        [*paths.values(), *more_paths],
        ids={name: paths[note_id] for name, note_id in reader.note_ids_by_link().items()},
        names=names_for_links(reader),
        roots=reader.folders(),
    )


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
    own = [(link.target, link.kind) for link in links if link.note_id == note_id] if written is None else list(written)
    called = rough_names(path, (name for name, of in names_for_links(reader) if of == path))
    others = [
        link for link in links if link.note_id != note_id and (link.kind == "id" or rough_name(link.target) in called)
    ]
    if not own and not others:
        return LinkedNotes(frozenset(), frozenset())
    paths = reader.paths()
    ids = {known: known_id for known_id, known in paths.items()}
    resolver = open_resolver(reader, path)
    to = {ids.get(found) for target, kind in own if (found := resolver.resolve(path, target, kind))}
    back = {link.note_id for link in others if resolver.resolve(paths[link.note_id], link.target, link.kind) == path}
    return LinkedNotes(frozenset(linked for linked in to if linked not in (None, note_id)), frozenset(back))
