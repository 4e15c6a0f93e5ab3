"""Which note a link leads to, by the rules of the programs that write links: Obsidian, Logseq, Org and others."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from notesearch.file_kinds import NOTE_SUFFIXES, is_document
from notesearch.notes.titles import page_name
from notesearch.records import LinkKind
from notesearch.words import key_of, spelled


class LinkResolver:
    """Finds the notes that links lead to, among those there are.

    Args:
        paths: Absolute paths of the notes.
        ids: The ids by which links may call them, and their paths.
        names: Other names by which wikilinks may call them (aliases, titles in their metadata), and their paths.
        roots: Absolute paths of the indexed folders, from which links may start.
    """

    def __init__(
        self,
        paths: Iterable[str],
        *,
        ids: Mapping[str, str] = MappingProxyType({}),
        names: Iterable[tuple[str, str]] = (),
        roots: Iterable[str] = (),
    ) -> None:
        self._paths = {spelled(path): path for path in paths}
        self._ids = ids
        self._roots = sorted((root.rstrip(os.sep) for root in roots), key=len, reverse=True)
        self._by_name = defaultdict[str, list[str]](list)
        self._pages: dict[str, str] = {}
        for path in sorted(self._paths.values()):
            stem = without_suffix(path.rpartition(os.sep)[2])
            self._by_name[key_of(stem)].append(path)
            if (page := page_name(stem)) != stem:
                self._pages.setdefault(key_of(page), path)
        self._names: dict[str, str] = {}
        for name, path in names:
            self._names.setdefault(_name_key(name), path)

    def resolve(self, source: str, target: str, kind: LinkKind) -> str | None:
        """Finds the note that a link leads to.

        Args:
            source: Absolute path of the note that the link is in.
            target: See `Link`.
            kind: See `Link`.

        Returns:
            A path, or `None` where the link leads to no note.
        """
        if kind == "id":
            return self._ids.get(target)
        if kind == "relative" or target.startswith(("./", "../")):
            return self._at_path(source, target) or (None if is_document(source) else self._named(source, target))
        # Logseq has page names for folders, and older graphs have dots in the names of files for its slashes.
        key = key_of(target)
        dotted = self._by_name.get(key.replace("/", "."), [None])[0]
        return self._named(source, target) or self._pages.get(key) or dotted or self._names.get(_name_key(target))

    def _at_path(self, source: str, target: str) -> str | None:
        """The note at a path from where the source stands, or from the top of the indexed folder."""
        top = self._top_of(source)
        places = [f"{top}/{target}", os.path.expanduser(target)]  # noqa: PTH111 - Path's raises for an unknown user
        if not target.startswith(("/", "~")):
            places.insert(0, f"{os.path.dirname(source)}/{target}")  # noqa: PTH120
        for place in places:
            path = spelled(os.path.normpath(place))
            for candidate in (path, *(path + suffix for suffix in NOTE_SUFFIXES)):
                if found := self._paths.get(candidate):
                    return found
        return None

    def _named(self, source: str, target: str) -> str | None:
        """The note with a name, in any case and with or without its suffix, in folders that end as the target says.

        Of several, as in Obsidian: the one at this path from the top, the one beside the source, the least deep one.
        """
        *folders, name = target.strip("/").split("/")
        if ".." in folders:
            return None
        wanted = [key_of(folder) for folder in folders if folder not in ("", ".")]
        own = key_of(name)
        by_stem = self._by_name.get(key_of(without_suffix(name)), ())
        # A name that looks as if it had a suffix may be all of the name: `notes.org.md`.
        found = [path for path in (*by_stem, *self._by_name.get(own, ())) if _is_below(path, wanted)]
        top = self._top_of(source)
        folder, suffix = os.path.split(source)[0], os.path.splitext(source)[1]  # noqa: PTH122

        def distance(path: str) -> tuple[bool, bool, bool, int, bool, str]:
            above, file_name = os.path.split(path)
            return (
                key_of(file_name) != own and own != key_of(without_suffix(file_name)),
                bool(top) and key_of(above) != key_of("/".join([top, *folders])),
                above != folder,
                path.count(os.sep),
                not path.endswith(suffix),
                path,
            )

        return min(found, key=distance, default=None)

    def _top_of(self, source: str) -> str:
        """The indexed folder that a note is in."""
        return next((root for root in self._roots if source.startswith(f"{root}{os.sep}")), "")


def without_suffix(name: str) -> str:
    """The name of a note's file, or a name that may have the suffix of one, without it."""
    suffix = next((suffix for suffix in NOTE_SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]


def rough_names(path: str, names: Iterable[str] = ()) -> set[str]:
    """What `rough_name` makes of the targets that may lead to a note.

    Args:
        path: Of the note.
        names: See `LinkResolver`.
    """
    stem = without_suffix(path.rpartition(os.sep)[2])
    return set(map(rough_name, [stem, page_name(stem), stem.replace(".", "/"), *names]))


def rough_name(target: str) -> str:
    """Part of a link's target; fast, to leave out those that certainly lead elsewhere."""
    return _name_key(target.rstrip("/").rpartition("/")[2]).partition(".")[0]


def _name_key(name: str) -> str:
    return key_of(" ".join(name.split()))


def _is_below(path: str, wanted: Sequence[str]) -> bool:
    """Whether a note's folders end with those that a link names."""
    return not wanted or [key_of(folder) for folder in path.rsplit(os.sep, len(wanted) + 1)[1:-1]] == wanted
