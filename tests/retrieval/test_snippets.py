import itertools

from hypothesis import given
from hypothesis import strategies as st

from notesearch.retrieval.passages import Match, Snippet, make_snippet
from notesearch.words import find_words

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


def test_without_telling_words_the_beginning_is_shown():
    snippet = shown("First sentence. " + 20 * FILLER)
    assert snippet.startswith("First sentence.")
    assert snippet.endswith("…")


def test_headings_at_the_start_are_skipped():
    assert shown("# Raft\n\n## Leader election\n\nA candidate asks for votes.") == "A candidate asks for votes."


def test_a_passage_that_is_only_a_heading_is_shown():
    assert shown("# Raft\n") == "# Raft"


def test_a_hashtag_is_no_heading():
    assert shown("#raft is a tag") == "#raft is a tag"


def test_the_window_holds_the_telling_words():
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


def test_there_is_nothing_to_highlight_without_matches():
    assert cut("The quorum decides.").highlights == ()


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


passages = st.text(
    st.one_of(
        st.sampled_from(" \n\t.#…!?。—-_豆腐麻のガé\u0308\u2028\x1b\r\0"),
        st.characters(codec="utf-8"),
        st.sampled_from("abc"),
    ),
    max_size=600,
)


@given(passages, st.data())
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
