"""Which files are read: notes, which are text, and documents, which are converted to Markdown. The suffix decides."""

from functools import cache
from importlib.util import find_spec
from pathlib import PurePath

# Raise this when documents are read differently than before: only documents are then read again.
DOCUMENTS_VERSION = 2
# Pictures make up most of the bytes of large documents.
MOST_DOCUMENT_BYTES = 50_000_000
HOW_TO_READ = "pip install 'notesearch[documents]'"

_KINDS = {
    **{".md": "Markdown", ".markdown": "Markdown", ".txt": "text", ".org": "Org", ".rst": "reStructuredText"},
    **{".pdf": "PDF", ".docx": "DOCX", ".html": "HTML", ".htm": "HTML", ".epub": "EPUB"},
}
_LIBRARIES = {"PDF": "pypdf", "DOCX": "mammoth", "HTML": "markdownify", "EPUB": "markdownify"}
READ_SUFFIXES = tuple(_KINDS)
DOCUMENT_SUFFIXES = tuple(suffix for suffix, kind in _KINDS.items() if kind in _LIBRARIES)
NOTE_SUFFIXES = tuple(suffix for suffix in READ_SUFFIXES if suffix not in DOCUMENT_SUFFIXES)


def is_document(path: str | PurePath) -> bool:
    """Whether a file is a document."""
    return str(path).lower().endswith(DOCUMENT_SUFFIXES)


def kind_of(path: str | PurePath) -> str:
    """The kind of a file: `Markdown`, `Org`, `PDF`, …; `text` for other suffixes."""
    return _KINDS.get(PurePath(path).suffix.lower(), "text")


def has_reader(path: str | PurePath) -> bool:
    """Whether the library that reads this kind of document is installed."""
    return _is_installed(_LIBRARIES[kind_of(path)])


@cache
def _is_installed(library: str) -> bool:
    return find_spec(library) is not None
