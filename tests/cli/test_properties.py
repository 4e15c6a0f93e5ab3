"""Properties at the command line: filters, lists, and what a hit says of them."""

import json
from pathlib import Path

import pytest

NOTES = {
    "engine.md": "---\naliases: [Zeppelin paper]\nauthor: Ada Lovelace\nstatus: draft\nrating: 5\ntags: [a]\n"
    "---\nOn bread.",
    "bread.md": "---\nstatus: done\nrating: 3\nauthors: [Charles Babbage, Ada King]\ntags: [a, b]\n"
    "---\nOn bread and salt.",
    "salt.md": "Mined:: 1843\n\nOn salt.",
}


@pytest.fixture
def noted(fake_encoder, run, write_notes) -> Path:
    folder = write_notes(NOTES)
    assert run("index", folder).code == 0
    return folder


def files(run, *arguments) -> list[str]:
    return [Path(line).name for line in run("search", "--files", "--mode", "lexical", *arguments).out.splitlines()]


def test_values_are_found_by_words_and_in_quotes(run, noted):
    assert files(run, "lovelace") == ["engine.md"]
    assert files(run, '"ada lovelace"') == ["engine.md"]
    assert files(run, '"zeppelin paper"') == ["engine.md"]
    # No phrase stands in two values, nor in a title and a value.
    assert files(run, '"babbage ada"') == files(run, '"paper ada"') == files(run, '"lovelace 5"') == []


def test_a_note_that_alone_holds_a_word_in_a_property_is_first(run, noted):
    hit, *_ = json.loads(run("search", "lovelace", "--json").out)
    assert Path(hit["path"]).name == "engine.md"
    assert hit["properties"] == [{"name": "author", "value": "Ada Lovelace"}]
    assert "    author: Ada Lovelace\n" in run("search", "lovelace").out
    assert "author:" not in run("search", "bread").out


def test_where_admits_notes_by_their_properties(run, noted):
    assert files(run, "bread", "--where", "status=draft") == ["engine.md"]
    assert files(run, "bread", "--where", "rating>=3", "--where", "status != draft") == ["bread.md"]
    assert sorted(files(run, "salt", "--where", "status!=draft")) == ["bread.md", "salt.md"]
    similar = run("similar", noted / "salt.md", "--where", "rating>4", "--files").out
    assert {Path(line).name for line in similar.splitlines()} <= {"engine.md"}


def test_conditions_that_cannot_hold(run, noted):
    wrong = run("search", "bread", "--where", "=draft")
    assert wrong.code == 2 and "rating>=4" in wrong.err
    misspelt = run("search", "bread", "--where", "statsu=draft")
    assert misspelt.code == 2 and "status" in misspelt.err


def test_lists_of_tags_and_properties(run, noted, terminals):
    assert run("tags").out == "a\t2\nb\t1\n"
    assert run("properties").out.splitlines()[:2] == ["rating\t2\t2", "status\t2\t2"]
    assert run("properties", "Rating").out == "3\tnumber\t1\n5\tnumber\t1\n"
    assert json.loads(run("tags", "--json").out)[0] == {"tag": "a", "notes": 2}
    assert json.loads(run("properties", "status", "--json").out)[0] == {"value": "done", "type": "text", "notes": 1}
    assert run("properties", "statsu").code == 2
    terminals.add("stdout")
    assert run("properties", "mined").out.splitlines() == ["value type   notes", "1843  number     1"]


def test_nothing_to_list(run, fake_encoder, write_notes):
    assert run("index", write_notes({"a.md": "text"})).code == 0
    assert (run("tags").code, run("properties").code) == (1, 1)
    assert run("properties", "--json").out == "[]\n"
