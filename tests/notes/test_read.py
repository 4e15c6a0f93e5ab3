import os
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notesearch.errors import NoteUnreadable
from notesearch.files import Stamp
from notesearch.notes import NoteFile, parse_note, read_note
from notesearch.records import Link, Note

MODIFIED = datetime(2024, 1, 2, 3, 4, 5)


def parse(text: str, name: str = "name.md") -> Note:
    return parse_note(Path("/notes") / name, text, MODIFIED)


def read(path: Path) -> Note:
    return read_note(NoteFile(path, Stamp(mtime_ns=int(MODIFIED.timestamp()) * 10**9)))


def test_a_whole_note() -> None:
    text = "---\ntitle: The title\ntags: [Work, a/b]\ndate: 2023-05-06\n---\n# Heading\n\nSee [[Other|it]] #work #new\n"
    note = parse(text)
    assert (note.path, note.text, note.problems) == (Path("/notes/name.md"), text, ())
    assert (note.title, note.title_source) == ("The title", "front_matter")
    assert note.tags == ("Work", "a/b", "new")
    assert note.links == (Link("Other", "it", "wiki"),)
    assert note.date == datetime(2023, 5, 6)
    assert note.text[note.blocks[0].start : note.blocks[0].end] == "# Heading"


@pytest.mark.parametrize(
    ("text", "title", "source"),
    [
        ("---\ntitle: '  A\n  b '\n---\n# H", "A b", "front_matter"),
        ("---\nTitle: 2024\n---\n# H", "2024", "front_matter"),
        ("---\ntitle:\n---\n# H", "H", "heading"),
        ("---\ntitle: [a]\n---\n# H", "H", "heading"),
        ("\n<!-- lint off -->\n\n# H\n\n## Later", "H", "heading"),
        ("Author: me\n\n# H", "H", "heading"),
        ("---\nbroken: [\n---\n# H", "H", "heading"),
        ("text\n\n# Later", "my.name", "file_name"),
        ("## Second", "my.name", "file_name"),
        ("# H\n\ntext\n\n# Another", "my.name", "file_name"),
        ("#\n\n## Second", "my.name", "file_name"),
        ("Setext\n===", "Setext", "heading"),
        ("no heading", "my.name", "file_name"),
        ("", "my.name", "file_name"),
    ],
)
def test_title(text: str, title: str, source: str) -> None:
    note = parse(text, "my.name.md")
    assert (note.title, note.title_source) == (title, source)
    assert note.naming_heading == (title if source == "heading" else "")


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("Some name.md", "Some name"),
        ("2021-03-04.md", "2021-03-04"),
        ("daily.journal.2021.md", "daily.journal.2021"),
        ("20210304101112-some_title.org", "some title"),
        ("20210304101112-.org", "20210304101112-"),
        ("20210304T101112--some-title__tag_two.org", "some title"),
        ("20210304T101112==a-b--some-title.txt", "some title"),
        ("==a--some-title__tag@@20210304T101112.md", "some title"),
        ("20210304T101112__tag.md", "20210304T101112__tag"),
        ("a--b.md", "a--b"),
        ("wood___oil.md", "wood/oil"),
        ("wood%2Foil%3F.md", "wood/oil?"),
        ("___init___.md", "___init___"),
        ("100% sure.md", "100% sure"),
        ("20%fe.md", "20%fe"),
    ],
)
def test_title_of_a_file_name(name: str, title: str) -> None:
    assert parse("text", name).title == title


@pytest.mark.parametrize(
    ("text", "name", "title", "source"),
    [
        ("#+title: One\n#+TITLE: two\n* Task\n* Other", "a.org", "One two", "front_matter"),
        ("* Task\ntext", "a.org", "Task", "heading"),
        ("* Task\n* Other", "a.org", "a", "file_name"),
        (".. _mark:\n\n====\nPan\n====\n\nOil\n---\n", "a.rst", "Pan", "heading"),
        ("Pan\n===\n\ntext\n\nOil\n===\n", "a.rst", "a", "file_name"),
        (".. image:: a.png\n\nPan\n===\n", "a.rst", "a", "file_name"),
    ],
)
def test_title_in_other_formats(text: str, name: str, title: str, source: str) -> None:
    note = parse(text, name)
    assert (note.title, note.title_source) == (title, source)


@pytest.mark.parametrize(
    ("front_matter", "tags"),
    [
        ("tags: [a, 'b c', '#d', 1.10, no, null]", ("a", "b c", "d", "1.10", "no")),
        ("tags:\n  - a\n  - a: b\n  - ''", ("a",)),
        ("tags: 'a, b c,, #d'", ("a", "b c", "d")),
        ("tags: a #b c/d", ("a",)),  # YAML begins a comment at ` #`
        ("tags: 'a #b c/d'", ("a", "b", "c/d")),
        ("tags: 2024", ("2024",)),
        ("tags: ~", ()),
        ("tags:", ()),
        ("tags: {a: b}", ()),
        ("Keywords: b\ntag: a\ntopics: [A, c]", ("a", "b", "c")),
    ],
)
def test_tags_in_yaml(front_matter: str, tags: tuple[str, ...]) -> None:
    note = parse(f"---\n{front_matter}\n---\n")
    assert (note.tags, note.problems) == (tags, ())


def test_tags_in_toml() -> None:
    assert parse('+++\ntags = ["a", 1, true, 2024-01-02, {a = 1}]\n+++\n').tags == ("a", "1", "true", "2024-01-02")


@pytest.mark.parametrize(
    ("front_matter", "date"),
    [
        ("date: 2023-05-06", datetime(2023, 5, 6)),
        ("date: 2023-05-06 07:08", datetime(2023, 5, 6, 7, 8)),
        ("date: 2023-05-06T07:08:09.123", datetime(2023, 5, 6, 7, 8, 9, 123000)),
        ("date: 2023/5/6 7:08:09", datetime(2023, 5, 6, 7, 8, 9)),
        ("date: '2023-05-06, 17:08'", datetime(2023, 5, 6, 17, 8)),
        ("date: 20230506", datetime(2023, 5, 6)),
        ("created_at: 2021-01-01\ncreated: 2022-01-01", datetime(2022, 1, 1)),
        ("created: 2022-01-01\nDate: 2023-01-01", datetime(2023, 1, 1)),
        ("date:\ncreated: 2022-01-01", datetime(2022, 1, 1)),
        ("updated: 2022-01-01", MODIFIED),
    ],
)
def test_date(front_matter: str, date: datetime) -> None:
    note = parse(f"---\n{front_matter}\n---\n")
    assert (note.date, note.problems) == (date, ())


@pytest.mark.parametrize("written", ["2023-05-06 07:08:09 -0500", "2023-05-06T12:08:09Z", "2023-5-6 7:08:09 -5"])
def test_a_date_with_a_zone_becomes_local_time(written: str) -> None:
    local = datetime(2023, 5, 6, 12, 8, 9, tzinfo=timezone.utc).astimezone().replace(tzinfo=None)  # noqa: UP017
    assert parse(f"---\ndate: {written}\n---\n").date == local


def test_dates_in_toml() -> None:
    assert parse("+++\ndate = 2023-05-06\n+++\n").date == datetime(2023, 5, 6)
    assert parse("+++\ndate = 2023-05-06T07:08:09\n+++\n").date == datetime(2023, 5, 6, 7, 8, 9)


@pytest.mark.parametrize("written", ["2023-02-31", "yesterday", "[1]", "0001-01-01T00:00:00+14:00"])
def test_a_wrong_date_is_reported(written: str) -> None:
    note = parse(f"---\ndate: {written}\n---\n")
    assert note.date == MODIFIED
    assert len(note.problems) == 1 and "is not a date" in note.problems[0]


def test_broken_front_matter_is_text_but_no_heading() -> None:
    note = parse("---\ntitle: a: b\n---\n# Real\n\nbody #tag\n")
    assert (note.title, note.tags) == ("Real", ("tag",))
    assert note.text[note.blocks[0].start : note.blocks[0].end] == "---\ntitle: a: b\n---"
    assert [block.kind for block in note.blocks] == ["paragraph", "heading", "paragraph"]
    assert note.problems == ("front matter: line 2: mapping values are not allowed in this context",)


@pytest.mark.parametrize("rule", ["---", "+++"])
@pytest.mark.parametrize("gap", ["\n", "\n\n"])
@pytest.mark.parametrize("suffix", [".md", ".txt", ".org", ".rst"])
def test_words_between_rules_are_text(rule: str, gap: str, suffix: str) -> None:
    note = parse(f"{rule}{gap}Moths #eat wool.{gap}{rule}\n\nMore\n", f"n{suffix}")
    assert any("Moths #eat wool." in note.text[block.start : block.end] for block in note.blocks)
    assert (note.tags, note.problems) == (("eat",), ())


@pytest.mark.parametrize("end", ["---", "---\n", "---\n\n \n"])
def test_only_front_matter_is_found_by_what_it_says(end: str) -> None:
    note = parse(f"---\ntitle: A\nsummary: b #c\n{end}")
    assert note.title == "A"
    assert [note.text[block.start : block.end] for block in note.blocks] == ["title: A\nsummary: b #c"]
    assert note.tags == ()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("2025-01-04.md", "", datetime(2025, 1, 4)),
        ("2025-01-04 dentist.md", "", datetime(2025, 1, 4)),
        ("2025-01-04.md", "---\ndate: 2024-02-02\n---\n", datetime(2024, 2, 2)),
        ("2025-13-45.md", "", MODIFIED),
        ("2025-01-041.md", "", MODIFIED),
        ("on 2025-01-04.md", "", MODIFIED),
    ],
)
def test_a_file_name_that_begins_with_a_date_gives_it(name: str, text: str, expected: datetime) -> None:
    assert parse(text, name).date == expected


def test_titles_and_tags_can_be_stored() -> None:
    note = parse('+++\ntitle = "a\\u0007b"\n+++\n', "\ud800.md")
    assert note.title == "a\x07b"
    parse("", "\ud800.md").title.encode()


ANY_TEXT = st.text(
    st.sampled_from("\r\n\x0b\x0c\x1c\x85\u2028\ufeff\ud800\udfff\0\u0301")
    | st.sampled_from("#*-=`|>[]():+. \t")
    | st.characters(codec=None),
)


@given(ANY_TEXT, st.sampled_from([".md", ".org", ".rst", ".txt"]))
def test_any_text_is_a_note(text: str, suffix: str) -> None:
    check_blocks(parse(text, f"n{suffix}"))


PIECES = "# h,***,- a,  - b,> q,```,    c,|a|,|-|,==,--,* o :t:,x::,#+title: t,a: b".split(",")
PIECES += "---,+++,#+begin_src,#+end_src,[[l]],#t,<pre>,<!--,\t,1. x,,,..,\x0c,\x85".split(",")


@given(
    st.lists(st.sampled_from(PIECES)),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["md", "org", "rst", "txt"]),
)
def test_any_structure_is_a_note(pieces: list[str], newline: str, suffix: str) -> None:
    check_blocks(parse(newline.join(pieces), f"n.{suffix}"))


def check_blocks(note: Note) -> None:
    """Blocks are ordered, disjoint and not blank, and leave only blanks, front matter and what is hidden."""
    text = note.text
    for start, end in note.hidden:
        text = text[:start] + " " * (end - start) + text[end:]
    end = 0
    covered = ""
    for block in note.blocks:
        assert end <= block.start < block.end and text[block.start : block.end].strip()
        if end:
            assert not text[end : block.start].strip()
        end = block.end
        covered += text[block.start : block.end]
    if not text.startswith(("---", "+++")):
        assert not text[end:].strip() or not note.blocks
        assert "".join(covered.split()) == "".join(text.split())


def test_read_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(b"\xef\xbb\xbf# T\r\n\r\ntext")
    note = read(path)
    assert (note.text, note.title, note.date, note.problems) == ("# T\r\n\r\ntext", "T", MODIFIED, ())


def test_a_guessed_encoding_is_a_problem_of_the_note(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_bytes("---\na: [\n---\nCafé".encode("cp1252"))
    note = read(path)
    assert note.text.endswith("Café")
    assert note.problems[0] == "not UTF-8: read as cp1252, which is a guess"
    assert note.problems[1].startswith("front matter: line 3")


def test_a_time_that_no_calendar_has(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("x")
    assert read_note(NoteFile(path, Stamp(mtime_ns=10**30))).date == datetime.fromtimestamp(0)


def reason(path: Path) -> str:
    with pytest.raises(NoteUnreadable) as caught:
        read(path)
    return caught.value.message


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "binary.md").write_bytes(b"\x89PNG\0")
    (tmp_path / "folder.md").mkdir()
    os.mkfifo(tmp_path / "pipe.md")
    assert reason(tmp_path / "binary.md") == "binary file"
    assert reason(tmp_path / "gone.md") == "file disappeared"
    assert reason(tmp_path / "pipe.md") == "special file"
    assert reason(tmp_path / "folder.md") in ("special file", "is a directory")

    def denied(*args: object) -> int:
        raise PermissionError(13, "Permission denied")

    def failing(*args: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "open", denied)
    assert reason(tmp_path / "binary.md") == "permission denied"
    monkeypatch.setattr(os, "open", failing)
    assert reason(tmp_path / "binary.md") == "input/output error"


def test_links_of_metadata_and_by_reference() -> None:
    note = parse(
        "---\nup: '[[Home|up]]'\nsee: [[Oil]]\nall: ['[x](c.md)', plain]\ntags: [[Tag]]\n---\n"
        "[oil][1], [Wood  oil][], [wood oil] and [none], ![im][1], [a][none][1], `[1]`, [bad]\n\n"
        "> [1]: oil.md 'title'\n\n[WOOD oil]: <w o.md>\n[none]: this is a sentence\ntext\n[bad]: bad.md\n\n"
        "```\n[none]: none.md\n```\n"
    )
    assert [(link.line, link.target, link.anchor) for link in note.links] == [
        *((0, "Home", "up"), (0, "Oil", "Oil"), (0, "c.md", "x")),
        *((7, "oil.md", "oil"), (7, "w o.md", "Wood oil"), (7, "w o.md", "wood oil"), (7, "oil.md", "none")),
    ]
    assert note.text[note.links[3].start : note.links[3].end] == "[oil][1]"
