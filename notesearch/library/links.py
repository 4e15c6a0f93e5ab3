"""notesearch as a library: the links of a note, links that lead nowhere, and notes that no link joins to another."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from notesearch.errors import UsageError
from notesearch.file_kinds import READ_SUFFIXES, is_document
from notesearch.notes.links import LinkResolver
from notesearch.retrieval.links import open_resolver
from notesearch.settings import Settings
from notesearch.storage import IndexReader, StoredLink
from notesearch.words import key_of

_HOW_TO_NAME = "Give its path, its title, the name that wikilinks give it, or the number of a hit."


@dataclass(frozen=True, slots=True)
class NoteLink:
    """A link, seen from one of the two notes that it joins.

    Attributes:
        path: Absolute path of the other note; `None` where it leads to none.
        title: That note's title.
        target: As it is written.
        anchor: The words that carry it.
        line: Where it begins, in the note that it stands in, 1-based; `None` in metadata and in documents.
    """

    path: str | None
    title: str | None
    target: str
    anchor: str
    line: int | None


@dataclass(frozen=True, slots=True)
class LinksOfNote:
    """The links of a note.

    Attributes:
        path: Absolute path.
        title: Its title.
        links: Those in it, in order.
        backlinks: Those in other notes that lead to it, by path.
    """

    path: str
    title: str
    links: tuple[NoteLink, ...]
    backlinks: tuple[NoteLink, ...]


@dataclass(frozen=True, slots=True)
class UnresolvedTarget:
    """What links name and no note is.

    Attributes:
        target: As it is first written.
        count: How many links name it.
        paths: Absolute paths of the notes that they stand in.
    """

    target: str
    count: int
    paths: tuple[str, ...]


def links_of_note(settings: Settings, note: str | Path) -> LinksOfNote:
    """Finds the links in a note, and those that lead to it.

    Args:
        settings: Which index.
        note: Path of the note, its title, or a name by which a wikilink may call it.

    Raises:
        UsageError: The index holds no such note, or several with this title.
        StoreError: The index cannot be read.
    """
    with _resolved(settings) as (reader, resolver, links):
        titles = reader.titles()
        path = _path_of(str(note), titles, resolver)
        own = [_seen(link, other, titles, source) for source, link, other in links if source == path]
        back = [_seen(link, source, titles, source) for source, link, other in links if other == path != source]
        return LinksOfNote(path, titles[path], tuple(own), tuple(sorted(back, key=lambda link: link.path or "")))


def unresolved_links(settings: Settings) -> list[UnresolvedTarget]:
    """Finds what links name and no note is, the most frequent first.

    A path without the suffix of a note may lead to a folder or a page of a website, and does not count.

    Raises:
        StoreError: The index cannot be read.
    """
    named: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    with _resolved(settings) as (_, _, links):
        for source, link, other in links:
            may_be_none = link.kind == "relative" and not link.target.lower().endswith(READ_SUFFIXES)
            if other is None and not may_be_none:
                key = os.path.join(os.path.dirname(source), link.target) if link.kind == "relative" else link.target  # noqa: PTH118, PTH120
                named[key_of(os.path.normpath(key))].append((link.target, source))
    found = [
        UnresolvedTarget(entries[0][0], len(entries), tuple(dict.fromkeys(source for _, source in entries)))
        for entries in named.values()
    ]
    return sorted(found, key=lambda target: (-target.count, target.target))


def orphans(settings: Settings) -> list[str]:
    """Finds the notes that link to no other and that no other links to: their paths, in order.

    Raises:
        StoreError: The index cannot be read.
    """
    with _resolved(settings) as (reader, _, links):
        joined = {path for source, _, other in links if other not in (None, source) for path in (source, other)}
        return sorted(set(reader.paths().values()) - joined)


@contextmanager
def _resolved(
    settings: Settings,
) -> Iterator[tuple[IndexReader, LinkResolver, list[tuple[str, StoredLink, str | None]]]]:
    """The index, a resolver, and all links: the note that each stands in, the link, and the note that it leads to."""
    with IndexReader(settings.index_dir) as reader:
        resolver, paths = open_resolver(reader), reader.paths()
        links = [
            (source, link, resolver.resolve(source, link.target, link.kind))
            for link in reader.links()
            if (source := paths[link.note_id])
        ]
        yield reader, resolver, links


def _path_of(note: str, titles: dict[str, str], resolver: LinkResolver) -> str:
    """The path of the note that somebody names."""
    given = os.path.abspath(os.path.expanduser(note))  # noqa: PTH100, PTH111 - pathlib's raise, or keep `..`
    for path in (given, os.path.join(os.path.realpath(os.path.dirname(given)), os.path.basename(given))):  # noqa: PTH118, PTH119, PTH120
        if path in titles:
            return path
    if (real := os.path.realpath(given)) in titles:
        return real
    titled = [path for path, title in titles.items() if key_of(title) == key_of(note)]
    if len(titled) > 1:
        raise UsageError(f"{len(titled)} notes are called {note!r}", f"Give the path of one, say {titled[0]}")
    found = titled[0] if titled else resolver.resolve(os.path.join(os.getcwd(), ""), note, "wiki")  # noqa: PTH109, PTH118
    if found is None:
        raise UsageError(f"the index holds no note {note!r}", _HOW_TO_NAME)
    return found


def _seen(link: StoredLink, other: str | None, titles: dict[str, str], source: str) -> NoteLink:
    line = None if is_document(source) else link.line or None
    return NoteLink(other, titles[other] if other else None, link.target, link.anchor, line)
