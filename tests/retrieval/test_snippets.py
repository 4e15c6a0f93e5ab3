import itertools

from hypothesis import given
from hypothesis import strategies as st

from notesearch.retrieval.snippets import find_highlights, make_snippet
from notesearch.words import find_words

FILLER = "Some words that say nothing about it at all. "


def telling(*words: str) -> dict[str, str]:
    return {word: word for word in words}


def test_a_short_passage_is_shown_whole():
    assert make_snippet("Raft elects a leader.\nThe leader\treplicates.", {}) == (
        "Raft elects a leader. The leader replicates."
    )


def test_without_telling_words_the_beginning_is_shown():
    snippet = make_snippet("First sentence. " + 20 * FILLER, {})
    assert snippet.startswith("First sentence.")
    assert snippet.endswith("…")


def test_headings_at_the_start_are_skipped():
    assert (
        make_snippet("# Raft\n\n## Leader election\n\nA candidate asks for votes.", {}) == "A candidate asks for votes."
    )


def test_a_passage_that_is_only_a_heading_is_shown():
    assert make_snippet("# Raft\n", {}) == "# Raft"


def test_a_hashtag_is_no_heading():
    assert make_snippet("#raft is a tag", {}) == "#raft is a tag"


def test_the_window_holds_the_telling_words():
    text = 10 * FILLER + "The quorum decides by majority. " + 10 * FILLER
    snippet = make_snippet(text, telling("quorum", "majority"))
    assert "The quorum decides by majority." in snippet
    assert snippet.startswith("…") and snippet.endswith("…")


def test_different_words_beat_one_word_repeated():
    text = "quorum quorum quorum. " + 12 * FILLER + "A quorum is a majority. " + 12 * FILLER
    assert "A quorum is a majority." in make_snippet(text, telling("quorum", "majority"))


def test_the_first_of_equal_windows_is_taken():
    text = 8 * FILLER + "Here one quorum. " + 12 * FILLER + "There another quorum. " + 8 * FILLER
    assert "Here one quorum." in make_snippet(text, telling("quorum"))


def test_a_snippet_starts_at_a_sentence_if_that_is_near():
    text = 6 * FILLER.strip(". ") + ". Now, after all of these words, the quorum decides. " + 6 * FILLER
    assert make_snippet(text, telling("quorum")).startswith("…Now, after all of these words, the quorum decides.")


def test_a_snippet_starts_at_a_line_if_that_is_near():
    text = (
        6 * "a longer line of a list without any full stop or other sign\n" + "- the quorum decides\n" + 200 * "more "
    )
    assert make_snippet(text, telling("quorum")).startswith("…- the quorum decides more")


def test_a_full_stop_inside_a_word_ends_no_sentence():
    text = 6 * FILLER + "It keeps everything in notes.db as the quorum " + 6 * FILLER
    snippet = make_snippet(text, telling("quorum"))
    assert snippet.startswith("…It keeps everything in notes.db as the quorum")


def test_a_snippet_ends_between_words():
    words = [f"word{number}" for number in range(200)]
    snippet = make_snippet(" ".join(words), {})
    assert snippet.endswith("…")
    assert snippet[:-1].split() == words[: len(snippet[:-1].split())]


def test_text_without_spaces_is_cut_anywhere():
    snippet = make_snippet(50 * "麻婆豆腐の作り方と材料", telling("豆腐"))
    assert 100 <= len(snippet) <= 222
    assert "豆腐" in snippet


def test_highlights_point_at_the_words():
    snippet = make_snippet("The Quorum decides; two quorums never.", telling("quorum", "quorums"))
    spans = find_highlights(snippet, telling("quorum", "quorums"))
    assert [snippet[start:end] for start, end in spans] == ["Quorum", "quorums"]


def test_highlights_of_overlapping_pairs_are_joined():
    spans = find_highlights("吃麻婆豆腐。", telling("麻婆", "婆豆", "豆腐"))
    assert spans == ((1, 5),)


def test_there_is_nothing_to_highlight_without_telling_words():
    assert find_highlights("The quorum decides.", {}) == ()


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
    chosen = telling(*data.draw(st.lists(st.sampled_from(words), max_size=4)) if words else [])
    snippet = make_snippet(text, chosen)
    assert len(snippet) <= 222
    assert len(snippet.splitlines()) <= 1
    inside = snippet.removeprefix("…").removesuffix("…")
    assert inside in " ".join(text.split())
    spans = find_highlights(snippet, chosen)
    assert all(0 <= start < end <= len(snippet) for start, end in spans)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(spans))
    for start, end in spans:
        assert any(word in chosen for _, _, word in find_words(snippet[start:end]))
