"""Token codes: which words of a text have one, what their vectors are, and what is left of these as bits."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notesearch.encoders.token_codes import (
    CodedWord,
    code_bits,
    coded_words,
    compress,
    expand,
    legibility,
    max_similarities,
    places_of_words,
    single_words,
    word_vectors,
)
from notesearch.words import STOPWORDS, find_runs, key_of, spelled


def spans_of(text: str, *tokens: str) -> list[tuple[int, int]]:
    """Where tokens stand in a text, one after the other."""
    spans = []
    end = 0
    for token in tokens:
        start = text.index(token, end)
        end = start + len(token)
        spans.append((start, end))
    return spans


def by_spaces(text: str) -> list[tuple[int, int]]:
    return spans_of(text, *text.split())


def words(text: str, spans: list[tuple[int, int]]) -> list[str]:
    return [word.word for word in coded_words(text, spans)]


class TestCodedWords:
    def test_a_word_knows_its_token_and_its_place(self) -> None:
        assert coded_words("green tea", [(0, 5), (6, 9)]) == [
            CodedWord("green", (0,), ((0, 5),)),
            CodedWord("tea", (1,), ((6, 9),)),
        ]

    def test_stopwords_have_no_code(self) -> None:
        text = "the tree of life"
        assert words(text, by_spaces(text)) == ["tree", "life"]

    def test_stopwords_are_all_there_is_in_some_texts(self) -> None:
        text = "to be or not to be"
        found = coded_words(text, by_spaces(text))
        assert [word.word for word in found] == ["to", "be", "or", "not"]
        assert found[0] == CodedWord("to", (0, 4), ((0, 2), (13, 15)))

    def test_a_text_without_words_has_one_empty_word_of_all_tokens(self) -> None:
        assert coded_words("?! …", [(0, 0), (0, 2), (3, 4), (0, 0)]) == [CodedWord("", (0, 1, 2, 3), ())]

    def test_a_text_without_tokens_has_the_padding(self) -> None:
        assert coded_words("", []) == [CodedWord("", (0,), ())]

    def test_words_beyond_the_last_token_have_no_code(self) -> None:
        assert words("green tea leaves", [(0, 5), (6, 9)]) == ["green", "tea"]

    def test_a_repeated_word_has_one_code_for_all_its_places(self) -> None:
        text = "Raft, a raft; RAFT"
        spans = spans_of(text, "Raft", ",", "a", "raft", ";", "RAFT")
        assert coded_words(text, spans) == [CodedWord("raft", (0, 3, 5), ((0, 4), (8, 12), (14, 18)))]

    def test_pieces_of_a_word_are_joined(self) -> None:
        text = "re-tokenization"
        spans = spans_of(text, "re", "-", "token", "iza", "tion")
        assert coded_words(text, spans) == [
            CodedWord("re", (0,), ((0, 2),)),
            CodedWord("tokenization", (2, 3, 4), ((3, 15),)),
        ]

    def test_words_have_one_case_and_keep_their_accents(self) -> None:
        assert words("Große ÄMTER", [(0, 5), (6, 11)]) == ["grosse", "ämter"]

    def test_a_letter_with_a_combining_mark_does_not_end_a_word(self) -> None:
        text = "Mu\u0308nchen"
        assert coded_words(text, [(0, 2), (2, 8)]) == [CodedWord("m\u00fcnchen", (0, 1), ((0, 8),))]

    def test_a_token_that_begins_with_a_space_belongs_to_the_word_after_it(self) -> None:
        assert coded_words("green tea", [(0, 5), (5, 9)])[1] == CodedWord("tea", (1,), ((6, 9),))

    def test_tokens_of_an_unspaced_script_are_words(self) -> None:
        text = "分布式系统 ok"
        assert coded_words(text, [(0, 1), (1, 3), (3, 5), (6, 8)]) == [
            CodedWord("分", (0,), ((0, 1),)),
            CodedWord("布式", (1,), ((1, 3),)),
            CodedWord("系统", (2,), ((3, 5),)),
            CodedWord("ok", (3,), ((6, 8),)),
        ]

    def test_a_repeated_token_of_an_unspaced_script_has_one_code(self) -> None:
        assert coded_words("人人", [(0, 1), (1, 2)]) == [CodedWord("人", (0, 1), ((0, 1), (1, 2)))]

    def test_bytes_of_one_character_are_one_word(self) -> None:
        assert coded_words("麻 b", [(0, 1), (0, 1), (0, 1), (2, 3)])[0] == CodedWord("麻", (0, 1, 2), ((0, 1),))

    def test_a_token_of_an_unspaced_script_may_begin_with_a_space(self) -> None:
        # As byte-level tokenizers and SentencePiece give them: " 分布", "式".
        assert words("raft 分布式", [(0, 4), (4, 7), (7, 8)]) == ["raft", "分布", "式"]

    def test_special_tokens_belong_to_no_word(self) -> None:
        spans = [(0, 0), (0, 5), (5, 5), (6, 9), (0, 0)]
        assert coded_words("green tea", spans) == [
            CodedWord("green", (1,), ((0, 5),)),
            CodedWord("tea", (3,), ((6, 9),)),
        ]

    texts = st.lists(
        st.one_of(
            st.sampled_from(
                ["the", "raft", "Raft", "of", " ", "\n", "-", "分布式", "の", "ガ", "e\u0301", "İ", "ß", "🙂"]
            ),
            st.text(max_size=3),
        ),
        max_size=12,
    ).map("".join)

    @settings(deadline=None)
    @given(texts, st.data())
    def test_words_of_any_text_and_any_tokens(self, text: str, data: st.DataObject) -> None:
        text = spelled(text)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=20)))
        spans = [(0, 0), *itertools.pairwise(cuts), (0, 0)]
        found = coded_words(text, spans)
        assert found
        assert len({word.word for word in found}) == len(found)
        for word in found:
            assert all(key_of(text[start:end]) == word.word for start, end in word.spans)
            assert all(0 <= start < end <= len(text) for start, end in word.spans)
            assert list(word.spans) == sorted(set(word.spans))
        tokens = [token for word in found for token in word.tokens]
        assert len(tokens) == len(set(tokens))
        if found[0].word == "":
            assert found == [CodedWord("", tuple(range(len(spans))), ())]
            return
        assert [min(word.spans) for word in found] == sorted(min(word.spans) for word in found)
        for word in found:
            for token in word.tokens:
                start, end = spans[token]
                assert any(start < last and first < end for first, last in word.spans), "a token far from its word"
        stopwords = [word.word in STOPWORDS for word in found]
        assert all(stopwords) or not any(stopwords)


class TestWordVectors:
    def test_by_hand(self) -> None:
        tokens = np.array([[9, 9], [3, 4], [0, 2], [5, 0]], dtype=np.float32)
        # (0.6, 0.8) + (0, 1) = (0.6, 1.8), of length √3.6; the second word's lengths do not matter.
        found = word_vectors(tokens, [CodedWord("two", (1, 2), ()), CodedWord("one", (3,), ())])
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, [[0.6 / 3.6**0.5, 1.8 / 3.6**0.5], [1, 0]], rtol=1e-6)

    def test_tokens_of_a_word_need_not_be_neighbours(self) -> None:
        tokens = np.array([[1, 0], [0, 7], [0, 2]], dtype=np.float32)
        found = word_vectors(tokens, [CodedWord("far", (0, 2), ()), CodedWord("near", (1,), ())])
        np.testing.assert_allclose(found, [[0.5**0.5, 0.5**0.5], [0, 1]], rtol=1e-6)

    def test_of_a_long_vector_the_last_components_count_by_their_part_of_the_whole(self) -> None:
        tokens = np.zeros((2, 300), dtype=np.float32)
        tokens[0, [0, 299]] = 3, 4  # 0.8 of its length is in what is kept
        tokens[1, 44] = 2
        (found,) = word_vectors(tokens, [CodedWord("long", (0, 1), ())])
        assert found.shape == (256,)
        assert np.flatnonzero(found).tolist() == [0, 255]
        np.testing.assert_allclose(found[[0, 255]], [1 / 1.64**0.5, 0.8 / 1.64**0.5], rtol=1e-6)

    def test_zeros_do_not_become_nan(self) -> None:
        found = word_vectors(np.zeros((1, 4), dtype=np.float32), [CodedWord("nothing", (0,), ())])
        assert found.tolist() == [[0, 0, 0, 0]]

    @pytest.mark.parametrize(("dim", "bits"), [(2, 2), (255, 255), (256, 256), (384, 256)])
    def test_a_code_has_at_most_256_bits(self, dim: int, bits: int) -> None:
        assert code_bits(dim) == bits
        vectors = word_vectors(np.ones((1, dim), dtype=np.float32), [CodedWord("any", (0,), ())])
        assert vectors.shape == (1, bits)


class TestCodes:
    def test_by_hand(self) -> None:
        vectors = np.array([[0.5, -0.1, 0.2, 0.3, -0.4, -0.1, 0, -2], [1] * 8], dtype=np.float32)
        assert compress(vectors) == bytes([0b10110000, 0b11111111])
        one = 1 / (math.sqrt(8) * math.sqrt(2 / math.pi))
        signs = [[1, -1, 1, 1, -1, -1, -1, -1], [1] * 8]
        expanded = expand(bytes([0b10110000, 0b11111111]), 8)
        assert expanded.dtype == np.float32
        np.testing.assert_allclose(expanded, one * np.array(signs), rtol=1e-6)

    @settings(deadline=None)
    @given(st.integers(1, 5), st.integers(1, 40), st.integers(0, 2**32 - 1))
    def test_signs_survive_the_round_trip(self, count: int, bits: int, seed: int) -> None:
        vectors = np.random.default_rng(seed).standard_normal((count, bits)).astype(np.float32)
        codes = compress(vectors)
        assert len(codes) == count * math.ceil(bits / 8)
        expanded = expand(codes, bits)
        assert expanded.shape == (count, bits)
        assert (np.sign(expanded) == np.sign(vectors)).all()
        assert compress(expanded) == codes

    def test_no_codes_are_no_vectors(self) -> None:
        assert compress(np.zeros((0, 8), dtype=np.float32)) == b""
        assert expand(b"", 8).shape == (0, 8)

    def test_a_product_with_a_code_estimates_the_cosine(self) -> None:
        numbers = np.random.default_rng(11)
        coded, other = (self.directions(numbers, 4000) for _ in range(2))
        cosine = numbers.uniform(-1, 1, (4000, 1)).astype(np.float32)
        across = other - (other * coded).sum(axis=1, keepdims=True) * coded
        across /= np.linalg.norm(across, axis=1, keepdims=True)
        queries = cosine * coded + np.sqrt(1 - cosine**2) * across

        estimates = (queries * expand(compress(coded), 256)).sum(axis=1)

        exact = cosine[:, 0]
        assert abs(float((estimates - exact).mean())) < 0.005
        assert float(np.abs(estimates - exact).mean()) < 0.05
        # Neither too long nor too short: the slope is that of the cosine itself.
        assert float((estimates * exact).sum() / (exact * exact).sum()) == pytest.approx(1, abs=0.01)
        assert float(np.corrcoef(estimates, exact)[0, 1]) > 0.99

    @staticmethod
    def directions(numbers: np.random.Generator, count: int) -> Any:
        vectors = numbers.standard_normal((count, 256)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class TestMaxSimilarities:
    def test_by_hand(self) -> None:
        query = np.array([[1, 0], [0.6, 0.8]], dtype=np.float32)
        passages = np.array([[1, 0], [0, 1], [-1, 0]], dtype=np.float32)
        found = max_similarities(query, passages, [2, 1])
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, [[1, 0.8], [-1, -0.6]], rtol=1e-6)

    sizes = st.lists(st.integers(1, 7), min_size=1, max_size=6)

    @settings(deadline=None)
    @given(st.integers(1, 5), sizes, st.integers(1, 20), st.booleans(), st.integers(0, 2**32 - 1))
    def test_it_agrees_with_loops(self, words: int, lengths: list[int], bits: int, apart: bool, seed: int) -> None:
        query, passages = self.draw(words, sum(lengths), bits, apart, seed)
        found = max_similarities(query, passages, lengths)
        assert found.shape == (len(lengths), words)
        first = 0
        for row, length in enumerate(lengths):
            for word in range(words):
                products = [float(np.dot(query[word], passages[first + place])) for place in range(length)]
                assert found[row, word] == pytest.approx(max(products), abs=1e-5)
            first += length

    @settings(deadline=None, max_examples=30)
    @given(st.integers(1, 5), sizes, st.booleans(), st.integers(0, 2**32 - 1))
    def test_it_agrees_with_sentence_transformers(self, words: int, lengths: list[int], apart: bool, seed: int) -> None:
        from sentence_transformers.util import maxsim

        query, passages = self.draw(words, sum(lengths), 16, apart, seed)
        # Theirs pads the passages to one length; no padding may win, though every real product may be negative.
        documents = np.split(passages, np.cumsum(lengths)[:-1])
        expected = maxsim([query], documents).numpy()[0]
        np.testing.assert_allclose(max_similarities(query, passages, lengths).sum(axis=1), expected, atol=1e-4)

    @staticmethod
    def draw(words: int, rows: int, bits: int, apart: bool, seed: int) -> tuple[Any, Any]:
        """A query and passages of random vectors; all products negative, if they are to be apart."""
        numbers = np.random.default_rng(seed)
        query, passages = (numbers.standard_normal((count, bits)).astype(np.float32) for count in (words, rows))
        return (np.abs(query), -np.abs(passages)) if apart else (query, passages)


@given(st.text(st.one_of(st.sampled_from("ab Theof AND.\n’é豆"), st.characters(codec="utf-8"))))
def test_where_each_run_is_a_token_words_and_places_are_those_of_the_coded(text):
    words = single_words(text)
    coded = coded_words(text, find_runs(text))
    if words:
        assert words == [word.word for word in coded]
        assert places_of_words(text, words) == [word.spans for word in coded]
    else:
        assert coded[0].word == "" or any(not char.isascii() for char in text)


def test_an_unspaced_script_has_no_single_words():
    assert single_words("green 茶") == []
    assert single_words("the tea, the Tea") == ["tea"]
    assert single_words("the The and") == ["the", "and"]


@pytest.mark.parametrize(
    ("text", "tokens", "unknown", "expected"),
    [
        ("green tea", ["green", "tea"], [], {}),
        ("green ወፍ", ["green", "ወፍ"], ["ወፍ"], {"ወፍ": 0}),
        ("straße", ["stra", "ß", "e"], [], {}),
        ("კატა", ["კ", "ა", "ტ", "ა"], [], {"კატა": 0.1}),  # letter by letter
        ("кошкой", ["к", "ошкой"], [], {"кошкой": 0.55}),
        ("α decay", ["α", "decay"], [], {}),  # one letter is a word of its own
        ("r2d2", ["r", "2", "d", "2"], [], {}),
        ("ねこ", ["ね", "こ"], [], {"ね": 0.1, "こ": 0.1}),
        ("泉水", ["泉", "水"], ["泉"], {"泉": 0}),  # a character is a word
        ("∮", ["∮"], ["∮"], {"": 0}),
    ],
)
def test_what_a_model_could_read(text: str, tokens: list[str], unknown: list[str], expected: dict[str, float]) -> None:
    spans = [(0, 0), *spans_of(text, *tokens), (0, 0)]  # with special tokens
    is_unknown = [text[start:end] in unknown for start, end in spans]
    assert legibility(coded_words(text, spans), is_unknown, spans) == pytest.approx(expected)
