from datetime import datetime
from io import BytesIO

import pytest
from document_files import flate_stream, make_pdf

from notesearch.errors import NoteUnreadable
from notesearch.notes import chunk_note
from notesearch.records import Chunking

from .conftest import Read, headings, texts

BOMB = flate_stream(b" " * 100_000_000)
PROSE = "Compare the two of them, line by line, and write"


def test_lines_become_paragraphs(read: Read) -> None:
    note = read(
        "a.pdf",
        make_pdf(
            [
                [
                    f"{PROSE} down what the differ-",
                    "ences are; a well-known trap is the well-",
                    "known one. End.",
                    f"{PROSE} it again, and once more.",
                    "1. first of some",
                    "2. second",
                ]
            ]
        ),
    )
    assert texts(note) == [
        f"{PROSE} down what the differences are; a well-known trap is the well-known one. End.",
        f"{PROSE} it again, and once more.",
        "1. first of some\n\n2. second",
    ]


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["The appa\xad", "ratus", "is set up."], "The apparatus is set up."),
        (["The appa\xad", "ratus is set up."], "The apparatus is set up."),
        (["The W\xe4rme\xadpumpe is set up."], "The Wärmepumpe is set up."),
        (["Set up the appa-", "ratus."], "Set up the apparatus."),
        (["A list of differ-", "ences; to differ."], "A list of differences; to differ."),
        (["A well of known depth is a well-", "known one."], "A well of known depth is a well-known one."),
        (["To fore and cast a fore-", "cast, a forecast."], "To fore and cast a forecast, a forecast."),
        (["A state-of-the-", "art one."], "A state-of-the-art one."),
        (["An Anglo-", "Saxon and COVID-", "19."], "An Anglo-Saxon and COVID-19."),
        (["ON THE APPA-", "RATUS"], "ON THE APPARATUS"),
    ],
)
def test_words_that_the_end_of_a_line_divides_are_whole(read: Read, lines: list[str], text: str) -> None:
    assert texts(read("a.pdf", make_pdf([lines]))) == [text]


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ("f_i r e", "fire"),
        ("T_h e", "The"),
        ("a.sc b.alt.sc c", "abc"),
        ("one.oldstyle zerooldstyle T_h.swash", "10Th"),
        ("Asmall Bsmall Adieresissmall", "abä"),
        ("uni0041 uni00420043 u1F600 u0044", "ABC😀D"),
        ("a g123 b c45 .notdef uniD800 u110000 c", "abc"),
        ("f_f_i Lcommaaccent_uni20AC0308_foo.alternate", "ffiĻ€̈"),
    ],
)
def test_names_of_glyphs_are_read_by_adobes_rules(read: Read, names: str, text: str) -> None:
    glyphs = names.split()
    encoding = f"<< /Type /Encoding /Differences [65 {' '.join(f'/{name}' for name in glyphs)}] >>"
    shown = "".join(chr(65 + place) for place in range(len(glyphs)))
    assert texts(read("a.pdf", make_pdf([["0123 " + shown]], encoding=encoding))) == ["0123 " + text]


def test_running_headers_and_page_numbers_are_dropped(read: Read) -> None:
    words = "alpha beta gamma delta epsilon zeta".split()
    pages = [["Annual Report 2023", f"All about {word}.", f"page {n} of 6"] for n, word in enumerate(words, 1)]
    note = read("a.pdf", make_pdf(pages))
    assert texts(note) == [f"All about {word}." for word in words]
    assert len(note.page_starts) == 6


def test_a_short_document_keeps_what_repeats(read: Read) -> None:
    note = read("a.pdf", make_pdf([["Same.", "one."], ["Same.", "two."]]))
    assert texts(note) == ["Same. one.", "Same. two."]


def test_chunks_know_their_pages(read: Read) -> None:
    note = read("a.pdf", make_pdf([[f"{word} " * 8] for word in ("one", "two", "three", "four")]))

    def token_starts(text: str) -> list[int]:
        return [place for place, char in enumerate(text) if place == 0 or (text[place - 1].isspace() and char.strip())]

    chunks = chunk_note(note, token_starts, Chunking(budget_tokens=17))
    assert [(chunk.text.split()[0], chunk.page, chunk.end_page) for chunk in chunks] == [
        ("one", 1, 2),
        ("three", 3, 4),
    ]


def test_headings_are_those_of_the_outline(read: Read) -> None:
    pages = [["1 Begin-", "nings of all", "Text of one."], ["Two", "Text of two."]]
    note = read("a.pdf", make_pdf(pages, outline=[("1 Beginnings of all", 0), ("Two", 1), ("Not there", 1)]))
    assert headings(note) == [(1, "1 Begin- nings of all"), (1, "Two")]
    assert (note.title, note.title_source) == ("a", "file_name")


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("How to bake", "How to bake"),
        ("Microsoft Word - Document1.doc", "Of bread"),
        ("untitled", "Of bread"),
        ("", "Of bread"),
    ],
)
def test_a_title_that_a_program_made_up_is_none(read: Read, said: str, title: str) -> None:
    note = read(
        "a.pdf", make_pdf([["Of bread", *["Flour and water and salt."] * 3]], info={"Title": said}, title_size=20)
    )
    assert note.title == title


@pytest.mark.parametrize(
    ("said", "date"),
    [
        ("D:20230504120000+02'00'", datetime(2023, 5, 4)),
        ("D:20231399", datetime(2024, 1, 2)),
        ("yesterday", datetime(2024, 1, 2)),
    ],
)
def test_the_date_is_when_it_was_made(read: Read, said: str, date: datetime) -> None:
    note = read("a.pdf", make_pdf([["Some text."]], info={"CreationDate": said}))
    assert (note.date, note.problems) == (date, ())


def encrypted(password: str) -> bytes:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(BytesIO(make_pdf([["A secret of bread."]]))))
    writer.encrypt(password, "owner", algorithm="RC4-128")
    file = BytesIO()
    writer.write(file)
    return file.getvalue()


def test_a_password_that_is_empty_is_no_secret(read: Read) -> None:
    assert texts(read("a.pdf", encrypted(""))) == ["A secret of bread."]


@pytest.mark.parametrize(
    ("data", "reason", "by_rule"),
    [
        (encrypted("s3cret"), "encrypted", True),
        (make_pdf([[], []]), "no text: scanned pages?", True),
        (make_pdf([["A scan.", "7"]] * 9), "no text: scanned pages?", True),
        (make_pdf([["Some text."] * 30])[:900], "damaged, or no PDF file", False),
        (b"%PDF-1.7\n%%EOF", "damaged, or no PDF file", False),
        (b"", "damaged, or no PDF file", False),
        (b"no PDF at all", "damaged, or no PDF file", False),
        (make_pdf([["x"]], contents={0: BOMB}), "damaged: no page can be read", False),
    ],
    ids=["encrypted", "blank", "scanned", "cut", "nothing", "empty", "text", "bomb"],
)
def test_what_cannot_be_read(read: Read, data: bytes, reason: str, by_rule: bool) -> None:
    with pytest.raises(NoteUnreadable) as caught:
        read("a.pdf", data)
    assert (caught.value.message, caught.value.by_rule, caught.value.for_now) == (reason, by_rule, False)


def test_pages_in_a_loop(read: Read) -> None:
    data = make_pdf([["Some text."]]).replace(b"/Kids [10 0 R]", b"/Kids [ 2 0 R]")
    with pytest.raises(NoteUnreadable):
        read("a.pdf", data)


def test_a_page_that_is_damaged_leaves_the_others(read: Read) -> None:
    note = read("a.pdf", make_pdf([["First page here."], [], ["Third page here."]], contents={1: BOMB}))
    assert texts(note) == ["First page here.", "Third page here."]
    assert note.problems == ("1 of 3 pages are damaged",)


def test_a_table_of_contents_stays_lines(read: Read) -> None:
    note = read(
        "a.pdf", make_pdf([["Contents", "1 Of bread . . . . . . . . 4", "2 Of salt ............ 7", "of all kinds"]])
    )
    assert texts(note) == ["Contents\n1 Of bread … 4\n2 Of salt … 7 of all kinds"]


FIRST = [
    "Bread rises because yeast",
    "makes gas of the sugars in",
    "the flour, and the glu-",
    "ten of the dough keeps it.",
]
SECOND = ["Salt slows the yeast down", "and makes gluten strong, so", "that a dough without salt", "is slack."]
# How programs draw two lines side by side: with a place for each, with steps, or with a matrix for each.
PLACES = "BT /F1 12 Tf 1 0 0 1 72 {y} Tm ({first}) Tj 1 0 0 1 320 {y} Tm ({second}) Tj ET"
STEPS = "BT /F1 12 Tf 72 {y} Td ({first}) Tj 248 0 Td ({second}) Tj ET"
MATRICES = "q 1 0 0 1 72 {y} cm BT /F1 12 Tf [({first})] TJ ET Q q 1 0 0 1 320 {y} cm BT /F1 12 Tf [({second})] TJ ET Q"


def drawn(shape: str, first: list[str], second: list[str]) -> bytes:
    """A page with a title across, lines side by side, and a number at the bottom."""
    lines = [
        shape.format(y=700 - 14 * place, first=left, second=right)
        for place, (left, right) in enumerate(zip(first, second, strict=True))
    ]
    title, number = (
        f"BT /F1 12 Tf {place} Td ({text}) Tj ET" for place, text in (("72 750", "Of all"), ("300 40", "17"))
    )
    return flate_stream("\n".join([title, *lines, number]).encode())


@pytest.mark.parametrize("shape", [PLACES, STEPS, MATRICES])
def test_columns_are_read_one_by_one(read: Read, shape: str) -> None:
    note = read("a.pdf", make_pdf([[]], contents={0: drawn(shape, FIRST, SECOND)}))
    assert texts(note) == [
        "Of all",
        "Bread rises because yeast makes gas of the sugars in the flour, and the gluten of the dough keeps it.",
        "Salt slows the yeast down and makes gluten strong, so that a dough without salt is slack.",
        "17",
    ]


def test_a_column_may_be_longer_than_the_other(read: Read) -> None:
    more = [f"So much for line {place}, it is" for place in range(4)]
    note = read("a.pdf", make_pdf([[]], contents={0: drawn(PLACES, [*FIRST, *more], [*SECOND, *[""] * 4])}))
    assert texts(note)[1].endswith("line 2, it is So much for line 3, it is")
    assert texts(note)[2].startswith("Salt slows")


def test_a_table_is_read_by_its_rows(read: Read) -> None:
    names = ["--all", "--name-of-the-file", "-q", "--quiet"]
    note = read("a.pdf", make_pdf([[]], contents={0: drawn(STEPS, names, SECOND)}))
    assert "--name-of-the-file and makes gluten strong, so" in " ".join(texts(note))


def test_a_page_without_a_size_is_read(read: Read) -> None:
    data = make_pdf([[]], contents={0: drawn(PLACES, FIRST, SECOND)}).replace(b"[0 0 612 792]", b"[0 0 000 792]")
    assert "Bread rises because yeast Salt slows the yeast down" in " ".join(texts(read("a.pdf", data)))
