"""Which files are read: notes, which are text, and documents, which are converted to text. A file's name decides."""

from functools import cache
from importlib.util import find_spec
from pathlib import PurePath

# Raise this when documents are read differently than before: only documents are then read again.
DOCUMENTS_VERSION = 2
# Pictures make up most of the bytes of large documents.
MOST_DOCUMENT_BYTES = 50_000_000
HOW_TO_READ = "pip install 'notesearch[documents]'"

_KINDS = {".pdf": "PDF", ".docx": "DOCX", ".html": "HTML", ".htm": "HTML", ".epub": "EPUB"}
_LIBRARIES = {"PDF": "pypdf", "DOCX": "mammoth", "HTML": "markdownify", "EPUB": "markdownify"}
NOTE_SUFFIXES = (".md", ".markdown", ".txt", ".org", ".rst")
DOCUMENT_SUFFIXES = tuple(_KINDS)
READ_SUFFIXES = NOTE_SUFFIXES + DOCUMENT_SUFFIXES


def is_document(path: str | PurePath) -> bool:
    """Whether a file is a document."""
    return str(path).lower().endswith(DOCUMENT_SUFFIXES)


def kind_of(path: str | PurePath) -> str:
    """The kind of a document: `PDF`, `DOCX`, `HTML` or `EPUB`."""
    name = str(path).lower()
    return next(kind for suffix, kind in _KINDS.items() if name.endswith(suffix))


def has_reader(path: str | PurePath) -> bool:
    """Whether the library that reads this kind of document is installed."""
    return _is_installed(_LIBRARIES[kind_of(path)])


@cache
def _is_installed(library: str) -> bool:
    return find_spec(library) is not None
