"""Reading HTML."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Any

from notesearch.documents.blocks import BlockWriter
from notesearch.documents.document import DocumentBuilder

if TYPE_CHECKING:
    from lxml.etree import _Element

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_DECLARED = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE)
_LATIN_1 = ("iso-8859-1", "iso8859-1", "latin1", "latin-1", "us-ascii", "ascii")
_DECLARED_WITHIN_BYTES = 4096
# The parser knows neither XML declarations nor what a document type may hold.
_PROLOGUE = re.compile(r"\s*(?:<\?xml[^>]*>\s*)?(?:<!DOCTYPE\b[^>\[]*(?:\[[^\]]*\])?[^>]*>)?", re.IGNORECASE)
# What an author calls the text itself, if it says much.
_MAIN = ("//main", "//*[@role='main']", "//article")
_LEAST_MAIN_CHARS = 200
_LEAST_MAIN_PART = 0.25

_NO_TEXT = frozenset(
    "script style noscript template svg math nav button select textarea input iframe object canvas audio video head "
    "dialog".split()
)
_NO_TEXT_ROLES = frozenset(("navigation", "banner", "contentinfo", "search", "menu", "dialog"))
_AROUND_TEXT = frozenset(("footer", "aside"))
_BLOCKS = frozenset(
    "p div section article main header footer aside figure figcaption blockquote address details summary form fieldset "
    "body html hr center".split()
)
_LISTS = frozenset(("ul", "ol", "dl", "table"))
_LINES = frozenset(("li", "dt", "dd", "tr", "br", "caption"))
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_DATES = frozenset(
    "article:published_time date dc.date dcterms.date dcterms.created dc.date.created citation_publication_date "
    "datepublished".split()
)


def read_web_page(data: bytes, builder: DocumentBuilder) -> None:
    """Read a web page: its main text, if it says which that is."""
    root = parse_html(decode_html(data))
    if root is None:
        return
    builder.title = " ".join((root.findtext(".//title") or "").split())
    for meta in root.iter("meta"):
        name = (meta.get("name") or meta.get("property") or meta.get("itemprop") or "").lower()
        if name in _DATES and not builder.date:
            builder.date = meta.get("content") or ""
    main = _main_part(root)
    add_html(builder, root if main is None else main)


def decode_html(data: bytes) -> str:
    """Decode a web page: by its mark, by what it declares, else as UTF-8 if it is that, else as browsers do."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    declared = _DECLARED.search(data[:_DECLARED_WITHIN_BYTES])
    for encoding in (declared[1].decode().lower() if declared else "utf-8", "utf-8"):
        # Where it can be read, a declaration of UTF-16 is wrong, and Latin-1 stands for what is taken in the end.
        if encoding.startswith("utf-16") or encoding in _LATIN_1:
            continue
        try:
            return data.decode(encoding)
        except (LookupError, ValueError):
            continue
    return data.decode("cp1252", "replace")


def parse_html(text: str) -> _Element | None:
    """Parse HTML; nothing is fetched that it refers to. None where there is nothing in it."""
    from lxml import etree

    parser = etree.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=True)
    text = text[prologue.end() if (prologue := _PROLOGUE.match(text)) else 0 :].replace("\0", "")
    if not text.strip():
        return None
    root: _Element | None = etree.fromstring(text.encode("utf-8", "replace"), parser)
    return root


def add_html(builder: DocumentBuilder, root: _Element) -> None:
    """Add the blocks of a part of a page."""
    from lxml import etree

    writer = BlockWriter(builder)
    pending = etree.iterwalk(root, events=("start", "end"))
    for event, element in pending:
        tag = element.tag
        if event == "start":
            if _says_nothing(element, root):
                pending.skip_subtree()
                continue
            _begin(writer, tag, element)
            writer.text(element.text or "")
            continue
        if not _says_nothing(element, root):
            _end(writer, tag)
        if element is not root:
            writer.text(element.tail or "")
    writer.end_block()


def _main_part(root: _Element) -> _Element | None:
    """The element with the main text: one that says a good part of what the page does, and has no equal beside it."""
    for path in _MAIN:
        found: Any = root.xpath(path)
        if len(found) == 1 and _count_chars(found[0]) >= max(_LEAST_MAIN_CHARS, _LEAST_MAIN_PART * _count_chars(root)):
            main: _Element = found[0]
            return main
    return None


def _count_chars(element: _Element) -> int:
    from lxml import etree

    count = 0
    pending = etree.iterwalk(element, events=("start",))
    for _, child in pending:
        if _says_nothing(child, element):
            pending.skip_subtree()
        else:
            count += len((child.text or "").strip()) + sum(len((part.tail or "").strip()) for part in child)
    return count


def _says_nothing(element: _Element, root: _Element) -> bool:
    """Whether an element holds what is no text: programs, navigation, what is not shown."""
    if element is root:
        return False
    tag = element.tag
    if tag in _AROUND_TEXT:
        # Within the text, they are about it.
        return next(element.iterancestors("article", "main"), None) is None
    style = element.get("style") or ""
    return (
        tag in _NO_TEXT
        or element.get("role") in _NO_TEXT_ROLES
        or element.get("hidden") is not None
        or "display:none" in style.replace(" ", "").lower()
    )


def _begin(writer: BlockWriter, tag: str, element: _Element) -> None:
    if tag in _HEADINGS:
        writer.begin_heading(_HEADINGS[tag])
    elif tag == "pre":
        writer.begin_code()
    elif tag in _LISTS:
        writer.begin_list()
    elif tag in ("td", "th"):
        writer.cell()
    elif tag in _LINES:
        writer.line("- " if tag == "li" else "")
    elif tag in _BLOCKS:
        writer.end_paragraph()
    elif tag == "a" and (target := element.get("href")):
        writer.begin_link(target)
    elif tag == "img" and (words := element.get("alt")):
        writer.text(f" {words} ")


def _end(writer: BlockWriter, tag: str) -> None:
    if tag in _HEADINGS or tag == "pre":
        writer.end_block()
    elif tag in _LISTS:
        writer.end_list()
    elif tag == "a":
        writer.end_link()
    elif tag in _BLOCKS:
        writer.end_paragraph()
