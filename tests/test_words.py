import itertools

from hypothesis import given
from hypothesis import strategies as st

from notesearch.words import distinct_words, find_runs, find_some_words, find_words, lowered_runs


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


TEXTS = st.text(st.one_of(st.sampled_from("ab AB12_é豆腐\u0308İßΣ\u212a ’—\u00a0\n.'"), st.characters(codec="utf-8")))


@given(TEXTS)
def test_lowered_runs_are_the_runs_in_lower_case(text):
    assert lowered_runs(text) == [text[start:end].lower() for start, end in find_runs(text)]


@given(TEXTS, st.sets(st.integers(0, 20), max_size=4), st.sets(st.sampled_from(["a", "ab", "ba", "1", "k"])))
def test_some_words_are_found_where_all_are(text, numbers, others):
    found = list(find_words(text))
    wanted = {found[number][2] for number in numbers if number < len(found)} | others
    assert find_some_words(text, wanted) == [word for word in found if word[2] in wanted]


def test_a_word_is_no_part_of_another():
    assert find_some_words("a ab _a’A", {"a"}) == [(0, 1, "a"), (6, 7, "a"), (8, 9, "a")]
    assert find_some_words("aaa aa", {"aa"}) == [(4, 6, "aa")]
    assert find_some_words("café caf", {"caf"}) == [(5, 8, "caf")]
