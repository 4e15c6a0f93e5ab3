import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notesearch.encoders import EncodedQuery
from notesearch.encoders.token_codes import CodedWord, compress, expand
from notesearch.retrieval.dense import ExactScores
from notesearch.retrieval.late_interaction import LateQuery, closest_chunks, score_note

# The product of a code with the vector that it was made of, if all components of that are equally large.
SAME = math.sqrt(math.pi / 2)


def encoded(*words: str, bits: int = 8, seed: int = 0) -> EncodedQuery:
    """A query of words with random vectors."""
    vectors = np.random.default_rng(seed).standard_normal((len(words), bits)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    coded = tuple(CodedWord(word, (number,), ((0, 1),)) for number, word in enumerate(words))
    return EncodedQuery(np.ones(1, dtype=np.float32), coded, vectors)


def weights_of(frequencies: dict[str, int], notes: int, *words: str) -> list[float]:
    query = LateQuery.of("", None, encoded(*words), frequencies, notes)
    assert query.weights.dtype == np.float32
    return query.weights.tolist()


def test_words_are_weighted_by_how_rare_they_are():
    # log(8 / 0.5) = 4 log 2, log(8 / 1.5), log(8 / 7.5)
    rarities = [math.log(16), math.log(8 / 1.5), math.log(8 / 7.5)]
    found = weights_of({"rare": 1, "usual": 7, "else": 3}, 7, "unknown", "rare", "usual")
    assert found == pytest.approx([rarity / sum(rarities) for rarity in rarities])


def test_no_word_counts_less_than_nothing():
    # A frequency may be that of notes which a word has only a part in common with.
    assert weights_of({"everywhere": 100}, 7, "everywhere", "rare") == [0, 1]


def test_words_without_any_weight_count_alike():
    assert weights_of({"one": 100, "two": 50}, 7, "one", "two", "two") == pytest.approx([1 / 3] * 3)


def test_words_that_are_to_count_alike_do():
    query = replace(encoded("rare", "usual"), alike=True)
    assert LateQuery.of("", None, query, {"rare": 1, "usual": 6}, 7).weights.tolist() == [0.5, 0.5]


def test_words_count_as_far_as_the_model_could_read_them():
    query = replace(encoded("known", "letters", "unknown"), legible={"letters": 0.5, "unknown": 0.0})
    late = LateQuery.of("", None, query, {"known": 3, "letters": 3, "unknown": 3}, 7)
    assert late.weights.tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert late.legible == pytest.approx(0.5)
    late = LateQuery.of("", None, replace(encoded("unknown"), legible={"unknown": 0.0}), {}, 7)
    assert (late.weights.tolist(), late.legible) == ([0], 0)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=20), st.integers(0, 50))
def test_weights_sum_to_1_and_rarer_words_have_more(frequencies, notes):
    words = [f"word{number}" for number in range(len(frequencies))]
    weights = weights_of(dict(zip(words, frequencies, strict=True)), notes, *words)
    assert sum(weights) == pytest.approx(1, abs=1e-5)
    assert min(weights) >= 0
    by_rarity = [weights[number] for number in sorted(range(len(words)), key=frequencies.__getitem__)]
    assert by_rarity == sorted(by_rarity, reverse=True)


def query_of(vectors, weights, encoder=None) -> LateQuery:
    words = tuple(CodedWord(str(number), (number,), ()) for number in range(len(vectors)))
    return LateQuery("", encoder, words, np.array(vectors, dtype=np.float32), np.array(weights, dtype=np.float32))


def test_scores_by_hand():
    signs = np.array([[1, 1, 1, 1, 1, 1, 1, 1], [1, -1, 1, -1, 1, -1, 1, -1]], dtype=np.float32)
    query = query_of(signs / 8**0.5, [0.75, 0.25])
    first, second = compress(signs[:1]), compress(signs[1:])
    # Differs from the first in two of eight places, and from the second in four.
    near = compress(np.array([[1, 1, 1, 1, 1, 1, -1, -1]], dtype=np.float32))
    expected = [1 * SAME, 0.75 * SAME, 0.25 * SAME, (0.75 * 0.5 + 0.25 * 1) * SAME, 0.75 * 0.5 * SAME]
    found = query.score([first + second, first, second, near + second, near])
    assert found.dtype == np.float32
    assert found.tolist() == pytest.approx(expected, abs=1e-6)


def test_no_passages_have_no_scores():
    scores = LateQuery.of("", None, encoded("word"), {}, 1).score([])
    assert scores.shape == (0,)
    assert scores.dtype == np.float32


@given(st.integers(1, 4), st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(1, 30), st.integers(0, 999))
def test_scores_agree_with_loops(words, lengths, bits, seed):
    numbers = np.random.default_rng(seed)
    query = LateQuery.of(
        "",
        None,
        encoded(*(f"word{number}" for number in range(words)), bits=bits, seed=seed),
        {f"word{number}": int(numbers.integers(0, 40)) for number in range(words)},
        20,
    )
    passages = [numbers.standard_normal((length, bits)).astype(np.float32) for length in lengths]
    found = query.score([compress(passage) for passage in passages])
    for score, passage in zip(found.tolist(), passages, strict=True):
        expected = 0.0
        for vector, weight in zip(query.vectors, query.weights.tolist(), strict=True):
            estimates = [
                float(sum(math.copysign(1, part) * own for part, own in zip(row, vector, strict=True)))
                for row in passage.tolist()
            ]
            expected += weight * max(estimates) * SAME / math.sqrt(bits)
        assert score == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([0.8], 0.8), ([0.8, 0.4], 0.7), ([0.2, 0.4, 0.9, 0.5], 0.7), ([-0.5, -0.1], -0.2), ([0.5, 0.5], 0.5)],
)
def test_a_note_is_halfway_from_the_mean_to_the_best(scores, expected):
    assert score_note(scores) == pytest.approx(expected)


def match(fake_encoder, typed: str, passage: str, frequencies=None):
    query = LateQuery.of(typed, fake_encoder, fake_encoder.encode_query(typed), frequencies or {}, 10)
    (codes,) = fake_encoder.encode_passages([passage]).codes
    return query, codes, query.match(codes, passage)


def test_each_word_meets_its_like_in_the_order_of_the_query(fake_encoder):
    passage = "# Raft\n\nThe quorum of a raft; a QUORUM"
    query, _, matches = match(fake_encoder, "quorum raft", passage, {"raft": 9})
    assert [found.word for found in matches] == list(query.words)
    assert [[passage[start:end] for start, end in found.places] for found in matches] == [
        ["quorum", "QUORUM"],
        ["Raft", "raft"],
    ]
    assert [found.cosine for found in matches] == pytest.approx([SAME, SAME], abs=1e-5)
    assert [found.weight for found in matches] == pytest.approx(query.weights.tolist())
    assert matches[0].weight > matches[1].weight


def test_a_word_that_is_not_there_meets_the_closest_one(fake_encoder):
    passage = "the raft, the quorum and the clock"
    query, codes, (found,) = match(fake_encoder, "lease", passage)
    products = expand(codes, 64) @ query.vectors[0]
    ((start, end),) = found.places
    assert passage[start:end] == ["raft", "quorum", "clock"][int(products.argmax())]
    assert found.cosine == pytest.approx(float(products.max()))
    assert found.cosine < 0.6


def test_the_first_of_equally_close_words_is_taken():
    class Encoder:
        def places_of_codes(self, passage, codes, wanted):
            return [((number, number + 1),) for number in wanted]

    vectors = np.array([[-1] * 8, [1] * 8, [1] * 8], dtype=np.float32)
    (found,) = query_of(vectors[1:2] / 8**0.5, [1], Encoder()).match(compress(vectors), "far near again")
    assert found.places == ((1, 2),)


def test_codes_that_are_not_those_of_the_words_match_nothing(fake_encoder):
    query, codes, _ = match(fake_encoder, "quorum", "the quorum of a raft")
    assert len(query.match(codes, "a quorum, a raft")) == 1
    assert query.match(codes, "the quorum of a raft and its lease") == []


def test_the_weighted_matches_make_the_score(fake_encoder):
    query, codes, matches = match(fake_encoder, "quorum lease raft", "a raft has a quorum", {"raft": 9, "quorum": 2})
    assert sum(found.weight * found.cosine for found in matches) == pytest.approx(float(query.score([codes])[0]))


def test_texts_without_words_meet_as_a_whole(fake_encoder):
    _, _, (found,) = match(fake_encoder, "?!", "…")
    assert (found.word.word, found.places) == ("", ())
    assert found.cosine == pytest.approx(SAME, abs=1e-5)


def dense_of(cosines) -> ExactScores:
    ids = sorted(cosines)
    return ExactScores(np.array(ids, dtype=np.int64), np.array([cosines[i] for i in ids], dtype=np.float32), 1.0)


@given(
    st.dictionaries(st.integers(1, 60), st.integers(1, 6), max_size=30),
    st.dictionaries(st.integers(1, 60), st.sampled_from([-0.5, 0.0, 0.25, 0.250001, 0.5]), max_size=30),
    st.integers(1, 5),
)
def test_the_closest_chunks_of_notes_are_those_of_a_full_sort_and_all_are_admitted(chunk_notes, cosines, most):
    expected = {}
    for chunk in sorted(chunk_notes.keys() & cosines.keys(), key=lambda i: (-np.float32(cosines[i]), i)):
        expected.setdefault(chunk_notes[chunk], []).append(chunk)
    found = closest_chunks(chunk_notes, dense_of(cosines), most)
    assert found == {note: chunks[:most] for note, chunks in expected.items()}
