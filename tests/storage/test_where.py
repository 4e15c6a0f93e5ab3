"""Conditions on properties, from what is typed to the notes that meet them."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from notesearch.errors import UsageError
from notesearch.library.properties import conditions_on, parse_condition
from notesearch.notes import parse_note
from notesearch.records import Filters
from notesearch.storage import IndexReader
from notesearch.storage.writer import IndexWriter

from .building import encoded_note, found, write

NOW = datetime(2026, 6, 15, 12)
# Note by note, what stands in its front matter.
NOTES = {
    "draft": "status: draft\nrating: 4\ndue: 2025-03-02",
    "done": "Status: Done\nrating: 10\ndue: 2025-02-28T10:00",
    "list": "status: [draft, old]\nrating: [1, 5]\ndue: 2024",
    "words": "rating: none yet\nversion: 2.10\ndue: soon",
    "link": 'up: "[[folder/Home Page|home]]"\nlong name: In  Progress',
    "nested": "author: {name: Ada}",
    "bare": "other: 1",
}


@pytest.fixture
def noted(writer: IndexWriter, index_dir: Path) -> Path:
    for name, metadata in NOTES.items():
        encoded = encoded_note(name, f"word {name}")
        properties = parse_note(Path("/a.md"), f"---\n{metadata}\n---\nword", NOW).properties
        write(writer, replace(encoded, note=replace(encoded.note, properties=properties)))
    return index_dir


def names_meeting(index_dir: Path, *where: str) -> str:
    filters = Filters(where=tuple(parse_condition(each, now=NOW) for each in where))
    return " ".join(sorted(found(index_dir, "word", filters)))


@pytest.mark.parametrize(
    ("where", "names"),
    [
        (["status"], "done draft list"),
        (["status=draft"], "draft list"),
        (["STATUS = DONE"], "done"),
        (["status!=draft"], "bare done link nested words"),
        (["status=draft", "status=old"], "list"),
        (["status=draft", "rating>4"], "list"),
        (["rating>=4"], "done draft list"),
        (["rating>4"], "done list"),
        (["rating<4"], "list"),
        (["rating=4.0"], "draft"),
        (["rating!=4"], "bare done link list nested words"),
        (["rating=none yet"], "words"),
        (["rating>=none"], "words"),
        (["version>=2.9"], ""),
        (["version>2"], "words"),
        (["due<2025-03"], "done list"),
        (["due<=2025-03"], "done draft list"),
        (["due>2025-02"], "draft"),
        (["due>=2025-02"], "done draft"),
        (["due=2025-02"], "done"),
        (["due=2025-02-28"], "done"),
        (["due=2025"], "done draft"),
        (["due!=2025"], "bare link list nested words"),
        (["due<soon"], "done draft list"),
        (["due=soon"], "words"),
        (["up=folder/home page"], "link"),
        (["long name=in progress"], "link"),
        (["long name='in progress'"], "link"),
        (["author"], "nested"),
        (["author.name=ada"], "nested"),
        (["author=ada"], ""),
        (["missing"], ""),
        (["missing!=1"], "bare done draft link list nested words"),
        (["status='draft' OR 1=1"], ""),
    ],
)
def test_conditions(noted: Path, where: list[str], names: str) -> None:
    assert names_meeting(noted, *where) == names


@pytest.mark.parametrize("written", ["", " ", "=draft", "status=", "a==b", "a=>4", "<", "x" * 2000])
def test_what_is_no_condition(written: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_condition(written, now=NOW)
    assert "rating>=4" in raised.value.hint


def test_a_property_that_no_note_has(noted: Path) -> None:
    with IndexReader(noted) as reader:
        with pytest.raises(UsageError) as raised:
            conditions_on(["statsu=draft"], [reader])
        assert raised.value.message == "no note has a property 'statsu'"
        assert raised.value.hint.lower().startswith("do you mean status?")
        assert len(conditions_on(["statsu!=draft", "author", "AUTHOR.NAME=x"], [reader])) == 3


def test_what_properties_there_are(noted: Path) -> None:
    with IndexReader(noted) as reader:
        counts = {name.lower(): counts for name, *counts in reader.property_counts()}
        assert counts == {
            "due": [4, 4],
            "rating": [4, 5],
            "status": [3, 3],
            "author.name": [1, 1],
            "long name": [1, 1],
            "other": [1, 1],
            "up": [1, 1],
            "version": [1, 1],
        }
        assert reader.value_counts("status") == [("draft", "text", 2), ("Done", "text", 1), ("old", "text", 1)]
        rating = [
            ("none yet", "text", 1),
            ("1", "number", 1),
            ("4", "number", 1),
            ("5", "number", 1),
            ("10", "number", 1),
        ]
        assert reader.value_counts("rating") == rating
        assert [kind for _, kind, _ in reader.value_counts("due")].count("date") == 2
