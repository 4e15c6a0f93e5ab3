import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from notesearch.retrieval.candidates import (
    Candidate,
    closest_chunks,
    continue_below,
    propose_dense,
    propose_lexical,
)

from notesearch.encoders import ScoreScale
from notesearch.retrieval.dense import ExactScores
from notesearch.retrieval.lexical import LexicalScores

SCALE = ScoreScale(unrelated=0.1, related=0.6)


class Reader:
    """What a proposal asks of an index: which chunks belong to which notes."""

    def __init__(self, chunk_notes):
        self._chunk_notes = chunk_notes

    def notes_of_chunks(self, chunk_ids):
        return {chunk: self._chunk_notes[chunk] for chunk in chunk_ids}

    def chunk_ids_of_notes(self, note_ids):
        return {chunk: note for chunk, note in self._chunk_notes.items() if note in set(note_ids)}


def dense_of(cosines) -> ExactScores:
    """Scores of chunks, given by id."""
    ids = sorted(cosines)
    values = np.array([cosines[i] for i in ids], dtype=np.float32)
    return ExactScores(np.array(ids, dtype=np.int64), values, highest=float(values.max(initial=-1)))


def lexical_of(**notes) -> LexicalScores:
    return LexicalScores({int(name[1:]): score for name, score in notes.items()}, 0.5)


def ids(candidates) -> list[int]:
    return [candidate.note_id for candidate in candidates]


def scores(candidates) -> list[float]:
    return [candidate.score for candidate in candidates]


def test_a_part_adds_its_contribution():
    before = Candidate(3, 2.0, {"dense": 0.4}, {"dense": 2.0})
    after = before.with_part("late", 0.9, 0.25)
    assert after == Candidate(3, 2.25, {"dense": 0.4, "late": 0.9}, {"dense": 2.0, "late": 0.25})
    assert before == Candidate(3, 2.0, {"dense": 0.4}, {"dense": 2.0})


class TestLexical:
    def test_by_themselves_notes_are_ranked_by_bm25(self):
        found = propose_lexical(lexical_of(n7=2.5, n5=4.0, n2=2.5, n9=0.5), 3)
        assert found == [
            Candidate(5, 4.0, {"lexical": 4.0}, {}),
            Candidate(2, 2.5, {"lexical": 2.5}, {}),
            Candidate(7, 2.5, {"lexical": 2.5}, {}),
        ]

    def test_beside_other_parts_bm25_is_weighted(self):
        found = propose_lexical(lexical_of(n7=2.5, n5=4.0), 3, 0.5)
        assert found == [
            Candidate(5, 2.0, {"lexical": 4.0}, {"lexical": 2.0}),
            Candidate(7, 1.25, {"lexical": 2.5}, {"lexical": 1.25}),
        ]

    def test_notes_are_proposed_besides_matching_or_not(self):
        found = propose_lexical(lexical_of(n7=2.5, n5=4.0, n9=1.5), 1, 0.5, {9, 3})
        assert scores(found) == [2.0, 0.0, 0.75]
        assert ids(found) == [5, 3, 9]

    def test_nothing_matched(self):
        assert propose_lexical(lexical_of(), 3) == propose_lexical(lexical_of(), 3, 0.5) == []

    @given(
        st.dictionaries(st.integers(1, 99), st.sampled_from([0.1, 0.5, 0.50001, 2.0, 7.5]), max_size=30),
        st.integers(1, 40),
        st.none() | st.floats(0, 2),
    )
    def test_the_best_are_proposed(self, notes, wanted, weight):
        found = propose_lexical(LexicalScores(notes, 0.5), wanted, weight)
        assert ids(found) == sorted(notes, key=lambda note: (-notes[note], note))[:wanted]
        assert scores(found) == sorted(scores(found), reverse=True)
        for candidate in found:
            assert candidate.parts["lexical"] == pytest.approx(notes[candidate.note_id])
            assert candidate.score == pytest.approx(notes[candidate.note_id] * (1 if weight is None else weight))


class TestDense:
    reader = Reader({1: 10, 2: 10, 3: 20, 4: 30, 5: 30})
    dense = dense_of({1: 0.2, 2: 0.6, 3: 0.35, 4: 0.1, 5: -0.4})

    def test_a_note_is_as_close_as_its_closest_chunk(self):
        found = propose_dense(self.reader, self.dense, SCALE, 10)
        assert ids(found) == [10, 20, 30]
        assert scores(found) == pytest.approx([1.0, 0.5, 0.0], abs=1e-6)
        assert [candidate.parts["dense"] for candidate in found] == pytest.approx([0.6, 0.35, 0.1])
        for candidate in found:
            assert candidate.parts.keys() == candidate.contributions.keys() == {"dense"}
            assert candidate.contributions["dense"] == pytest.approx(candidate.score)

    def test_notes_are_proposed_besides(self):
        assert ids(propose_dense(self.reader, dense_of({1: 0.9, 2: 0.8, 3: 0.7, 5: 0.6}), SCALE, 1)) == [10]
        found = propose_dense(self.reader, dense_of({1: 0.9, 2: 0.8, 3: 0.7, 5: 0.6}), SCALE, 1, also={30})
        assert ids(found) == [10, 30]
        assert found[1].parts == {"dense": pytest.approx(0.6)}

    def test_words_are_added(self):
        found = propose_dense(self.reader, self.dense, SCALE, 10, lexical_of(n30=8.0, n20=3.0), 0.25)
        assert ids(found) == [30, 20, 10]
        assert scores(found) == pytest.approx([2.0, 1.25, 1.0])
        assert found[0].parts == pytest.approx({"lexical": 8.0, "dense": 0.1})
        assert found[0].contributions == pytest.approx({"lexical": 2.0, "dense": 0.0}, abs=1e-6)
        assert found[2].parts == pytest.approx({"lexical": 0.0, "dense": 0.6})

    def test_words_that_nothing_matches_take_no_part(self):
        assert propose_dense(self.reader, self.dense, SCALE, 10, lexical_of(), 0.25) == propose_dense(
            self.reader, self.dense, SCALE, 10
        )

    def test_each_side_proposes_so_many(self):
        # Two chunks a note: the closest two are those of the notes 10 and 20; note 30 is proposed by its words alone.
        assert ids(propose_dense(self.reader, self.dense, SCALE, 1)) == [10, 20]
        assert ids(propose_dense(self.reader, self.dense, SCALE, 1, lexical_of(n30=1.0, n20=0.5), 0.01)) == [10, 20, 30]

    def test_a_note_that_the_words_propose_is_as_close_as_its_closest_chunk(self):
        found = propose_dense(self.reader, self.dense, SCALE, 1, lexical_of(n30=1.0), 0.01)
        assert found[-1].note_id == 30
        assert found[-1].parts["dense"] == pytest.approx(0.1)

    def test_only_the_best_and_those_proposed_besides_are_returned(self):
        chunks = {number: 1 - number / 20 for number in range(1, 11)}
        reader = Reader({chunk: 10 * chunk for chunk in chunks})
        every = propose_dense(reader, dense_of(chunks), SCALE, 10, lexical_of(n90=8.0, n70=3.0), 0.1)
        some = propose_dense(reader, dense_of(chunks), SCALE, 10, lexical_of(n90=8.0, n70=3.0), 0.1, {100, 10}, 3)
        assert some == [*every[:3], every[-1]]
        assert every[-1].note_id == 100

    def test_no_chunks_no_notes(self):
        assert propose_dense(Reader({}), dense_of({}), SCALE, 10) == []

    @given(
        st.dictionaries(st.integers(1, 40), st.tuples(st.integers(1, 8), st.floats(-1, 1, width=32)), max_size=25),
        st.integers(1, 12),
        st.dictionaries(st.integers(1, 8), st.floats(0.125, 20, width=32), max_size=8),
        st.floats(0, 0.2),
    )
    def test_scores_descend_and_are_the_sum_of_their_parts(self, chunks, wanted, matched, weight):
        notes = {note for note, _ in chunks.values()}
        lexical = LexicalScores({note: score for note, score in matched.items() if note in notes}, 0.5)
        reader = Reader({chunk: note for chunk, (note, _) in chunks.items()})
        found = propose_dense(
            reader, dense_of({i: cosine for i, (_, cosine) in chunks.items()}), SCALE, wanted, lexical, weight
        )
        assert len(set(ids(found))) == len(found)
        assert scores(found) == sorted(scores(found), reverse=True)
        closest = {note: max(cosine for other, cosine in chunks.values() if other == note) for note in notes}
        assert max((closest[note] for note in ids(found)), default=None) == max(closest.values(), default=None)
        by_words = sorted(lexical.notes, key=lambda note: (-lexical.notes[note], note))[:wanted]
        assert set(ids(found)) >= set(by_words)
        if wanted >= len(notes) and 2 * wanted >= len(chunks):
            assert set(ids(found)) == notes
        for candidate in found:
            similarity = (closest[candidate.note_id] - 0.1) / 0.5
            bm25 = lexical.notes.get(candidate.note_id, 0.0)
            assert candidate.score == pytest.approx(similarity + weight * bm25, abs=1e-4)
            assert sum(candidate.contributions.values()) == pytest.approx(candidate.score, abs=1e-4)


class TestClosestChunks:
    def test_by_hand(self):
        dense = dense_of({1: 0.2, 2: 0.6, 3: 0.35, 4: 0.7, 9: 0.9})
        found = closest_chunks({1: 10, 2: 10, 3: 20, 4: 10}, dense, 2)
        assert {note: chunks for note, (chunks, _) in found.items()} == {10: [4, 2], 20: [3]}
        assert found[10][1] == pytest.approx([0.7, 0.6])

    def test_chunks_that_are_not_admitted_do_not_count(self):
        assert closest_chunks({1: 10, 5: 20, 77: 10}, dense_of({1: 0.5}), 2) == {10: ([1], [0.5])}

    def test_no_chunks(self):
        assert closest_chunks({}, dense_of({1: 0.5}), 2) == {}
        assert closest_chunks({1: 10}, dense_of({}), 2) == {}

    @given(
        st.dictionaries(st.integers(1, 60), st.integers(1, 6), max_size=30),
        st.dictionaries(st.integers(1, 60), st.sampled_from([-0.5, 0.0, 0.25, 0.250001, 0.5]), max_size=30),
        st.integers(1, 5),
    )
    def test_it_agrees_with_a_full_sort(self, chunk_notes, cosines, most):
        expected = {}
        for chunk in sorted(chunk_notes.keys() & cosines.keys(), key=lambda i: (-np.float32(cosines[i]), i)):
            expected.setdefault(chunk_notes[chunk], []).append(chunk)
        found = closest_chunks(chunk_notes, dense_of(cosines), most)
        assert {note: chunks for note, (chunks, _) in found.items()} == {
            note: chunks[:most] for note, chunks in expected.items()
        }
        for chunks, own in found.values():
            assert own == pytest.approx([cosines[chunk] for chunk in chunks], abs=1e-6)


class TestContinueBelow:
    # Eighths, so that no difference is rounded.
    descending = st.lists(st.integers(-80, 80), max_size=8).map(
        lambda values: [value / 8 for value in sorted(values, reverse=True)]
    )

    @staticmethod
    def candidates(first, values):
        return [Candidate(first + number, value, {"dense": 0.5}, {}) for number, value in enumerate(values)]

    def test_what_is_better_comes_down_to_the_last_that_was_ranked(self):
        found = continue_below(self.candidates(1, [5.0, 3.0]), self.candidates(10, [7.0, 6.5, 1.0]))
        assert ids(found) == [1, 2, 10, 11, 12]
        assert scores(found) == [5.0, 3.0, 3.0, 2.5, -3.0]

    def test_what_is_worse_stays_as_it_is(self):
        found = continue_below(self.candidates(1, [5.0, 3.0]), self.candidates(10, [2.0, 1.0]))
        assert scores(found) == [5.0, 3.0, 2.0, 1.0]

    @pytest.mark.parametrize(("score", "contributions"), [(7.0, {}), (2.0, {"dense": 2.0})])
    def test_a_score_that_was_lowered_is_no_sum_any_more(self, score, contributions):
        rest = Candidate(10, score, {"dense": 0.5}, {"dense": score})
        (_, found) = continue_below(self.candidates(1, [3.0]), [rest])
        assert (found.score, found.parts, found.contributions) == (min(score, 3.0), {"dense": 0.5}, contributions)

    def test_nothing_comes_to_stand_above_the_last_that_was_ranked(self):
        # In floating point, 0.03 - (0.03 - 0.01) is a little more than 0.01.
        found = continue_below(self.candidates(1, [0.01]), self.candidates(10, [0.03]))
        assert scores(found)[1] <= scores(found)[0]

    @given(descending, descending)
    def test_scores_descend_and_no_one_changes_places(self, ranked, rest):
        above, below = self.candidates(1, ranked), self.candidates(100, rest)
        found = continue_below(above, below)
        assert ids(found) == ids(above) + ids(below)
        assert found[: len(above)] == above
        assert scores(found) == sorted(scores(found), reverse=True)
        if not ranked:
            assert found == below
        assert all(candidate.score <= value for candidate, value in zip(found[len(above) :], rest, strict=True))
