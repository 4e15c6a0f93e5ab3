from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from notesearch.records import Filters
from notesearch.retrieval.links import LinkedNotes, find_linked_notes
from notesearch.retrieval.passage_matching import AllPassages
from notesearch.retrieval.similar import (
    SourceNote,
    WordWeights,
    find_similar_notes,
    match_words,
)

NOTES = {
    "cap.md": "---\ntags: [Databases, theory]\ndate: 2024-02-10\n---\n# CAP\n\nConsistency, partition, availability.",
    "raft.md": "---\ntags: [databases]\ndate: 2025-01-01\n---\n# Raft\n\nConsistency, partition, availability, leader.",
    "dal.md": "---\ntags: [cooking]\n---\n# Dal\n\nLentils, turmeric, salt, water.",
    "bread.md": "# Bread\n\nFlour, water, salt, patience.",
    "tyres.md": "# Tyres\n\nRubber, spokes, chain, grease.",
    "garden.md": "# Garden\n\nSoil, compost, seeds, rain.",
    "empty.md": "",
}


@pytest.fixture
def similar(make_reader):
    def find(name, notes=NOTES, *, linked=None, filters=None, limit=10, unlinked=False):
        reader = make_reader(notes)
        ids = {Path(note.path).name: note.id for note in reader.notes(reader.note_ids()).values()}
        note = reader.notes([ids[name]])[ids[name]]
        chunks = tuple(reader.chunks_of_notes([note.id]))
        vectors = reader.vectors_of_chunks([chunk.id for chunk in chunks])
        joined = LinkedNotes(*(frozenset(ids[other] for other in side) for side in linked or ((), ())))
        source = SourceNote(note, chunks, np.stack([vectors[chunk.id] for chunk in chunks]), joined)
        return find_similar_notes(reader, source, limit=limit, filters=filters or Filters(), unlinked=unlinked)

    return find


def names(hits):
    return [Path(hit.path).name for hit in hits]


def test_the_note_that_shares_most_is_first_and_the_note_itself_is_none(similar):
    found = similar("cap.md")
    assert names(found)[0] == "raft.md"
    assert "cap.md" not in names(found)
    assert [hit.rank for hit in found] == list(range(1, len(found) + 1))
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)


def test_a_score_is_the_sum_of_its_parts_and_above_the_mean(similar):
    for hit in similar("cap.md"):
        assert hit.score == pytest.approx(sum(hit.contributions.values()), abs=1e-5)
        assert hit.score > 0
        assert set(hit.contributions) == {"lexical", "dense"} == set(hit.scores)


def test_parts_are_standard_deviations_above_the_mean_of_the_other_notes(similar, make_reader):
    hit = similar("cap.md")[0]
    reader = make_reader({})
    own = next(note for note in reader.notes(reader.note_ids()).values() if note.path.endswith("cap.md"))
    passages = AllPassages.read(reader)
    others = passages.note_ids != own.id
    vectors = reader.vectors_of_chunks([chunk.id for chunk in reader.chunks_of_notes([own.id])])
    similarity = passages.similarity(np.stack(list(vectors.values())))[others]
    text = f"CAP\n{reader.chunks_of_notes([own.id])[0].text}"
    matched = match_words(reader, text, is_indexed=True)
    words = np.array([matched.get(i, 0.0) for i in passages.note_ids[others].tolist()])
    for part, values, weight in (("dense", similarity, 1.0), ("lexical", words, 0.3)):
        expected = weight * (hit.scores[part] - values.mean()) / values.std()
        assert hit.contributions[part] == pytest.approx(expected, rel=1e-4)


def test_why(similar):
    hit = similar("cap.md", linked=(["raft.md"], ["raft.md"]))[0]
    assert hit.shared_tags == ("databases",)
    assert hit.links == ("to", "from")
    (meeting,) = hit.meetings
    assert (meeting.start_line, meeting.end_line, meeting.hit_start_line, meeting.hit_end_line) == (5, 7, 5, 7)
    assert (hit.start_line, hit.end_line) == (5, 7)
    assert meeting.snippet.startswith("Consistency, partition")
    assert [hit.snippet[slice(*span)] for span in hit.highlights] == ["Consistency", "partition", "availability"]


def test_unlinked_leaves_out_notes_that_links_join(similar):
    for linked in ((["raft.md"], []), ([], ["raft.md"])):
        assert "raft.md" not in names(similar("cap.md", linked=linked, unlinked=True))
    assert "raft.md" in names(similar("cap.md", linked=(["dal.md"], []), unlinked=True))


def test_filters_choose_and_leave_the_scores_alone(similar):
    scores = {hit.path: hit.score for hit in similar("cap.md")}
    for filters, expected in (
        (Filters(tags=("databases",)), ["raft.md"]),
        (Filters(paths=(("raft.md",),)), ["raft.md"]),
        (Filters(since=datetime(2025, 1, 1), until=datetime(2025, 1, 2)), ["raft.md"]),
    ):
        found = similar("cap.md", filters=filters)
        assert names(found) == expected
        assert found[0].score == scores[found[0].path]
    assert "raft.md" not in names(similar("cap.md", filters=Filters(excluded_tags=("databases",))))


def test_an_only_note_has_none(similar):
    assert similar("a.md", {"a.md": "Alone."}) == []


def test_notes_without_text_neither_fail_nor_crowd_in(similar):
    assert names(similar("cap.md"))[0] != "empty.md"
    similar("empty.md")


def test_a_long_note_is_not_near_everything(similar):
    parts = ["consistency", "lentils", "flour", "rubber", "soil"]
    long = "\n\n".join(f"# Part {word}\n\n" + f"{word} {word}s filler{word} " * 90 for word in parts)
    notes = NOTES | {"long.md": long}
    assert names(similar("cap.md", notes))[0] == "raft.md"
    assert names(similar("dal.md", notes))[0] == "bread.md"


def test_the_passages_that_meet_are_the_closest_of_either_note(similar):
    parts = ["# Tea\n\n" + "tea leaf pot " * 60, "# Wind\n\n" + "wind sail mast " * 60]
    notes = {"a.md": "\n\n".join(parts), "b.md": "\n\n".join(parts[::-1]), "c.md": "stone", "d.md": "iron"}
    hit = similar("a.md", notes)[0]
    assert len(hit.meetings) == 2
    assert {meeting.snippet.split()[0] for meeting in hit.meetings} == {"tea", "wind"}
    for meeting in hit.meetings:
        assert meeting.cosine > 0.99
        assert meeting.start_line != meeting.hit_start_line


LINKED_NOTES = {
    "tea.md": "See [[Coffee]] and [milk](drinks/milk.md), [[nowhere]], [[tea]].",
    "coffee.md": "Nothing.",
    "drinks/milk.md": "Back to [tea](../tea.md).",
    "drinks/water.md": "[[TEA]] needs water.",
    "old/tea.md": "Another one of that name.",
    "juice.md": "Not [[coffee]], but [[tea.old]].",
}


@pytest.fixture
def linked(make_reader):
    reader = make_reader(LINKED_NOTES)
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


WORD_NOTES = {
    "kimchi.md": "Kimchi: cabbage, chili, salt.",
    "salt.md": "Salt and water.",
    "water.md": "Water and cabbages.",
    "sea.md": "The sea is salt water.",
    "north.md": "In the north.",
    "south.md": "In the south.",
    "east.md": "In the east.",
}


def matched(reader, text, *, is_indexed=False):
    notes = reader.notes(reader.note_ids())
    scores = match_words(reader, text, is_indexed=is_indexed)
    return [Path(notes[note_id].path).name for note_id in sorted(scores, key=lambda i: -scores[i])]


def test_rare_words_count_in_any_form(make_reader):
    assert matched(make_reader(WORD_NOTES), "A cabbage")[:2] in (["water.md", "kimchi.md"], ["kimchi.md", "water.md"])
    assert matched(make_reader(WORD_NOTES), "chilies and salt")[0] == "kimchi.md"


def test_words_that_only_the_note_itself_has_are_passed_over(make_reader):
    reader = make_reader(WORD_NOTES)
    assert matched(reader, "kimchi") == ["kimchi.md"]
    assert matched(reader, "kimchi", is_indexed=True) == []


def test_stopwords_and_query_syntax_find_nothing(make_reader):
    reader = make_reader(WORD_NOTES)
    assert match_words(reader, 'in the of "', is_indexed=False) == {}
    assert match_words(reader, "", is_indexed=False) == {}
    assert matched(reader, 'NOT "kimchi* OR (')[:1] == ["kimchi.md"]


def test_a_script_without_spaces(make_reader):
    reader = make_reader(WORD_NOTES | {"tokyo.md": "東京の夏", "kyoto.md": "京都の冬"})
    assert matched(reader, "東京タワー")[0] == "tokyo.md"


def test_matches_are_where_both_texts_have_a_word(make_reader):
    weights = WordWeights.of(make_reader(WORD_NOTES), ["salt", "cabbages", "cabbage", "the", "water"])
    text = "The salt of cabbages"
    matches = weights.matches(text, "the cabbage and water")
    assert [(text[match.start : match.end], match.strength) for match in matches] == [("cabbages", 1.0)]
    rare, common = (weights.weight(weights.stems[word]) for word in ("cabbage", "water"))
    assert rare > common
