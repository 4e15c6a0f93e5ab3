from datetime import datetime
from pathlib import Path

import pytest

from notesearch.errors import UsageError
from notesearch.records import Filters
from notesearch.retrieval import Searcher
from notesearch.retrieval.concepts import parse_concepts

MODES = ("lexical", "dense", "hybrid")
FILLER = "Plain words fill up this section until a passage is full of them. " * 25
NOTES = {
    "cap.md": "---\ntags: [databases]\ndate: 2024-02-10\n---\n# CAP theorem\n\nConsistency in a partition.",
    "raft.md": "# Raft\n\n"
    + f"{FILLER}\n\n## Votes\n\nA candidate needs a majority. {FILLER}\n\n## Log\n\nThe leader. {FILLER}\n",
    "paxos.md": "# Paxos\n\nAcceptors promise; a majority accepts.\n\n#databases/consensus",
    "dal.md": "---\ntags: cooking\ndate: 2023-05-01\n---\n# Dal\n\nLentils, turmeric, a pinch of salt.",
    "bread.md": "---\ntags: cooking\ndate: 2025-05-01\n---\n# Bread\n\nFlour, water, salt and patience.",
}


@pytest.fixture
def searcher(make_searcher) -> Searcher:
    return make_searcher(NOTES)


def search(searcher, typed, mode="hybrid", limit=10, **filters):
    return searcher.search(typed, limit=limit, mode=mode, filters=Filters(**filters))


def names(hits):
    return [hit.path.rsplit("/", 1)[-1] for hit in hits]


@pytest.mark.parametrize("mode", MODES)
def test_hits_are_ranked_from_one_by_descending_score_each_note_once(searcher, mode):
    hits = search(searcher, "majority of salt and a leader", mode)
    assert len(hits) >= 3
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert len(set(names(hits))) == len(hits)


@pytest.mark.parametrize("mode", MODES)
def test_a_limit_cuts_the_same_ranking(searcher, mode):
    everything = search(searcher, "majority of salt and a leader", mode)
    for limit in (1, 2):
        assert search(searcher, "majority of salt and a leader", mode, limit=limit) == everything[:limit]


@pytest.mark.parametrize("mode", MODES)
def test_the_same_search_gives_the_same_hits(searcher, make_searcher, mode):
    hits = search(searcher, "salt majority", mode)
    assert search(searcher, "salt majority", mode) == hits
    assert search(make_searcher({}), "salt majority", mode) == hits


def test_each_mode_says_what_its_scores_are_made_of(searcher):
    assert search(searcher, "lentils", "lexical")[0].scores.keys() == {"lexical"}
    assert search(searcher, "lentils", "dense")[0].scores.keys() == {"dense"}
    assert search(searcher, "lentils", "hybrid")[0].scores.keys() >= {"lexical", "dense"}


def test_lexical_search_finds_only_notes_with_a_word_of_the_query(searcher):
    assert names(search(searcher, "turmeric", "lexical")) == ["dal.md"]
    assert search(searcher, "blockchain", "lexical") == []


@pytest.mark.parametrize("mode", ["dense", "hybrid"])
def test_dense_search_ranks_every_note(searcher, mode):
    assert set(names(search(searcher, "turmeric", mode))) == set(NOTES)


@pytest.mark.parametrize("mode", MODES)
def test_the_note_that_the_query_quotes_is_first(searcher, mode):
    assert names(search(searcher, "Dal\nLentils, turmeric, a pinch of salt.", mode))[0] == "dal.md"


def test_lexical_search_needs_no_encoder(make_reader):
    def fail():
        raise AssertionError("the encoder was opened")

    searcher = Searcher(make_reader(NOTES), fail)
    assert names(search(searcher, "turmeric", "lexical")) == ["dal.md"]
    with pytest.raises(AssertionError):
        search(searcher, "turmeric", "dense")


def test_the_encoder_is_opened_once(make_reader, fake_encoder):
    opened = []
    searcher = Searcher(make_reader(NOTES), lambda: opened.append(1) or fake_encoder)
    for typed in ("salt", "majority", "leader"):
        search(searcher, typed)
    assert opened == [1]


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


@pytest.mark.parametrize("mode", MODES)
def test_a_phrase_must_occur(searcher, mode):
    assert names(search(searcher, '"pinch of salt"', mode)) == ["dal.md"]
    assert names(search(searcher, 'bread "pinch of salt" flour water', mode)) == ["dal.md"]
    assert search(searcher, '"salt of pinch"', mode) == []
    assert search(searcher, '"pinches of salt"', mode) == []


@pytest.mark.parametrize("mode", MODES)
def test_the_passage_shown_holds_the_phrase(searcher, mode):
    (hit,) = search(searcher, 'votes candidate "The leader"', mode)
    assert hit.heading.endswith("Log")
    assert hit.more_passages == 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"tags": ("cooking",)}, {"dal.md", "bread.md"}),
        ({"tags": ("databases",)}, {"cap.md", "paxos.md"}),
        ({"tags": ("cooking", "databases")}, set()),
        ({"tags": ("cooking",), "since": datetime(2024, 1, 1)}, {"bread.md"}),
        ({"since": datetime(2023, 1, 1), "until": datetime(2024, 12, 31)}, {"cap.md", "dal.md"}),
        ({"tags": ("cooking",), "excluded_tags": ("cooking",)}, set()),
        ({"path_glob": "b*.md"}, {"bread.md"}),
    ],
)
def test_filters_admit_notes(searcher, mode, filters, expected):
    assert set(names(search(searcher, "salt majority partition", mode, **filters))) == expected


@pytest.mark.parametrize("mode", MODES)
def test_a_rare_tag_is_found_under_hundreds_of_better_matches(make_searcher, mode):
    notes = {f"{number:03d}.md": "quorum quorum" for number in range(650)}
    searcher = make_searcher(
        notes | {"rare.md": "#rare quorum, and many other words beside it, none of them to the point"}
    )
    assert "rare.md" not in names(search(searcher, "quorum", mode, limit=10))
    assert names(search(searcher, "quorum", mode, limit=1, tags=("rare",))) == ["rare.md"]


def test_a_note_without_any_of_the_words_changes_nothing_about_who_is_found(make_searcher):
    before = search(make_searcher(NOTES), "salt majority", "lexical")
    after = search(make_searcher({"zen.md": "Sitting quietly, doing nothing."}), "salt majority", "lexical")
    assert set(names(after)) == set(names(before))


@pytest.mark.parametrize("mode", MODES)
def test_a_note_with_a_title_but_no_text_is_found_by_its_title(make_searcher, mode):
    searcher = make_searcher({"Zebra crossing.md": "", "other.md": "Something else."})
    hit = search(searcher, "zebra crossing", mode)[0]
    assert (hit.title, hit.snippet, hit.start_line, hit.end_line) == ("Zebra crossing", "", 1, 1)
    assert hit.more_passages == 0


@pytest.mark.parametrize("mode", MODES)
def test_an_index_without_notes_finds_nothing(make_searcher, mode):
    searcher = make_searcher({".hidden.md": "not indexed"})
    assert search(searcher, "anything", mode) == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("typed", ["the of and", "?!", "NEAR( OR *", "cap\0\ud800", "salt " * 2000, "麻"])
def test_odd_queries_are_answered(searcher, mode, typed):
    hits = search(searcher, typed, mode)
    assert len(hits) <= 10


def test_a_query_of_stopwords_finds_notes_that_hold_them(make_searcher):
    searcher = make_searcher({"hamlet.md": "To be or not to be.", "dal.md": "Lentils"})
    assert names(search(searcher, "to be or not to be", "lexical")) == ["hamlet.md"]


def test_an_empty_query_is_refused(searcher):
    with pytest.raises(UsageError):
        search(searcher, "  ")


@pytest.mark.parametrize("typed", ["Straße", "Mu\u0308nchen", "M\u00fcnchen"])
def test_a_german_word_is_found_and_highlighted(make_searcher, typed):
    searcher = make_searcher({"reise.md": "In der Straße nach München.", "cafe.md": "Kaffee"})
    (hit,) = search(searcher, typed, "lexical")
    assert len(hit.highlights) == 1


@pytest.mark.parametrize("mode", MODES)
def test_late_interaction_takes_no_part_unless_asked(searcher, mode):
    hits = search(searcher, "salt majority", mode)
    assert hits
    for hit in hits:
        assert "late" not in hit.scores
        assert "late" not in hit.contributions
        assert hit.evidence == ()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rerank", ["none", "maxsim"])
def test_contributions_add_up_to_the_score(searcher, mode, rerank):
    hits = searcher.search("salt majority leader", limit=10, mode=mode, filters=Filters(), rerank=rerank)
    assert len(hits) >= 3
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    for hit in hits:
        if mode == "lexical" and rerank == "none":
            assert (hit.contributions, hit.score) == ({}, hit.scores["lexical"])
        else:
            assert hit.contributions.keys() == hit.scores.keys()
            assert sum(hit.contributions.values()) == pytest.approx(hit.score, abs=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_reranking_opens_the_encoder_once_in_every_mode(make_reader, fake_encoder, mode):
    opened = []
    searcher = Searcher(make_reader(NOTES), lambda: opened.append(1) or fake_encoder)
    for typed in ("salt", "majority", "blockchain"):
        searcher.search(typed, limit=10, mode=mode, filters=Filters(), rerank="maxsim")
    assert opened == [1]


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


@pytest.fixture
def linked_reader(make_reader):
    return make_reader(LINKED_NOTES)  # one for both, since the notes' dates are those of their making


@pytest.fixture
def linked_searcher(linked_reader, fake_encoder) -> Searcher:
    return Searcher(linked_reader, lambda: fake_encoder, CONCEPTS)


@pytest.fixture
def plain_searcher(linked_reader, fake_encoder) -> Searcher:
    return Searcher(linked_reader, lambda: fake_encoder)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rerank", ["none", "maxsim"])
def test_a_query_that_calls_for_no_concept_is_answered_as_without_them(linked_searcher, plain_searcher, mode, rerank):
    for typed in ("a page of words", "ash and replicas", '"eventual" clocks'):
        with_concepts, without = (
            searcher.search(typed, limit=10, mode=mode, filters=Filters(), rerank=rerank)
            for searcher in (linked_searcher, plain_searcher)
        )
        assert with_concepts == without


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rerank", ["none", "maxsim"])
def test_the_notes_of_a_linked_idea_follow_those_of_the_query(linked_searcher, plain_searcher, mode, rerank):
    options = {"limit": 5, "mode": mode, "filters": Filters(), "rerank": rerank}
    hits = linked_searcher.search("impermanence", **options)
    assert names(hits)[0] == "anicca.md"
    own = {hit.path: hit.score for hit in plain_searcher.search("impermanence", **options)}
    brought = {hit.path.rsplit("/", 1)[-1] for hit in hits if "concepts" in hit.scores}
    assert brought >= {"eventual.md", "replicas.md"}
    for hit in hits:
        if "concepts" in hit.scores:
            assert hit.scores["concepts"] == pytest.approx(hit.score) == pytest.approx(sum(hit.contributions.values()))
            assert own.get(hit.path, 0) < hit.score <= 0.9 * hits[0].score + 1e-6
        else:
            assert hit.score == own[hit.path]


def test_a_linked_hit_shows_what_meets_the_idea(linked_searcher):
    found = linked_searcher.search("impermanence", limit=4, mode="hybrid", filters=Filters(), rerank="maxsim")
    hits = dict(zip(names(found), found, strict=True))
    hit = hits["eventual.md"]
    assert [hit.snippet[a:b] for a, b in hit.highlights] == ["Eventual", "consistency"]
    assert [row.query_token for row in hit.evidence] == ["eventual", "consistency"]
    assert [row.query_token for row in hits["anicca.md"].evidence] == ["impermanence"]


@pytest.mark.parametrize("mode", MODES)
def test_linked_hits_respect_filters_phrases_and_the_limit(linked_searcher, mode):
    def found(typed, limit=10, **filters):
        return names(search(linked_searcher, typed, mode, limit, **filters))

    assert set(found("impermanence", excluded_tags=("databases",))) & {"eventual.md", "replicas.md"} == set()
    assert set(found("impermanence", tags=("databases",))) == {"eventual.md", "replicas.md"}
    assert set(found('"impermanence"')) == {"anicca.md", "dogen.md"}
    assert found('impermanence "replicas with"') == ["replicas.md"]
    assert found("impermanence", limit=2) == found("impermanence")[:2]


def test_a_search_tells_which_links_it_follows(linked_searcher, plain_searcher):
    (link,) = linked_searcher.links_called_for("Impermanence?")
    assert (link.idea, link.linked, link.weight) == ("impermanence", "eventual consistency", 0.9)
    assert plain_searcher.links_called_for("impermanence") == ()
