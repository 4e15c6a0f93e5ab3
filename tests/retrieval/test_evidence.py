import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notesearch.encoders import CodedWord
from notesearch.notes.read import decode
from notesearch.records import Evidence, Filters
from notesearch.retrieval.late_interaction import WordMatch, collect_evidence
from notesearch.retrieval.passages import Match

QUERY = "leader votes"
PASSAGE = "Raft votes\nA leader needs votes; more votes."
TEXT = PASSAGE[11:]
LEADER = CodedWord("leader", (0,), ((0, 6),))
VOTES = CodedWord("votes", (1,), ((7, 12),))


def collect(*matches: WordMatch, passage: str = PASSAGE, text: str = TEXT, query: str = QUERY):
    """What is found where the passage's text stands at character 100 of its file."""
    return collect_evidence(matches, query, passage, text, 100)


def spans(passage: str, word: str) -> tuple[tuple[int, int], ...]:
    places = [start for start in range(len(passage)) if passage.startswith(word, start)]
    return tuple((start, start + len(word)) for start in places)


def test_evidence_is_in_the_order_of_the_query_with_places_in_the_file():
    evidence, _ = collect(
        WordMatch(LEADER, spans(PASSAGE, "leader"), 0.75, 0.5),
        WordMatch(VOTES, spans(PASSAGE, "needs"), 0.25, 0.5),
    )
    assert evidence == (
        Evidence("leader", "leader", 102, 108, 0.75),
        Evidence("votes", "needs", 109, 114, 0.25),
    )


def test_of_several_places_the_first_in_the_text_is_told_and_all_are_shown():
    evidence, shown = collect(WordMatch(VOTES, spans(PASSAGE, "votes"), 0.9, 0.5))
    first, second = TEXT.index("votes"), TEXT.rindex("votes")
    assert evidence == (Evidence("votes", "votes", 100 + first, 105 + first, 0.9),)
    assert shown == [Match(first, first + 5, "votes", 0.9, 0.5), Match(second, second + 5, "votes", 0.9, 0.5)]


def test_a_word_of_the_title_alone_has_no_place():
    evidence, shown = collect(WordMatch(VOTES, ((0, 4),), 0.8, 1.0))
    assert evidence == (Evidence("votes", "Raft", None, None, 0.8),)
    assert shown == []


def test_of_a_note_without_text_all_places_are_in_the_title():
    evidence, shown = collect(WordMatch(VOTES, ((0, 4),), 0.8, 1.0), passage="Raft", text="")
    assert evidence == (Evidence("votes", "Raft", None, None, 0.8),)
    assert shown == []


def test_what_meets_for_want_of_better_is_told_but_not_shown():
    needs = spans(PASSAGE, "needs")
    assert collect(WordMatch(VOTES, needs, 0.39, 1.0))[1] == []
    assert len(collect(WordMatch(VOTES, needs, 0.4, 1.0))[1]) == 1


@pytest.mark.parametrize(("cosine", "score"), [(1.25, 1.0), (-0.5, 0.0), (0.5, 0.5)])
def test_estimates_beyond_a_cosine_are_cut(cosine, score):
    evidence, shown = collect(WordMatch(VOTES, spans(PASSAGE, "needs"), cosine, 1.0))
    assert evidence[0].score == score
    assert [match.strength for match in shown] == ([score] if score >= 0.4 else [])


def test_what_is_no_word_is_no_evidence():
    nothing = CodedWord("", (0,), ())
    votes = spans(PASSAGE, "votes")
    for match in (WordMatch(nothing, votes, 0.9, 1.0), WordMatch(VOTES, (), 0.9, 1.0)):
        evidence, shown = collect(match, WordMatch(VOTES, votes, 0.8, 1.0))
        assert [(item.query_token, item.matched, item.score) for item in evidence] == [("votes", "votes", 0.8)]
        assert {found.strength for found in shown} == {0.8}


def find(searcher, typed, limit=10):
    return searcher.search(typed, limit=limit, mode="hybrid", filters=Filters(), rerank="maxsim")


def test_evidence_of_a_search_points_into_the_file(make_searcher):
    text = "---\ntags: x\n---\n# Consensus\r\n\r\n## Éléctions\r\n\r\nEin 分布 **leader**.\r\n"
    (hit,) = find(make_searcher({"Naïve raft.md": text}), "Leader éléctions consensus")
    assert [(item.query_token, item.matched, item.score) for item in hit.evidence] == [
        ("Leader", "leader", 1),
        ("éléctions", "Éléctions", 1),
        ("consensus", "Consensus", 1),
    ]
    assert [text[item.start : item.end] for item in hit.evidence] == ["leader", "Éléctions", "Consensus"]


def test_a_byte_order_mark_is_no_character_of_the_text(make_searcher):
    (hit,) = find(make_searcher({"a.md": "\ufeffleader"}), "leader")
    assert [(item.start, item.end) for item in hit.evidence] == [(0, 6)]


def test_words_of_the_title_or_of_headings_above_have_no_place(make_searcher):
    filler = "Plain words fill up this section until a passage is full of them. " * 20
    text = f"# Raft\n\n{filler}\n\n## Elections\n\n{filler}\n\n{filler}A leader wins.\n\n{filler}"
    hits = find(make_searcher({"raft.md": text}), "leader elections raft")
    evidence = {item.query_token: item for item in hits[0].evidence}
    assert text[evidence["leader"].start : evidence["leader"].end] == "leader"
    for word, shown in (("elections", "Elections"), ("raft", "Raft")):
        assert evidence[word] == Evidence(word, shown, None, None, 1.0)


def test_there_is_no_evidence_without_late_interaction(make_searcher):
    searcher = make_searcher({"a.md": "leader"})
    for mode in ("lexical", "dense", "hybrid"):
        (hit,) = searcher.search("leader", limit=1, mode=mode, filters=Filters())
        assert hit.evidence == ()


parts = st.sampled_from(
    [
        "raft",
        "Raft",
        "the",
        "leader",
        "分布式",
        "麻",
        "ガ",
        "e\u0301t\u00e9",
        "İstanbul",
        "ß",
        "ſ",
        "🙂",
        "𠀀",
        "don't",
        "a_b",
    ]
)
breaks = st.sampled_from(
    [" ", "\n", "\r\n", "\n\n", "\n\n# ", "\n\n## ", ", ", "\n- ", "\u2028", "\x0c", "\r", "**", "\t"]
)
bodies = st.lists(st.tuples(breaks, parts), min_size=1, max_size=60).map(
    lambda pairs: "".join(piece for pair in pairs for piece in pair)
)
beginnings = st.sampled_from(
    ["", "\ufeff", "---\ntitle: Raft 分布\ntags: [x]\n---\n", "---\nbroken: [\n---\n", "# Leader\n"]
)
notes = st.lists(
    st.tuples(beginnings, bodies, st.sampled_from([".md", ".txt", ".org", ".rst"])), min_size=1, max_size=3
)
numbers = itertools.count()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(notes, st.lists(parts, min_size=1, max_size=4), st.booleans())
def test_evidence_of_any_note_is_what_stands_there(make_searcher, drawn, words, repeat):
    filler = " filler" * 250 if repeat else ""  # several passages
    written = {
        f"Note {next(numbers)} leader{suffix}": beginning + body + filler + body for beginning, body, suffix in drawn
    }
    typed = " ".join(words)
    hits = {Path(hit.path).name: hit for hit in find(make_searcher(written), typed, limit=10_000)}
    assert hits.keys() >= written.keys()
    for name in written:
        hit = hits[name]
        text, _ = decode(Path(hit.path).read_bytes())
        for item in hit.evidence:
            assert 0 <= item.score <= 1
            assert item.query_token in typed
            if item.start is None:
                assert item.end is None
                continue
            assert text[item.start : item.end] == item.matched != ""
