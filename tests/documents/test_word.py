from datetime import datetime
from io import BytesIO

import pytest
from document_files import make_zip

from notesearch.errors import NoteUnreadable

from .conftest import Read
from .shapes import headings, texts

docx = pytest.importorskip("docx")


def saved(document: object) -> bytes:
    file = BytesIO()
    document.save(file)  # type: ignore[attr-defined]
    return file.getvalue()


def new_document(title: str = "Minutes") -> object:
    document = docx.Document()
    document.core_properties.title = title
    document.core_properties.created = datetime(2023, 4, 5, 6)
    return document


def test_headings_lists_and_tables(read: Read) -> None:
    document = new_document()
    document.add_heading("The meeting", 0)
    document.styles.add_style("toc 1", 1)
    document.add_paragraph("Who came\t2", style="toc 1")
    document.add_heading("Who came", 1)
    document.add_paragraph("Ada and\nBob.")
    document.add_paragraph("first", style="List Bullet")
    document.add_paragraph("second", style="List Number")
    document.add_heading("Costs", 2)
    table = document.add_table(2, 2)
    for place, words in enumerate(["what", "how much", "tea", "3"]):
        table.cell(place // 2, place % 2).text = words
    document.add_paragraph("")
    document.add_paragraph("The end.")
    note = read("a.docx", saved(document))
    assert texts(note) == [
        "# The meeting",
        "# Who came",
        "Ada and\nBob.",
        "- first\n- second",
        "## Costs",
        "what | how much\ntea | 3",
        "The end.",
    ]
    assert headings(note) == [(1, "The meeting"), (1, "Who came"), (2, "Costs")]
    assert (note.title, note.date, note.tags) == ("Minutes", datetime(2023, 4, 5), ())


def test_a_style_based_on_a_heading_is_one(read: Read) -> None:
    document = new_document()
    style = document.styles.add_style("Chapter of mine", 1)
    style.base_style = document.styles["Heading 3"]
    document.add_paragraph("Mine", style="Chapter of mine")
    document.add_paragraph("Text.")
    assert headings(read("a.docx", saved(document))) == [(3, "Mine")]


def test_what_was_taken_out_is_not_read_and_what_was_put_in_is(read: Read) -> None:
    document = new_document()
    paragraph = document.add_paragraph("Kept ")
    mark = (
        "<w:{} xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main'><w:r><w:t>{}</w:t></w:r></w:{}>"
    )
    for kind in ("ins", "moveFrom"):
        paragraph._p.append(docx.oxml.parse_xml(mark.format(kind, kind, kind)))
    assert texts(read("a.docx", saved(document))) == ["Kept ins"]


def test_titles_that_say_nothing(read: Read) -> None:
    document = new_document(title="Document1.docx")
    document.add_heading("Head", 1)
    assert read("a.docx", saved(document)).title == "Head"


@pytest.mark.parametrize(
    ("data", "reason", "by_rule"),
    [
        (b"PK", "damaged, or no DOCX file", False),
        (b"plain text", "damaged, or no DOCX file", False),
        (make_zip({"word/document.xml": "<a/>"}), "damaged, or no DOCX file", False),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "encrypted, or an older Office file", True),
        (make_zip({"word/media/x": bytes(310_000_000)}), "too large, once it is unpacked", True),
        (make_zip({f"m{number}": "" for number in range(20_001)}), "too large, once it is unpacked", True),
        (saved(docx.Document()), "no text", True),
    ],
    ids=["cut", "text", "other", "ole", "bomb", "members", "empty"],
)
def test_what_cannot_be_read(read: Read, data: bytes, reason: str, by_rule: bool) -> None:
    with pytest.raises(NoteUnreadable) as caught:
        read("a.docx", data)
    assert (caught.value.message, caught.value.by_rule) == (reason, by_rule)


def test_entities_of_xml_are_not_followed(read: Read) -> None:
    document = new_document()
    document.add_paragraph("Before MARK after.")
    from zipfile import ZipFile

    with ZipFile(BytesIO(saved(document))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    bomb = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 20 if n else "x" * 20}">' for n in range(9))
    outside = '<!ENTITY f SYSTEM "file:///etc/passwd">'
    xml = members["word/document.xml"].replace(b"MARK", b"&e8;&f;")
    head, _, body = xml.partition(b"?>")
    members["word/document.xml"] = head + b"?><!DOCTYPE a [" + (bomb + outside).encode() + b"]>" + body
    try:
        text = read("a.docx", make_zip(members)).text
    except NoteUnreadable:
        return
    assert "root:" not in text and len(text) < 1000
