import errno
import json
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notesearch.errors import NoteNotWritable, StoreError, UsageError
from notesearch.records import Skipped
from notesearch.writeback.apply import TaggedNote, UndoableRun, WriteReport, apply_tags, diff_of, undo_last, undoable
from notesearch.writeback.replace import _Pair


@pytest.fixture
def journals(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journals"


@pytest.fixture
def notes(tmp_path: Path) -> list[Path]:
    """Three notes without the tag `new`."""
    folder = tmp_path / "notes"
    folder.mkdir()
    contents = {"a.md": b"---\ntags: [a]\n---\nA\n", "b.md": b"B", "c.md": b"---\r\nx: 1\r\n---\r\nC"}
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in contents]


def tag(path: Path, *tags: str) -> TaggedNote:
    return TaggedNote(path, path.read_bytes(), tags or ("new",))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def only_journal(journals: Path) -> Path:
    (path,) = journals.glob("*.jsonl")
    return path


def test_tags_are_written_and_taken_out_again(journals: Path, notes: list[Path]) -> None:
    before = [path.read_bytes() for path in notes]
    report = apply_tags(journals, [tag(path) for path in notes])
    assert report == WriteReport(tuple(str(path) for path in notes), (), ())
    assert [path.read_bytes() for path in notes] == [
        b"---\ntags: [a, new]\n---\nA\n",
        b"---\ntags: [new]\n---\nB",
        b"---\r\nx: 1\r\ntags: [new]\r\n---\r\nC",
    ]
    report = undo_last(journals)
    assert report == WriteReport(tuple(str(path) for path in reversed(notes)), (), ())
    assert [path.read_bytes() for path in notes] == before


def test_what_cannot_be_written_is_reported_and_the_others_are_written(journals: Path, notes: list[Path]) -> None:
    first, second, third = notes
    edited = tag(second)
    second.write_bytes(b"B, edited since")
    third.write_bytes(b"---\na: b: c\n---\n")
    report = apply_tags(journals, [edited, tag(third), tag(first), tag(first, "A")])
    assert report.written == (str(first),)
    assert report.unchanged == (str(first),)
    assert report.refused == (
        Skipped(str(second), "changed since it was read"),
        Skipped(str(third), "front matter: line 2: mapping values are not allowed in this context"),
    )
    assert second.read_bytes() == b"B, edited since"
    assert undo_last(journals) == WriteReport((str(first),), (), ())


def test_a_run_that_writes_nothing_leaves_no_journal(journals: Path, notes: list[Path]) -> None:
    apply_tags(journals, [])
    apply_tags(journals, [tag(notes[0], "a")])
    assert not journals.exists()
    apply_tags(journals, [TaggedNote(notes[0], b"something else", ("new",))])
    assert names_in(journals) == []


def test_runs_are_undone_from_the_last_to_the_first(journals: Path, notes: list[Path]) -> None:
    note = notes[0]
    before = note.read_bytes()
    apply_tags(journals, [tag(note, "b")])
    between = note.read_bytes()
    apply_tags(journals, [tag(note, "c")])
    undo_last(journals)
    assert note.read_bytes() == between
    undo_last(journals)
    assert note.read_bytes() == before
    with pytest.raises(UsageError) as caught:
        undo_last(journals)
    assert caught.value.message == "there is nothing to undo"
    assert caught.value.hint


def test_a_note_tagged_twice_in_a_run(journals: Path, notes: list[Path]) -> None:
    note = notes[0]
    before = note.read_bytes()

    def twice() -> Iterator[TaggedNote]:
        yield tag(note, "b")
        yield tag(note, "c")

    apply_tags(journals, twice())
    assert note.read_bytes() == b"---\ntags: [a, b, c]\n---\nA\n"
    undo_last(journals)
    assert note.read_bytes() == before


def test_what_changed_since_is_left_alone(journals: Path, notes: list[Path]) -> None:
    first, second, third = notes
    apply_tags(journals, [tag(path) for path in notes])
    first.write_bytes(first.read_bytes() + b"more")
    second.unlink()
    report = undo_last(journals)
    assert report.written == (str(third),)
    assert report.refused == (
        Skipped(str(second), "file disappeared"),
        Skipped(str(first), "changed since the tags were written"),
    )
    assert first.read_bytes() == b"---\ntags: [a, new]\n---\nA\nmore"
    with pytest.raises(UsageError):
        undo_last(journals)


def test_a_note_that_cannot_be_put_back_now_can_be_later(journals: Path, notes: list[Path]) -> None:
    first, second, _ = notes
    before = first.read_bytes()
    apply_tags(journals, [tag(first), tag(second)])
    first.chmod(0o444)
    assert undo_last(journals) == WriteReport(
        (str(second),), (), (Skipped(str(first), "read-only file", for_now=True),)
    )
    first.chmod(0o644)
    assert undo_last(journals) == WriteReport((str(first),), (str(second),), ())
    assert first.read_bytes() == before
    with pytest.raises(UsageError):
        undo_last(journals)


def interrupt(monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException, watch: Callable[[], None]) -> None:
    """Has the replacement of a note fail at the last moment, and looks at things before each."""
    exchange = _Pair.exchange

    def failing(pair: _Pair) -> bool:
        watch()
        if pair.name == name:
            raise error
        return exchange(pair)

    monkeypatch.setattr(_Pair, "exchange", failing)


def test_what_was_refused_can_be_undone_once_it_is_as_it_was(journals: Path, notes: list[Path]) -> None:
    before = [path.read_bytes() for path in notes]
    apply_tags(journals, [tag(path) for path in notes])
    tagged = [path.read_bytes() for path in notes]
    first, second, _ = notes
    first.write_bytes(b"edited")
    second.rename(second.with_suffix(".away"))
    assert len(undo_last(journals).refused) == 2
    (run,) = undoable(journals)
    assert run == UndoableRun(
        run.began,
        (),
        (Skipped(str(first), "changed since the tags were written"), Skipped(str(second), "file disappeared")),
    )
    with pytest.raises(UsageError) as caught:
        undo_last(journals)
    assert "--undo --list" in caught.value.hint
    second.with_suffix(".away").rename(second)
    assert undo_last(journals) == WriteReport((str(second),), (), ())
    first.write_bytes(tagged[0])
    assert [entry.reason for run in undoable(journals) for entry in run.refused] == [""]
    assert undo_last(journals) == WriteReport((str(first),), (), ())
    assert [path.read_bytes() for path in notes] == before
    assert undoable(journals) == []


def test_what_was_refused_of_one_run_does_not_keep_others_from_being_undone(journals: Path, notes: list[Path]) -> None:
    first, second, _ = notes
    before = first.read_bytes(), second.read_bytes()
    apply_tags(journals, [tag(first, "b"), tag(second, "b")])
    apply_tags(journals, [tag(first, "c")])
    both = first.read_bytes()
    first.write_bytes(b"edited")
    assert [run.notes for run in undoable(journals)] == [(str(first),), (str(first), str(second))]
    assert undo_last(journals).refused == (Skipped(str(first), "changed since the tags were written"),)
    assert undo_last(journals) == WriteReport(
        (str(second),), (), (Skipped(str(first), "changed since the tags were written"),)
    )
    first.write_bytes(both)
    assert undo_last(journals).written == (str(first), str(first)), "one run's tags after the other's"
    assert (first.read_bytes(), second.read_bytes()) == before


def test_an_edit_that_a_later_run_made_anew_stays(journals: Path, notes: list[Path]) -> None:
    first, second, _ = notes
    untagged = first.read_bytes()
    apply_tags(journals, [tag(first)])
    tagged = first.read_bytes()
    first.write_bytes(b"edited")
    undo_last(journals)
    first.write_bytes(untagged)
    apply_tags(journals, [tag(first)])
    apply_tags(journals, [tag(second)])
    assert undo_last(journals).written == (str(second),)
    assert first.read_bytes() == tagged, "the second run's tags are not to be taken out"
    assert undo_last(journals).written == (str(first),)
    assert (first.read_bytes(), undoable(journals)) == (untagged, [])


def test_runs_that_wrote_by_turns_are_undone(journals: Path, notes: list[Path]) -> None:
    """As two that keep their journals in different places, or a version without a lock, could."""
    first, second, _ = notes
    before = first.read_bytes(), second.read_bytes()

    def beside() -> Iterator[TaggedNote]:
        yield tag(first, "b")
        apply_tags(journals, [tag(first, "c"), tag(second, "c")])
        yield tag(second, "b")

    apply_tags(journals, beside())
    undo_last(journals)
    undo_last(journals)
    assert (first.read_bytes(), second.read_bytes()) == before
    assert undoable(journals) == []


def test_undoing_that_was_killed_keeps_what_it_refused(
    journals: Path, notes: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, _ = notes
    apply_tags(journals, [tag(first), tag(second)])
    tagged = first.read_bytes()
    first.write_bytes(b"edited")

    def kill(path: Path, target: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", kill)
    with pytest.raises(KeyboardInterrupt):
        undo_last(journals)
    monkeypatch.undo()
    assert [run.notes for run in undoable(journals)] == [(str(first), str(second))]
    assert undo_last(journals).unchanged == (str(second),)
    first.write_bytes(tagged)
    assert undo_last(journals).written == (str(first),)


def test_a_save_in_the_moment_of_a_kill_is_put_back_or_kept(journals: Path, notes: list[Path]) -> None:
    first, second, third = notes
    apply_tags(journals, [tag(first), tag(second)])
    fields = [json.loads(line) for line in only_journal(journals).read_bytes().splitlines()]
    first.with_name(fields[0]["temporary"]).write_bytes(b"saved meanwhile")
    second.with_name(fields[1]["temporary"]).write_bytes(b"saved meanwhile")
    second.write_bytes(b"saved later")
    (refused,) = apply_tags(journals, [tag(third)]).refused
    assert first.read_bytes() == b"saved meanwhile"
    assert second.read_bytes() == b"saved later"
    (kept,) = set(names_in(first.parent)) - {path.name for path in notes}
    assert refused.path == str(second) and kept in refused.reason
    assert first.with_name(kept).read_bytes() == b"saved meanwhile"


def test_the_journal_is_written_before_the_note(
    journals: Path, notes: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, _ = notes
    before = second.read_bytes()
    lines: list[int] = []

    def count() -> None:
        lines.append(only_journal(journals).read_bytes().count(b"\n"))

    interrupt(monkeypatch, second.name, KeyboardInterrupt(), count)
    with pytest.raises(KeyboardInterrupt):
        apply_tags(journals, [tag(path) for path in notes])
    monkeypatch.undo()
    assert lines == [1, 2]
    assert second.read_bytes() == before
    assert undo_last(journals) == WriteReport((str(first),), (str(second),), ())
    assert first.read_bytes() == b"---\ntags: [a]\n---\nA\n"


def test_a_note_that_was_not_replaced_is_not_in_the_journal(
    journals: Path, notes: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = notes
    interrupt(monkeypatch, second.name, OSError(errno.EIO, "Input/output error"), lambda: None)
    report = apply_tags(journals, [tag(path) for path in notes])
    assert report.refused == (Skipped(str(second), "input/output error"),)
    paths = [json.loads(line)["path"] for line in only_journal(journals).read_bytes().splitlines()]
    assert paths == [str(first), str(third)]


def test_undoing_that_was_killed_can_be_taken_up(
    journals: Path, notes: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = notes
    apply_tags(journals, [tag(path) for path in notes])
    interrupt(monkeypatch, second.name, KeyboardInterrupt(), lambda: None)
    with pytest.raises(KeyboardInterrupt):
        undo_last(journals)
    monkeypatch.undo()
    assert undo_last(journals) == WriteReport((str(second), str(first)), (str(third),), ())


@pytest.mark.parametrize("rest", [b"{", b'{"path": "/a', b'{"path": "/a", "start": 1}', b"\0" * 100, b'"x"\n'])
def test_a_damaged_last_line_is_left_out(journals: Path, notes: list[Path], rest: bytes) -> None:
    before = notes[0].read_bytes()
    apply_tags(journals, [tag(notes[0])])
    path = only_journal(journals)
    path.write_bytes(path.read_bytes() + rest)
    assert undo_last(journals).written == (str(notes[0]),)
    assert notes[0].read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line[:-20],
        lambda line: line.replace(b'"start"', b'"stort"'),
        lambda line: line.replace(b'"removed": "', b'"removed": "?'),
        lambda line: b"[]",
        lambda line: b"\xff" + line,
    ],
)
def test_other_damage_is_an_error(journals: Path, notes: list[Path], damage) -> None:
    apply_tags(journals, [tag(path) for path in notes])
    path = only_journal(journals)
    first, *others = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([damage(first), *others]) + b"\n")
    tagged = [note.read_bytes() for note in notes]
    with pytest.raises(StoreError) as caught:
        undo_last(journals)
    assert caught.value.message == f"{path} is damaged in line 1"
    assert [note.read_bytes() for note in notes] == tagged
    assert path.exists()


def test_an_edit_that_does_not_give_back_the_old_note_is_not_undone(journals: Path, notes: list[Path]) -> None:
    apply_tags(journals, [tag(notes[0])])
    path = only_journal(journals)
    fields = json.loads(path.read_bytes())
    path.write_text(json.dumps(fields | {"start": fields["start"] + 1}) + "\n")
    tagged = notes[0].read_bytes()
    assert undo_last(journals).refused == (Skipped(str(notes[0]), "changed since the tags were written"),)
    assert notes[0].read_bytes() == tagged


@pytest.mark.parametrize("mask", [0, 0o077, 0o777])
def test_journals_are_private_whatever_the_umask(journals: Path, notes: list[Path], mask: int) -> None:
    journals.parent.mkdir()
    previous = os.umask(mask)
    try:
        apply_tags(journals, [tag(notes[0])])
    finally:
        os.umask(previous)
    assert stat.S_IMODE(journals.stat().st_mode) == 0o700
    assert stat.S_IMODE(only_journal(journals).stat().st_mode) == 0o600


def test_names_sort_by_time(journals: Path, notes: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.struct_time((2024, 5, 6, 7, 8, 9, 0, 127, 0))
    earlier = time.struct_time((2023, 5, 6, 7, 8, 9, 5, 126, 0))
    monkeypatch.setattr(time, "gmtime", lambda: now)
    apply_tags(journals, [tag(notes[0], "b")])
    apply_tags(journals, [tag(notes[0], "c")])
    undo_last(journals)
    monkeypatch.setattr(time, "gmtime", lambda: earlier)  # the clock was set back
    apply_tags(journals, [tag(notes[0], "d")])
    (journals / "readme.txt").write_text("not a journal")
    assert names_in(journals) == [
        "20240506T070809Z-001.jsonl",
        "20240506T070809Z-002.jsonl.undone",
        "20240506T070809Z-003.jsonl",
        "readme.txt",
    ]
    undo_last(journals)
    assert notes[0].read_bytes() == b"---\ntags: [a, b]\n---\nA\n"


def test_undoing_waits_for_the_run_to_end(journals: Path, notes: list[Path]) -> None:
    refused: list[StoreError] = []

    def suggestions() -> Iterator[TaggedNote]:
        yield tag(notes[0])
        with pytest.raises(StoreError) as caught:
            undo_last(journals)
        refused.append(caught.value)

    apply_tags(journals, suggestions())
    assert [error.message for error in refused] == ["another process is writing tags"]
    assert undo_last(journals).written == (str(notes[0]),)


def test_a_journal_that_cannot_be_written_stops_the_run(
    journals: Path, notes: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = notes
    write = os.write

    def fill_up(descriptor: int, data: bytes) -> int:
        return write(descriptor, data[:30] if str(second).encode() in data else data)

    monkeypatch.setattr(os, "write", fill_up)
    untouched = [second.read_bytes(), third.read_bytes()]
    with pytest.raises(StoreError) as caught:
        apply_tags(journals, [tag(path) for path in notes])
    assert caught.value.message == f"cannot use {only_journal(journals)}: no space left on device"
    assert [second.read_bytes(), third.read_bytes()] == untouched
    assert undo_last(journals).written == (str(first),)


def test_a_directory_that_cannot_be_made(tmp_path: Path, notes: list[Path]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="not a directory"):
        apply_tags(tmp_path / "file" / "journals", [tag(notes[0])])
    assert notes[0].read_bytes() == b"---\ntags: [a]\n---\nA\n"


def test_names_of_any_bytes(journals: Path, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9 \xf0\x9f\x99\x82\n.md")
    path.write_bytes(b"Text")
    shown = str(tmp_path / "caf\ufffd 🙂\n.md")
    assert apply_tags(journals, [tag(path)]).written == (shown,)
    assert only_journal(journals).read_bytes().isascii()
    assert undo_last(journals).written == (shown,)
    assert path.read_bytes() == b"Text"


def test_a_relative_path_is_found_from_elsewhere(
    journals: Path, notes: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = notes[0].read_bytes()
    monkeypatch.chdir(notes[0].parent)
    assert apply_tags(journals, [tag(Path(notes[0].name))]).written == (str(notes[0]),)
    monkeypatch.chdir("/")
    undo_last(journals)
    assert notes[0].read_bytes() == before


def diff(data: bytes, *tags: str, name: str = "a.md") -> list[str]:
    found = diff_of(TaggedNote(Path("/notes") / name, data, tags or ("new",)))
    assert found.endswith("\n")
    lines = found.split("\n")[:-1]
    assert lines[:2] == [f"--- a/notes/{name}", f"+++ b/notes/{name}"]
    return lines[2:]


def test_a_diff() -> None:
    data = b"---\n1: a\n2: b\n3: c\n4: d\ntags: [a]\n5: e\n---\n\nText\nmore\n"
    assert diff(data) == [
        *("@@ -3,7 +3,7 @@", " 2: b", " 3: c", " 4: d", "-tags: [a]", "+tags: [a, new]", " 5: e", " ---", " "),
    ]
    assert diff(b"---\ntags:\n- a\n---\n", "b", "c") == [
        "@@ -1,4 +1,6 @@",
        " ---",
        " tags:",
        " - a",
        "+- b",
        "+- c",
        " ---",
    ]


def test_a_diff_of_a_file_without_front_matter() -> None:
    new = ["+---", "+tags: [new]", "+---"]
    assert diff(b"") == ["@@ -0,0 +1,3 @@", *new]
    assert diff(b"one\n") == ["@@ -1 +1,4 @@", *new, " one"]
    assert diff(b"one") == ["@@ -1 +1,4 @@", *new, " one", "\\ No newline at end of file"]


def test_a_diff_shows_line_endings_as_they_are() -> None:
    end = "\\ No newline at end of file"
    assert diff(b"---\r\ntags: [a]\r\n---\r\nx") == [
        *("@@ -1,4 +1,4 @@", " ---\r", "-tags: [a]\r", "+tags: [a, new]\r", " ---\r", " x", end),
    ]
    assert diff(b"---\rtags: [a]\r---\rx") == [
        *("@@ -1,4 +1,4 @@", " ---", "-tags: [a]", "+tags: [a, new]", " ---", " x", end),
    ]
    assert diff(b"#+title: T", name="a.org") == [
        *("@@ -1 +1,2 @@", "-#+title: T", end, "+#+title: T", "+#+filetags: :new:", end),
    ]


def test_a_diff_of_nothing() -> None:
    assert diff_of(TaggedNote(Path("/a.md"), b"#new", ("New",))) == ""
    with pytest.raises(NoteNotWritable):
        diff_of(TaggedNote(Path("/a.md"), b"---\na: b\n\n", ("new",)))


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
@pytest.mark.parametrize(
    "data",
    [
        b"---\ntags: [\n  a # one\n]\nx: 1\n---\nText\n",
        b"a\nb\nc\nd\ne",
        b"---\r\nx: 1\r\n---\r\n\r\nText",
        b"---\n---",
    ],
)
def test_git_understands_a_diff(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(data)
    note = tag(path, "new", "newer")
    text = diff_of(note)
    done = subprocess.run(
        ["git", "apply", "--unsafe-paths", f"--directory={tmp_path}", f"-p{len(path.parts) - 1}"],
        input=text.encode(),
        cwd=tmp_path,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    patched = path.read_bytes()
    path.write_bytes(data)
    apply_tags(tmp_path / "journals", [note])
    assert patched == path.read_bytes()


TAGS = st.lists(
    st.sampled_from(["new", "a", "x y", "a: b", "c, d", "no", "🙂", "it's", "[", "#h"]), min_size=1, max_size=3
)
LINES = st.lists(
    st.sampled_from(
        [
            *("---", "+++", "...", "# H", "Text #x", "    code", "", "title: T 🙂", "x: é # c", "#+filetags: :a:"),
            *("tags: [a, b]", "tags: [", "  a,", "]", "tags:", "- a", "  - a", "tags: a, b", "tags: a b", "tags: 'a'"),
            'tags = ["a"]',
        ]
    ),
    max_size=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(LINES, st.sampled_from(["\n", "\r\n", "\r"]), TAGS, st.sampled_from(["md", "org", "txt"])), max_size=3
    ),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_undoing_gives_back_every_byte(
    tmp_path_factory: pytest.TempPathFactory,
    files: list[tuple[list[str], str, list[str], str]],
    encoding: str,
) -> None:
    folder = tmp_path_factory.mktemp("notes")
    before: dict[Path, bytes] = {}
    notes = []
    for number, (lines, newline, tags, suffix) in enumerate(files):
        path = folder / f"{number}.{suffix}"
        before[path] = newline.join(["---", *lines]).encode(encoding)
        path.write_bytes(before[path])
        notes.append(TaggedNote(path, before[path], tuple(tags)))
    report = apply_tags(folder / "journals", notes)
    for path, data in before.items():
        assert (path.read_bytes() != data) == (str(path) in report.written)
    if report.written:
        assert undo_last(folder / "journals").written == tuple(reversed(report.written))
    assert {path: path.read_bytes() for path in before} == before
