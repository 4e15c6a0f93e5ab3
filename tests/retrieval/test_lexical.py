import pytest

from notesearch.records import Filters
from notesearch.retrieval.lexical import chunks_with_phrases, is_mentioned, match_lexical, word_forms
from notesearch.retrieval.query import parse_query
from notesearch.storage import WordQuery
from notesearch.words import distinct_words, find_words, key_of

NOTES = {
    "cap.md": "# CAP theorem\n\nConsistency, availability and partition tolerance.",
    "raft.md": "# Raft\n\nLeaders replicate a log.",
    "tofu.md": "# 麻婆豆腐\n\n先把豆腐切成小块，再炒豆瓣酱。",
    "strasse.md": "# Umzug\n\nDie neue Straße heißt Lindenweg.",
    "syntax.md": '# Operators\n\nUse AND, OR, NOT, NEAR and a "star" * in a query.',
}


def found(reader, typed, filters=Filters()):
    matched = match_lexical(reader, parse_query(typed), filters)
    scores = matched.notes
    assert 0 <= matched.coverage <= 1
    assert all(score > 0 for score in scores.values())
    names = {i: note.path.rsplit("/", 1)[-1] for i, note in reader.notes(list(scores)).items()}
    return [names[i] for i in sorted(scores, key=scores.__getitem__, reverse=True)]


@pytest.fixture
def reader(make_reader):
    return make_reader(NOTES)


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("consistency", ["cap.md"]),
        ("the leader's replicas", ["raft.md"]),
        ("LOGS", ["raft.md"]),
        ("豆腐", ["tofu.md"]),
        ("腐切", ["tofu.md"]),
        ("Straße", ["strasse.md"]),
        ("STRAßE", ["strasse.md"]),
        ("heisst", ["strasse.md"]),
        ("STRASSE", ["strasse.md"]),
        ("blockchain", []),
    ],
)
def test_notes_are_found_by_the_stems_of_their_words(reader, typed, names):
    assert found(reader, typed) == names


def test_the_note_that_holds_more_of_the_words_is_first(make_reader):
    reader = make_reader(
        {"a.md": "quorum of red apples", "b.md": "quorum and lease of apples", "c.md": "the lease only"}
    )
    assert found(reader, "quorum lease")[0] == "b.md"


def test_a_title_counts(make_reader):
    assert found(make_reader({"Zebra crossing.md": "Nothing else."}), "zebra") == ["Zebra crossing.md"]


@pytest.mark.parametrize(
    "typed",
    [
        "AND",
        "NOT NOT NOT",
        "NEAR(",
        'title:"cap',
        "cap OR",
        "cap* ^cap -cap +cap",
        "(((",
        "{title text}:cap",
        "cap\0theorem",
        "'; DROP TABLE notes; --",
        "\\ % _ ? :1 @x $y",
        "cap " * 2500,
        '"cap" ' * 1600,
        "(" * 10_000,
        "a" * 10_000,
        "é ü ñ " * 1600,
        "豆腐" * 5000,
        '"' + "cap theorem " * 800 + '"',
    ],
)
def test_no_query_is_a_syntax_error(reader, typed):
    query = parse_query(typed)
    match_lexical(reader, query, Filters())
    chunks_with_phrases(reader, query, Filters())


def test_words_that_are_operators_are_searched_for(reader):
    assert found(reader, "NEAR") == ["syntax.md"]


def test_coverage_is_higher_the_more_of_a_query_the_best_note_holds(make_reader):
    reader = make_reader(NOTES | {f"{number}.md": "Something else." for number in range(20)})
    part, all_of_it, none = (
        match_lexical(reader, parse_query(typed), Filters()).coverage
        for typed in ("availability blockchain tulips", "availability partition tolerance", "blockchain")
    )
    assert none == 0 < part < all_of_it <= 1


def test_only_notes_that_hold_the_phrases_are_found(make_reader):
    reader = make_reader({"a.md": "green pears, red apples", "b.md": "greener pears, red apples"})
    query = parse_query('apples "green pears"')
    required = chunks_with_phrases(reader, query, Filters())
    assert required is not None
    (note_id,) = reader.notes_of_chunks(required.tolist()).values()
    assert reader.notes([note_id])[note_id].path.endswith("a.md")
    assert list(match_lexical(reader, query, Filters(notes=(note_id,))).notes) == [note_id]


def test_a_query_without_words_finds_nothing(reader):
    assert found(reader, "?!") == []


def test_filters_admit_notes(make_reader):
    notes = {f"{number}.md": "quorum quorum quorum" for number in range(20)}
    reader = make_reader(notes | {"rare/one.md": "a quorum in a rather long note about other things " * 5})
    assert found(reader, "quorum", Filters(paths=(("rare",),))) == ["one.md"]


def phrase_notes(reader, typed, filters=Filters()):
    chunks = chunks_with_phrases(reader, parse_query(typed), filters)
    assert chunks.tolist() == sorted(set(chunks.tolist()))
    notes = reader.notes(list(reader.notes_of_chunks(chunks.tolist()).values()))
    return {note.path.rsplit("/", 1)[-1] for note in notes.values()}


def test_a_query_without_phrases_requires_nothing(reader):
    assert chunks_with_phrases(reader, parse_query("cap theorem"), Filters()) is None


def test_a_phrase_must_match_letter_by_letter(make_reader):
    reader = make_reader(
        {
            "exact.md": "We run Eventual\nConsistency here.",
            "stem.md": "We call it eventually consistent here.",
            "apart.md": "Consistency is eventual; eventual and consistency.",
        }
    )
    assert phrase_notes(reader, '"eventual consistency"') == {"exact.md"}
    assert phrase_notes(reader, '"consistency eventual"') == set()


def test_all_phrases_must_match(make_reader):
    reader = make_reader({"a.md": "red apples and green pears", "b.md": "red apples and green plums"})
    assert phrase_notes(reader, '"red apples" "green pears"') == {"a.md"}
    assert phrase_notes(reader, '"red apples" "green pear"') == set()
    assert phrase_notes(reader, '"red apples" "greens pears"') == set()


def test_a_phrase_may_stand_in_the_title(make_reader):
    assert phrase_notes(make_reader({"Green pears.md": "Fruit."}), '"green pears"') == {"Green pears.md"}


def test_a_phrase_may_be_of_an_unspaced_script(reader):
    assert phrase_notes(reader, '"豆腐切成"') == {"tofu.md"}
    assert phrase_notes(reader, '"切成豆腐"') == set()


def test_a_phrase_with_signs_in_it_is_compared_with_its_signs(make_reader):
    reader = make_reader({"cpp.md": "Notes on C++ templates.", "c.md": "Notes on C templates."})
    assert phrase_notes(reader, '"C++ templates"') == {"cpp.md"}


def test_only_the_passages_that_hold_the_phrase_are_kept(make_reader):
    filler = "Other words fill this section so that it becomes a passage. " * 30
    reader = make_reader(
        {"a.md": f"# One\n\n{filler}\n\n# Two\n\nHere are green pears. {filler}\n\n# Three\n\n{filler}"}
    )
    ((note_id, _),) = reader.match(WordQuery(("pears",)), 2, Filters())
    assert len(reader.chunk_ids_of_notes([note_id])) >= 3
    chunks = chunks_with_phrases(reader, parse_query('"green pears"'), Filters())
    assert len(chunks) == 1


def test_phrases_obey_filters(make_reader):
    reader = make_reader({"x/a.md": "green pears", "y/b.md": "green pears"})
    assert phrase_notes(reader, '"green pears"', Filters(paths=(("y/*",),))) == {"b.md"}


@pytest.mark.parametrize(
    ("words", "mentioned"),
    [
        ("partition tolerance", True),
        ("Partitions, tolerant", True),
        ("tolerance partition", False),
        ("豆瓣", True),
        ('a "star"', True),
        ("leader NEAR log", False),
        ("?!", False),
    ],
)
def test_words_are_mentioned_one_after_another_in_whatever_form(reader, words, mentioned):
    assert is_mentioned(reader, words) is mentioned


@pytest.mark.parametrize(
    ("asked", "text", "found"),
    [
        ("run", "Running is what runners do; he runs.", {"running": "run", "runs": "run"}),
        ("straße", "STRAßE oder STRASSE", {"strasse": "strasse"}),
        ("cafe", "Um café, por favor", {"café": "cafe"}),
        ("café", "Um cafe, por favor", {"cafe": "café"}),
        ("münchen", "Nachtzug nach Mu\u0308nchen", {"münchen": "münchen"}),
        ("αθήνα", "ΑΘΗΝΑ", {"αθηνα": "αθήνα"}),
        ("豆腐", "麻婆豆腐", {"豆腐": "豆腐"}),
        ("absent", "Nothing of the kind", {}),
    ],
)
def test_words_of_the_same_stem_are_forms_of_one_word(make_reader, asked, text, found):
    forms = word_forms(make_reader({"a.md": "any"}), [key_of(asked)], distinct_words(text))
    assert {word: forms[word] for _, _, word in find_words(text) if word in forms} == found


def test_of_two_query_words_with_one_stem_the_first_stands_for_both(make_reader):
    reader = make_reader({"a.md": "any"})
    assert word_forms(reader, ["runs", "running"], {"run"}) == {
        "run": "runs",
        "runs": "runs",
        "running": "runs",
    }
