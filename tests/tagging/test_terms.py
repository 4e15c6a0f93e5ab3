from collections import Counter
from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notesearch.tagging.features import Vocabulary, count_terms, term_matrix

TEXTS = ("Tea, tea, milk!", "Milk tea", "tea cake")


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary.learn([count_terms(text) for text in TEXTS])


def weights_of(vocabulary: Vocabulary, text: str) -> dict[str, float]:
    weighed = vocabulary.weigh(count_terms(text))
    assert weighed.weights.dtype == np.float32 and weighed.places.dtype == np.int64
    return {vocabulary.terms[place]: float(w) for place, w in zip(weighed.places, weighed.weights, strict=True)}


def test_words_and_pairs_of_adjoining_words_are_counted_in_lower_case() -> None:
    assert count_terms("Green tea, GREEN tea.") == {"green": 2, "tea": 2, "green tea": 2, "tea green": 1}
    assert count_terms(" … ") == {}


def test_terms_of_one_note_alone_are_left_out(vocabulary: Vocabulary) -> None:
    assert vocabulary.terms == ("milk", "tea")
    np.testing.assert_allclose(vocabulary.idf, [1 + log(4 / 3), 1])


def test_the_most_frequent_terms_are_kept_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notesearch.tagging.features._MOST_TERMS", 2)
    texts = [Counter(words) for words in ("abc", "abc", "bc", "bcd", "d")]
    assert Vocabulary.learn(texts).terms == ("b", "c")


def test_weights_by_hand(vocabulary: Vocabulary) -> None:
    tea, milk = 1 + log(2), 1 + log(4 / 3)
    length = sqrt(tea**2 + milk**2)
    assert weights_of(vocabulary, TEXTS[0]) == pytest.approx({"tea": tea / length, "milk": milk / length})
    assert weights_of(vocabulary, "more tea and cake") == {"tea": 1}
    assert weights_of(vocabulary, "coffee") == weights_of(vocabulary, "") == {}


def test_a_matrix_holds_each_text_in_its_row(vocabulary: Vocabulary) -> None:
    texts = ["coffee", *TEXTS, ""]
    matrix = term_matrix((vocabulary.weigh(count_terms(text)) for text in texts), 2)
    assert matrix.dtype == np.float32
    rows = [[weights_of(vocabulary, text).get(term, 0) for term in vocabulary.terms] for text in texts]
    np.testing.assert_array_equal(matrix.toarray(), rows)
    assert term_matrix([], 2).shape == (0, 2)


@given(st.lists(st.text(alphabet="ab cd", max_size=20), min_size=2, max_size=6))
def test_weights_are_of_length_one_and_there_is_no_weight_without_a_known_term(texts: list[str]) -> None:
    counts = [count_terms(text) for text in texts]
    vocabulary = Vocabulary.learn(counts)
    for own in counts:
        weighed = vocabulary.weigh(own)
        assert {vocabulary.terms[place] for place in weighed.places} == set(own) & set(vocabulary.terms)
        assert np.linalg.norm(weighed.weights) == pytest.approx(1 if len(weighed.places) else 0)
        assert (weighed.weights > 0).all()
