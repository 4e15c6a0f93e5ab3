import itertools

from hypothesis import given
from hypothesis import strategies as st

from notesearch.words import distinct_words, find_words


def test_words_come_with_their_places_in_lower_case():
    assert list(find_words("CAP theorem, 2000.")) == [(0, 3, "cap"), (4, 11, "theorem"), (13, 17, "2000")]


def test_an_underscore_separates_words():
    assert [word for _, _, word in find_words("max_file_bytes")] == ["max", "file", "bytes"]


def test_a_run_of_an_unspaced_script_gives_overlapping_pairs():
    assert list(find_words("吃豆腐。")) == [(0, 2, "吃豆"), (1, 3, "豆腐")]


@given(st.text(st.characters(codec="utf-8")))
def test_places_are_ascending_and_inside_the_text(text):
    words = list(find_words(text))
    assert all(0 <= start < end <= len(text) for start, end, _ in words)
    assert all(a[0] < b[0] and a[1] <= b[1] for a, b in itertools.pairwise(words))


@given(st.text(st.characters(codec="utf-8")))
def test_every_letter_and_digit_is_in_a_word(text):
    covered = {place for start, end, _ in find_words(text) for place in range(start, end)}
    assert covered >= {place for place, char in enumerate(text) if char.isalnum()}


@given(st.text(st.one_of(st.sampled_from("ab É豆腐麻\u0308İß_ "), st.characters(codec="utf-8"))))
def test_distinct_words_hold_all_that_are_found(text):
    found = {word for _, _, word in find_words(text)}
    assert distinct_words(text) >= found
    # A longer run of an unspaced script stands beside its pairs; it is nobody's word, and does no harm.
    assert all(len(word) > 2 for word in distinct_words(text) - found)
