import json
import os
import stat
from collections.abc import Container
from pathlib import Path

import numpy as np
import pytest
from fake_encoder import make_fake_model

from notesearch.errors import StoreError, UsageError
from notesearch.records import Skipped
from notesearch.tagging.features import Content, ContentReader, EncoderSpec
from notesearch.tagging.labels import (
    Example,
    Examples,
    Labelled,
    choose_labels,
    read_label_file,
    read_rejections,
    remember_rejections,
)


def notes(*labels: str) -> list[Labelled]:
    """A note for each, its labels parted by spaces."""
    return [
        Labelled(Content(f"/{row}.md", f"T{row}", "2024-01-01T00:00:00", (), "text", ("text",)), tuple(own.split()))
        for row, own in enumerate(labels)
    ]


def chosen(*labels: str, min_examples: int = 2, rejections: tuple[str, ...] = ()) -> Examples:
    return choose_labels(notes(*labels), min_examples, notes(*rejections))


def test_labels_are_sorted_and_notes_keep_their_order() -> None:
    examples = chosen("b", "a", "a b", "c", "c")
    assert examples.labels == ("a", "b", "c")
    np.testing.assert_array_equal(examples.targets, [[0, 1, 0], [1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 1]])
    assert examples.targets.dtype == bool
    assert examples.notes[2] == Example("/2.md", "T2", ("a", "b"))


def test_spellings_that_differ_in_case_are_one_label_by_its_commonest_spelling() -> None:
    examples = chosen("work", "Work", "Work", "STRASSE", "Straße", "Straße", "Work WORK")
    assert examples.labels == ("Straße", "Work")
    assert examples.targets.sum(axis=0).tolist() == [3, 4]
    assert (examples.rare, examples.universal) == ((), ())


def test_rare_and_universal_labels_are_left_out_and_named() -> None:
    examples = chosen("all a", "all a x", "all a y", "all b y", "all b", "all b z", min_examples=3)
    assert examples.labels == ("a", "b")
    assert examples.rare == (("x", 1), ("y", 2), ("z", 1))
    assert examples.universal == ("all",)


def test_a_note_with_rare_labels_alone_is_an_example_against_the_others() -> None:
    examples = chosen("a", "a", "b", "b", "rare")
    assert not examples.targets[4].any()
    assert examples.notes[4].labels == ()


@pytest.mark.parametrize(
    ("labels", "exclusive"),
    [(("a", "a", "b", "b"), True), (("a", "a", "b", "b", "x"), True), (("a", "a b", "b"), False)],
)
def test_labels_are_exclusive_where_every_note_has_one(labels: tuple[str, ...], exclusive: bool) -> None:
    assert chosen(*labels).exclusive is exclusive


def test_two_spellings_of_one_label_on_a_note_are_one_label() -> None:
    assert chosen("a A", "a", "b", "b").exclusive


def test_rejections_are_examples_but_make_no_label() -> None:
    examples = chosen("a", "a", "b", "b", rejections=("", "A new", "new"))
    assert examples.labels == ("a", "b")
    assert (len(examples.contents), len(examples.notes)) == (7, 7)
    assert examples.targets[4:].tolist() == [[False, False], [True, False], [False, False]]
    assert examples.exclusive and examples.universal == ()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (("a", "a"), "2 labelled notes, but fewer than two labels to learn: 'a' is on every note"),
        (
            ("a", "a", "b"),
            "3 labelled notes, but fewer than two labels to learn: 'b' is on 1 of them, "
            "'a' is the only one on 2 or more",
        ),
        (
            tuple("abcdefg"),
            "7 labelled notes, but fewer than two labels to learn: "
            + ", ".join(f"'{label}' is on 1 of them" for label in "abcde")
            + ", and 2 more are on too few",
        ),
    ],
)
def test_why_there_are_fewer_than_two_labels(labels: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        chosen(*labels)
    assert caught.value.message == message
    assert caught.value.hint


def test_the_labelled_notes_are_counted_without_the_rejections() -> None:
    with pytest.raises(UsageError, match=r"^2 labelled notes"):
        chosen("a", "a", rejections=("", ""))


def test_no_labelled_notes() -> None:
    with pytest.raises(UsageError) as caught:
        choose_labels([], 2, notes("a"))
    assert caught.value.message == "no note has a label to learn from"
    assert caught.value.hint


def label_file(tmp_path: Path, *lines: str | bytes) -> Path:
    file = tmp_path / "labels.jsonl"
    file.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines) + b"\n")
    return file


FAKE = EncoderSpec("fake-model", make_fake_model("fake-model").config.fingerprint, 50)


def read(file: Path) -> tuple[list[tuple[str, str, tuple[str, ...]]], list[Skipped]]:
    labelled, skipped = read_label_file(file, ContentReader(None, FAKE, max_bytes=1000))
    return [(note.content.path, note.content.text, note.labels) for note in labelled], skipped


def test_a_label_file_names_notes_and_texts(tmp_path: Path, fake_models) -> None:
    (tmp_path / "notes").mkdir()
    for name in ("notes/rent.md", "b.md"):
        (tmp_path / name).write_text("Rent")
    rows = [
        {"path": "notes/rent.md", "labels": ["home"]},
        {"path": str(tmp_path / "b.md"), "labels": "work"},
        {"path": "gone.md", "labels": "work"},
        {"text": "Gnocchi", "labels": [" deep \t work ", "x", "", " ", "x"], "path": 5},
        {"text": "", "labels": []},
    ]
    file = label_file(tmp_path, *map(json.dumps, rows[:2]), "", "  ", *map(json.dumps, rows[2:]))
    assert read(file) == (
        [
            (str(tmp_path / "notes/rent.md"), "Rent", ("home",)),
            (str(tmp_path / "b.md"), "b\nRent", ("work",)),
            ("", "Gnocchi", ("deep work", "x")),
        ],
        [Skipped(str(tmp_path / "gone.md"), "no such file or directory")],
    )


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ('{"text": "x", "labels": ["a"]', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "lacks labels"),
        ("null", "lacks labels"),
        ('{"text": "x"}', "lacks labels"),
        ('{"text": "x", "labels": ["a", 1]}', "has no list of labels"),
        ('{"text": "x", "labels": {"a": 1}}', "has no list of labels"),
        ('{"labels": ["a"]}', "has neither a text nor a path"),
        ('{"labels": ["a"], "path": ""}', "has neither a text nor a path"),
        ('{"labels": ["a"], "path": 1, "text": null}', "has neither a text nor a path"),
    ],
)
def test_a_bad_line_is_named_by_its_number(tmp_path: Path, fake_models, line: str, wrong: str) -> None:
    file = label_file(tmp_path, '{"text": "x", "labels": ["a"]}', "", line)
    with pytest.raises(UsageError) as caught:
        read(file)
    assert caught.value.message.startswith(f"{file}, line 3 {wrong}")
    assert "JSON lines such as" in caught.value.hint


def test_a_label_file_that_cannot_be_read(tmp_path: Path) -> None:
    not_utf_8 = label_file(tmp_path, b'{"text": "\xff", "labels": ["a"]}')
    for file, reason in (
        (not_utf_8, "it is not UTF-8"),
        (tmp_path / "none", "No such file or directory"),
        (tmp_path, "a folder"),
    ):
        with pytest.raises(UsageError) as caught:
            read(file)
        assert caught.value.message == f"cannot read {file}: {reason}"
        assert caught.value.hint


REJECTIONS = "rejected-tags.jsonl"


@pytest.fixture
def rejected_notes(tmp_path: Path) -> list[str]:
    """Two notes without tags, and one with."""
    paths = [tmp_path / name for name in ("a.md", "b.md", "c.md")]
    for path, text in zip(paths, ("A", "B", "C #own"), strict=True):
        path.write_text(text)
    return [str(path) for path in paths]


@pytest.fixture
def read_back(tmp_path: Path, fake_models):
    contents = ContentReader(None, FAKE, max_bytes=1000)

    def read_from(labelled: Container[str] = ()) -> list[tuple[str, tuple[str, ...]]]:
        return [(note.content.path, note.labels) for note in read_rejections(tmp_path, contents, labelled)]

    return read_from


def test_there_are_no_rejections_at_first(read_back) -> None:
    assert read_back() == []


def test_notes_are_remembered_once_each_in_order_with_the_tags_that_they_have(
    tmp_path, rejected_notes, read_back
) -> None:
    first, second, tagged = rejected_notes
    remember_rejections(tmp_path, {tagged: ["x"], first: ["x", "y"], second: []})
    remember_rejections(tmp_path, {first: ["z"]})
    assert read_back() == [(tagged, ("own",)), (first, ())]
    lines = [json.loads(line) for line in (tmp_path / REJECTIONS).read_text().splitlines() if line]
    assert lines[1:] == [{"path": first, "tags": ["x", "y"]}, {"path": first, "tags": ["z"]}]


def test_labelled_notes_and_notes_that_are_gone_are_left_out(tmp_path, rejected_notes, read_back) -> None:
    first, second, tagged = rejected_notes
    remember_rejections(tmp_path, {first: ["x"], second: ["x"], tagged: ["x"]})
    Path(second).unlink()
    assert read_back({tagged}) == [(first, ())]


@pytest.mark.parametrize(
    "line", ["{", '{"path": "/a', "[]", "null", '"x"', "{}", "\0\0", "[" * 200_000, '{"path": "\\u0000"}']
)
def test_damaged_lines_are_ignored(tmp_path, rejected_notes, read_back, line) -> None:
    remember_rejections(tmp_path, {rejected_notes[0]: ["x"]})
    with (tmp_path / REJECTIONS).open("a") as file:
        file.write(line + "\n")
    remember_rejections(tmp_path, {rejected_notes[1]: ["x"]})
    with (tmp_path / REJECTIONS).open("a") as file:
        file.write(line)
    assert read_back() == [(rejected_notes[0], ()), (rejected_notes[1], ())]


def test_half_a_line_does_not_spoil_what_is_added_to_it(tmp_path, rejected_notes, read_back) -> None:
    (tmp_path / REJECTIONS).write_text('{"path": "/a')
    remember_rejections(tmp_path, {rejected_notes[0]: ["x"]})
    assert read_back() == [(rejected_notes[0], ())]


def test_a_line_that_is_not_utf_8_is_ignored(tmp_path, rejected_notes, read_back) -> None:
    (tmp_path / REJECTIONS).write_bytes(b"\xff\n")
    remember_rejections(tmp_path, {rejected_notes[0]: ["x"]})
    assert read_back() == [(rejected_notes[0], ())]


def test_names_of_any_bytes(tmp_path, read_back) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9 \xf0\x9f\x99\x82\n.md")
    path.write_text("Text")
    remember_rejections(tmp_path, {str(path): ["x"]})
    assert read_back() == [(str(path), ())]


@pytest.mark.parametrize("mask", [0, 0o022])
def test_the_file_is_private_whatever_the_umask(tmp_path, rejected_notes, mask) -> None:
    previous = os.umask(mask)
    try:
        remember_rejections(tmp_path, {rejected_notes[0]: ["x"]})
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / REJECTIONS).stat().st_mode) == 0o600


def test_a_file_that_cannot_be_used(tmp_path, read_back) -> None:
    (tmp_path / REJECTIONS).mkdir()
    with pytest.raises(StoreError, match=r"cannot write .*rejected-tags"):
        remember_rejections(tmp_path, {"/a.md": ["x"]})
    with pytest.raises(StoreError, match=r"cannot read .*rejected-tags"):
        read_back()
