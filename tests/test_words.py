import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notesearch.words import (
    Spelling,
    bare,
    distinct_words,
    find_runs,
    find_some_words,
    find_words,
    key_of,
    keys_of_runs,
    pattern_of,
    spelled,
)


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
def test_keys_of_runs_are_those_of_the_runs(text):
    assert keys_of_runs(text) == [key_of(text[start:end]) for start, end in find_runs(text)]


@given(TEXTS, st.sets(st.integers(0, 20), max_size=4), st.sets(st.sampled_from(["a", "ab", "ba", "1", "k"])))
def test_some_words_are_found_where_all_are(text, numbers, others):
    found = list(find_words(text))
    wanted = {found[number][2] for number in numbers if number < len(found)} | others
    assert find_some_words(text, wanted) == [word for word in found if word[2] in wanted]


def test_a_word_is_no_part_of_another():
    assert find_some_words("a ab _a’A", {"a"}) == [(0, 1, "a"), (6, 7, "a"), (8, 9, "a")]
    assert find_some_words("aaa aa", {"aa"}) == [(4, 6, "aa")]
    assert find_some_words("café caf", {"caf"}) == [(5, 8, "caf")]


# The same words as programs, keyboards and PDFs write them, in twelve scripts.
FORMS = {
    "firewall": ["ﬁrewall", "fire\u00adwall", "fire\u200bwall", "ｆｉｒｅｗａｌｌ", "𝐟𝐢𝐫𝐞𝐰𝐚𝐥𝐥"],
    "Möbel": ["Mo\u0308bel", "Mö\u200dbel", "Mö\ufeffbel"],
    "don't": ["don’t", "don‘t", "donʼt", "don＇t"],
    "Αθήνα": ["Αθη\u0301να", "Αθή\u00adνα", "Αθή\u2060να"],
    "Кудрявый": ["Кудрявыи\u0306", "Кудря\u00adвый"],
    "ビール": ["ヒ\u3099ール", "ﾋﾞｰﾙ"],
    "고양이": ["고양이"],
    "trái cây": ["tra\u0301i ca\u0302y"],
    "हिन्दी": ["हि\u200dन्दी", "हिन्दी\u200c"],
    "שלום": ["של\u200eום"],
    "مكتبة": ["ﻣﻜﺘﺒﺔ"],
    "ผลน้ำ": ["ผลน\u0e49\u0e4d\u0e32", "ผล\u200bน้ำ"],
    "豆腐": ["豆\ufe00腐"],
    "եւ": ["և"],
}


@pytest.mark.parametrize(("plain", "form"), [(plain, form) for plain, forms in FORMS.items() for form in forms])
def test_two_spellings_are_one_text(plain, form):
    assert spelled(form) == spelled(plain)
    assert [word for _, _, word in find_words(form)] == [word for _, _, word in find_words(plain)]
    assert pattern_of(form).search(bare(f"Here {plain}, there."))
    assert pattern_of(plain).search(bare(f"Here {form}, there."))


@pytest.mark.parametrize(
    "text", ["½ and …", "😀\u200d👩", "می\u200cخواهم", "™ © №", "a – b", "\u00a0", "«oui»", "☎\ufe0f"]
)
def test_what_is_no_letter_stays_as_it_is(text):
    assert spelled(text) == text


def test_accents_part_words_but_are_not_needed_to_look_them_up():
    assert key_of("résumé") != key_of("resume")
    assert {bare("Résumé"), bare("RESUME")} == {"resume"}
    assert bare("Αθήνα") == bare("ΑΘΗΝΑ") == "αθηνα"
    assert bare("за́мок ёлка") == "замок елка"
    assert bare("мой") != bare("мои")
    assert bare("שָׁלוֹם") == "שלום"
    assert bare("ガ") != bare("カ")
    assert bare("हिन्दी") == "हिन्दी"
    assert bare("Straße") == bare("STRASSE")


def test_places_are_those_of_the_text_as_it_was_written():
    assert list(find_words("Die Wa\u0308rme\u00adpumpe, ﬁx")) == [(0, 3, "die"), (4, 16, "wärmepumpe"), (18, 20, "fix")]
    spelling = Spelling("a ﬁx")
    assert spelling.text == "a fix"
    assert [spelling.span(0, 1), spelling.span(2, 3), spelling.span(3, 5), spelling.span(5, 5)] == [
        (0, 1),
        (2, 3),
        (2, 4),
        (4, 4),
    ]


@given(TEXTS)
def test_a_spelled_text_is_spelled(text):
    assert spelled(spelled(text)) == spelled(text)
    assert key_of(key_of(text)) == key_of(text)


@given(TEXTS)
def test_canonically_equivalent_texts_have_one_spelling(text):
    assert spelled(unicodedata.normalize("NFD", text)) == spelled(unicodedata.normalize("NFC", text))


@given(TEXTS)
def test_each_part_of_a_spelling_stands_in_the_text(text):
    spelling = Spelling(text)
    assert spelling.text == spelled(text)
    for place in range(len(spelling.text)):
        start, end = spelling.span(place, place + 1)
        assert 0 <= start < end <= len(text)
        if text.isascii():
            assert text[start:end] == spelling.text[place]


def test_a_quoted_phrase_is_whole_words():
    assert not pattern_of("organ").search(bare("organization, organs"))
    assert pattern_of("organ").search(bare("An ORGAN."))
    assert pattern_of("two words").search(bare("two\n  words"))
    assert pattern_of("吃豆").search("我吃豆腐")
    assert pattern_of("c++").search("in c++, or")
