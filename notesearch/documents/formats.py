"""Which documents can be read."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import PurePath

# Raise this when documents are read in another way than before: they are read again then, and nothing else is.
DOCUMENTS_VERSION = 1
# Pictures make most of the bytes of large ones.
MOST_DOCUMENT_BYTES = 50_000_000
HOW_TO_READ = "pip install 'notesearch[documents]'"

_KINDS = {".pdf": "PDF", ".docx": "DOCX", ".html": "HTML", ".htm": "HTML", ".epub": "EPUB"}
_LIBRARIES = {"PDF": "pypdf", "DOCX": "docx", "HTML": "lxml", "EPUB": "lxml"}
DOCUMENT_SUFFIXES = tuple(_KINDS)


def is_document(path: str | PurePath) -> bool:
    """Whether a file is a document by its name."""
    return str(path).lower().endswith(DOCUMENT_SUFFIXES)


def kind_of(path: str | PurePath) -> str:
    """What kind of document a file is by its name: `PDF`, `DOCX`, `HTML` or `EPUB`."""
    name = str(path).lower()
    return next(kind for suffix, kind in _KINDS.items() if name.endswith(suffix))


def has_reader(path: str | PurePath) -> bool:
    """Whether what reads this kind of document is installed."""
    return _is_installed(_LIBRARIES[kind_of(path)])


@cache
def _is_installed(library: str) -> bool:
    return find_spec(library) is not None
