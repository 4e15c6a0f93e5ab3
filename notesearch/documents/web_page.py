"""HTML to Markdown; imported only by the process that converts documents, as the other readers."""

import re
from contextlib import suppress
from typing import Any

from bs4 import BeautifulSoup, Tag
from bs4.dammit import EncodingDetector
from markdownify import ATX, MarkdownConverter

from notesearch.documents.document import MOST_CHARS, Document, clean, escape_start, make_document
from notesearch.file_kinds import READ_SUFFIXES

# Markup is several times as long as the text in it; reading more than this would take too much memory.
_MOST_MARKUP_CHARS = 5 * MOST_CHARS
# Converting an element takes as long as it is nested deep, and numbering an item as long as there are others before it.
_MOST_NESTING = 100
_MOST_NUMBERED_ITEMS = 2_000
_INLINE_FILE = re.compile(r"data:[\w/+.;=-]{1,100};base64,[\w+/=%]*")
_LATIN_1 = ("iso-8859-1", "iso8859-1", "latin1", "latin-1", "us-ascii", "ascii")
# The parser knows neither XML declarations nor internal subsets of a document type.
_PROLOGUE = re.compile(r"\A\s*(?:<\?xml[^>]*>\s*)?(?:<!DOCTYPE\b[^>\[]*(?:\[[^\]]*\])?[^>]*>)?", re.IGNORECASE)
# How an author marks the main text. It counts if it is a good part of the page.
_MAIN = ("main", "[role=main]", "article")
_LEAST_MAIN_CHARS = 200
_LEAST_MAIN_PART = 0.25
_BOILERPLATE = frozenset(
    "script style noscript template svg math nav button select textarea input iframe object canvas audio video head "
    "dialog".split()
)
_BOILERPLATE_ROLES = frozenset(("navigation", "banner", "contentinfo", "search", "menu", "dialog"))
_DATES = frozenset(
    "article:published_time date dc.date dcterms.date dcterms.created dc.date.created citation_publication_date "
    "datepublished".split()
)
# Blocks for which markdownify has no rule: their text would run into that of their neighbours.
_BLOCKS = "address aside center details fieldset figure footer form header hgroup main summary".split()
_EMPHASIS = "b i em strong u s del ins mark".split()
_NOT_RELATIVE = re.compile(r"[a-z][a-z0-9+.-]*:|/", re.IGNORECASE)


def read_web_page(data: bytes) -> Document:
    """Read a web page: its main text, if it marks one, without navigation, scripts and hidden parts."""
    markup = decode_html(data)
    page = parse_html(markup)
    title = page.title.get_text() if page.title else ""
    names = [(meta.get(key, ""), meta) for meta in page("meta") for key in ("name", "property", "itemprop")]
    date = next((str(meta.get("content", "")) for name, meta in names if str(name).lower() in _DATES), "")
    is_cut = len(markup) > _MOST_MARKUP_CHARS
    problems = [f"only its beginning was read: {_MOST_MARKUP_CHARS:,} characters of HTML"] if is_cut else []
    return make_document(to_markdown(_main_part(without_boilerplate(page)), keep_links=True), title, date, (), problems)


def decode_html(data: bytes) -> str:
    """Decode a web page: by its byte order mark, by the encoding it declares, as UTF-8, else as Windows-1252."""
    data, marked = EncodingDetector.strip_byte_order_mark(data)
    declared = (EncodingDetector.find_declared_encoding(data, is_html=True) or "").lower()
    # Browsers take Latin-1 for Windows-1252, and a declaration of UTF-16 that can be read is wrong.
    is_wrong = declared.startswith("utf-16") or declared in _LATIN_1
    text = data.decode("cp1252", "replace")
    for encoding in ("utf-8", "" if is_wrong else declared, marked):  # the last one that fits
        with suppress(LookupError, ValueError):
            text = data.decode(encoding or "")
    return _INLINE_FILE.sub("", _PROLOGUE.sub("", text, count=1)).replace("\0", "")


def parse_html(markup: str) -> BeautifulSoup:
    """Parse the beginning of a page; nothing that it refers to is fetched."""
    page = _ShallowSoup(markup[:_MOST_MARKUP_CHARS], "lxml")
    for items in page("ol"):
        if len(items.contents) > _MOST_NUMBERED_ITEMS:
            items.name = "ul"
    return page


def without_boilerplate(page: BeautifulSoup) -> BeautifulSoup:
    """Take scripts, navigation and hidden parts out of a page."""
    for element in page.find_all(_is_boilerplate):
        element.decompose()
    return page


def to_markdown(element: Tag, *, keep_links: bool) -> str:
    """Convert a part of a page to Markdown without emphasis and pictures.

    Args:
        element: The part.
        keep_links: Whether links to files beside it that can be notes stay links; of others only the words are kept.
    """
    text = clean(_Converter(keep_links).convert_soup(element))
    return re.sub(r"[ \t]+$|^ (?=\S)", "", text, flags=re.MULTILINE).strip("\n")


def _main_part(page: BeautifulSoup) -> Tag:
    """The element with the main text: unique of its kind, and a good part of the page."""
    least_chars = max(_LEAST_MAIN_CHARS, _LEAST_MAIN_PART * _count_chars(page))
    for selector in _MAIN:
        found = page.select(selector)
        if len(found) == 1 and _count_chars(found[0]) >= least_chars:
            return found[0]
    return page


def _count_chars(element: Tag) -> int:
    return sum(map(len, element.stripped_strings))


def _is_boilerplate(element: Tag) -> bool:
    if element.name in ("footer", "aside"):
        # Within an article, they belong to it.
        return element.find_parent(("article", "main")) is None
    return (
        element.name in _BOILERPLATE
        or element.get("role") in _BOILERPLATE_ROLES
        or element.has_attr("hidden")
        or "display:none" in str(element.get("style", "")).replace(" ", "").lower()
    )


class _ShallowSoup(BeautifulSoup):
    def handle_starttag(self, *arguments: Any, **options: Any) -> Tag | None:
        """Leave out tags that are nested too deeply, but not their text."""
        return super().handle_starttag(*arguments, **options) if len(self.tagStack) <= _MOST_NESTING else None


class _Converter(MarkdownConverter):  # type: ignore[misc]
    def __init__(self, keep_links: bool) -> None:
        # Nothing is escaped: backslashes would divide the words that are searched for.
        escape = {"escape_asterisks": False, "escape_underscores": False}
        # `wrap` without a width makes one line of each paragraph.
        layout = {"wrap": True, "wrap_width": None, "bullets": "-", "table_infer_header": True, "autolinks": False}
        super().__init__(heading_style=ATX, strip=_EMPHASIS, **escape, **layout)
        self.keep_links = keep_links

    def convert_a(self, element: Tag, text: str, parent_tags: set[str]) -> str:
        target = str(element.get("href", "")).strip()
        if target.startswith("#") and not any(map(str.isalnum, text)):
            return ""  # the mark at a heading that links to itself, the arrow back from a footnote
        leads_to_note = re.split("[?#]", target)[0].lower().endswith(READ_SUFFIXES) and not _NOT_RELATIVE.match(target)
        if not self.keep_links or not text.strip() or not leads_to_note:
            return text
        element.attrs = {"href": target.replace(" ", "%20")}
        return str(super().convert_a(element, text, parent_tags))

    def convert_p(self, element: Tag, text: str, parent_tags: set[str]) -> str:
        return str(super().convert_p(element, escape_start(text.strip()), parent_tags))

    def convert_img(self, element: Tag, text: str, parent_tags: set[str]) -> str:
        return f" {words} " if (words := element.get("alt")) else ""

    def convert_hr(self, element: Tag, text: str, parent_tags: set[str]) -> str:
        return "\n\n"

    def convert_hN(self, level: int, element: Tag, text: str, parent_tags: set[str]) -> str:
        # The words of a heading are taken without HTML tags, so a `<` that is one of its letters is escaped.
        text = text.replace("<", "\\<")
        return str(super().convert_hN(level, element, text, parent_tags)) if text.strip() else ""


for _name in _BLOCKS:
    setattr(_Converter, f"convert_{_name}", MarkdownConverter.convert_div)
