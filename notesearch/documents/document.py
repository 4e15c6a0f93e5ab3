"""A document as text with blocks, and how a reader puts one together."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from notesearch.records import Block, BlockKind, Link

# As much as a text file may hold by default; a thousand pages.
MOST_CHARS = 2_000_000
_MOST_TITLE_CHARS = 300

_DATE = re.compile(r"\D{0,4}(\d{4})(?:[-/.]?(\d{2})(?:[-/.]?(\d{2}))?)?")
_LIGATURES = re.compile("[\ufb00-\ufb06]")
# Soft hyphens, marks of no width, control characters, and halves of characters.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b\u2060\ufeff\ud800-\udfff]")
# What programs write where nobody has given a title.
_NO_TITLE = re.compile(
    r"(?:untitled|document|dokument|presentation|powerpoint presentation|slide|titel?|unknown|none)?[\s\d_.-]*"
    r"|microsoft \w+ - .*"
    r"|.*\.(?:docx?|pdf|tex|dvi|ps|rtf|odt|pptx?|xlsx?|indd|qxd|html?|txt|md|wpd|pages|p65|fm)"
    r"|(?:[a-z]:|file:|https?:|/).*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Document:
    """What was read of a document.

    Attributes:
        text: Its text: blocks with blank lines between them, headings marked with `#`.
        blocks: The blocks.
        links: What its links lead to, as written there; `kind` says nothing.
        title: What it says its title is; empty where it does not, or where that is none.
        date: When it says it was made or published, ISO 8601; empty where it does not say.
        page_starts: Where each page begins, offsets into the text; none where there are no pages.
        problems: What could not be read, one line each.
    """

    text: str
    blocks: tuple[Block, ...]
    links: tuple[Link, ...] = ()
    title: str = ""
    date: str = ""
    page_starts: tuple[int, ...] = ()
    problems: tuple[str, ...] = ()

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> Document:
        """Makes a document of what `dataclasses.asdict` and JSON made of one."""
        blocks = tuple(Block(**block) for block in values.pop("blocks"))
        links = tuple(Link(**link) for link in values.pop("links"))
        return cls(
            blocks=blocks,
            links=links,
            page_starts=tuple(values.pop("page_starts")),
            problems=tuple(values.pop("problems")),
            **values,
        )


class LimitReached(Exception):
    """Enough was read of a document; the message says how much."""


class Anchor(NamedTuple):
    """A link in a block: where its words begin and end there, and where it leads."""

    start: int
    end: int
    target: str


@dataclass(slots=True)
class DocumentBuilder:
    """Takes what a reader finds, in order.

    Attributes:
        title: See `Document`.
        date: See `Document`.
        problems: See `Document`.
    """

    title: str = ""
    date: str = ""
    problems: list[str] = field(default_factory=list)
    _parts: list[str] = field(default_factory=list)
    _length: int = 0
    _blocks: list[Block] = field(default_factory=list)
    _links: list[Link] = field(default_factory=list)
    _page_starts: list[int] = field(default_factory=list)

    def heading(self, level: int, words: str, anchors: Sequence[Anchor] = ()) -> None:
        """Adds a heading of a level from 1."""
        title = " ".join(clean(words).split())
        mark = "#" * min(level, 6) + " "
        if title:
            shifted = [Anchor(start + len(mark), end + len(mark), target) for start, end, target in anchors]
            self._add("heading", mark + title, shifted, level, title[:_MOST_TITLE_CHARS].rstrip())

    def paragraph(self, text: str, anchors: Sequence[Anchor] = ()) -> None:
        """Adds prose, a list or a table: lines without blank ones between them."""
        if text.strip():
            self._add("paragraph", text.rstrip(), anchors)

    def code(self, text: str) -> None:
        """Adds lines whose white space matters."""
        lines = clean(text).strip("\n").rstrip()
        if lines:
            self._add("code", lines, ())

    def page(self) -> None:
        """Begins a page."""
        self._page_starts.append(self._length)

    def built(self) -> Document:
        """The document."""
        return Document(
            text="".join(self._parts),
            blocks=tuple(self._blocks),
            links=tuple(self._links),
            title=meaningful_title(self.title),
            date=iso_date(self.date),
            page_starts=tuple(self._page_starts),
            problems=tuple(self.problems),
        )

    def _add(self, kind: BlockKind, text: str, anchors: Iterable[Anchor], level: int = 0, title: str = "") -> None:
        start = self._length
        kept = text[: MOST_CHARS - start].rstrip()
        if kept:
            self._blocks.append(Block(kind, start, start + len(kept), level, title))
            self._parts += [kept, "\n\n"]
            self._length += len(kept) + 2
        for anchor in anchors:
            if anchor.end <= len(kept):
                words = " ".join(kept[anchor.start : anchor.end].split())
                self._links.append(Link(anchor.target, words, "relative", start + anchor.start, start + anchor.end))
        if len(kept) < len(text.rstrip()):
            pages = f", {len(self._page_starts):,} pages" if self._page_starts else ""
            raise LimitReached(f"only its beginning was read: {self._length:,} characters{pages}")


def clean(text: str) -> str:
    """A text without characters that nobody sees, its ligatures taken apart."""
    if not text.isascii():
        text = _LIGATURES.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    return _UNSEEN.sub("", text)


def meaningful_title(written: str) -> str:
    """The title that a document says it has; empty where a program made it up."""
    title = " ".join(clean(written).split())
    return "" if _NO_TITLE.fullmatch(title) else title


def iso_date(written: str) -> str:
    """The day in a date as PDF, XML and web pages write it, `D:20240501120000Z` or `2024-05-01`; empty for no date."""
    match = _DATE.match(written)
    if not match:
        return ""
    year, month, day = match.groups("01")
    try:
        return date.fromisoformat(f"{year}-{month}-{day}").isoformat()
    except ValueError:  # 2023-13-45
        return ""
