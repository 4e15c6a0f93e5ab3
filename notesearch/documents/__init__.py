"""PDF, DOCX, HTML and EPUB: converted to text with blocks, in a process of their own."""

from notesearch.documents.converter import convert
from notesearch.documents.document import DOCUMENTS_VERSION, Document
from notesearch.documents.formats import (
    DOCUMENT_SUFFIXES,
    HOW_TO_READ,
    MOST_DOCUMENT_BYTES,
    has_reader,
    is_document,
    kind_of,
)

__all__ = [
    "DOCUMENTS_VERSION",
    "DOCUMENT_SUFFIXES",
    "HOW_TO_READ",
    "MOST_DOCUMENT_BYTES",
    "Document",
    "convert",
    "has_reader",
    "is_document",
    "kind_of",
]
