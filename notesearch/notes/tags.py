"""Tags as notes have them: in text, in lists, as links; and those by which other programs do something to a note."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from notesearch.file_kinds import NOTE_SUFFIXES
from notesearch.words import key_of, storable

TAG_KEYS = ("tags", "tag", "keywords", "topics")
# The other taxonomy of Hugo, Zola and Jekyll: read, but never written.
_CATEGORY_KEYS = ("categories", "category")
NOTHING = ("", "~", "null", "none")

# `[[Page#Heading|Alias]]`, and `[words](address)`.
_LINK = re.compile(r"!?\[\[([^\[\]\r\n]+)\]\]|\[([^\[\]\r\n]+)\]\([^()\r\n]*(?:\([^()\r\n]*\)[^()\r\n]*)?\)")
# What stays whole where text is divided: links, and words in quotation marks.
_WHOLE = re.compile(_LINK.pattern + r"|(?<![^\s,;])(?:\"[^\"\r\n]*\"|'[^'\r\n]*')(?![^\s,;])")
_BETWEEN = re.compile(r"[\s,;]*")


def written_tags(values: Mapping[str, Any]) -> Iterator[str]:
    """The tags under the keys for them: a list, or text with commas or spaces between; of a link, what it names.

    Zola has them in a table of `taxonomies`.
    """
    taxonomies = values.get("taxonomies")
    if isinstance(taxonomies, Mapping):
        yield from written_tags({str(key).lower(): value for key, value in taxonomies.items() if key != "taxonomies"})
    for key in (*TAG_KEYS, *_CATEGORY_KEYS):
        value = values.get(key)
        if isinstance(value, str):
            for piece in split_tags(value):
                yield from _meant(unquoted(piece))
        else:
            yield from _listed(value, 0)


def _listed(value: object, depth: int) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _listed(item, depth + 1)
    elif isinstance(value, str):
        # `[[Page]]` without quotation marks is a list in a list.
        yield from _meant(value) if depth < 2 else [_page(value)]
    elif isinstance(value, int | float | date):
        yield str(value).lower() if isinstance(value, bool) else str(value)


def split_tags(written: str) -> list[str]:
    """Divides text with commas, or else spaces, between tags; links and what is in quotation marks stay whole."""
    masked = hide_whole(written)
    pieces = (match.span() for match in re.finditer(r"[^,]+" if "," in masked else r"\S+", masked))
    return [piece for start, end in pieces if (piece := written[start:end].strip())]


def hide_whole(written: str) -> str:
    """Puts NULs in place of what stays whole where text is divided, so that offsets stay."""
    return _WHOLE.sub(lambda match: "\0" * len(match[0]), written)


def holds_link(value: object) -> bool:
    """Whether a value is, or holds, a link, as one to a page that is a topic."""
    if isinstance(value, list):
        return any(isinstance(item, list) or holds_link(item) for item in value)
    return isinstance(value, str) and _LINK.search(value) is not None


def _meant(piece: str) -> Iterator[str]:
    """What a piece of text names: the pages of links and nothing else, or its words, links among them."""
    links = list(_LINK.finditer(piece))
    if links and _BETWEEN.fullmatch(_LINK.sub("", piece)):
        yield from map(_name_of_link, links)
    else:
        yield _LINK.sub(_name_of_link, piece)


def _name_of_link(link: re.Match[str]) -> str:
    return _page(link[1]) if link[1] else link[2]


def _page(target: str) -> str:
    """The name of the page that a wikilink leads to, without folders, heading and alias."""
    page, _, heading = target.replace("\\|", "|").partition("|")[0].partition("#")
    name = page.strip().rstrip("/").rpartition("/")[2]
    suffix = next((suffix for suffix in NOTE_SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)] or heading


def unquoted(piece: str) -> str:
    """A piece of text without the quotation marks around it."""
    is_quoted = len(piece) > 2 and piece[0] == piece[-1] and piece[0] in "\"'" and piece[0] not in piece[1:-1]
    return piece[1:-1] if is_quoted else piece


def unique_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags without `#`, each once in the spelling that comes first; upper and lower case are the same."""
    found: dict[str, str] = {}
    for tag in tags:
        clean = storable(" ".join(tag.split()).lstrip("#").strip())
        if (key := key_of(clean)) not in NOTHING:
            found.setdefault(key, clean)
    return tuple(found.values())


# Tags by which a program does something to a note or a heading. They say nothing of its subject, and on another note
# they would do the same there: they are never learnt, suggested or written. Spelt as here; where a name is also a word
# of everyday language, only in the notes of its program. (Excalidraw, Kanban and Logseq's templates go by properties:
# their tags do nothing.)
_CONTROL_TAGS = (
    ("", r"crypt", "org-crypt encrypts what has it"),
    ("", r"ATTACH", "Org looks for attachments where it is"),
    ("", r"ARCHIVE", "Org folds what has it, and leaves it out of agendas"),
    ("", r"noexport", "Org leaves what has it out of exports"),
    ("Org", r"export", "Org then exports nothing else"),
    ("Org", r"ignore(?:heading)?", "Org exports and elfeed-org leave out what has it"),
    ("", r"TOC(?:[_@]\w+)?", "toc-org writes a table of contents there"),
    ("", r"B_\w+|BMCOL", "Org makes frames and columns of slides of it"),
    ("", r"FLAGGED", "org-mobile lists it to be worked on"),
    ("Org", r"drill|leech|fc|suspended", "flashcard programs of Org act on it"),
    ("", r"flashcards?(?:/.*)?", "flashcard programs of Obsidian ask for it"),
    ("Markdown", r"card", "Logseq asks for it as a flashcard"),
    ("", r"\$:/.*", "TiddlyWiki itself uses it"),
)


def effect_of_tag(tag: str, kind: str) -> str:
    """What a tag makes other programs do to notes of a kind, in a clause; empty for those that people use."""
    effects = (effect for of, names, effect in _CONTROL_TAGS if of in ("", kind) and re.fullmatch(names, tag))
    return next(effects, "")
