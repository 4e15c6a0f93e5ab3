import contextlib
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notesearch.errors import SettingsError
from notesearch.retrieval.concepts import (
    DEFAULT_WEIGHT,
    MOST_LINKED,
    can_be_appended,
    count_ideas,
    idea_key,
    parse_concepts,
    read_concepts,
)
from notesearch.retrieval.fusion import Candidate
from notesearch.retrieval.passages import Ranking
from notesearch.retrieval.query import parse_query

FILE = Path("/home/nora/concepts.toml")
IDEAS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8).filter(idea_key)
WEIGHTS = st.floats(min_value=0, max_value=1, exclude_min=True)


def parse(text: str):
    return parse_concepts(text, FILE)


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def links(text: str) -> list[tuple[str, str, float]]:
    return [(link.idea, link.linked, link.weight) for link in parse(text).links]


@pytest.fixture
def reader(make_reader):
    return make_reader({"a.md": "anything"})


def called(reader, text: str, query: str) -> list[tuple[str, str, float]]:
    return [(link.idea, link.linked, link.weight) for link in parse(text).called_for(query, reader)]


def test_a_list_has_the_weight_of_the_file_and_a_table_its_own():
    text = """
        weight = 0.4
        [concepts]
        "impermanence" = ["eventual consistency", "letting  go"]
        "CAP theorem" = { "dining philosophers" = 0.3, "brewer" = 1 }
        """
    assert links(text) == [
        ("impermanence", "eventual consistency", 0.4),
        ("impermanence", "letting go", 0.4),
        ("CAP theorem", "dining philosophers", 0.3),
        ("CAP theorem", "brewer", 1.0),
    ]
    assert parse(text).keys == ("impermanence", "CAP theorem")
    assert parse(text).ideas()[:3] == ["impermanence", "eventual consistency", "letting go"]


def test_a_file_may_be_empty():
    assert parse("") == parse("weight = 0.2")
    assert (parse("").links, parse("").keys) == ((), None)
    assert (parse("[concepts]").links, parse("[concepts]").keys) == ((), ())


def test_a_link_that_is_written_twice_counts_once_with_the_greater_weight():
    text = (
        '[concepts]\n"Impermanence" = {"raft" = 0.3}\n"Raft" = {"impermanence" = 0.6}\n"RAFT" = {"impermanence" = 0.1}'
    )
    assert links(text) == [("Impermanence", "raft", 0.6)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("weigth = 0.4", "unknown key 'weigth'"),
        ('"impermanence" = ["raft"]', "unknown key 'impermanence'"),
        ("weight = 0", "weight should be a number above 0 and up to 1"),
        ("weight = 1.01", "weight should be a number"),
        ("weight = nan", "weight should be a number"),
        ("weight = true", "weight should be a number"),
        ('weight = "0.4"', "weight should be a number"),
        ('concepts = ["a"]', "concepts should be a table"),
        ('[concepts]\na = "b"', "'a' should have a list of ideas"),
        ("[concepts]\na = 1", "'a' should have a list of ideas"),
        ("[concepts]\na = [1]", "'a': an idea should be a text"),
        ('[concepts]\na = [["b"]]', "'a': an idea should be a text"),
        ('[concepts]\na = [""]', "'a': an idea should have words"),
        ('[concepts]\n"" = ["a"]', "'': an idea should have words"),
        ('[concepts]\n"?!" = ["a"]', "'?!': an idea should have words"),
        ('[concepts]\na = ["b\\u0000c"]', "'a': an idea should have no control characters"),
        ('[concepts]\n"a\\u001b" = ["b"]', "an idea should have no control characters"),
        ("[concepts]\na = { b = -1 }", "'a', 'b' should be a number"),
        ('[concepts]\na = { b = "1" }', "'a', 'b' should be a number"),
        ('[concepts]\n"Letting go" = ["letting  GO"]', "'Letting go' is linked to itself"),
    ],
)
def test_what_is_wrong_is_named_with_the_file(text, told):
    with pytest.raises(SettingsError) as caught:
        parse(text)
    assert caught.value.message.startswith(f"{FILE}: ")
    assert told in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("data", [b"[concepts", b'weight = "\xff"', b"a = 1\na = 2", None])
def test_a_file_that_cannot_be_read_is_named(tmp_path, data):
    path = tmp_path / "concepts.toml"
    if data:
        path.write_bytes(data)
    with pytest.raises(SettingsError) as caught:
        read_concepts(path)
    assert caught.value.message.startswith(f"cannot read the concepts in {path}: ")
    assert caught.value.message.count(str(path)) == 1


@pytest.mark.parametrize(
    ("text", "can"),
    [
        ("", False),
        ("weight = 0.2\n[concepts]\n", True),
        ('[concepts]\r\na = ["b"]\r\n', True),
        ('[concepts]\na = ["b"]', False),  # the last line is not ended
        ("[concepts.impermanence]\nraft = 0.5\n", False),
        ('concepts = { a = ["b"] }\n', False),
        ('concepts.a = ["b"]\n', False),
        ('[concepts]\nx = ["b"]\n', False),  # twice
    ],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_lines_are_appended_only_where_they_say_what_they_should(tmp_path, text, can, mark):
    (tmp_path / "concepts.toml").write_bytes((mark + text).encode())
    assert can_be_appended(tmp_path / "concepts.toml", 'x = ["y"]\n', {"x": ["y"]}) is can


@given(st.dictionaries(IDEAS, st.dictionaries(IDEAS, WEIGHTS, max_size=3), max_size=4))
def test_whatever_is_written_is_read(table):
    text = "[concepts]\n"
    for idea, own in table.items():
        values = ", ".join(f"{quoted(other)} = {weight!r}" for other, weight in own.items())
        text += f"{quoted(idea)} = {{ {values} }}\n"
    wanted = {}
    for idea, own in table.items():
        for other, weight in own.items():
            pair = frozenset((idea_key(idea), idea_key(other)))
            wanted[pair] = max(weight, wanted.get(pair, 0))
    if any(len(pair) == 1 for pair in wanted):
        with pytest.raises(SettingsError):
            parse(text)
    else:
        assert {frozenset((idea_key(a), idea_key(b))): weight for a, b, weight in links(text)} == wanted


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_typed_error(text):
    with contextlib.suppress(SettingsError, tomllib.TOMLDecodeError):
        parse(text)


def test_links_go_both_ways_and_one_step_far(reader):
    text = '[concepts]\na1 = ["b1"]\nb1 = ["c1"]\nc1 = ["a1"]\nx1 = ["y1"]'
    weight = DEFAULT_WEIGHT
    assert called(reader, text, "b1") == [("b1", "a1", weight), ("b1", "c1", weight)]
    assert called(reader, text, "y1 alone") == [("y1", "x1", weight)]
    assert called(reader, text, "z1") == []


def test_an_idea_in_the_query_is_not_brought_along(reader):
    assert called(reader, '[concepts]\nraft = ["paxos"]', "raft or paxos") == []


@pytest.mark.parametrize(
    ("idea", "query"),
    [
        ("eventual consistency", "Is EVENTUAL  consistency enough?"),
        ("eventual consistency", "eventually consistent stores"),
        ("São Tomé", "about sao tome"),
        ("Dōgen", "reading dogen"),
        ("to be", "to be or not"),
        ("整合性", "最終的整合性とは"),
        ("空", "般若の空とは"),
        ("dining-philosophers", "the dining philosophers"),
        ("last words", "filler " * 500 + "last words"),
    ],
)
def test_an_idea_occurs_as_its_words_do_in_whatever_form(reader, idea, query):
    text = f'[concepts]\n{json.dumps(idea)} = ["linked"]'
    assert [link[1] for link in called(reader, text, query)] == ["linked"]


@pytest.mark.parametrize("query", ["consistency, eventual", "eventual total consistency", "eventual", "inconsistency"])
def test_an_idea_whose_words_stand_otherwise_does_not_occur(reader, query):
    assert called(reader, '[concepts]\n"eventual consistency" = ["linked"]', query) == []


def test_the_heaviest_ideas_are_brought_each_once(reader):
    table = "{" + ", ".join(f"idea{n:02d} = {n / 20}" for n in range(1, 13)) + "}"
    text = f"[concepts]\nraft = {table}\nleader = {{ idea12 = 0.9, IDEAS12 = 0.2 }}"
    found = called(reader, text, "raft leader")
    assert len(found) == MOST_LINKED
    assert found[0] == ("leader", "idea12", 0.9)
    assert [link[1] for link in found[1:]] == [f"idea{n:02d}" for n in range(11, 4, -1)]


class Scores:
    """A fusion that knows the scores of some notes."""

    def __init__(self, scores: dict[int, float]) -> None:
        self._scores = scores

    def score(self, note_ids: Sequence[int]) -> list[Candidate]:
        return [Candidate(i, self._scores[i], {"dense": self._scores[i]}, {"dense": self._scores[i]}) for i in note_ids]


def ranking(candidates: dict[int, float] | list[Candidate], others: dict[int, float] | None = None) -> Ranking:
    """A ranking of candidates, which also knows the scores of some other notes."""
    if isinstance(candidates, dict):
        candidates = Scores(candidates).score(sorted(candidates, key=lambda i: -candidates[i]))
    return Ranking(parse_query("any"), Scores(others or {}), (), None, candidates)


class TestCountIdeas:
    """Notes of a query, and of ideas with weights."""

    @pytest.mark.parametrize(
        ("own", "ideas", "expected"),
        [
            # The more of the two counts: note 3 for the idea (0.5 * 1.6), note 2 for the query (0.7 > 0.5 * 1.2).
            ({1: 2.0, 2: 0.7, 3: 0.1}, [(0.5, {3: 1.6, 2: 1.2, 1: 0.4})], [(1, 2.0, 0), (3, 0.8, 1), (2, 0.7, 0)]),
            # The idea's best note, 4.0, is levelled to the query's, 1.0, then halved.
            ({1: 1.0, 2: 0.2, 3: 0.0}, [(0.5, {2: 4.0, 3: 2.0})], [(1, 1.0, 0), (2, 0.5, 1), (3, 0.25, 1)]),
            # Of several ideas the one that makes most of a note.
            ({1: 2.0, 2: 0.1}, [(0.2, {2: 1.0}), (0.6, {2: 0.9})], [(1, 2.0, 0), (2, 0.54, 2)]),
            # Where the query finds nothing, ideas count as they are.
            ({1: 0.0}, [(0.5, {1: 3.0})], [(1, 1.5, 1)]),
            # An idea that a note does not answer raises nothing, and nothing passes a best note that counts nothing.
            ({1: 1.0, 2: -0.5}, [(0.5, {2: -0.1})], [(1, 1.0, 0), (2, -0.5, 0)]),
            ({1: -0.2, 2: -0.5}, [(0.5, {2: 3.0})], [(1, -0.2, 0), (2, -0.5, 0)]),
            ({1: 2.0, 2: 1.0}, [], [(1, 2.0, 0), (2, 1.0, 0)]),
            # A note that only an idea ranks is scored by the query first.
            ({1: 2.0}, [(0.5, {8: 1.0, 9: 0.9})], [(1, 2.0, 0), (9, 0.7, 0), (8, 0.5, 1)]),
        ],
    )
    def test_by_hand(self, own, ideas, expected):
        rankings = [ranking(own, {8: 0.1, 9: 0.7}), *(ranking(answers) for _, answers in ideas)]
        weights = [weight for weight, _ in ideas]
        ranked = count_ideas(rankings[0], list(zip(weights, rankings[1:], strict=True)))
        assert [(note.note_id, pytest.approx(note.score), rankings.index(by)) for note, by in ranked] == expected

    def test_what_an_idea_adds_is_a_part_of_the_sum_and_its_passages_count(self):
        own = [
            Candidate(1, 2.0, {"dense": 2.0}, {"dense": 2.0}),
            Candidate(2, 0.3, {"dense": 0.3}, {"dense": 0.3}, {7: 1}),
        ]
        (_, (note, _)) = count_ideas(ranking(own), [(0.5, ranking([Candidate(2, 1.0, {}, {}, {8: 0.25})]))])
        assert note.parts == {"dense": 0.3, "concepts": 0.5}
        assert note.contributions == {"dense": 0.3, "concepts": pytest.approx(0.2)}
        assert note.passages == {8: 0.25}

    def test_bm25_as_it_is_becomes_a_part_of_a_sum(self):
        own = [Candidate(1, 2.0, {"lexical": 2.0}, {}), Candidate(2, 0.0, {"lexical": 0.0}, {})]
        ranked = count_ideas(ranking(own), [(0.5, ranking([Candidate(2, 3.0, {}, {})]))])
        assert [note.contributions for note, _ in ranked] == [{"lexical": 2.0}, {"lexical": 0.0, "concepts": 1.0}]

    @pytest.mark.parametrize(("best", "own", "idea"), [(0.1, 0.0, 5.5), (0.3, 0.03, 0.3)])
    def test_rounding_lifts_nothing_above_the_best_note(self, best, own, idea):
        ranked = count_ideas(ranking({1: best, 2: own}), [(1.0, ranking({2: idea}))])
        assert [(note.note_id, note.score) for note, _ in ranked] == [(1, best), (2, best)]

    @given(
        st.lists(st.floats(-5, 5), min_size=1, max_size=8).filter(any),
        st.lists(st.tuples(WEIGHTS | st.just(1.0), st.lists(st.floats(-5, 5), max_size=8)), max_size=3),
    )
    def test_the_best_note_of_a_query_stays_first_and_its_others_in_order(self, own, ideas):
        before = ranking(dict(enumerate(own)))
        answers = [(weight, ranking(dict(enumerate(values[: len(own)])))) for weight, values in ideas]
        ranked = count_ideas(before, answers)
        assert ranked[0] == (before.candidates[0], before)
        kept = [note for note, by in ranked if by is before]
        assert kept == [note for note in before.candidates if note in kept]
        for note, _ in ranked:
            assert sum(note.contributions.values()) == pytest.approx(note.score, abs=1e-9)
            assert note.score <= max(own)
