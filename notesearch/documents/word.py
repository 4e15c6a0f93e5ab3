"""Reading DOCX."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any

from notesearch.documents.archives import open_archive
from notesearch.documents.document import DocumentBuilder, clean

if TYPE_CHECKING:
    from docx.document import Document as WordDocument

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
# The second holds once more, for older programs, what the first does; the third is what its author took out.
_NOT_SHOWN = (
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
    f"{_W}del",
    f"{_W}moveFrom",
)
_HEADING_STYLE = re.compile(r"heading (\d)", re.IGNORECASE)
_LIST_STYLE = re.compile(r"list\b", re.IGNORECASE)
_CONTENTS_STYLE = re.compile(r"toc\b", re.IGNORECASE)
# A style may be based on another, and so on.
_MOST_STYLES = 20


def read_word(data: bytes, builder: DocumentBuilder) -> None:
    """Read a document of Word: headings by their style, lists and tables as lines."""
    open_archive(data).close()
    from docx import Document

    document = Document(BytesIO(data))
    properties = document.core_properties
    builder.title = properties.title
    if created := properties.created:
        builder.date = created.date().isoformat()
    styles = _Styles(document)
    items: list[str] = []
    for element in _paragraphs_and_tables(document.element.body):
        if element.tag == f"{_W}tbl":
            _add_lines(builder, items)
            builder.paragraph("\n".join(_rows(element)))
            continue
        text = clean(_text(element)).strip()
        level, is_item, is_contents = styles.of(element)
        if not text or is_contents:
            continue
        if is_item and not level:
            items.append(f"- {' '.join(text.split())}")
            continue
        _add_lines(builder, items)
        if level:
            builder.heading(level, text)
        else:
            builder.paragraph("\n".join(line.strip() for line in text.splitlines() if line.strip()))
    _add_lines(builder, items)


def _add_lines(builder: DocumentBuilder, lines: list[str]) -> None:
    """Add a list, and begin the next."""
    builder.paragraph("\n".join(lines))
    lines.clear()


class _Styles:
    """What the styles of paragraphs say of them."""

    def __init__(self, document: WordDocument) -> None:
        root: Any = document.styles.element
        self._by_id = {style.get(f"{_W}styleId"): style for style in root.iter(f"{_W}style")}
        self._known: dict[str, tuple[int, bool, bool]] = {}

    def of(self, paragraph: Any) -> tuple[int, bool, bool]:
        """The level of a heading (0 for none); whether a paragraph is of a list; whether of a table of contents."""
        properties = paragraph.find(f"{_W}pPr")
        if properties is None:
            return 0, False, False
        style = properties.find(f"{_W}pStyle")
        level, is_item, is_contents = self._of_style(style.get(f"{_W}val") if style is not None else "")
        return level or _outline_level(properties), is_item or _is_numbered(properties), is_contents

    def _of_style(self, style_id: str) -> tuple[int, bool, bool]:
        if style_id not in self._known:
            self._known[style_id] = self._look_up(style_id)
        return self._known[style_id]

    def _look_up(self, style_id: str) -> tuple[int, bool, bool]:
        level, is_item = 0, False
        for _ in range(_MOST_STYLES):
            style = self._by_id.get(style_id)
            if style is None:
                break
            name = style.find(f"{_W}name")
            written = name.get(f"{_W}val", "") if name is not None else ""
            if _CONTENTS_STYLE.match(written):
                return 0, False, True
            properties = style.find(f"{_W}pPr")
            heading = _HEADING_STYLE.match(written)
            level = level or (int(heading[1]) if heading else 1 if written == "Title" else 0)
            is_item = is_item or bool(_LIST_STYLE.match(written))
            if properties is not None:
                level, is_item = level or _outline_level(properties), is_item or _is_numbered(properties)
            based_on = style.find(f"{_W}basedOn")
            style_id = based_on.get(f"{_W}val", "") if based_on is not None else ""
        return level, is_item, False


def _outline_level(properties: Any) -> int:
    """From 1 to 9; 0 for the level of text."""
    found = properties.find(f"{_W}outlineLvl")
    level = int(found.get(f"{_W}val")) + 1 if found is not None else 0
    return level if level <= 9 else 0


def _is_numbered(properties: Any) -> bool:
    number = properties.find(f"{_W}numPr/{_W}numId")
    return number is not None and number.get(f"{_W}val") != "0"


def _paragraphs_and_tables(body: Any) -> Iterator[Any]:
    """Paragraphs and tables in order, those of text boxes and content controls too; a table is one."""
    from lxml import etree

    pending = etree.iterwalk(body, events=("start",), tag=(f"{_W}p", f"{_W}tbl", *_NOT_SHOWN))
    for _, element in pending:
        if element.tag in (f"{_W}tbl", *_NOT_SHOWN):
            pending.skip_subtree()
        if element.tag not in _NOT_SHOWN:
            yield element


def _rows(table: Any) -> Iterator[str]:
    for row in table.iterchildren(f"{_W}tr"):
        cells = [" ".join(clean(_text(cell, within=True)).split()) for cell in row.iterchildren(f"{_W}tc")]
        if any(cells):
            yield " | ".join(cells)


def _text(element: Any, *, within: bool = False) -> str:
    """The text of a paragraph, or of all paragraphs within an element."""
    from lxml import etree

    parts: list[str] = []
    paragraph = f"{_W}p"
    pending = etree.iterwalk(element, events=("start",))
    for _, child in pending:
        tag = child.tag
        if tag in _NOT_SHOWN or (tag == paragraph and child is not element and not within):
            pending.skip_subtree()
        elif tag == f"{_W}t":
            parts.append(child.text or "")
        elif tag == f"{_W}noBreakHyphen":
            parts.append("-")
        elif tag in (f"{_W}tab", paragraph):
            parts.append(" ")
        elif tag in (f"{_W}br", f"{_W}cr"):
            parts.append("\n")
    return "".join(parts)
