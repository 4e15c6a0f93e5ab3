from datetime import datetime

import pytest

from notesearch.errors import NoteUnreadable
from notesearch.records import Link

from .conftest import Read, headings, texts


def test_blocks(read: Read) -> None:
    note = read(
        "a.html",
        b"""<!doctype html><title> A  page </title><style>p { }</style><script>var no = 1</script>
        <h1>Top</h1>bare <b>te</b>xt<p>one<br>line
        <ul><li>a<ul><li>b</ul><li><p>c</p><p>d</p></ul>
        <h2>Below <i>that</i></h2>
        <table><tr><th>k<th>v<tr><td><p>1</p><td>2</table>
        <pre>def f():
    return  1
</pre><hr><blockquote>said</blockquote><img src=x.png alt="a picture"><p hidden>not shown
        <h2>Of &lt;br&gt; <a href="#x">&para;</a></h2><ol><li>one<li>two</ol>
        <p style="display: none">nor this""",
    )
    assert texts(note) == [
        "# Top",
        "bare text",
        "one\nline",
        "- a\n  - b\n- c\n\n  d",
        "## Below that",
        "| k | v |\n| --- | --- |\n| 1 | 2 |",
        "```\ndef f():\n    return  1\n```",
        "> said",
        "a picture",
        "## Of \\<br>",
        "1. one\n2. two",
    ]
    assert [block.kind for block in note.blocks if block.kind != "paragraph"] == "heading heading code heading".split()
    assert headings(note) == [(1, "Top"), (2, "Below that"), (2, "Of <br>")]
    assert (note.title, note.tags, note.problems) == ("A page", (), ())


def test_the_main_text_and_not_what_is_around_it(read: Read) -> None:
    page = "<body><header>Site name</header><nav>Home</nav>{}<aside>Ads</aside><footer>Imprint</footer>"
    article = f"<article><header><h1>Head</h1></header><p>{'text ' * 60}</p></article>"
    note = read("a.html", page.format(f"<div>Menu</div>{article}").encode())
    assert texts(note) == ["# Head", ("text " * 60).strip()]
    note = read("a.html", page.format("<p>All there is.</p>").encode())
    assert texts(note) == ["Site name", "All there is."]


def test_of_many_articles_none_is_the_main_text(read: Read) -> None:
    article = f"<article>{'text ' * 60}</article>"
    assert len(texts(read("a.html", (article * 3).encode()))) == 3


def test_links_to_notes_are_links(read: Read) -> None:
    note = read(
        "a.html",
        b"<h2>See <a href='b%20c.md#part'>the  other</a></h2><p>and "
        b"<a href='../x.pdf'> that </a>, <a href='d.html'></a>"
        b"not <a href='https://e.org/x.md'>this</a> <a href='#y'>z</a> <a href='mailto:a@b.md'>m</a>",
    )
    assert note.links == (Link("b c.md", "the other", "relative"), Link("../x.pdf", "that", "relative"))
    written = [note.text[link.start : link.end] for link in note.links]
    assert written == ["[the other](b%20c.md#part)", "[that](../x.pdf)"]
    assert note.text.endswith(", not this z m")


@pytest.mark.parametrize(
    "data",
    [
        "<p>Bär".encode(),
        "<p>Bär".encode("cp1252"),
        "<meta charset=iso-8859-1><p>Bär".encode("latin-1"),
        '<?xml version="1.0" encoding="iso-8859-1"?><p>Bär'.encode("latin-1"),
        '<meta http-equiv="content-type" content="text/html; charset=cp850"><p>Bär'.encode("cp850"),
        "<meta charset=utf-16><p>Bär".encode(),
        "<meta charset=nonsense><p>Bär".encode(),
        "<meta charset=rot13><p>Bär".encode(),
        "\ufeff<p>Bär".encode(),
        "\ufeff<p>Bär".encode("utf-16-le"),
    ],
)
def test_encodings(read: Read, data: bytes) -> None:
    assert texts(read("a.htm", data)) == ["Bär"]


@pytest.mark.parametrize("name", ["article:published_time", "dcterms.created", "date"])
def test_the_date_of_publication(read: Read, name: str) -> None:
    assert read("a.html", f"<meta property='{name}' content='2023-04-05T06:07Z'>Text".encode()).date == datetime(
        2023, 4, 5
    )


def test_the_first_heading_is_the_title_where_there_is_none(read: Read) -> None:
    assert read("a.html", b"<title>index.html</title><p>Text<h2>Head</h2>").title == "Head"
    assert read("a name.html", b"<p>Text").title == "a name"


@pytest.mark.parametrize("data", [b"", b"   ", b"<html><script>only = 1</script>", b"\0\0\0", b"<!-- x -->"])
def test_a_page_without_text(read: Read, data: bytes) -> None:
    with pytest.raises(NoteUnreadable, match=r"^no text$"):
        read("a.html", data)


@pytest.mark.parametrize(
    "data",
    [
        b"Begin" + b"<div>" * 100_000 + b"deep",
        b"Begin" + b"<ul><li>a" * 20_000,
        b"Begin" + b"</p>" * 100_000,
        b"Begin" + b"<a href='x.md'>" * 50_000,
        b"Begin" + b"<b>" * 50_000,
        b"Begin &a;" + b"&amp" * 100_000,
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><p>Begin &x;',
        b"Begin <table>" + b"<tr><td>a" * 50_000,
        b"Begin " + b"\xff\xfe" * 100_000,
    ],
    ids=range(9),
)
def test_hostile_pages(read: Read, data: bytes) -> None:
    note = read("a.html", data)
    assert note.text.startswith("Begin")
    assert not any(line.startswith("root:") for line in note.text.splitlines())


def test_a_very_long_page_is_read_as_far_as_that_goes(read: Read) -> None:
    for paragraphs in (b"word " * 2000 + b"<p>") * 210, b"word " * 420_000:
        note = read("a.html", b"<p>" + paragraphs)
        assert 1_999_990 < len(note.text) <= 2_000_002
        assert note.problems == (f"only its beginning was read: {len(note.text):,} characters",)


def test_an_old_encoding_is_read_as_browsers_do(read: Read) -> None:
    assert texts(read("a.html", b"<meta charset=iso-8859-1><p>\x93so it is\x94")) == ["\u201cso it is\u201d"]
