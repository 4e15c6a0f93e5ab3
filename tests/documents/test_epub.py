from datetime import datetime

import pytest
from document_files import make_epub, make_zip

from notesearch.errors import NoteUnreadable

from .conftest import Read
from .shapes import headings, texts


def test_a_book_is_read_in_its_order(read: Read) -> None:
    metadata = "<dc:title>Of bread</dc:title><dc:creator>Ada B.</dc:creator><dc:date>2019-05</dc:date>"
    note = read(
        "a.epub",
        make_epub(
            {
                "z.xhtml": "<h1>First</h1><p>one&nbsp;two</p>",
                "a.xhtml": "<h1>Last</h1><a id='x'/><script src='a.js'/><div/><p/><p>end</p>",
            },
            metadata=metadata,
        ),
    )
    assert texts(note) == ["Ada B.", "# First", "one two", "# Last", "end"]
    assert (note.title, note.date) == ("Of bread", datetime(2019, 5, 1))


def test_the_table_of_contents_names_chapters_without_headings(read: Read) -> None:
    contents = (
        '<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>Chapter one</text>'
        "</navLabel>"
        '<content src="a.xhtml#top"/></navPoint><navPoint><navLabel><text>Two</text></navLabel>'
        '<content src="b.xhtml"/></navPoint></navMap></ncx>'
    )
    book = make_epub({"a.xhtml": "<p>text</p>", "b.xhtml": "<h2>II</h2>more"}, more={"OPS/toc.ncx": contents})
    assert headings(read("a.epub", book)) == [(1, "Chapter one"), (2, "II")]


def test_a_missing_chapter_is_a_problem(read: Read) -> None:
    book = make_epub({"a.xhtml": "text", "b.xhtml": "more"})
    note = read("a.epub", book.replace(b"OPS/b.xhtml", b"OPS/c.xhtml"))
    assert texts(note) == ["text"]
    assert note.problems == ("OPS/b.xhtml is missing in it",)


ENCRYPTION = (
    '<encryption xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData><enc:CipherData>'
    '<enc:CipherReference URI="{}"/></enc:CipherData></enc:EncryptedData></encryption>'
)


def test_a_disguised_font_does_not_matter(read: Read) -> None:
    book = make_epub({"a.xhtml": "text"}, more={"META-INF/encryption.xml": ENCRYPTION.format("OPS/font.otf")})
    assert texts(read("a.epub", book)) == ["text"]


BOMB = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 20 if n else "x" * 20}">' for n in range(9))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (
            make_epub({"a.xhtml": "text"}, more={"META-INF/encryption.xml": ENCRYPTION.format("OPS/a.xhtml")}),
            "encrypted",
        ),
        (make_epub({"a.xhtml": "<p/>"}), "no text"),
        (make_epub({"a.xhtml": "x" * 51_000_000}), "too large, once it is unpacked"),
        (make_zip({"mimetype": "application/epub+zip"}), "damaged, or no EPUB file"),
        (make_epub({"a.xhtml": "text"})[:-40], "damaged, or no EPUB file"),
        (
            make_epub(
                {"a.xhtml": "text"},
                more={"META-INF/container.xml": f"<!DOCTYPE a [{BOMB}]><container>&e8;</container>"},
            ),
            "damaged, or no EPUB file",
        ),
    ],
    ids=["encrypted", "blank", "large", "no package", "cut", "entities"],
)
def test_what_cannot_be_read(read: Read, data: bytes, reason: str) -> None:
    with pytest.raises(NoteUnreadable) as caught:
        read("a.epub", data)
    assert caught.value.message == reason
