import io
import json
import os
import string
import sys
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notesearch.cli.places import lines_of_stdin, paths_of_counts, read_places
from notesearch.records import Place, Skipped

NAMES = (
    "cap.md",
    "two words.md",
    "a:3:b.md",
    "2024-05-17-log.md",
    "麻婆豆腐.md",
    "-x.md",
    "[1] (draft)*.md",
    "it's.md",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files whose names are hard to tell from what stands around them; resolved, as places are."""
    folder = tmp_path_factory.mktemp("places").resolve()
    for name in NAMES:
        (folder / name).write_text("one\ntwo\nthree\n", encoding="utf-8")
    (folder / "sub").mkdir()
    return folder


def places(*lines: str) -> list[Place | Skipped]:
    return list(read_places(lines))


def skipped(line: str) -> Skipped:
    (only,) = places(line)
    assert isinstance(only, Skipped)
    return only


@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_the_whole_note(folder, name):
    assert places(f"{folder}/{name}\n") == [Place(folder / name)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rest", ["", ":", ":some text", ":7:what rg --vimgrep prints", ":-9-:12:", ":12: 13:14"])
def test_a_path_and_a_number_are_a_line(folder, name, rest):
    assert places(f"{folder}/{name}:2{rest}\n") == [Place(folder / name, 2)]


@pytest.mark.parametrize(
    "coloured",
    [
        "\x1b[35m\x1b[K{}\x1b[m\x1b[K\x1b[36m\x1b[K:\x1b[m\x1b[K\x1b[32m\x1b[K2\x1b[m\x1b[K\x1b[36m\x1b[K:\x1b[m\x1b[Kx",
        "\x1b[0m\x1b[35m{}\x1b[0m:\x1b[0m\x1b[32m2\x1b[0m:\x1b[0m\x1b[1m\x1b[31mx\x1b[0m",
        "\x1b[38;5;12m{}\x1b[0m:2:x",
    ],
    ids=["grep", "rg", "256 colours"],
)
def test_colours_are_no_part_of_a_name(folder, coloured):
    assert places(coloured.format(folder / "two words.md")) == [Place(folder / "two words.md", 2)]


def test_a_path_may_be_relative_or_below_the_home_directory_or_a_link(folder, tmp_path, monkeypatch):
    (tmp_path / "link.md").symlink_to(folder / "cap.md")
    monkeypatch.chdir(folder / "sub")
    monkeypatch.setenv("HOME", str(folder))
    cap = folder / "cap.md"
    assert places("../cap.md", "../cap.md:2:x", "~/cap.md:3:x", f"{tmp_path}/link.md") == [
        Place(cap),
        Place(cap, 2),
        Place(cap, 3),
        Place(cap),
    ]


def test_lines_around_a_match_and_between_matches_name_no_place(folder):
    cap = folder / "cap.md"
    assert places("--", "", "  ", "\x1b[36m\x1b[K--\x1b[m\x1b[K", f"{cap}-1-one", f"{cap}:2:two", f"{cap}-3-a-4-b") == [
        Place(cap, 2)
    ]


def test_a_name_with_numbers_between_dashes_is_not_taken_for_a_line_around_a_match(folder):
    log = folder / "2024-05-17-log.md"
    assert places(str(log), f"{log}:1:one", f"{log}-2-two") == [Place(log), Place(log, 1)]


def test_a_hit_of_search_is_its_whole_note(folder):
    path = str(folder / "麻婆豆腐.md")
    for ascii_only in (True, False):
        line = json.dumps({"rank": 1, "path": path, "start_line": 2, "evidence": []}, ensure_ascii=ascii_only)
        assert places(line + "\n") == [Place(Path(path))]


@pytest.mark.parametrize("line", ["{", "{}", '{"path": 5}', '{"path": null}', '{"path": "a\\u0000b"}', '{"path": "x'])
def test_an_object_that_is_no_hit_is_said_to_be_none(line):
    assert skipped(line) == Skipped(line, "not a hit of search --jsonl")


@pytest.mark.parametrize("line", ["nowhere.md", "nowhere.md:3:x", "cap.md:x:3", "~nobody/x", "[1]", "x" * 5000 + ".md"])
def test_what_is_not_there_is_said_to_be_missing(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert skipped(line).reason == "no such file"


def test_a_line_without_a_name_says_how_to_get_one():
    assert skipped("12:lentils") == Skipped("12:lentils", "no file name; grep -H and rg -H print it")


def test_there_is_no_line_0(folder):
    assert skipped(f"{folder}/cap.md:0:x").reason == "no such file"


def test_a_number_that_a_text_begins_with_is_no_line(folder):
    assert Place(folder / "cap.md", 10) not in places(f"{folder}/cap.md:10am, the usual room", f"{folder}/cap.md:10-11")


def test_a_long_line_is_cut_where_it_is_shown():
    assert skipped("x" * 200).path == "x" * 200
    assert skipped("x" * 201).path == "x" * 200 + "…"


text = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0\x1b"), max_size=30)


@example("cap.md", 1, "two words.md:3:")
@given(st.sampled_from(NAMES), st.integers(1, 10**9), text)
def test_a_match_in_a_file_is_its_line_whatever_the_line_holds(folder, name, number, line):
    assert places(f"{folder}/{name}:{number}:{line}\n") == [Place(folder / name, number)]


def lines_of(folder: Path) -> st.SearchStrategy[str]:
    """Lines made of what lines are made of, and of anything else."""
    names = st.sampled_from(
        [*(f"{folder}/{name}" for name in NAMES), f"{folder}/sub", "~", "~root", "cap.md", ".", "/"]
    )
    marks = st.sampled_from(
        [":", "-", "--", " ", "\0", "\x1b[31m", "\x1b[K", "\x1b", "\r", "\n", "{", '{"path":', '"}']
    )
    numbers = st.one_of(st.integers(0, 99).map(str), st.sampled_from(["٣", "²", "-1", "0", "9" * 40]))
    anything = st.text(st.one_of(st.characters(), st.sampled_from(string.punctuation)), max_size=8)
    return st.lists(st.one_of(names, marks, numbers, anything), max_size=8).map("".join)


@given(st.data())
def test_any_line_is_a_place_in_a_file_that_is_there_or_skipped_or_nothing(folder, data):
    line = data.draw(lines_of(folder))
    found = places(line)
    assert len(found) <= 1
    for place in found:
        if isinstance(place, Place):
            assert place.path.is_absolute() and place.path.exists()
            assert place.line is None or place.line >= 1
        else:
            assert place.reason.startswith(("no such file", "no file name", "not a hit of search --jsonl"))
            assert len(place.path) <= 201


@given(st.data())
def test_any_object_is_a_place_or_skipped(folder, data):
    paths = st.one_of(st.none(), st.integers(), st.text(), st.just(f"{folder}/cap.md"), st.lists(st.text(), max_size=2))
    value = data.draw(st.one_of(st.dictionaries(st.sampled_from(["path", "rank"]), paths), paths, st.floats()))
    line = json.dumps(value)
    found = places(line)
    assert len(found) == 1
    if isinstance(value, dict) and value.get("path") == f"{folder}/cap.md":
        assert found == [Place(folder / "cap.md")]
    elif not (isinstance(value, dict) and isinstance(value.get("path"), str)):
        assert isinstance(found[0], Skipped)


def test_stdin_is_read_between_nuls_where_there_are_any(stdin):
    stdin(b"one.md\0two words.md\0 three.md\0")
    assert [name for name in lines_of_stdin() if name] == ["one.md", "two words.md", " three.md"]


@given(st.lists(st.sampled_from(NAMES), max_size=20))
def test_names_between_nuls_come_back_as_they_were(folder, names):
    stdin = sys.stdin
    data = "".join(f"{folder}/{name}\0" for name in names).encode()
    try:
        sys.stdin = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")
        assert places(*lines_of_stdin()) == [Place(folder / name) for name in names]
    finally:
        sys.stdin = stdin


def test_undecodable_bytes_of_a_name_come_back_as_they_were(stdin, tmp_path):
    path = os.fsencode(tmp_path.resolve()) + b"/caf\xe9.md"
    Path(os.fsdecode(path)).write_text("text")
    stdin(path + b"\n" + path + b":1:text d\xe9j\xe0\n")
    found = places(*lines_of_stdin())
    assert found == [Place(Path(os.fsdecode(path))), Place(Path(os.fsdecode(path)), 1)]


def test_a_name_between_nuls_may_hold_the_end_of_a_line(stdin, tmp_path):
    odd = tmp_path.resolve() / "new\nline.md"
    odd.write_text("text")
    stdin(f"{odd}\0".encode())
    assert places(*lines_of_stdin()) == [Place(odd)]


def test_a_nul_may_stand_between_a_name_and_its_line(stdin, folder):
    stdin(f"{folder}/a:3:b.md\x002:two\n{folder}/cap.md\x003:three\n".encode())
    assert places(*lines_of_stdin()) == [Place(folder / "a:3:b.md", 2), Place(folder / "cap.md", 3)]


def test_stdin_may_hold_what_is_not_utf8_in_any_locale(stdin, folder):
    stdin(os.fsencode(folder) + b"/cap.md:1:caf\xe9\n")
    assert places(*lines_of_stdin()) == [Place(folder / "cap.md", 1)]


def test_a_closed_stdin_holds_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert list(lines_of_stdin()) == []


@pytest.mark.parametrize("line", [":1:x", "-1-x", '{"path": ""}'])
def test_nothing_is_no_name(line):
    assert isinstance(skipped(line), Skipped)


def test_a_missing_note_is_named_though_a_folder_is_called_like_its_beginning(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("2024").mkdir()
    assert skipped("2024-05-17.md").reason == "no such file"


def test_a_name_may_begin_with_a_brace(tmp_path, monkeypatch):
    odd = tmp_path.resolve() / "{draft}.md"
    odd.write_text("text")
    monkeypatch.chdir(tmp_path)
    assert places("{draft}.md", "{draft}.md:1:text") == [Place(odd), Place(odd, 1)]


def test_a_number_of_any_length_is_no_defect(folder):
    assert isinstance(skipped(f"{folder}/cap.md:{'1' * 5000}:x"), Skipped)


def test_an_object_of_any_depth_is_no_defect():
    assert skipped('{"a":' * 100_000).reason == "not a hit of search --jsonl"


def test_a_match_without_a_number_is_the_whole_note(folder):
    assert places(f"{folder}/cap.md:what rg prints in a pipe") == [Place(folder / "cap.md")]


def test_matches_of_rg_as_json(folder):
    def message(kind: str, **data: object) -> str:
        return json.dumps({"type": kind, "data": {"path": {"text": f"{folder}/cap.md"}, **data}})

    lines = [
        message("begin"),
        message("context", line_number=1, lines={"text": "one"}),
        message("match", line_number=2, lines={"text": "two"}, submatches=[]),
        message("match", line_number=None, lines={"text": "two"}, submatches=[]),
        json.dumps({"type": "match", "data": {"path": {"bytes": b64encode(bytes(folder / "cap.md")).decode()}}}),
        message("end"),
        json.dumps({"type": "summary", "data": {"elapsed_total": {}}}),
    ]
    found = places(*lines)
    assert found[:2] == [Place(folder / "cap.md", 2), Place(folder / "cap.md")]
    assert isinstance(found[2], Skipped) and len(found) == 3, "without a number it is no message of rg"


def test_lines_with_nuls_behind_names(stdin, folder):
    """What grep -Zn and rg -0n print, with lines around matches; rg -0 without numbers; grep -Zc."""
    cap, log = f"{folder}/cap.md", f"{folder}/2024-05-17-log.md"
    stdin(f"{cap}\0001-one\n{cap}\0002:two 3:4\n--\n{log}\0003:x\n")
    assert places(*lines_of_stdin()) == [Place(folder / "cap.md", 2), Place(folder / "2024-05-17-log.md", 3)]
    stdin(f"{cap}\0text\n--\n{log}\0more\n")
    assert places(*lines_of_stdin()) == [Place(folder / "cap.md"), Place(folder / "2024-05-17-log.md")]
    stdin(f"{cap}\00012\n{log}\0000\n")
    assert places(*lines_of_stdin()) == [Place(folder / "cap.md")]


def test_a_line_around_a_match_without_a_number(folder):
    assert places(f"{folder}/cap.md-some text", f"{folder}/cap.md:a match") == [Place(folder / "cap.md")]


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        (["a.md:12", "b.md:3"], ["a.md", "b.md"]),
        (["a.md:12", "b.md:0"], ["a.md"]),
        (["a.md:0"], []),
        (["a.md:12"], ["a.md:12"]),
        (["a.md:12", "a.md:13"], ["a.md:12", "a.md:13"]),
        (["a.md:12", "b.md:3:text"], ["a.md:12", "b.md:3:text"]),
        (["a.md", "b.md:3"], ["a.md", "b.md:3"]),
    ],
)
def test_counts_are_no_numbers_of_lines(lines, kept):
    assert list(paths_of_counts(lines)) == kept
