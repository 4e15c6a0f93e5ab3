from pathlib import Path

from notesearch.retrieval.similar import WordWeights, match_words

NOTES = {
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
    assert matched(make_reader(NOTES), "A cabbage")[:2] in (["water.md", "kimchi.md"], ["kimchi.md", "water.md"])
    assert matched(make_reader(NOTES), "chilies and salt")[0] == "kimchi.md"


def test_words_that_only_the_note_itself_has_are_passed_over(make_reader):
    reader = make_reader(NOTES)
    assert matched(reader, "kimchi") == ["kimchi.md"]
    assert matched(reader, "kimchi", is_indexed=True) == []


def test_stopwords_and_query_syntax_find_nothing(make_reader):
    reader = make_reader(NOTES)
    assert match_words(reader, 'in the of "', is_indexed=False) == {}
    assert match_words(reader, "", is_indexed=False) == {}
    assert matched(reader, 'NOT "kimchi* OR (')[:1] == ["kimchi.md"]


def test_a_script_without_spaces(make_reader):
    reader = make_reader(NOTES | {"tokyo.md": "東京の夏", "kyoto.md": "京都の冬"})
    assert matched(reader, "東京タワー")[0] == "tokyo.md"


def test_matches_are_where_both_texts_have_a_word(make_reader):
    weights = WordWeights.of(make_reader(NOTES), ["salt", "cabbages", "cabbage", "the", "water"])
    text = "The salt of cabbages"
    matches = weights.matches(text, "the cabbage and water")
    assert [(text[match.start : match.end], match.strength) for match in matches] == [("cabbages", 1.0)]
    rare, common = (weights.weight(weights.stems[word]) for word in ("cabbage", "water"))
    assert rare > common
