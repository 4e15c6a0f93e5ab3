import itertools
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from notesearch.errors import UsageError
from notesearch.records import Filters
from notesearch.retrieval import Searcher
from notesearch.retrieval.concepts import parse_concepts
from notesearch.retrieval.late_interaction import LATE_WEIGHT, PASSAGES_A_NOTE
from notesearch.retrieval.passages import POOL_NOTES

MODES = ("lexical", "dense", "hybrid")
WAYS = list(itertools.product(MODES, ("none", "maxsim", "cross-encoder")))
FILLER = "Plain words fill up this section until a passage is full of them. " * 25
NOTES = {
    "cap.md": "---\ntags: [databases]\ndate: 2024-02-10\n---\n# CAP theorem\n\nConsistency in a partition.",
    "raft.md": "# Raft\n\n"
    + f"{FILLER}\n\n## Votes\n\nA candidate needs a majority. {FILLER}\n\n## Log\n\nThe leader. {FILLER}\n",
    "paxos.md": "# Paxos\n\nAcceptors promise; a majority accepts.\n\n#databases/consensus",
    "dal.md": "---\ntags: cooking\ndate: 2023-05-01\n---\n# Dal\n\nLentils, turmeric, a pinch of salt.",
    "bread.md": "---\ntags: cooking\ndate: 2025-05-01\n---\n# Bread\n\nFlour, water, salt and patience.",
}


class Judge:
    """A cross-encoder that scores by a rule, and remembers what it was asked."""

    def __init__(self, rule: Callable[[str], float] = len) -> None:
        self._rule = rule
        self.asked: list[tuple[str, list[str]]] = []

    def score(self, query: str, passages: Sequence[str]) -> np.ndarray:
        self.asked.append((query, list(passages)))
        return np.array([self._rule(passage) for passage in passages], dtype=np.float32)


def search(searcher, typed, mode="hybrid", rerank="none", limit=10, judge=None, **filters):
    """Searches, and checks what holds for any list of hits."""
    if rerank == "cross-encoder":
        judge = judge or Judge()
    hits = searcher.search(
        typed, limit=limit, mode=mode, filters=Filters(**filters), rerank=rerank, cross_encoder=judge
    )
    assert len(hits) <= limit
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert len(set(names(hits))) == len(hits)
    for hit in hits:
        assert sum(hit.contributions.values()) == pytest.approx(hit.score, abs=1e-5) or not hit.contributions
    return hits


def names(hits) -> list[str]:
    return [Path(hit.path).name for hit in hits]


@pytest.fixture
def searcher(make_searcher) -> Searcher:
    return make_searcher(NOTES)


@pytest.mark.parametrize(("mode", "rerank"), WAYS)
class TestEveryWay:
    """What holds for every mode and reranking."""

    def test_a_limit_cuts_the_same_ranking_and_it_stays_the_same(self, searcher, make_searcher, mode, rerank):
        everything = search(searcher, "majority of salt and a leader", mode, rerank)
        assert len(everything) >= 3
        for limit in (1, 2):
            assert search(searcher, "majority of salt and a leader", mode, rerank, limit) == everything[:limit]
        assert search(searcher, "majority of salt and a leader", mode, rerank) == everything
        assert search(make_searcher({}), "majority of salt and a leader", mode, rerank) == everything

    def test_a_phrase_must_occur_in_the_passage_shown(self, searcher, mode, rerank):
        assert names(search(searcher, '"pinch of salt"', mode, rerank)) == ["dal.md"]
        assert names(search(searcher, 'bread "pinch of salt" flour water', mode, rerank)) == ["dal.md"]
        assert search(searcher, '"salt of pinch"', mode, rerank) == []
        assert search(searcher, '"pinches of salt"', mode, rerank) == []
        (hit,) = search(searcher, 'votes candidate "The leader"', mode, rerank)
        assert (hit.heading, hit.more_passages) == ("Log", 0)

    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            ({"tags": ("cooking",)}, {"dal.md", "bread.md"}),
            ({"tags": ("databases",)}, {"cap.md", "paxos.md"}),
            ({"tags": ("cooking", "databases")}, set()),
            ({"tags": ("cooking",), "since": datetime(2024, 1, 1)}, {"bread.md"}),
            ({"since": datetime(2023, 1, 1), "until": datetime(2024, 12, 31)}, {"cap.md", "dal.md"}),
            ({"tags": ("cooking",), "excluded_tags": ("cooking",)}, set()),
            ({"paths": (("b*.md",),)}, {"bread.md"}),
        ],
    )
    def test_filters_admit_notes(self, searcher, mode, rerank, filters, expected):
        assert set(names(search(searcher, "salt majority partition", mode, rerank, **filters))) == expected

    @pytest.mark.parametrize("typed", ["the of and", "?!", "NEAR( OR *", "cap\0\ud800", "salt " * 2000, "麻", "🙂"])
    def test_odd_queries_are_answered(self, make_searcher, mode, rerank, typed):
        notes = NOTES | {"odd.md": "?!", "cjk.md": "吃麻婆豆腐", "stop.md": "the of and"}
        search(make_searcher(notes), typed, mode, rerank)

    def test_an_index_without_notes_finds_nothing(self, make_searcher, mode, rerank):
        assert search(make_searcher({".hidden.md": "not indexed"}), "anything", mode, rerank) == []

    def test_words_that_no_note_holds(self, searcher, mode, rerank):
        assert len(search(searcher, "blockchain", mode, rerank)) == (0 if mode == "lexical" else len(NOTES))

    def test_a_note_with_a_title_but_no_text_is_found_by_its_title(self, make_searcher, mode, rerank):
        searcher = make_searcher({"Zebra crossing.md": "", "other.md": "Else."})
        hit = search(searcher, "zebra crossing", mode, rerank)[0]
        assert (hit.title, hit.snippet, hit.start_line, hit.end_line) == ("Zebra crossing", "", 1, 1)
        assert hit.more_passages == 0

    def test_scores_are_made_of_the_parts_that_took_part(self, searcher, mode, rerank):
        retrievers = {"lexical", "dense"} if mode == "hybrid" else {mode}
        stages = {"none": set(), "maxsim": {"late"}, "cross-encoder": {"late", "cross_encoder"}}[rerank]
        for hit in search(searcher, "salt majority leader", mode, rerank):
            assert hit.scores.keys() == retrievers | stages
            is_no_sum = (mode, rerank) == ("lexical", "none") or rerank == "cross-encoder"
            assert hit.contributions.keys() == (set() if is_no_sum else hit.scores.keys())
            assert bool(hit.evidence) == (rerank != "none")

    def test_the_encoder_is_opened_once_and_only_if_it_is_needed(self, make_reader, fake_encoder, mode, rerank):
        opened = []
        searcher = Searcher(make_reader(NOTES), lambda: opened.append(1) or fake_encoder)
        for typed in ("salt", "majority", "blockchain"):
            search(searcher, typed, mode, rerank)
        assert opened == ([] if (mode, rerank) == ("lexical", "none") else [1])


@pytest.mark.parametrize("mode", MODES)
class TestEachMode:
    def test_the_note_that_the_query_quotes_is_first(self, searcher, mode):
        assert names(search(searcher, "Dal\nLentils, turmeric, a pinch of salt.", mode))[0] == "dal.md"

    def test_a_rare_tag_is_found_under_hundreds_of_better_matches(self, make_searcher, mode):
        notes = {f"{number:03d}.md": "quorum quorum" for number in range(650)}
        searcher = make_searcher(notes | {"rare.md": "#rare quorum, and many other words, none of them to the point"})
        assert "rare.md" not in names(search(searcher, "quorum", mode))
        assert names(search(searcher, "quorum", mode, limit=1, tags=("rare",))) == ["rare.md"]


def test_lexical_search_finds_only_notes_with_a_word_of_the_query_and_shows_bm25(searcher):
    (hit,) = search(searcher, "turmeric", "lexical")
    assert (Path(hit.path).name, hit.score, hit.contributions) == ("dal.md", hit.scores["lexical"], {})
    assert search(searcher, "blockchain", "lexical") == []


def test_the_passage_shown_is_the_one_that_answers(searcher):
    (hit,) = search(searcher, "candidate votes", "lexical")
    assert hit.path.endswith("raft.md")
    assert hit.heading.endswith("Votes")
    lines = NOTES["raft.md"].split("\n")
    shown = "\n".join(lines[hit.start_line - 1 : hit.end_line])
    assert "A candidate needs" in shown and "## Log" not in shown
    assert hit.snippet.startswith("A candidate needs a majority.")
    assert [hit.snippet[a:b] for a, b in hit.highlights] == ["candidate"]


def test_other_passages_of_a_note_are_counted(searcher):
    hits = {hit.title: hit for hit in search(searcher, "majority", "lexical")}
    assert hits["Raft"].more_passages >= 2
    assert hits["Paxos"].more_passages == 0


def test_a_query_of_stopwords_finds_notes_that_hold_them(make_searcher):
    searcher = make_searcher({"hamlet.md": "To be or not to be.", "dal.md": "Lentils"})
    assert names(search(searcher, "to be or not to be", "lexical")) == ["hamlet.md"]


@pytest.mark.parametrize("mode", ["lexical", "hybrid"])
def test_of_stopwords_the_note_in_which_they_stand_together_is_first(make_searcher, mode):
    filler = {
        f"{number}.md": f"It is to be let, and who it will be to is not the question {number}" for number in range(9)
    }
    songs = {"song.md": "They wrote Let It Be, a song of many more words than that, in a year of quarrels"}
    searcher = make_searcher(filler | songs | {"band.md": "A concert of the Who, loud guitars and broken drums"})
    for typed, expected in (("let it be", "song.md"), ("the who", "band.md")):
        hits = search(searcher, typed, mode, "maxsim" if mode == "hybrid" else "none")
        assert names(hits)[0] == expected
        assert hits[0].score > 2 * hits[1].score
        assert not hits[0].evidence


def test_an_empty_query_is_refused(searcher):
    with pytest.raises(UsageError):
        search(searcher, "  ")


@pytest.mark.parametrize("typed", ["Straße", "Mu\u0308nchen", "M\u00fcnchen"])
def test_a_german_word_is_found_and_highlighted(make_searcher, typed):
    searcher = make_searcher({"reise.md": "In der Straße nach München.", "cafe.md": "Kaffee"})
    (hit,) = search(searcher, typed, "lexical")
    assert len(hit.highlights) == 1


# Titles without letters, which passages do without.
QUORUM_NOTES = {
    "1.md": "quorum quorum quorum",  # closer to "quorum lease" as a whole
    "2.md": "a lease: quorum, raft, apples, pears, dates",  # holds both words
    "3.md": "apples and pears",
}


class TestMaxSim:
    def test_a_note_that_meets_more_of_the_words_comes_first(self, make_searcher):
        searcher = make_searcher(QUORUM_NOTES)
        assert names(search(searcher, "quorum lease", "dense"))[0] == "1.md"
        hits = search(searcher, "quorum lease", "dense", "maxsim")
        assert names(hits)[0] == "2.md"
        both, one = hits[0], next(hit for hit in hits if "1.md" in hit.path)
        assert both.scores["late"] > 1.2 > one.scores["late"]
        assert len(both.evidence) == 2

    def test_it_counts_on_its_own_scale(self, make_searcher, fake_encoder):
        searcher = make_searcher(QUORUM_NOTES)
        before = search(searcher, "quorum lease", rerank="maxsim")
        fake_encoder.late_scale = type(fake_encoder.late_scale)(unrelated=0.2, related=0.6)
        after = search(searcher, "quorum lease", rerank="maxsim")
        assert {hit.path: hit.scores["late"] for hit in after} == {hit.path: hit.scores["late"] for hit in before}
        for hit in after:
            assert hit.contributions["late"] == pytest.approx(LATE_WEIGHT * (hit.scores["late"] - 0.2) / 0.4)

    def test_the_passage_shown_is_the_one_in_which_the_words_are_met(self, make_searcher):
        text = f"{'quorum ' * 180}\n\n{'lease, quorum, raft, apples, pears, dates ' * 25}"
        searcher = make_searcher({"1.md": text})
        (hit,) = search(searcher, "quorum lease", "dense")
        assert hit.snippet.startswith("quorum quorum")
        (hit,) = search(searcher, "quorum lease", "dense", "maxsim")
        assert hit.snippet.startswith("lease, quorum, raft")
        assert [item.matched for item in hit.evidence] == ["quorum", "lease"]
        assert [text[item.start : item.end] for item in hit.evidence] == ["quorum", "lease"]
        assert [item.score for item in hit.evidence] == [1, 1]

    def test_a_passage_that_was_not_looked_at_is_not_shown(self, make_reader, fake_encoder):
        parts = ["quorum lease " * 75, *("quorum apples raft " * 50 for _ in range(PASSAGES_A_NOTE)), "apples " * 150]
        reader = make_reader({"1.md": "\n\n".join(parts)})
        assert len(reader.chunks_of_notes([1])) == PASSAGES_A_NOTE + 2
        (hit,) = search(Searcher(reader, lambda: fake_encoder), "quorum lease", "dense", "maxsim")
        assert hit.snippet.startswith("quorum lease")
        assert hit.start_line == 1

    def test_highlights_are_as_strong_as_the_words_meet(self, make_searcher):
        (hit,) = search(make_searcher({"note.md": "# Note\n\nLeases and the quorum"}), "quorum", rerank="maxsim")
        assert [hit.snippet[a:b] for a, b in hit.highlights] == ["quorum"]
        assert hit.strengths == (1.0,)


class TestPool:
    """More notes than are scored again, and enough passages for feedback."""

    COUNT = 130

    @pytest.fixture
    def searcher(self, make_searcher) -> Searcher:
        words = ["quorum", "lease", "raft", "clock", "saga"]
        pairs = itertools.cycle(itertools.product(words, words))
        return make_searcher(
            {
                f"{number:03d}.md": f"{' '.join(next(pairs))} {'filler ' * (number % 7)} unique{number}"
                for number in range(self.COUNT)
            }
        )

    @pytest.mark.parametrize("mode", MODES)
    def test_every_hit_is_scored_again(self, searcher, mode):
        found = len(search(searcher, "quorum lease unique7", mode, limit=self.COUNT))
        for limit in (10, 50, 51, 125, 400):
            hits = search(searcher, "quorum lease unique7", mode, "maxsim", limit)
            assert len(hits) == min(limit, found)
            for hit in hits:
                assert "late" in hit.scores
                assert ("feedback" in hit.scores) == (mode != "lexical")

    @pytest.mark.parametrize("mode", MODES)
    def test_a_limit_cuts_the_same_ranking(self, searcher, mode):
        everything = search(searcher, "quorum lease", mode, "maxsim", POOL_NOTES)
        for limit in (1, 7, 49):
            assert search(searcher, "quorum lease", mode, "maxsim", limit) == everything[:limit]


class TestCrossEncoder:
    @pytest.mark.parametrize("mode", MODES)
    def test_it_decides_the_order(self, make_searcher, mode):
        searcher = make_searcher({f"{letter}.md": f"quorum {letter}{letter}" for letter in "abcdef"})
        judge = Judge(lambda passage: float(ord(passage[-1])))
        hits = search(searcher, "quorum aa", mode, "cross-encoder", judge=judge)
        assert names(hits) == ["f.md", "e.md", "d.md", "c.md", "b.md", "a.md"]
        assert all(hit.score == hit.scores["cross_encoder"] == ord(hit.snippet[-1]) for hit in hits)

    def test_equal_scores_leave_the_order_as_it_was(self, make_searcher):
        searcher = make_searcher(QUORUM_NOTES)
        before = names(search(searcher, "quorum lease", rerank="maxsim"))
        judge = Judge(lambda passage: -3.0)
        assert names(search(searcher, "quorum lease", rerank="cross-encoder", judge=judge)) == before

    def test_it_reads_the_query_and_each_note_s_best_passage_under_its_title(self, make_searcher):
        text = f"# Raft\n\n## Terms\n\n{FILLER}\n\n## Votes\n\nA candidate asks for votes. {FILLER}"
        judge = Judge()
        searcher = make_searcher({"raft.md": text, "dal.md": "# Dal\n\nLentils"})
        search(searcher, ' "votes"  candidate ', rerank="cross-encoder", judge=judge)
        ((query, passages),) = judge.asked
        assert query == "votes candidate"
        (passage,) = passages
        assert passage.startswith("Raft\n## Votes\n\nA candidate asks for votes.")

    def test_it_scores_so_many_notes_and_no_more(self, make_searcher):
        searcher = make_searcher({f"{number:03d}.md": f"quorum number{number}" for number in range(90)})
        for limit, asked, found in ((5, POOL_NOTES, 5), (70, 70, 70), (200, 90, 90)):
            judge = Judge()
            assert len(search(searcher, "quorum", rerank="cross-encoder", limit=limit, judge=judge)) == found
            assert [len(passages) for _, passages in judge.asked] == [asked]


LINKED_NOTES = {
    "anicca.md": "Impermanence: every conditioned thing arises and passes away.",
    "dogen.md": "Firewood and ash, a page on impermanence, and some more words about moons in dewdrops.",
    "eventual.md": "---\ntags: [databases]\n---\nEventual consistency: if writes stop, all replicas agree.",
    "replicas.md": "---\ntags: [databases]\n---\nReplicas with eventual consistency and clocks.",
    "dal.md": "Lentils, turmeric, a pinch of salt.",
}
CONCEPTS = parse_concepts(
    'weight = 0.9\n[concepts]\nimpermanence = ["eventual consistency"]\nlentils = ["salt"]', Path("concepts")
)


class TestConcepts:
    @pytest.fixture
    def reader(self, make_reader):
        return make_reader(LINKED_NOTES)  # one for both, since the notes' dates are those of their making

    @pytest.fixture
    def linked(self, reader, fake_encoder) -> Searcher:
        return Searcher(reader, lambda: fake_encoder, CONCEPTS)

    @pytest.fixture
    def plain(self, reader, fake_encoder) -> Searcher:
        return Searcher(reader, lambda: fake_encoder)

    @pytest.mark.parametrize(("mode", "rerank"), WAYS)
    def test_a_query_that_calls_for_no_concept_is_answered_as_without_them(self, linked, plain, mode, rerank):
        for typed in ("a page of words", "ash and replicas", '"eventual" clocks'):
            assert search(linked, typed, mode, rerank) == search(plain, typed, mode, rerank)

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("rerank", ["none", "maxsim"])
    def test_the_notes_of_a_linked_idea_follow_those_of_the_query(self, linked, plain, mode, rerank):
        hits = search(linked, "impermanence", mode, rerank, limit=5)
        assert names(hits)[0] == "anicca.md"
        own = {hit.path: hit.score for hit in search(plain, "impermanence", mode, rerank, limit=5)}
        brought = [hit for hit in hits if "concepts" in hit.scores]
        assert set(names(brought)) >= {"eventual.md", "replicas.md"}
        for hit in hits:
            if hit in brought:
                assert hit.scores["concepts"] == pytest.approx(hit.score) == sum(hit.contributions.values())
                assert own.get(hit.path, 0) < hit.score <= 0.9 * hits[0].score + 1e-6
            else:
                assert hit.score == own[hit.path]

    def test_a_note_that_an_idea_brings_is_scored_by_the_query_too(self, make_reader, fake_encoder):
        notes = {f"{number:03d}.md": "impermanence" + " filler" * min(number, 2) for number in range(POOL_NOTES + 20)}
        reader = make_reader(notes | {"far.md": "eventual consistency in many words"})
        options = {"rerank": "maxsim", "limit": POOL_NOTES}
        plain = search(Searcher(reader, lambda: fake_encoder), "impermanence", **options)
        assert "far.md" not in names(plain)
        hits = search(Searcher(reader, lambda: fake_encoder, CONCEPTS), "impermanence", **options)
        (far,) = (hit for hit in hits if hit.path.endswith("far.md"))
        assert far.scores.keys() == {"lexical", "dense", "late", "feedback", "concepts"}

    def test_a_linked_hit_shows_what_meets_the_idea(self, linked):
        hits = {Path(hit.path).name: hit for hit in search(linked, "impermanence", rerank="maxsim", limit=4)}
        hit = hits["eventual.md"]
        assert [hit.snippet[a:b] for a, b in hit.highlights] == ["Eventual", "consistency"]
        assert [row.query_token for row in hit.evidence] == ["eventual", "consistency"]
        assert [row.query_token for row in hits["anicca.md"].evidence] == ["impermanence"]

    @pytest.mark.parametrize("mode", MODES)
    def test_linked_hits_respect_filters_phrases_and_the_limit(self, linked, mode):
        def found(typed, limit=10, **filters):
            return names(search(linked, typed, mode, limit=limit, **filters))

        assert set(found("impermanence", excluded_tags=("databases",))) & {"eventual.md", "replicas.md"} == set()
        assert set(found("impermanence", tags=("databases",))) == {"eventual.md", "replicas.md"}
        assert set(found('"impermanence"')) == {"anicca.md", "dogen.md"}
        assert found('impermanence "replicas with"') == ["replicas.md"]
        assert found("impermanence", limit=2) == found("impermanence")[:2]

    def test_a_search_tells_which_links_it_follows(self, linked, plain):
        (link,) = linked.links_called_for("Impermanence?")
        assert (link.idea, link.linked, link.weight) == ("impermanence", "eventual consistency", 0.9)
        assert plain.links_called_for("impermanence") == ()
