import pytest
from hypothesis import given
from hypothesis import strategies as st
from notesearch.retrieval.candidates import Candidate
from notesearch.retrieval.expansion import Expansion, Ranking, rank_with_expansions

from notesearch.retrieval.query import parse_query


def found(**scores: float) -> list[Candidate]:
    """Candidates, given as `n1=score`, best first."""
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    return [Candidate(int(name[1:]), score, {"dense": score}, {"dense": score}) for name, score in ranked]


def expansion(weight: float, **scores: float) -> Expansion:
    return Expansion(weight, Ranking(parse_query("idea"), found(**scores), lambda shares, _: shares, None))


def scores(candidates) -> list[tuple[int, float]]:
    return [(candidate.note_id, pytest.approx(candidate.score)) for candidate in candidates]


def test_without_ideas_nothing_changes():
    own = found(n1=2.0, n2=1.0)
    assert rank_with_expansions(own, []) == (own, {})


def test_a_note_counts_for_the_query_or_for_an_idea_whichever_is_more():
    idea = expansion(0.5, n3=1.6, n2=1.2, n1=0.4)
    ranked, raised = rank_with_expansions(found(n1=2.0, n2=0.7, n3=0.1), [idea])
    assert scores(ranked) == [(1, 2.0), (3, 0.8), (2, 0.7)]
    assert raised == {3: idea.ranking}


def test_the_best_note_of_an_idea_is_brought_down_to_that_of_the_query():
    ranked, _ = rank_with_expansions(found(n1=1.0, n2=0.2, n3=0.0), [expansion(0.5, n2=4.0, n3=2.0)])
    # 4.0 is levelled to 1.0, then halved.
    assert scores(ranked) == [(1, 1.0), (2, 0.5), (3, 0.25)]


def test_of_several_ideas_the_one_that_makes_most_of_a_note_counts():
    weak, strong = expansion(0.2, n2=1.0), expansion(0.6, n2=0.9)
    ranked, raised = rank_with_expansions(found(n1=2.0, n2=0.1), [weak, strong])
    assert scores(ranked) == [(1, 2.0), (2, 0.54)]
    assert raised == {2: strong.ranking}


def test_where_the_query_finds_nothing_ideas_count_as_they_are():
    ranked, _ = rank_with_expansions(found(n1=0.0), [expansion(0.5, n1=3.0)])
    assert scores(ranked) == [(1, 1.5)]


def test_what_an_idea_adds_is_a_part_of_the_sum():
    (_, note), _ = rank_with_expansions(found(n1=2.0, n2=0.3), [expansion(0.5, n2=1.0)])
    assert note.parts == {"dense": 0.3, "concepts": 0.5}
    assert note.contributions == {"dense": 0.3, "concepts": pytest.approx(0.2)}


@pytest.mark.parametrize("idea", [-0.1, 0.0])
def test_an_idea_that_a_note_does_not_answer_raises_nothing(idea):
    own = found(n1=1.0, n2=-0.5)
    assert rank_with_expansions(own, [expansion(0.5, n2=idea)]) == (own, {})


@pytest.mark.parametrize("best", [0.0, -0.2])
def test_nothing_passes_a_best_note_that_counts_nothing(best):
    own = found(n1=best, n2=-0.5)
    assert rank_with_expansions(own, [expansion(0.5, n2=3.0)]) == (own, {})


@pytest.mark.parametrize(("best", "own", "idea"), [(0.1, 0.0, 5.5), (0.3, 0.03, 0.3)])
def test_rounding_lifts_nothing_above_the_best_note(best, own, idea):
    ranked, _ = rank_with_expansions(found(n1=best, n2=own), [expansion(1.0, n2=idea)])
    assert [(candidate.note_id, candidate.score) for candidate in ranked] == [(1, best), (2, best)]


SCORES = st.floats(min_value=-5, max_value=5)
WEIGHTS = st.floats(min_value=0, max_value=1, exclude_min=True)


@given(
    st.lists(SCORES, min_size=1, max_size=8).filter(any),
    st.lists(st.tuples(WEIGHTS | st.just(1.0), st.lists(SCORES, max_size=8)), max_size=3),
)
def test_the_best_note_of_a_query_stays_first_and_its_others_in_order(own, ideas):
    candidates = found(**{f"n{i}": score for i, score in enumerate(own)})
    expansions = [
        expansion(weight, **{f"n{i}": score for i, score in enumerate(values[: len(own)])}) for weight, values in ideas
    ]
    ranked, raised = rank_with_expansions(candidates, expansions)
    assert ranked[0] == candidates[0]
    assert [c for c in ranked if c.note_id not in raised] == [c for c in candidates if c.note_id not in raised]
    for candidate in ranked:
        assert sum(candidate.contributions.values()) == pytest.approx(candidate.score, abs=1e-9)
        assert candidate.score <= max(own)
