"""PDF, DOCX, HTML and EPUB: converted to text with blocks, in a process of their own.

What converts them is in `converter`, and not imported here: searches only ask what a document is.
"""

from notesearch.documents.formats import (
    DOCUMENT_SUFFIXES,
    DOCUMENTS_VERSION,
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
    "has_reader",
    "is_document",
    "kind_of",
]
