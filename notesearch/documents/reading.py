"""From the bytes of a document to its text; runs in the process of `worker`."""

from __future__ import annotations

import struct
import zipfile
import zlib
from functools import cache

from notesearch.documents.document import Document, DocumentBuilder, LimitReached
from notesearch.documents.formats import kind_of
from notesearch.errors import NoteUnreadable

# Less is no text: a stamp, a page number.
_LEAST_LETTERS = 3


def read_document(name: str, data: bytes, seconds: float) -> Document:
    """Read a document.

    Args:
        name: The file's name.
        data: The whole file.
        seconds: Processor time after which what has been read must do.

    Raises:
        NoteUnreadable: It is damaged, encrypted, or holds no text; the message is a short reason.
    """
    builder = DocumentBuilder()
    kind = kind_of(name)
    try:
        if kind == "PDF":
            from notesearch.documents.pdf import read_pdf

            read_pdf(data, builder, seconds)
        elif kind == "DOCX":
            from notesearch.documents.word import read_word

            read_word(data, builder)
        elif kind == "EPUB":
            from notesearch.documents.epub import read_epub

            read_epub(data, builder)
        else:
            from notesearch.documents.web_page import read_web_page

            read_web_page(data, builder)
    except LimitReached as reached:
        builder.problems.append(str(reached))
    except MemoryError as error:
        raise NoteUnreadable("too complicated: it takes too much memory", by_rule=True) from error
    except damage() as error:
        raise NoteUnreadable(f"damaged, or no {kind} file") from error
    document = builder.built()
    if sum(map(str.isalnum, document.text)) < _LEAST_LETTERS:
        raise NoteUnreadable("no text: scanned pages?" if kind == "PDF" else "no text", by_rule=True)
    return document


@cache
def damage() -> tuple[type[Exception], ...]:
    """What the libraries raise where a file is not as it should be; anything else ends the process."""
    errors: list[type[Exception]] = [
        *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, OSError),
        *(RuntimeError, TypeError, ValueError),
        *(struct.error, zipfile.BadZipFile, zlib.error),
    ]
    for module, name in (
        ("pypdf.errors", "PyPdfError"),
        ("lxml.etree", "LxmlError"),
        ("docx.exceptions", "PythonDocxError"),
        ("docx.opc.exceptions", "OpcError"),
    ):
        try:
            errors.append(getattr(__import__(module, fromlist=[name]), name))
        except ModuleNotFoundError:  # this kind is not read here
            continue
    return tuple(errors)
