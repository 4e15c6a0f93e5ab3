"""DOCX and EPUB."""

from datetime import datetime

import pytest
from document_files import make_docx, make_epub, make_zip

from notesearch.errors import NoteUnreadable
from notesearch.records import Link

from .conftest import Read, headings, texts


def paragraph(text: str, style: str = "", properties: str = "") -> str:
    named = f'<w:pStyle w:val="{style}"/>' if style else ""
    return f"<w:p><w:pPr>{named}{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def style(style_id: str, name: str, based_on: str = "", level: int | None = None) -> str:
    outline = f'<w:pPr><w:outlineLvl w:val="{level}"/></w:pPr>' if level is not None else ""
    return (
        f'<w:style w:type="paragraph" w:styleId="{style_id}"><w:name w:val="{name}"/>'
        f'<w:basedOn w:val="{based_on}"/>{outline}</w:style>'
    )


STYLES = (
    style("T", "Title")
    + style("berschrift1", "heading 1")
    + style("toc1", "toc 1")
    + style("mine", "Chapter of mine", "berschrift1")
    + style("deep", "Deep", level=2)
    + style("loop", "Loop", "loop")
)
NUMBERING = (
    '<w:abstractNum w:abstractNumId="1"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/></w:lvl></w:abstractNum>'
    '<w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num>'
)
ITEM = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>'


def test_headings_lists_and_tables(read: Read) -> None:
    def cell(words: str) -> str:
        return f"<w:tc>{paragraph(words)}</w:tc>"

    body = (
        paragraph("The meeting", "T")
        + paragraph("Who came 2", "toc1")
        + paragraph("Who came", "berschrift1")
        + "<w:p><w:r><w:t>Ada and</w:t><w:br/><w:t>Bob.</w:t></w:r></w:p>"
        + paragraph("first", properties=ITEM)
        + paragraph("second", properties=ITEM)
        + f"<w:tbl><w:tr>{cell('what')}{cell('how much')}</w:tr><w:tr>{cell('tea')}{cell('3')}</w:tr></w:tbl>"
        + paragraph("# 1 of 2")
        + paragraph("Mine", "mine")
        + paragraph("Deep", "deep")
        + paragraph("The end.", "loop")
    )
    properties = "<dc:title>Minutes</dc:title><dcterms:created>2023-04-05T06:00:00Z</dcterms:created>"
    note = read("a.docx", make_docx(body, properties=properties, styles=STYLES, more={"numbering": NUMBERING}))
    assert texts(note) == [
        "# The meeting",
        "# Who came",
        "Ada and\nBob.",
        "- first\n- second",
        "| what | how much |\n| --- | --- |\n| tea | 3 |",
        "\\# 1 of 2",
        "# Mine",
        "### Deep",
        "The end.",
    ]
    assert headings(note) == [(1, "The meeting"), (1, "Who came"), (1, "Mine"), (3, "Deep")]
    assert (note.title, note.date, note.tags) == ("Minutes", datetime(2023, 4, 5), ())


def test_footnotes_comments_and_links(read: Read) -> None:
    body = (
        '<w:p><w:r><w:t>Bread</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r>'
        '<w:r><w:commentReference w:id="0"/></w:r>'
        '<w:hyperlink r:id="r8"><w:r><w:t> plan</w:t></w:r></w:hyperlink>'
        '<w:hyperlink r:id="r9"><w:r><w:t> web</w:t></w:r></w:hyperlink></w:p>'
    )
    more = {
        "footnotes": f'<w:footnote w:id="2">{paragraph("Of rye.")}</w:footnote>',
        "comments": f'<w:comment w:id="0" w:initials="AB" w:author="Ada B.">{paragraph("Really?")}</w:comment>',
        "links": "r8=the%20plan.docx r9=https://e.org/",
    }
    note = read("a.docx", make_docx(body, more=more))
    assert note.text == ("Bread[1][AB1] [plan](the%20plan.docx) web\n\n1. Of rye.\n\nComment [AB1]\n:   Really?")
    assert note.links == (Link("the plan.docx", "plan", "relative"),)


def test_deleted_text_is_left_out_and_inserted_text_is_read(read: Read) -> None:
    changes = "".join(f"<w:{kind}><w:r><w:t>{kind}</w:t></w:r></w:{kind}>" for kind in ("ins", "moveFrom", "moveTo"))
    deleted = "<w:del><w:r><w:delText>no</w:delText></w:r></w:del>"
    body = f"<w:p><w:r><w:t>Kept </w:t></w:r>{changes}{deleted}</w:p>"
    assert texts(read("a.docx", make_docx(body))) == ["Kept insmoveTo"]


def test_a_title_that_a_program_made_up_does_not_count(read: Read) -> None:
    data = make_docx(paragraph("Head", "berschrift1"), styles=STYLES, properties="<dc:title>Document1.docx</dc:title>")
    assert read("a.docx", data).title == "Head"


def test_a_book_is_read_in_its_order(read: Read) -> None:
    metadata = "<dc:title>Of bread</dc:title><dc:creator>Ada B.</dc:creator><dc:date>2019-05</dc:date>"
    chapters = {
        "z.xhtml": "<h1>First</h1><p>one&nbsp;two, <a href='a.html'>three</a></p><nav>Contents</nav>",
        "a.xhtml": "<h1>Last</h1><a id='x'/><script src='a.js'/><div/><p/><p>end</p>",
    }
    note = read("a.epub", make_epub(chapters, metadata=metadata))
    assert texts(note) == ["Ada B.", "# First", "one two, three", "# Last", "end"]
    assert (note.title, note.date) == ("Of bread", datetime(2019, 5, 1))


def test_the_table_of_contents_names_chapters_without_headings(read: Read) -> None:
    contents = (
        '<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>Chapter one</text>'
        '</navLabel><content src="a.xhtml#top"/></navPoint><navPoint><navLabel><text>Two</text></navLabel>'
        '<content src="b.xhtml"/></navPoint></navMap></ncx>'
    )
    book = make_epub({"a.xhtml": "<p>text</p>", "b.xhtml": "<h2>II</h2>more"}, more={"OPS/toc.ncx": contents})
    assert headings(read("a.epub", book)) == [(1, "Chapter one"), (2, "II")]


def test_a_missing_chapter_is_a_problem(read: Read) -> None:
    book = make_epub({"a.xhtml": "text", "b.xhtml": "more"})
    note = read("a.epub", book.replace(b"OPS/b.xhtml", b"OPS/c.xhtml"))
    assert (texts(note), note.problems) == (["text"], ("OPS/b.xhtml is missing in it",))


def encrypted_member(name: str) -> dict[str, str]:
    return {
        "META-INF/encryption.xml": '<encryption xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData>'
        f'<enc:CipherData><enc:CipherReference URI="{name}"/></enc:CipherData></enc:EncryptedData></encryption>'
    }


def test_an_encrypted_font_does_not_matter(read: Read) -> None:
    assert texts(read("a.epub", make_epub({"a.xhtml": "text"}, more=encrypted_member("OPS/font.otf")))) == ["text"]


TWO_LARGE_PARTS = {f"word/{number}.bin": "x" * 11_000_000 for number in range(2)}
BOMB = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 20 if n else "x" * 20}">' for n in range(9))
ENTITIES = {"META-INF/container.xml": f"<!DOCTYPE a [{BOMB}]><container>&e8;</container>"}


@pytest.mark.parametrize(
    ("name", "data", "reason", "by_rule"),
    [
        ("a.docx", b"PK", "damaged, or no DOCX file", False),
        ("a.docx", make_zip({"word/document.xml": "<a/>"}), "damaged, or no DOCX file", False),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "encrypted, or an older Office file", True),
        ("a.docx", make_zip({"word/media/x": bytes(310_000_000)}), "too large, once it is unpacked", True),
        (
            "a.docx",
            make_docx("", more=TWO_LARGE_PARTS),
            "too large, once it is unpacked",
            True,
        ),
        ("a.docx", make_zip({f"m{number}": "" for number in range(20_001)}), "too large, once it is unpacked", True),
        ("a.docx", make_docx(""), "no text", True),
        ("a.epub", make_epub({"a.xhtml": "text"}, more=encrypted_member("OPS/a.xhtml")), "encrypted", True),
        ("a.epub", make_epub({"a.xhtml": "<p/>"}), "no text", True),
        ("a.epub", make_epub({"a.xhtml": "x" * 21_000_000}), "too large, once it is unpacked", True),
        ("a.epub", make_zip({"mimetype": "application/epub+zip"}), "damaged, or no EPUB file", False),
        ("a.epub", make_epub({"a.xhtml": "text"})[:-40], "damaged, or no EPUB file", False),
        ("a.epub", make_epub({"a.xhtml": "text"}, more=ENTITIES), "damaged, or no EPUB file", False),
    ],
    ids=range(13),
)
def test_what_cannot_be_read(read: Read, name: str, data: bytes, reason: str, by_rule: bool) -> None:
    with pytest.raises(NoteUnreadable) as caught:
        read(name, data)
    assert (caught.value.message, caught.value.by_rule) == (reason, by_rule)


@pytest.mark.parametrize(
    "entities", [BOMB + '<!ENTITY f "">', '<!ENTITY e8 ""><!ENTITY f SYSTEM "file:///etc/passwd">']
)
def test_entities_of_xml_are_not_followed(read: Read, entities: str) -> None:
    document = (
        f'<!DOCTYPE a [{entities}]><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        f"<w:body>{paragraph('Before &e8;&f; after.')}</w:body></w:document>"
    )
    try:
        text = read("a.docx", make_docx("", more={"word/document.xml": document})).text
    except NoteUnreadable:
        return
    assert "root:" not in text and len(text) < 1000
