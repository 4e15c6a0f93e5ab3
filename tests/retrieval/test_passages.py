import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from notesearch.encoders.token_codes import CodedWord
from notesearch.notes.read import decode
from notesearch.records import Evidence, Filters
from notesearch.retrieval.fusion import Candidate
from notesearch.retrieval.late_interaction import WordMatch
from notesearch.retrieval.passages import (
    ChosenPassage,
    Match,
    Snippet,
    find_evidence,
    make_snippet,
    rerank_by_cross_encoder,
)
from notesearch.retrieval.query import parse_query
from notesearch.storage import StoredChunk, StoredNote
from notesearch.words import find_words, spelled

QUERY = "leader votes"
PASSAGE = "Raft votes\nA leader needs votes; more votes."
TEXT = PASSAGE[11:]
LEADER = CodedWord("leader", (0,), ((0, 6),))
VOTES = CodedWord("votes", (1,), ((7, 12),))


@dataclass
class Met:
    """A query of which some words meet some words of a passage."""

    matches: list[WordMatch]
    text: str = QUERY

    def match(self, codes: bytes, passage: str) -> list[WordMatch]:
        return self.matches


def collect(*matches: WordMatch, text: str = TEXT):
    """What is found in the passage of a note named Raft votes, whose text stands at character 100 of its file."""
    chunk = StoredChunk(1, 1, 100, 100 + len(text), 3, 3, "", text)
    return find_evidence(Met(list(matches)), "Raft votes", chunk, b"")


def spans(passage: str, word: str) -> tuple[tuple[int, int], ...]:
    places = [start for start in range(len(passage)) if passage.startswith(word, start)]
    return tuple((start, start + len(word)) for start in places)


def test_evidence_is_in_the_order_of_the_query_with_places_in_the_file():
    evidence, _ = collect(
        WordMatch(LEADER, spans(PASSAGE, "leader"), 0.75, 0.5),
        WordMatch(VOTES, spans(PASSAGE, "needs"), 0.25, 0.5),
    )
    assert evidence == [
        Evidence("leader", "leader", 102, 108, 0.75),
        Evidence("votes", "needs", 109, 114, 0.25),
    ]


def test_of_several_places_the_first_in_the_text_is_told_and_all_are_shown():
    evidence, shown = collect(WordMatch(VOTES, spans(PASSAGE, "votes"), 0.9, 0.5))
    first, second = TEXT.index("votes"), TEXT.rindex("votes")
    assert evidence == [Evidence("votes", "votes", 100 + first, 105 + first, 0.9)]
    assert shown == [Match(first, first + 5, "votes", 0.9, 0.5), Match(second, second + 5, "votes", 0.9, 0.5)]


def test_a_word_of_the_title_alone_has_no_place():
    evidence, shown = collect(WordMatch(VOTES, ((0, 4),), 0.8, 1.0))
    assert evidence == [Evidence("votes", "Raft", None, None, 0.8)]
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


def test_words_of_the_title_or_of_headings_above_have_no_place(make_searcher):
    filler = "Plain words fill up this section until a passage is full of them. " * 20
    text = f"# Raft\n\n{filler}\n\n## Elections\n\n{filler}\n\n{filler}A leader wins.\n\n{filler}"
    hits = find(make_searcher({"raft.md": text}), "leader elections raft")
    evidence = {item.query_token: item for item in hits[0].evidence}
    assert text[evidence["leader"].start : evidence["leader"].end] == "leader"
    for word, shown in (("elections", "Elections"), ("raft", "Raft")):
        assert evidence[word] == Evidence(word, shown, None, None, 1.0)


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
    query = parse_query(typed)
    assume(query.words and not query.says_nothing)  # others are searched for as they stand
    hits = {Path(hit.path).name: hit for hit in find(make_searcher(written), typed, limit=10_000)}
    assert hits.keys() >= written.keys()
    for name in written:
        hit = hits[name]
        text, _ = decode(Path(hit.path).read_bytes())
        for item in hit.evidence:
            assert 0 <= item.score <= 1
            assert item.query_token in spelled(typed)
            if item.start is None:
                assert item.end is None
                continue
            assert text[item.start : item.end] == item.matched != ""


class TestCrossEncoder:
    """Notes that a cross-encoder scored, and those that it did not, by their scores."""

    # Eighths, so that no difference is rounded.
    descending = st.lists(st.integers(-80, 80), max_size=8).map(
        lambda values: [value / 8 for value in sorted(values, reverse=True)]
    )

    @staticmethod
    def continued(ranked: list[float], rest: list[float]) -> list[Candidate]:
        """Candidates of which the first get scores by a cross-encoder, descending, and the others have some before."""
        chosen = [
            ChosenPassage(
                Candidate(number, score, {"dense": 0.5}, {"dense": score}),
                StoredNote(number, "", "", "", ()),
                StoredChunk(1, number, 0, 0, 1, 1, "", ""),
                0,
                {},
            )
            for number, score in enumerate([*([9.0] * len(ranked)), *rest])
        ]

        class Judge:
            def score(self, query, passages):
                return np.array(ranked)

        found = [passage.found for passage in rerank_by_cross_encoder(Judge(), "any", chosen, len(ranked))]
        assert [candidate.note_id for candidate in found] == list(range(len(chosen)))
        return found

    @pytest.mark.parametrize(
        ("ranked", "rest", "expected"),
        [
            ([5.0, 3.0], [7.0, 6.5, 1.0], [5.0, 3.0, 3.0, 2.5, -3.0]),  # what is better comes down to the last one
            ([5.0, 3.0], [2.0, 1.0], [5.0, 3.0, 2.0, 1.0]),  # what is worse stays as it is
            ([], [2.0], [2.0]),
        ],
    )
    def test_by_hand(self, ranked, rest, expected):
        found = self.continued(ranked, rest)
        assert [candidate.score for candidate in found] == expected
        # A score that was lowered is no sum any more.
        assert [bool(candidate.contributions) for candidate in found] == [
            *([False] * len(ranked)),
            *(score == own for score, own in zip(expected[len(ranked) :], rest, strict=True)),
        ]

    def test_rounding_lifts_nothing_above_the_last_that_was_ranked(self):
        # In floating point, 0.03 - (0.03 - 0.01) is a little more than 0.01.
        first, second = self.continued([0.01], [0.03])
        assert second.score <= first.score

    @given(descending, descending)
    def test_scores_descend(self, ranked, rest):
        scores = [candidate.score for candidate in self.continued(ranked, rest)]
        assert scores == sorted(scores, reverse=True)
        assert scores[: len(ranked)] == ranked


FILLER = "Some words that say nothing about it at all. "


def cut(text: str, *words: str) -> Snippet:
    """The snippet of a passage, for a query of these words."""
    return make_snippet(
        text, [Match(start, end, word, 1.0, 1.0) for start, end, word in find_words(text) if word in words]
    )


def shown(text: str, *words: str) -> str:
    return cut(text, *words).text


def marked(snippet: Snippet) -> list[str]:
    return [snippet.text[start:end] for start, end in snippet.highlights]


def test_a_short_passage_is_shown_whole():
    assert shown("Raft elects a leader.\nThe leader\treplicates.") == ("Raft elects a leader. The leader replicates.")


def test_without_word_forms_the_beginning_is_shown():
    snippet = shown("First sentence. " + 20 * FILLER)
    assert snippet.startswith("First sentence.")
    assert snippet.endswith("…")


def test_headings_at_the_start_are_skipped():
    assert shown("# Raft\n\n## Leader election\n\nA candidate asks for votes.") == "A candidate asks for votes."


def test_a_passage_that_is_only_a_heading_is_shown():
    assert shown("# Raft\n") == "# Raft"


def test_the_window_holds_the_word_forms():
    text = 10 * FILLER + "The quorum decides by majority. " + 10 * FILLER
    snippet = shown(text, "quorum", "majority")
    assert "The quorum decides by majority." in snippet
    assert snippet.startswith("…") and snippet.endswith("…")


def test_different_words_beat_one_word_repeated():
    text = "quorum quorum quorum. " + 12 * FILLER + "A quorum is a majority. " + 12 * FILLER
    assert "A quorum is a majority." in shown(text, "quorum", "majority")


def test_the_first_of_equal_windows_is_taken():
    text = 8 * FILLER + "Here one quorum. " + 12 * FILLER + "There another quorum. " + 8 * FILLER
    assert "Here one quorum." in shown(text, "quorum")


def test_a_snippet_starts_at_a_sentence_if_that_is_near():
    text = 6 * FILLER.strip(". ") + ". Now, after all of these words, the quorum decides. " + 6 * FILLER
    assert shown(text, "quorum").startswith("…Now, after all of these words, the quorum decides.")


def test_a_snippet_starts_at_a_line_if_that_is_near():
    text = (
        6 * "a longer line of a list without any full stop or other sign\n" + "- the quorum decides\n" + 200 * "more "
    )
    assert shown(text, "quorum").startswith("…- the quorum decides more")


def test_a_full_stop_inside_a_word_ends_no_sentence():
    text = 6 * FILLER + "It keeps everything in notes.db as the quorum " + 6 * FILLER
    snippet = shown(text, "quorum")
    assert snippet.startswith("…It keeps everything in notes.db as the quorum")


def test_a_snippet_ends_between_words():
    words = [f"word{number}" for number in range(200)]
    snippet = shown(" ".join(words))
    assert snippet.endswith("…")
    assert snippet[:-1].split() == words[: len(snippet[:-1].split())]


def test_text_without_spaces_is_cut_anywhere():
    snippet = shown(50 * "麻婆豆腐の作り方と材料", "豆腐")
    assert 100 <= len(snippet) <= 222
    assert "豆腐" in snippet


def test_highlights_point_at_the_words():
    assert marked(cut("The Quorum decides; two quorums never.", "quorum", "quorums")) == ["Quorum", "quorums"]


def test_highlights_are_where_the_words_are_once_white_space_is_collapsed():
    text = 10 * FILLER + "\n\nThe   quorum\n\tdecides.  " + 10 * FILLER
    assert marked(cut(text, "quorum", "decides")) == ["quorum", "decides"]


def test_highlights_of_overlapping_pairs_are_joined():
    assert cut("吃麻婆豆腐。", "麻婆", "婆豆", "豆腐").highlights == ((1, 5),)


def test_a_highlight_is_as_strong_as_its_strongest_match():
    matches = [Match(4, 10, "majority", 0.5, 1.0), Match(4, 10, "quorum", 0.9, 1.0), Match(11, 18, "rule", 0.4, 1.0)]
    snippet = make_snippet("The quorum decides.", matches)
    assert marked(snippet) == ["quorum", "decides"]
    assert snippet.strengths == (0.9, 0.4)


def test_the_window_with_the_most_evidence_wins():
    text = "A weak hint. " + 12 * FILLER + "The strong proof. " + 12 * FILLER
    weak, strong = text.index("hint"), text.index("proof")
    matches = [Match(weak, weak + 4, "proof", 0.5, 1.0), Match(strong, strong + 5, "proof", 0.9, 1.0)]
    assert "The strong proof." in make_snippet(text, matches).text
    # A word that counts for little is not worth a window, however well it is met.
    matches = [Match(weak, weak + 4, "proof", 0.5, 1.0), Match(strong, strong + 5, "the", 0.9, 0.1)]
    assert "A weak hint." in make_snippet(text, matches).text


any_passage = st.text(
    st.one_of(
        st.sampled_from(" \n\t.#…!?。—-_豆腐麻のガé\u0308\u2028\x1b\r\0"),
        st.characters(codec="utf-8"),
        st.sampled_from("abc"),
    ),
    max_size=600,
)


@given(any_passage, st.data())
def test_snippets_and_highlights_of_any_passage(text, data):
    words = sorted({word for _, _, word in find_words(text)})
    chosen = data.draw(st.lists(st.sampled_from(words), max_size=4)) if words else []
    snippet = cut(text, *chosen)
    assert len(snippet.text) <= 222
    assert len(snippet.text.splitlines()) <= 1
    inside = snippet.text.removeprefix("…").removesuffix("…")
    assert inside in " ".join(text.split())
    assert len(snippet.highlights) == len(snippet.strengths)
    assert all(0 <= start < end <= len(snippet.text) for start, end in snippet.highlights)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(snippet.highlights))
    for highlight in marked(snippet):
        assert any(word in chosen for _, _, word in find_words(highlight))
