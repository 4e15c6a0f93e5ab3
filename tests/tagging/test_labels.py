import json
from pathlib import Path

import numpy as np
import pytest

from notesearch.errors import UsageError
from notesearch.tagging.features import Content
from notesearch.tagging.labels import Example, Examples, Labelled, LabelRow, choose_labels, read_label_file


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


def test_rare_and_universal_labels_are_named_and_not_learnt() -> None:
    examples = chosen("all a", "all a x", "all a y", "all b y", "all b", "all b z", min_examples=3)
    assert examples.labels == ("a", "b")
    assert examples.rare == (("x", 1), ("y", 2), ("z", 1))
    assert examples.universal == ("all",)


def test_a_note_all_of_whose_labels_are_rare_counts_against_the_others() -> None:
    examples = chosen("a", "a", "b", "b", "rare")
    assert not examples.targets[4].any()
    assert examples.notes[4].labels == ()


@pytest.mark.parametrize(
    ("labels", "exclusive"),
    [(("a", "a", "b", "b"), True), (("a", "a", "b", "b", "x"), True), (("a", "a b", "b"), False)],
)
def test_labels_exclude_each_other_where_every_note_has_one(labels: tuple[str, ...], exclusive: bool) -> None:
    assert chosen(*labels).exclusive is exclusive


def test_two_spellings_of_one_label_on_a_note_are_one_label() -> None:
    assert chosen("a A", "a", "b", "b").exclusive


def test_rejections_are_learnt_from_but_make_no_label() -> None:
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


def test_a_label_file_names_notes_and_texts(tmp_path: Path) -> None:
    rows = [
        {"path": "notes/rent.md", "labels": ["home"]},
        {"path": "/elsewhere/a.md", "labels": "work"},
        {"text": "Gnocchi", "labels": [" deep \t work ", "x", "", " ", "x"], "path": 5},
        {"text": "", "labels": []},
    ]
    file = label_file(tmp_path, *map(json.dumps, rows[:2]), "", "  ", *map(json.dumps, rows[2:]))
    assert list(read_label_file(file)) == [
        LabelRow(("home",), path=tmp_path / "notes" / "rent.md"),
        LabelRow(("work",), path=Path("/elsewhere/a.md")),
        LabelRow(("deep work", "x"), text="Gnocchi"),
        LabelRow((), text=""),
    ]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ('{"text": "x", "labels": ["a"]', "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "it has no list of labels"),
        ("null", "it has no list of labels"),
        ('{"text": "x"}', "it has no list of labels"),
        ('{"text": "x", "labels": ["a", 1]}', "it has no list of labels"),
        ('{"text": "x", "labels": {"a": 1}}', "it has no list of labels"),
        ('{"labels": ["a"]}', "it has neither a text nor a path"),
        ('{"labels": ["a"], "path": ""}', "it has neither a text nor a path"),
        ('{"labels": ["a"], "path": 1, "text": null}', "it has neither a text nor a path"),
    ],
)
def test_a_bad_line_is_named_by_its_number(tmp_path: Path, line: str, wrong: str) -> None:
    file = label_file(tmp_path, '{"text": "x", "labels": ["a"]}', "", line)
    with pytest.raises(UsageError) as caught:
        list(read_label_file(file))
    assert caught.value.message == f"{file}, line 3: {wrong}"
    assert "Each line is an object" in caught.value.hint


def test_a_label_file_that_cannot_be_read(tmp_path: Path) -> None:
    not_utf_8 = label_file(tmp_path, b'{"text": "\xff", "labels": ["a"]}')
    for file, reason in (
        (not_utf_8, "it is not UTF-8"),
        (tmp_path / "none", "No such file or directory"),
        (tmp_path, "Is a directory"),
    ):
        with pytest.raises(UsageError) as caught:
            list(read_label_file(file))
        assert caught.value.message == f"cannot read {file}: {reason}"
        assert caught.value.hint
