"""What a note is called: as its metadata says, by its heading, or by its file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import date
from itertools import takewhile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from notesearch.notes.structure import one_line
from notesearch.records import Block, Note, TitleSource
from notesearch.words import keys_of_runs, storable

# `20210304T101112==signature--some-title__tag_tag`, the parts in any order.
_DENOTE = re.compile(r"(?:^|@@)\d{8}T\d{6}(?![^-_=@])")
_DENOTE_TITLE = re.compile(r"--(?!-)(.+?)(?===|__|@@|$)")
# `20210304101112-some_title`
_ORG_ROAM = re.compile(r"\d{14}-(.+)")
_LOGSEQ_SLASH = re.compile(r"(?<=[^_])___(?=[^_])")
# What may stand above a title unseen: a comment; in reStructuredText also what makes no text there.
_UNSEEN = re.compile(
    r"<!--(?:(?!-->).)*-->\s*\Z|\.\.(?:$| (?![\w-]+::)| (?:meta|contents|header|footer|sectnum)::)",
    re.DOTALL | re.MULTILINE,
)


def title_of(values: Mapping[str, Any], heading: str, path: Path) -> tuple[str, TitleSource]:
    """The title of a note, and where it comes from.

    Args:
        values: What its metadata says.
        heading: The heading that may name it; empty where none may.
        path: Of its file.
    """
    written = values.get("title")
    if isinstance(written, str | int | float | date) and (title := one_line(str(written))):
        return title, "front_matter"
    return (heading, "heading") if heading else (file_title(path), "file_name")


def naming_heading(text: str, blocks: Iterable[Block], metadata_end: int) -> str:
    """The heading that may name a note: its one heading of level 1, with nothing above it but metadata and comments.

    Args:
        text: The note.
        blocks: Its blocks.
        metadata_end: Where the metadata at its top ends, which may be in blocks as well.

    Returns:
        The heading's words; empty where none may name the note.
    """
    blocks = list(blocks)
    titles = [block for block in blocks if block.level == 1 and block.title]
    if len(titles) != 1:
        return ""
    above = takewhile(lambda block: block is not titles[0], blocks)
    is_at_top = all(block.end <= metadata_end or _UNSEEN.match(text[block.start : block.end]) for block in above)
    return titles[0].title if is_at_top else ""


def file_title(path: Path) -> str:
    """The name of a file as its owner reads it: what the programs that name files so have made of a title is undone."""
    stem = path.stem
    if _DENOTE.search(stem):
        title = _DENOTE_TITLE.search(stem)
        return storable(title[1].replace("-", " ") if title else stem)
    if note := _ORG_ROAM.fullmatch(stem):
        return storable(re.sub("[-_]+", " ", note[1]).strip() or stem)
    return storable(page_name(stem))


def page_name(stem: str) -> str:
    """What Logseq calls a page, given the name of its file without the suffix; that name where it has no escapes."""
    if "___" in stem or "%" in stem:
        with suppress(UnicodeDecodeError):  # a percent sign that is one
            return one_line(unquote(_LOGSEQ_SLASH.sub("/", stem), errors="strict")) or stem
    return stem


def named_by_file(note: Note) -> Note:
    """A note whose heading does not name it, since others have it too."""
    return replace(note, title=file_title(note.path), title_source="file_name")


def other_names(note: Note) -> str:
    """The words of a note's file name, and of the heading that might name it, which its title does not hold."""
    held = set(keys_of_runs(note.title))
    words = keys_of_runs(f"{file_title(note.path)} {note.naming_heading}")
    return " ".join(word for word in dict.fromkeys(words) if word not in held)
