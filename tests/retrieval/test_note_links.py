from pathlib import Path

import pytest

from notesearch.retrieval.similar import find_linked_notes

NOTES = {
    "tea.md": "See [[Coffee]] and [milk](drinks/milk.md), [[nowhere]], [[tea]].",
    "coffee.md": "Nothing.",
    "drinks/milk.md": "Back to [tea](../tea.md).",
    "drinks/water.md": "[[TEA]] needs water.",
    "old/tea.md": "Another one of that name.",
    "juice.md": "Not [[coffee]], but [[tea.old]].",
}


@pytest.fixture
def linked(make_reader):
    reader = make_reader(NOTES)
    notes = reader.notes(reader.note_ids())
    root = next(Path(note.path).parent for note in notes.values() if note.path.endswith("juice.md"))
    names = {note.id: str(Path(note.path).relative_to(root)) for note in notes.values()}

    def find(name, written=None, *, known=True):
        note_id = next((key for key, own in names.items() if own == name), None) if known else None
        found = find_linked_notes(reader, str(root / name), note_id, written)
        return sorted(names[i] for i in found.to), sorted(names[i] for i in found.back)

    return find


def test_links_of_both_kinds_in_both_directions(linked):
    assert linked("tea.md") == (["coffee.md", "drinks/milk.md"], ["drinks/milk.md", "drinks/water.md"])


def test_a_name_that_two_notes_have_leads_to_the_one_that_is_meant(linked):
    assert linked("old/tea.md") == ([], [])


def test_a_note_without_links(linked):
    assert linked("coffee.md") == ([], ["juice.md", "tea.md"])


def test_links_as_they_are_written_now(linked):
    assert linked("tea.md", [("juice", "wiki")]) == (["juice.md"], ["drinks/milk.md", "drinks/water.md"])


def test_a_note_that_the_index_does_not_know(linked):
    assert linked("draft.md", [("drinks/water.md", "relative"), ("Tea", "wiki")], known=False) == (
        ["drinks/water.md", "tea.md"],
        [],
    )
