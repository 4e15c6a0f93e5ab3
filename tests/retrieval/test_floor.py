"""Where a list of hits ends."""

import math
from dataclasses import replace

import pytest

from notesearch.retrieval.floor import count_supported, support
from notesearch.retrieval.fusion import Candidate
from notesearch.retrieval.query import parse_query

QUERY = parse_query("green tea")


def found(**contributions: float) -> Candidate:
    return Candidate(1, sum(contributions.values()), {}, contributions)


@pytest.mark.parametrize(
    ("supports", "expected"),
    [([], 0), ([0.9, 5.0], 0), ([1.0, 0.7, 0.7], 3), ([2.0, 0.69, 3.0], 1), ([math.inf, 0.1], 1)],
)
def test_a_list_ends_where_support_does(supports, expected):
    assert count_supported(supports) == expected


def test_meaning_words_in_context_and_words_support_a_note():
    best = found(dense=0.5, late=0.4, lexical=3.0)
    assert support(best, QUERY, held=0.5, legible=1) == pytest.approx(0.84 * 0.5 + 0.73 * 0.4 + 0.52 * 0.5)
    # Of a query half of which was read, meaning can say half as much.
    assert support(best, QUERY, held=0.5, legible=0.5) == pytest.approx(2 * support(best, QUERY, held=0.5, legible=1))
    assert support(best, replace(QUERY, strange=True), held=0, legible=1) == 0


def test_what_was_asked_for_by_words_needs_no_support():
    nothing = found(dense=0.0, late=0.0)
    assert support(nothing, QUERY, held=1, legible=1) == math.inf
    assert support(nothing, parse_query('"tea"'), held=0, legible=1) == math.inf
    assert support(found(lexical=0.1), QUERY, held=0, legible=1) == math.inf
    assert support(found(dense=0.0, late=0.0, concepts=0.5), QUERY, held=0, legible=1) == math.inf
