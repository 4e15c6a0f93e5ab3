import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notesearch.encoders import ScoreScale
from notesearch.retrieval.dense import ExactScores
from notesearch.retrieval.fusion import Candidate, Feedback, Fusion, lexical_weight, run_stages
from notesearch.retrieval.lexical import NOTHING_MATCHED, LexicalScores

SCALE = ScoreScale(unrelated=0.1, related=0.6)
PLAIN = ScoreScale(unrelated=0.0, related=1.0)


class Reader:
    """What scores ask of an index: which chunks belong to which notes, and their vectors."""

    def __init__(self, chunk_notes, vectors=None):
        self._chunk_notes = chunk_notes
        self._vectors = vectors

    def notes_of_chunks(self, chunk_ids):
        return {chunk: self._chunk_notes[chunk] for chunk in chunk_ids}

    def chunk_ids_of_notes(self, note_ids):
        return {chunk: note for chunk, note in self._chunk_notes.items() if note in set(note_ids)}

    def vectors_of_chunks(self, chunk_ids):
        return {chunk: self._vectors[chunk] for chunk in chunk_ids}


def dense_of(cosines) -> ExactScores:
    """Scores of chunks, given by id."""
    ids = sorted(cosines)
    values = np.array([cosines[i] for i in ids], dtype=np.float32)
    return ExactScores(np.array(ids, dtype=np.int64), values, highest=float(values.max(initial=-1)))


def lexical_of(**notes) -> LexicalScores:
    return LexicalScores({int(name[1:]): score for name, score in notes.items()}, 0.3)


def ids(candidates) -> list[int]:
    return [candidate.note_id for candidate in candidates]


def scores(candidates) -> list[float]:
    return [candidate.score for candidate in candidates]


def test_a_part_adds_to_a_note_and_to_its_passages():
    before = Candidate(3, 2.0, {"dense": 0.4}, {"dense": 2.0}, {7: 0.5})
    after = before.with_part("late", 0.9, 0.25, {7: 0.1, 8: 0.2})
    assert after == Candidate(3, 2.25, {"dense": 0.4, "late": 0.9}, {"dense": 2.0, "late": 0.25}, {7: 0.6, 8: 0.2})
    assert before == Candidate(3, 2.0, {"dense": 0.4}, {"dense": 2.0}, {7: 0.5})


def test_stages_score_one_after_another_and_the_best_comes_first():
    class Doubling:
        def rescore(self, candidates):
            return [candidate.with_part("two", 2, candidate.score) for candidate in candidates]

    class Odd:
        def rescore(self, candidates):
            return [candidate.with_part("odd", 9, 9 * (candidate.note_id % 2)) for candidate in candidates]

    own = [Candidate(2, 3.0, {}, {}), Candidate(4, 2.0, {}, {}), Candidate(1, 1.0, {}, {})]
    assert [(found.note_id, found.score) for found in run_stages(own, [Doubling(), Odd()])] == [(1, 11), (2, 6), (4, 4)]
    assert run_stages(own, []) == own


class TestWeight:
    def test_by_hand(self):
        # doubt = 1 + 1.4 (1.34 - 1.14) = 1.28; trust = sqrt(0.12 / 0.3) = 0.632…
        assert lexical_weight(best_similarity=1.14, coverage=0.12) == pytest.approx(0.027 * 1.28 * 0.6324555)

    def test_words_count_more_where_nothing_is_similar_and_less_where_much_is(self):
        weights = [lexical_weight(similarity, 0.3) for similarity in (-1.0, 0.3, 0.8, 1.34, 1.6, 3.0)]
        assert weights == sorted(weights, reverse=True)
        assert [weights[i] for i in (0, 3, -1)] == pytest.approx([3 * 0.027, 0.027, 0.2 * 0.027])

    def test_words_count_less_where_even_the_best_note_holds_few_of_them(self):
        weights = [lexical_weight(1.34, coverage) for coverage in (0.0, 0.1, 0.3, 0.5, 1.0)]
        assert weights == sorted(weights)
        assert [weights[i] for i in (0, -1)] == pytest.approx([0.3 * 0.027, 1.5 * 0.027])


class TestWords:
    def test_by_themselves_notes_are_ranked_by_bm25(self):
        fusion = Fusion(Reader({}), lexical_of(n7=2.5, n5=4.0, n2=2.5, n9=0.5))
        assert fusion.best(3, 50) == [
            Candidate(5, 4.0, {"lexical": 4.0}, {}),
            Candidate(2, 2.5, {"lexical": 2.5}, {}),
            Candidate(7, 2.5, {"lexical": 2.5}, {}),
        ]
        assert ids(fusion.best(3, 2)) == [5, 2]

    def test_beside_vectors_that_choose_passages_bm25_is_weighted(self):
        # The closest passage has a similarity of (0.1 - 0.1) / 0.5 = 0: doubt 1 + 1.4 * 1.34 = 2.876; trust 1.
        fusion = Fusion(Reader({}), lexical_of(n7=2.5, n5=4.0), dense_of({1: 0.1}), SCALE, by_words=True)
        (first, second), weight = fusion.best(3, 50), 0.027 * 2.876
        assert (first.note_id, first.parts) == (5, {"lexical": 4.0})
        assert first.score == first.contributions["lexical"] == pytest.approx(4 * weight)
        assert (second.note_id, second.score) == (7, pytest.approx(2.5 * weight))

    def test_any_note_can_be_scored(self):
        assert scores(Fusion(Reader({}), lexical_of(n7=2.5, n5=4.0)).score([3, 7])) == [0.0, 2.5]

    def test_nothing_matched(self):
        assert Fusion(Reader({}), NOTHING_MATCHED).best(3, 50) == []

    @given(
        st.dictionaries(st.integers(1, 99), st.sampled_from([0.1, 0.5, 0.50001, 2.0, 7.5]), max_size=30),
        st.integers(1, 40),
    )
    def test_the_best_are_proposed(self, notes, proposed):
        found = Fusion(Reader({}), LexicalScores(notes, 0.5)).best(proposed, 99)
        assert ids(found) == sorted(notes, key=lambda note: (-notes[note], note))[:proposed]
        assert scores(found) == pytest.approx([notes[note] for note in ids(found)])

    def test_bm25_is_shared_out_among_passages_by_the_words_they_hold(self):
        fusion = Fusion(Reader({}), lexical_of(n7=3.0))
        found = fusion.score_passages(7, [1, 2, 3], [{"a", "b"}, {"a", "b", "c"}, set()])
        assert found.tolist() == pytest.approx([2.0, 3.0, 0.0])
        assert fusion.score_passages(8, [4], [{"a"}]).tolist() == [0.0]


class TestBoth:
    reader = Reader({1: 10, 2: 10, 3: 20, 4: 30, 5: 30})
    dense = dense_of({1: 0.2, 2: 0.6, 3: 0.35, 4: 0.1, 5: -0.4})
    # The closest passage has a similarity of 1, so doubt is 1 + 1.4 * 0.34; a coverage of 0.3 makes the trust 1.
    weight = 0.027 * 1.476

    def test_a_note_is_as_similar_as_its_closest_chunk(self):
        found = Fusion(self.reader, NOTHING_MATCHED, self.dense, SCALE).best(10, 10)
        assert ids(found) == [10, 20, 30]
        assert scores(found) == pytest.approx([1.0, 0.5, 0.0], abs=1e-6)
        assert [candidate.parts["dense"] for candidate in found] == pytest.approx([0.6, 0.35, 0.1])
        for candidate in found:
            assert candidate.parts.keys() == candidate.contributions.keys() == {"dense"}
            assert candidate.contributions["dense"] == pytest.approx(candidate.score)

    def test_words_are_added(self):
        fusion = Fusion(self.reader, lexical_of(n30=50.0, n20=3.0), self.dense, SCALE)
        found = fusion.best(10, 10)
        assert ids(found) == [30, 10, 20]
        assert scores(found) == pytest.approx([50 * self.weight, 1.0, 0.5 + 3 * self.weight])
        assert found[0].parts == pytest.approx({"lexical": 50.0, "dense": 0.1})
        assert found[0].contributions == pytest.approx({"lexical": 50 * self.weight, "dense": 0.0}, abs=1e-6)
        assert found[1].parts == pytest.approx({"lexical": 0.0, "dense": 0.6})
        assert ids(fusion.best(10, 2)) == [30, 10]

    def test_each_side_proposes_so_many(self):
        # Two chunks a note: the closest two are those of the notes 10 and 20; note 30 is proposed by its words alone,
        # and its closest chunk counts.
        assert ids(Fusion(self.reader, NOTHING_MATCHED, self.dense, SCALE).best(1, 10)) == [10, 20]
        found = Fusion(self.reader, lexical_of(n30=1.0, n20=0.5), self.dense, SCALE).best(1, 10)
        assert ids(found) == [10, 20, 30]
        assert found[-1].parts["dense"] == pytest.approx(0.1)

    def test_any_note_can_be_scored_as_if_it_had_been_proposed(self):
        fusion = Fusion(self.reader, lexical_of(n30=1.0), self.dense, SCALE)
        assert fusion.score([30, 20]) == [found for found in fusion.best(10, 10) if found.note_id in (20, 30)]

    def test_passages_are_scored_as_notes_are(self):
        fusion = Fusion(self.reader, lexical_of(n30=6.0), self.dense, SCALE)
        found = fusion.score_passages(30, [4, 5], [{"a", "b", "c"}, {"a"}])
        assert found.tolist() == pytest.approx([6 * self.weight, 2 * self.weight - 1.0], abs=1e-6)

    def test_no_chunks_no_notes(self):
        assert Fusion(Reader({}), NOTHING_MATCHED, dense_of({}), SCALE).best(10, 10) == []

    @given(
        st.dictionaries(st.integers(1, 40), st.tuples(st.integers(1, 8), st.floats(-1, 1, width=32)), max_size=25),
        st.integers(1, 12),
        st.dictionaries(st.integers(1, 8), st.floats(0.125, 20, width=32), max_size=8),
    )
    def test_scores_descend_and_are_the_sum_of_their_parts(self, chunks, proposed, matched):
        notes = {note for note, _ in chunks.values()}
        lexical = LexicalScores({note: score for note, score in matched.items() if note in notes}, 0.5)
        dense = dense_of({i: cosine for i, (_, cosine) in chunks.items()})
        reader = Reader({chunk: note for chunk, (note, _) in chunks.items()})
        found = Fusion(reader, lexical, dense, SCALE).best(proposed, 99)
        assert len(set(ids(found))) == len(found)
        assert scores(found) == sorted(scores(found), reverse=True)
        closest = {note: max(cosine for other, cosine in chunks.values() if other == note) for note in notes}
        assert max((closest[note] for note in ids(found)), default=None) == max(closest.values(), default=None)
        assert set(ids(found)) >= set(lexical.best(proposed))
        if proposed >= len(notes) and 2 * proposed >= len(chunks):
            assert set(ids(found)) == notes
        for candidate in found:
            assert candidate.contributions["dense"] == pytest.approx((closest[candidate.note_id] - 0.1) / 0.5, abs=1e-4)
            assert sum(candidate.contributions.values()) == pytest.approx(candidate.score, abs=1e-4)


class TestFeedback:
    """Notes of one or several passages, given by their vectors; the passages around the query by one that is tiled."""

    @staticmethod
    def rescore(query, notes, note_scores, background=(0, 0), count=300, scale=PLAIN):
        """What feedback adds to notes, and to their passages."""
        vectors = {100 + i: np.array(background, dtype=np.float32) for i in range(count)}
        candidates = []
        for number, passages in enumerate(notes):
            own = {10 * number + i: np.array(passage, dtype=np.float32) for i, passage in enumerate(passages)}
            vectors |= own
            candidates.append(Candidate(number, float(note_scores[number]), {}, {}, dict.fromkeys(own, 0.0)))
        query = np.array(query, dtype=np.float32)
        dense = Closest({i: float(vector @ query) for i, vector in vectors.items()}, count)
        feedback = Feedback(Reader({}, vectors), dense, query, scale)
        first = feedback.rescore(candidates)
        assert feedback.rescore(candidates) == first, "the best notes stay those of the first time"
        return [found.parts.get("feedback") for found in first], [
            added for found in first for added in found.passages.values()
        ]

    def test_being_like_the_best_notes_counts_a_tenth(self):
        # Six notes; the last is not among the five best, whose mean points to the first axis. Nothing is taken off.
        notes = [*[[(1, 0)]] * 5, [(0.6, 0.8)]]
        found, passages = self.rescore((1, 0), notes, [5, 4, 3, 2, 1, 0])
        assert found == pytest.approx([0.1] * 5 + [0.06], abs=1e-6)
        assert passages == pytest.approx(found, abs=1e-6)
        weaker, _ = self.rescore((1, 0), notes, [5, 4, 3, 2, 1, 0], count=150)
        assert weaker == pytest.approx([added / 2 for added in found], abs=1e-6)

    def test_among_few_passages_there_is_none(self):
        assert self.rescore((1, 0), [[(1, 0)]], [1], count=49) == ([None], [0.0])

    def test_a_note_gains_by_its_best_passage(self):
        found, passages = self.rescore((1, 0), [[(0, 1), (1, 0)], [(0.6, 0.8)]], [1, 0])
        # The two notes' best passages are (1, 0) and (0.6, 0.8), and their mean, scaled, (0.8, 0.4) / sqrt(0.8).
        middle = np.array([0.8, 0.4]) / np.sqrt(0.8)
        assert passages == pytest.approx([0.1 * np.dot(p, middle) for p in ((0, 1), (1, 0), (0.6, 0.8))], abs=1e-6)
        assert found == pytest.approx([0.1 * middle[0], 0.1 * np.dot((0.6, 0.8), middle)], abs=1e-6)

    def test_what_is_in_common_no_longer_makes_a_passage_similar(self):
        found, _ = self.rescore((0.8, 0.6), [[(1, 0)], [(0.6, 0.8)]], [0, 0], background=(1, 0))
        # Without the common part (0.5, 0) the query is (0.3, 0.6) and the passages are (0.5, 0) and (0.1, 0.8), scaled.
        query, special = np.array([0.3, 0.6]) / np.sqrt(0.45), np.array([0.1, 0.8]) / np.sqrt(0.65)
        middle = (np.array([1, 0]) + special) / np.linalg.norm(np.array([1, 0]) + special)
        expected = [query[0] - 0.8 + 0.1 * middle[0], query @ special - 0.96 + 0.1 * special @ middle]
        assert found == pytest.approx(expected, abs=1e-6)

    def test_it_is_on_the_scale_of_the_cosines(self):
        notes = [[(1, 0)], [(0.6, 0.8)]]
        plain, _ = self.rescore((1, 0), notes, [0, 0])
        found, _ = self.rescore((1, 0), notes, [0, 0], scale=ScoreScale(unrelated=0.2, related=0.7))
        assert found == pytest.approx([(added - 0.1 * 0.2) / 0.5 for added in plain], abs=1e-6)


class Closest:
    """What feedback asks of dense scores: the closest passages, here so many from 100 on, and cosines."""

    def __init__(self, cosines, count):
        self._cosines, self._count = cosines, count

    def best(self, limit):
        return np.arange(100, 100 + self._count)

    def of(self, chunk_ids):
        return np.array([self._cosines[i] for i in chunk_ids.tolist()], dtype=np.float32)
