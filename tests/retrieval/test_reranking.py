import itertools
import math
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from notesearch.records import Filters
from notesearch.retrieval import Searcher
from notesearch.retrieval.candidates import Candidate, propose_dense
from notesearch.retrieval.dense import ExactScan
from notesearch.retrieval.fusion import BACKGROUND_PASSAGES, LATE_WEIGHT, Background
from notesearch.retrieval.late_interaction import PASSAGES_A_NOTE, POOL_NOTES, LateQuery, LateStage, score_note
from notesearch.storage import IndexReader

MODES = ("lexical", "dense", "hybrid")
FILLER = "Plain words fill up this section until a passage is full of them. " * 20
# Titles without letters, which passages do without.
NOTES = {
    "1.md": "quorum quorum quorum",  # closer to "quorum lease" as a whole
    "2.md": "a lease: quorum, raft, apples, pears, dates",  # holds both words
    "3.md": "apples and pears",
}


class Judge:
    """A cross-encoder that scores by a rule, and remembers what it was asked."""

    def __init__(self, rule: Callable[[str], float]) -> None:
        self._rule = rule
        self.asked: list[tuple[str, list[str]]] = []

    def score(self, query: str, passages: Sequence[str]) -> np.ndarray:
        self.asked.append((query, list(passages)))
        return np.array([self._rule(passage) for passage in passages], dtype=np.float32)


def search(searcher, typed, mode="hybrid", limit=10, rerank="maxsim", judge=None, **filters):
    return searcher.search(
        typed, limit=limit, mode=mode, filters=Filters(**filters), rerank=rerank, cross_encoder=judge
    )


def names(hits) -> list[str]:
    return [Path(hit.path).name for hit in hits]


def check_scores(hits) -> None:
    """What holds for any list of hits."""
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert len(set(names(hits))) == len(hits)
    for hit in hits:
        if hit.contributions:
            assert sum(hit.contributions.values()) == pytest.approx(hit.score, abs=1e-5)


@pytest.fixture
def without_codes(tmp_path: Path, make_reader) -> Iterator[Callable[..., IndexReader]]:
    """Indexes notes, takes the token codes of some of them away, by name, and opens the index."""
    with ExitStack() as stack:

        def make(notes: dict[str, str], *names: str) -> IndexReader:
            make_reader(notes)
            with closing(sqlite3.connect(tmp_path / "index" / "notes.db")) as connection, connection:
                for name in names:
                    connection.execute(
                        """DELETE FROM token_codes WHERE chunk_id IN (SELECT chunks.id FROM chunks
                           JOIN notes ON notes.id = note_id WHERE path LIKE ?)""",
                        [f"%/{name}"],
                    )
            return stack.enter_context(closing(IndexReader(tmp_path / "index")))

        yield make


class TestMaxSim:
    def test_a_note_that_meets_more_of_the_words_comes_first(self, make_searcher):
        searcher = make_searcher(NOTES)
        assert names(search(searcher, "quorum lease", "dense", rerank="none"))[0] == "1.md"
        assert names(search(searcher, "quorum lease", "dense"))[0] == "2.md"

    @pytest.mark.parametrize("mode", MODES)
    def test_scores_are_what_the_parts_add(self, make_searcher, mode):
        hits = search(make_searcher(NOTES), "quorum lease", mode)
        check_scores(hits)
        assert len(hits) == (2 if mode == "lexical" else 3)
        expected = {"lexical": {"lexical", "late"}, "dense": {"dense", "late"}, "hybrid": {"lexical", "dense", "late"}}
        for hit in hits:
            assert hit.contributions.keys() == hit.scores.keys() == expected[mode]
            assert hit.contributions["late"] == pytest.approx(LATE_WEIGHT * hit.scores["late"])
        both, one = (next(hit for hit in hits if name in hit.path) for name in ("2.md", "1.md"))
        assert both.scores["late"] > 1.2 > one.scores["late"]
        assert len(both.evidence) == 2

    def test_late_interaction_counts_on_its_own_scale(self, make_searcher, fake_encoder):
        searcher = make_searcher(NOTES)
        before = search(searcher, "quorum lease")
        fake_encoder.late_scale = type(fake_encoder.late_scale)(unrelated=0.2, related=0.6)
        after = search(searcher, "quorum lease")
        assert {hit.path: hit.scores["late"] for hit in after} == {hit.path: hit.scores["late"] for hit in before}
        for hit in after:
            assert hit.contributions["late"] == pytest.approx(LATE_WEIGHT * (hit.scores["late"] - 0.2) / 0.4)
        check_scores(after)

    def test_a_note_is_scored_by_the_passages_closest_to_the_query(self, make_reader, fake_encoder):
        parts = [f"## Part {number}\n\n{'quorum ' * number} {FILLER}" for number in range(7)]
        reader = make_reader({"long.md": "# Long\n\n" + "\n\n".join(parts), "short.md": "lease"})
        stage, candidates = stage_of(reader, fake_encoder, "quorum lease")
        (long,) = (candidate for candidate in stage.rerank(candidates, 10)[0] if has_chunks(reader, candidate, 7))
        chunks = [chunk for chunk, note in reader.chunk_ids_of_notes([long.note_id]).items() if note == long.note_id]
        closest = sorted(chunks, key=lambda chunk: (-float(stage.dense.of(np.array([chunk]))[0]), chunk))
        codes = reader.token_codes(closest[:PASSAGES_A_NOTE])
        expected = score_note(stage.query.score(list(codes.values())).tolist())
        assert long.parts["late"] == pytest.approx(expected)
        every = score_note(stage.query.score(list(reader.token_codes(chunks).values())).tolist())
        assert every != pytest.approx(expected)

    def test_the_passage_shown_is_the_one_in_which_the_words_are_met(self, make_searcher):
        text = f"{'quorum ' * 180}\n\n{'lease, quorum, raft, apples, pears, dates ' * 25}"
        searcher = make_searcher({"1.md": text})
        (hit,) = search(searcher, "quorum lease", "dense", rerank="none")
        assert hit.snippet.startswith("quorum quorum")
        (hit,) = search(searcher, "quorum lease", "dense")
        assert hit.snippet.startswith("lease, quorum, raft")
        assert [item.matched for item in hit.evidence] == ["quorum", "lease"]
        assert [text[item.start : item.end] for item in hit.evidence] == ["quorum", "lease"]
        assert [item.score for item in hit.evidence] == [1, 1]

    def test_a_passage_that_was_not_looked_at_is_not_shown(self, make_reader, fake_encoder):
        parts = ["quorum lease " * 75, *("quorum apples raft " * 50 for _ in range(PASSAGES_A_NOTE)), "apples " * 150]
        reader = make_reader({"1.md": "\n\n".join(parts)})
        assert len(reader.chunks_of_notes([1])) == PASSAGES_A_NOTE + 2
        (hit,) = search(Searcher(reader, lambda: fake_encoder), "quorum lease", "dense")
        assert hit.snippet.startswith("quorum lease")
        assert hit.start_line == 1

    def test_highlights_are_as_strong_as_the_words_meet(self, make_searcher):
        (hit,) = search(make_searcher({"note.md": "# Note\n\nLeases and the quorum"}), "quorum")
        assert [
            (hit.snippet[a:b], strength) for (a, b), strength in zip(hit.highlights, hit.strengths, strict=True)
        ] == [("quorum", 1.0)]

    @pytest.mark.parametrize("mode", MODES)
    def test_the_same_search_gives_the_same_hits(self, make_searcher, mode):
        searcher = make_searcher(NOTES)
        hits = search(searcher, "quorum lease", mode)
        assert search(searcher, "quorum lease", mode) == hits
        assert search(make_searcher({}), "quorum lease", mode) == hits


def stage_of(reader, encoder, typed: str) -> tuple[LateStage, list[Candidate]]:
    """Late interaction for a query, and what dense retrieval proposes."""
    encoded = encoder.encode_query(typed)
    dense = ExactScan(reader).score(encoded.vector, Filters())
    stage = LateStage(reader, encoder, typed, LateQuery.of(encoded, {}, 10), encoded.vector, dense)
    return stage, propose_dense(reader, dense, encoder.scale, 300)


def has_chunks(reader, candidate, least: int) -> bool:
    return len(reader.chunk_ids_of_notes([candidate.note_id])) >= least


class TestPool:
    """More notes than are scored again."""

    COUNT = 130

    @pytest.fixture
    def notes(self) -> dict[str, str]:
        words = ["quorum", "lease", "raft", "clock", "saga"]
        pairs = itertools.cycle(itertools.product(words, words))
        return {
            f"{number:03d}.md": f"{' '.join(next(pairs))} {'filler ' * (number % 7)} unique{number}"
            for number in range(self.COUNT)
        }

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("limit", [10, 50, 51, 125, 400])
    def test_scores_descend_and_every_hit_is_scored_again(self, make_searcher, notes, mode, limit):
        searcher = make_searcher(notes)
        hits = search(searcher, "quorum lease unique7", mode, limit=limit)
        check_scores(hits)
        found = len(search(searcher, "quorum lease unique7", mode, limit=self.COUNT, rerank="none"))
        assert len(hits) == min(limit, found)
        assert all("late" in hit.scores for hit in hits)

    @pytest.mark.parametrize("mode", MODES)
    def test_a_limit_cuts_the_same_ranking(self, make_searcher, notes, mode):
        searcher = make_searcher(notes)
        everything = search(searcher, "quorum lease", mode, limit=POOL_NOTES)
        for limit in (1, 7, 49):
            assert search(searcher, "quorum lease", mode, limit=limit) == everything[:limit]

    @pytest.mark.parametrize("pool", [0, 1, 20, 500])
    def test_the_first_are_ranked_anew_and_the_others_stay_below(self, make_reader, fake_encoder, notes, pool):
        stage, candidates = stage_of(make_reader(notes), fake_encoder, "quorum lease unique7")
        ranked, contributions = stage.rerank(candidates, pool)
        first = {candidate.note_id for candidate in candidates[:pool]}
        assert {candidate.note_id for candidate in ranked[:pool]} == first
        assert [candidate.note_id for candidate in ranked[pool:]] == [c.note_id for c in candidates[pool:]]
        assert [candidate.score for candidate in ranked] == sorted((c.score for c in ranked), reverse=True)
        assert ["late" in candidate.parts for candidate in ranked] == [
            number < pool for number in range(len(candidates))
        ]
        assert contributions.keys() == stage.reader.chunk_ids_of_notes(list(first)).keys()

    def test_the_order_within_the_pool_is_that_of_the_sums(self, make_reader, fake_encoder, notes):
        stage, candidates = stage_of(make_reader(notes), fake_encoder, "quorum lease")
        ranked, _ = stage.rerank(candidates, 20)
        before = {candidate.note_id: candidate.score for candidate in candidates}
        for candidate in ranked[:20]:
            late = LATE_WEIGHT * candidate.parts["late"]
            assert candidate.score == pytest.approx(before[candidate.note_id] + late + candidate.parts["feedback"])
        assert [candidate.note_id for candidate in ranked[:20]] != [c.note_id for c in candidates[:20]]

    def test_notes_are_scored_again_besides(self, make_reader, fake_encoder):
        stage, candidates = stage_of(make_reader(NOTES), fake_encoder, "quorum lease")
        last = candidates[-1].note_id
        ranked, _ = stage.rerank(candidates, 1, {last})
        assert {found.note_id for found in ranked if "late" in found.parts} == {candidates[0].note_id, last}
        assert len(ranked) == len(candidates)

    @pytest.mark.parametrize("mode", MODES)
    def test_feedback_is_a_part_where_similarity_is(self, make_searcher, notes, mode):
        hits = search(make_searcher(notes), "quorum lease", mode)
        check_scores(hits)
        for hit in hits:
            assert ("feedback" in hit.scores) == (mode != "lexical")
            assert hit.contributions.keys() == hit.scores.keys()
        assert not any(
            "feedback" in hit.scores for hit in search(make_searcher({}), "quorum lease", mode, rerank="none")
        )

    def test_feedback_is_what_the_vectors_of_the_notes_give(self, make_reader, fake_encoder, notes):
        reader = make_reader(notes)
        stage, candidates = stage_of(reader, fake_encoder, "quorum lease")
        ranked, _ = stage.rerank(candidates, POOL_NOTES)
        note_ids = [candidate.note_id for candidate in candidates[:POOL_NOTES]]
        chunks = {note_id: chunk_id for chunk_id, note_id in reader.chunk_ids_of_notes(note_ids).items()}
        every = reader.vectors_of_chunks(stage.dense.chunk_ids.tolist())
        background = Background.of(stage.vector, np.stack(list(every.values())))
        assert background and background.strength == pytest.approx(self.COUNT / BACKGROUND_PASSAGES)
        late = {candidate.note_id: LATE_WEIGHT * candidate.parts["late"] for candidate in ranked[:POOL_NOTES]}
        expected, _ = background.feed_back(
            np.stack([every[chunks[note_id]] for note_id in note_ids]),
            np.array([candidate.parts["dense"] for candidate in candidates[:POOL_NOTES]], dtype=np.float32),
            np.arange(POOL_NOTES),
            np.array([c.score + late[c.note_id] for c in candidates[:POOL_NOTES]], dtype=np.float32),
            fake_encoder.scale,
        )
        found = {candidate.note_id: candidate.parts["feedback"] for candidate in ranked[:POOL_NOTES]}
        np.testing.assert_allclose([found[note_id] for note_id in note_ids], expected, atol=1e-4)

    def test_nothing_to_rank(self, make_reader, fake_encoder):
        stage, _ = stage_of(make_reader(NOTES), fake_encoder, "quorum")
        assert stage.rerank([], 50) == ([], {})


class TestWithoutCodes:
    """An index that an older notesearch made, and of which some notes were indexed again."""

    @pytest.mark.parametrize("mode", MODES)
    def test_notes_without_codes_are_found_below_those_that_have_them(self, without_codes, fake_encoder, mode):
        notes = NOTES | {"4.md": "quorum lease", "5.md": "lease quorum and quorum raft"}
        searcher = Searcher(without_codes(notes, "4.md", "2.md"), lambda: fake_encoder)
        plain = names(search(searcher, "quorum lease", mode, rerank="none"))
        assert plain[0] == "4.md"
        hits = search(searcher, "quorum lease", mode)
        assert set(names(hits)) == set(plain)
        assert names(hits)[0] == "5.md"
        without = [hit for hit in hits if Path(hit.path).name in ("4.md", "2.md")]
        assert hits[-2:] == without
        assert names(without) == [name for name in plain if name in ("4.md", "2.md")]
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert ["late" in hit.scores for hit in hits] == [True] * (len(hits) - 2) + [False] * 2
        assert all(hit.evidence == () for hit in without)
        assert all(hit.evidence for hit in hits[:-2])

    @pytest.mark.parametrize("mode", MODES)
    def test_without_any_codes_the_order_stays_as_it_was(self, without_codes, fake_encoder, mode):
        searcher = Searcher(without_codes(NOTES, *NOTES), lambda: fake_encoder)
        hits = search(searcher, "quorum lease", mode)
        assert len(hits) >= 2
        plain = search(searcher, "quorum lease", mode, rerank="none")
        assert names(hits) == names(plain)
        assert all(hit.evidence == () for hit in hits)
        check_scores(hits)

    def test_a_score_that_was_lowered_is_no_sum_of_contributions(self, without_codes, fake_encoder):
        notes = NOTES | {"4.md": "quorum lease", "6.md": "quorum lease"}
        searcher = Searcher(without_codes(notes, "4.md", "6.md"), lambda: fake_encoder)
        hits = search(searcher, "quorum lease")
        check_scores(hits)
        assert {name: bool(hit.contributions) for name, hit in zip(names(hits), hits, strict=True)} == {
            name: name in NOTES for name in notes
        }

    def test_they_stay_above_those_that_were_not_to_be_scored_again(self, without_codes, fake_encoder):
        notes = {f"{number}.md": "quorum " + "apples " * number for number in range(1, 7)}
        stage, candidates = stage_of(without_codes(notes, "1.md", "3.md"), fake_encoder, "quorum")
        paths = {note_id: Path(note.path).name for note_id, note in stage.reader.notes(list(range(1, 7))).items()}
        assert [paths[candidate.note_id] for candidate in candidates] == list(notes)
        ranked, _ = stage.rerank(candidates, 4)
        assert {paths[candidate.note_id] for candidate in ranked[:2]} == {"2.md", "4.md"}
        assert [paths[candidate.note_id] for candidate in ranked[2:]] == ["1.md", "3.md", "5.md", "6.md"]
        assert [candidate.score for candidate in ranked] == sorted((c.score for c in ranked), reverse=True)

    def test_a_note_some_of_whose_passages_have_codes_is_scored_by_these(self, make_reader, fake_encoder, tmp_path):
        parts = [f"{words} {'filler ' * 130}" for words in ("quorum", "a quorum", "none of it")]
        make_reader({"note.md": "\n\n".join(parts), "other.md": "lease"})
        with closing(sqlite3.connect(tmp_path / "index" / "notes.db")) as connection, connection:
            connection.execute(
                "DELETE FROM token_codes WHERE chunk_id = (SELECT id FROM chunks WHERE text LIKE 'none%')"
            )
            assert connection.execute("SELECT count(*) FROM token_codes").fetchone() == (3,)
        with closing(IndexReader(tmp_path / "index")) as reader:
            hits = search(Searcher(reader, lambda: fake_encoder), "quorum")
        note, other = sorted(hits, key=lambda hit: hit.path)
        # Two of its three passages hold the word, and the third does not count.
        assert note.scores["late"] == pytest.approx(math.sqrt(math.pi / 2), abs=1e-5)
        assert other.scores["late"] < 1


class TestCrossEncoder:
    @pytest.mark.parametrize("mode", MODES)
    def test_it_decides_the_order(self, make_searcher, mode):
        searcher = make_searcher({f"{letter}.md": f"quorum {letter}{letter}" for letter in "abcdef"})
        judge = Judge(lambda passage: float(ord(passage[-1])))
        hits = search(searcher, "quorum aa", mode, rerank="cross-encoder", judge=judge)
        assert names(hits) == ["f.md", "e.md", "d.md", "c.md", "b.md", "a.md"]
        check_scores(hits)
        for hit in hits:
            assert hit.score == hit.scores["cross_encoder"] == ord(hit.snippet[-1])
            assert hit.contributions == {}
            assert "late" in hit.scores
            assert hit.evidence

    def test_a_limit_cuts_what_it_ranked(self, make_searcher):
        searcher = make_searcher({f"{letter}.md": f"quorum {letter}{letter}" for letter in "abcdef"})
        judge = Judge(lambda passage: float(ord(passage[-1])))
        hits = search(searcher, "quorum aa", limit=2, rerank="cross-encoder", judge=judge)
        assert names(hits) == ["f.md", "e.md"]

    def test_equal_scores_leave_the_order_as_it_was(self, make_searcher):
        searcher = make_searcher(NOTES)
        before = names(search(searcher, "quorum lease"))
        judge = Judge(lambda passage: -3.0)
        assert names(search(searcher, "quorum lease", rerank="cross-encoder", judge=judge)) == before

    def test_it_reads_the_query_and_each_note_s_best_passage_under_its_title(self, make_searcher):
        text = f"# Raft\n\n## Terms\n\n{FILLER}\n\n## Votes\n\nA candidate asks for votes. {FILLER}"
        judge = Judge(len)
        search(
            make_searcher({"raft.md": text, "dal.md": "# Dal\n\nLentils"}),
            ' "votes"  candidate ',
            judge=judge,
            rerank="cross-encoder",
        )
        ((query, passages),) = judge.asked
        assert query == "votes candidate"
        (passage,) = passages
        assert passage.startswith("Raft\n## Votes\n\nA candidate asks for votes.")

    def test_it_scores_so_many_notes_and_no_more(self, make_searcher):
        notes = {f"{number:03d}.md": f"quorum number{number}" for number in range(90)}
        searcher = make_searcher(notes)
        for limit, asked, found in ((5, POOL_NOTES, 5), (70, 70, 70), (200, 90, 90)):
            judge = Judge(len)
            hits = search(searcher, "quorum", limit=limit, rerank="cross-encoder", judge=judge)
            check_scores(hits)
            assert len(hits) == found
            assert [len(passages) for _, passages in judge.asked] == [asked]

    def test_nothing_was_found(self, make_searcher):
        searcher = make_searcher(NOTES)
        assert search(searcher, "blockchain", "lexical", rerank="cross-encoder", judge=Judge(len)) == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rerank", ["maxsim", "cross-encoder"])
class TestEachModeRanked:
    @staticmethod
    def judge(rerank):
        return Judge(len) if rerank == "cross-encoder" else None

    def test_an_index_without_notes_finds_nothing(self, make_searcher, mode, rerank):
        searcher = make_searcher({".hidden.md": "not indexed"})
        assert search(searcher, "anything", mode, rerank=rerank, judge=self.judge(rerank)) == []

    def test_words_that_no_note_holds(self, make_searcher, mode, rerank):
        hits = search(make_searcher(NOTES), "blockchain", mode, rerank=rerank, judge=self.judge(rerank))
        assert len(hits) == (0 if mode == "lexical" else 3)
        check_scores(hits)

    @pytest.mark.parametrize("typed", ["the of and", "?!", "NEAR( OR *", "cap\0\ud800", "salt " * 2000, "麻", "🙂"])
    def test_odd_queries_are_answered(self, make_searcher, mode, rerank, typed):
        notes = NOTES | {"odd.md": "?!", "cjk.md": "吃麻婆豆腐", "stop.md": "the of and"}
        hits = search(make_searcher(notes), typed, mode, rerank=rerank, judge=self.judge(rerank))
        assert len(hits) <= 6
        check_scores(hits)

    def test_a_phrase_must_occur_in_the_passage_shown(self, make_searcher, mode, rerank):
        text = f"# Raft\n\n## Terms\n\nquorum lease quorum lease {FILLER}\n\n## Log\n\nThe leader. {FILLER}"
        searcher = make_searcher(NOTES | {"raft.md": text})
        judge = self.judge(rerank)
        (hit,) = search(searcher, 'quorum lease "The leader"', mode, rerank=rerank, judge=judge)
        assert (Path(hit.path).name, hit.heading, hit.more_passages) == ("raft.md", "Log", 0)
        assert search(searcher, '"leader the"', mode, rerank=rerank, judge=self.judge(rerank)) == []

    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            ({"tags": ("fruit",)}, {"a.md", "b.md"}),
            ({"excluded_tags": ("fruit",)}, {"c.md"}),
            ({"since": datetime(2024, 1, 1), "until": datetime(2024, 12, 31)}, {"b.md"}),
            ({"path_glob": "c*"}, {"c.md"}),
            ({"tags": ("fruit",), "path_glob": "c*"}, set()),
        ],
    )
    def test_filters_admit_notes(self, make_searcher, mode, rerank, filters, expected):
        notes = {
            "a.md": "---\ntags: fruit\ndate: 2023-05-01\n---\nquorum",
            "b.md": "---\ntags: fruit\ndate: 2024-05-01\n---\nlease quorum",
            "c.md": "---\ndate: 2025-05-01\n---\nquorum lease lease",
        }
        hits = search(make_searcher(notes), "quorum", mode, rerank=rerank, judge=self.judge(rerank), **filters)
        assert set(names(hits)) == expected
        check_scores(hits)
