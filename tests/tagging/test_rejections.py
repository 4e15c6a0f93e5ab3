import json
import os
import stat
from collections.abc import Container
from pathlib import Path

import pytest

from notesearch.errors import StoreError
from notesearch.records import Chunking
from notesearch.tagging.features import ContentReader
from notesearch.tagging.labels import read_rejections, remember_rejections

FILE = "rejected-tags.jsonl"


@pytest.fixture
def notes(tmp_path: Path) -> list[str]:
    """Two notes without tags, and one with."""
    paths = [tmp_path / name for name in ("a.md", "b.md", "c.md")]
    for path, text in zip(paths, ("A", "B", "C #own"), strict=True):
        path.write_text(text)
    return [str(path) for path in paths]


@pytest.fixture
def read(tmp_path: Path, fake_encoder):
    contents = ContentReader(None, lambda: fake_encoder, chunking=Chunking(50), max_bytes=1000, reuse_vectors=False)

    def read_from(labelled: Container[str] = ()) -> list[tuple[str, tuple[str, ...]]]:
        return [(note.content.path, note.labels) for note in read_rejections(tmp_path, contents, labelled)]

    return read_from


def test_nothing_is_remembered_at_first(read) -> None:
    assert read() == []


def test_notes_are_remembered_once_each_in_order_with_the_tags_that_they_have(tmp_path, notes, read) -> None:
    first, second, tagged = notes
    remember_rejections(tmp_path, {tagged: ["x"], first: ["x", "y"], second: []})
    remember_rejections(tmp_path, {first: ["z"]})
    assert read() == [(tagged, ("own",)), (first, ())]
    lines = [json.loads(line) for line in (tmp_path / FILE).read_text().splitlines() if line]
    assert lines[1:] == [{"path": first, "tags": ["x", "y"]}, {"path": first, "tags": ["z"]}]


def test_labelled_notes_and_notes_that_are_gone_are_left_out(tmp_path, notes, read) -> None:
    first, second, tagged = notes
    remember_rejections(tmp_path, {first: ["x"], second: ["x"], tagged: ["x"]})
    Path(second).unlink()
    assert read({tagged}) == [(first, ())]


@pytest.mark.parametrize(
    "line", ["{", '{"path": "/a', "[]", "null", '"x"', "{}", "\0\0", "[" * 200_000, '{"path": "\\u0000"}']
)
def test_damaged_lines_are_ignored(tmp_path, notes, read, line) -> None:
    remember_rejections(tmp_path, {notes[0]: ["x"]})
    with (tmp_path / FILE).open("a") as file:
        file.write(line + "\n")
    remember_rejections(tmp_path, {notes[1]: ["x"]})
    with (tmp_path / FILE).open("a") as file:
        file.write(line)
    assert read() == [(notes[0], ()), (notes[1], ())]


def test_half_a_line_does_not_spoil_what_is_added_to_it(tmp_path, notes, read) -> None:
    (tmp_path / FILE).write_text('{"path": "/a')
    remember_rejections(tmp_path, {notes[0]: ["x"]})
    assert read() == [(notes[0], ())]


def test_a_line_that_is_not_utf_8_is_ignored(tmp_path, notes, read) -> None:
    (tmp_path / FILE).write_bytes(b"\xff\n")
    remember_rejections(tmp_path, {notes[0]: ["x"]})
    assert read() == [(notes[0], ())]


def test_names_of_any_bytes(tmp_path, read) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9 \xf0\x9f\x99\x82\n.md")
    path.write_text("Text")
    remember_rejections(tmp_path, {str(path): ["x"]})
    assert read() == [(str(path), ())]


@pytest.mark.parametrize("mask", [0, 0o022])
def test_the_file_is_private_whatever_the_umask(tmp_path, notes, mask) -> None:
    previous = os.umask(mask)
    try:
        remember_rejections(tmp_path, {notes[0]: ["x"]})
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_file_that_cannot_be_used(tmp_path, read) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(StoreError, match=r"cannot write .*rejected-tags"):
        remember_rejections(tmp_path, {"/a.md": ["x"]})
    with pytest.raises(StoreError, match=r"cannot read .*rejected-tags"):
        read()
