"""The text and metadata of a document, and the clean-up that all kinds of documents share."""

import re
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from xml.parsers.expat import ExpatError

# As much as a text file may hold by default; a thousand pages.
MOST_CHARS = 2_000_000
# What the libraries raise if a file is damaged; anything else ends the process.
DAMAGE = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, OSError, RuntimeError, SyntaxError),
    *(TypeError, ValueError, ExpatError, struct.error, zipfile.BadZipFile, zlib.error),
)

_DATE = re.compile(r"\D{0,4}(\d{4})(?:[-/.]?(\d{2})(?:[-/.]?(\d{2}))?)?")
_LIGATURES = re.compile("[\ufb00-\ufb06]")
# Soft hyphens, zero-width characters, control characters, and surrogates.
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b\u2060\ufeff\ud800-\udfff]")
# The parser of notes would take these lines at the top for the beginning of front matter.
_RULES_AT_TOP = re.compile(r"(?:\s*^(?:-{3,}|\+{3,})[ \t]*$)+\s*", re.MULTILINE)
# What begins a heading, HTML or code in Markdown.
_MARKUP_AT_START = re.compile(r"#{1,6}\s|<|```|~~~")
# What programs fill in when the author gave no title.
_NO_TITLE = re.compile(
    r"(?:untitled|document|dokument|presentation|powerpoint presentation|slide|titel?|unknown|none)?[\s\d_.-]*"
    r"|microsoft \w+ - .*|(?:[a-z]:|file:|https?:|/).*"
    r"|.*\.(?:docx?|pdf|tex|dvi|ps|rtf|odt|pptx?|xlsx?|indd|qxd|html?|txt|md|wpd|pages|p65|fm)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Document:
    """What was read of a document.

    Attributes:
        text: Its text as Markdown.
        title: The title in its metadata; empty if there is none or a program made it up.
        date: When it was made or published, ISO 8601; empty if its metadata does not say.
        page_starts: Offsets into the text where each page begins; empty for formats without pages.
        problems: What could not be read, one line each.
    """

    text: str
    title: str = ""
    date: str = ""
    page_starts: Sequence[int] = ()
    problems: Sequence[str] = ()


def make_document(
    text: str, title: str = "", written_date: str = "", page_starts: Sequence[int] = (), problems: Sequence[str] = ()
) -> Document:
    """Make a document of what a reader found; a text longer than `MOST_CHARS` is cut off.

    Args:
        text: Markdown.
        title: As its metadata says.
        written_date: As its metadata says: `D:20240501120000Z` in PDF, `2024-05-01` in XML and web pages.
        page_starts: See `Document`.
        problems: See `Document`.
    """
    text = text[rules.end() if (rules := _RULES_AT_TOP.match(text)) else 0 :].rstrip()
    if len(text) > MOST_CHARS:
        text = text[:MOST_CHARS].rstrip()
        page_starts = [start for start in page_starts if start < len(text)]
        pages = f", {len(page_starts):,} pages" if page_starts else ""
        problems = [*problems, f"only its beginning was read: {len(text):,} characters{pages}"]
    return Document(text, real_title(title), _iso_date(written_date), page_starts, problems)


def clean(text: str) -> str:
    """A text without invisible characters, its ligatures split into letters."""
    if not text.isascii():
        text = _LIGATURES.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text).replace("\xa0", " ")
    return _INVISIBLE.sub("", text)


def escape_start(paragraph: str) -> str:
    """A paragraph that begins with no mark of a heading, HTML or code."""
    return f"\\{paragraph}" if _MARKUP_AT_START.match(paragraph) else paragraph


def real_title(written: str) -> str:
    """The title in a document's metadata on one line; empty if a program made it up."""
    title = " ".join(clean(written).split())
    return "" if _NO_TITLE.fullmatch(title) else title


def _iso_date(written: str) -> str:
    year, month, day = match.groups("01") if (match := _DATE.match(written)) else ("", "", "")
    try:
        return date.fromisoformat(f"{year}-{month}-{day}").isoformat()
    except ValueError:  # no date, or 2023-13-45
        return ""
