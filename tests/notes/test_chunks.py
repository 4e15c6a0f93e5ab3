import re
import time
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notesearch.notes import chunk_note, parse_note
from notesearch.records import Chunk, Chunking, Note
from notesearch.words import passage_text

WORD = re.compile(r"\w+|[^\w\s]")


def words(text: str) -> list[int]:
    return [match.start() for match in WORD.finditer(text)]


def size(text: str) -> int:
    return len(words(text))


def parse(text: str, name: str = "file-name.md") -> Note:
    return parse_note(Path("/notes") / name, text, datetime(2024, 1, 2))


def chunks(text: str, budget: int = 20, overlap: int = 0, name: str = "file-name.md") -> list[Chunk]:
    return list(chunk_note(parse(text, name), words, Chunking(budget, overlap)))


def texts(text: str, budget: int = 20, overlap: int = 0) -> list[str]:
    return [chunk.text for chunk in chunks(text, budget, overlap)]


def sentence(word: str, count: int) -> str:
    """A sentence of `count` tokens, its full stop included."""
    return " ".join([word] * (count - 1)) + "."


def test_a_note_that_fits_is_one_chunk() -> None:
    text = "# A\n\none\n\n## B\n\ntwo\n\n```\ncode\n```\n"
    assert texts(text, 30) == [text.rstrip()]


def test_nothing_gives_no_chunk() -> None:
    assert texts("") == texts("---\n---\n\n") == texts(" \n\t\n") == []


def test_a_heading_that_begins_the_title_is_no_part_of_the_path() -> None:
    text = "---\ntitle: Dune (Herbert, 1965)\n---\n# Dune\n\none\n\n## Spice\n\n" + sentence("two", 20)
    assert [chunk.heading for chunk in chunks(text, 12)][-1] == "Spice"


def test_a_lone_heading_is_a_chunk() -> None:
    assert texts("---\na: b\n---\n# Title\n") == ["# Title"]


def test_cut_at_headings_when_a_section_would_overflow() -> None:
    one, two = sentence("one", 12), sentence("two", 12)
    assert texts(f"## A\n\n{one}\n\n## B\n\n{two}\n") == [f"## A\n\n{one}", f"## B\n\n{two}"]


def test_small_sections_are_merged() -> None:
    sections = [f"## H{index}\n\n{sentence('x', 4)}" for index in range(6)]
    assert [len(re.findall("##", text)) for text in texts("\n\n".join(sections), 30)] in ([4, 2], [3, 3])


def test_a_heading_goes_with_what_it_stands_over() -> None:
    first, second = sentence("one", 15), sentence("two", 15)
    assert texts(f"{first}\n\n# H\n\n## I\n\n{second}", 22) == [first, f"# H\n\n## I\n\n{second}"]


def test_blocks_are_kept_whole_where_they_fit() -> None:
    paragraphs = [sentence(word, 12) for word in ("one", "two", "three")]
    assert texts("\n\n".join(paragraphs)) == paragraphs


def test_a_long_paragraph_is_cut_between_sentences_even_within_lines() -> None:
    sentences = [sentence(word, 9) for word in ("one", "two", "three", "four")]
    text = " ".join(sentences).replace("one one", "one\none", 1)
    assert [size(chunk) for chunk in texts(text)] == [18, 18]
    assert texts(text)[1] == " ".join(sentences[2:])


def test_chinese_sentences_are_cut_without_spaces() -> None:
    starts = lambda text: list(range(len(text)))  # noqa: E731
    found = chunk_note(parse("这是第一句话。这是第二句话。这是第三句话。"), starts, Chunking(15))
    assert [chunk.text for chunk in found] == ["这是第一句话。这是第二句话。", "这是第三句话。"]


def test_a_long_list_is_cut_between_items() -> None:
    items = [f"- item{index} a b c d e f" for index in range(8)]
    for chunk in texts("\n".join(items)):
        assert chunk.startswith("- item") and chunk.endswith("f")


def test_items_are_not_cut_between_sentences() -> None:
    items = [f"{number}. {sentence('a', 5)} {sentence('b', 6)}" for number in range(1, 4)]
    assert texts("\n".join(items)) == items


def test_a_long_sentence_is_cut_between_words_and_a_long_word_anywhere() -> None:
    assert [size(text) for text in texts("word " * 50)] == [20, 20, 10]
    starts = lambda text: list(range(len(text)))  # noqa: E731
    found = chunk_note(parse("x" * 50), starts, Chunking(20))
    assert [len(chunk.text) for chunk in found] == [20, 20, 10]


def test_a_word_that_is_one_token_cannot_fill_the_index() -> None:
    assert max(len(text) for text in texts("x" * 10_000)) <= 20 * 64


def test_code_is_kept_whole_where_it_fits_else_cut_between_lines() -> None:
    fence = "```\n" + "\n".join("a b c" for _ in range(4)) + "\n```"  # 18 tokens
    assert fence in texts(f"# H\n\n{sentence('x', 8)}\n\n{fence}\n\n{sentence('y', 8)}")
    long = "```\n" + "\n".join("  a b c d" for _ in range(20)) + "\n```"
    for chunk in texts(long):
        assert all(line in ("```", "  a b c d") for line in chunk.split("\n"))


def test_tiny_chunks_are_evened_out() -> None:
    sentences = [sentence(word, 5) for word in ("one", "two", "three", "four", "five")]
    assert [size(text) for text in texts(" ".join(sentences), 24)] == [15, 10]


def test_heading_path_and_lines() -> None:
    body = sentence("x", 14)
    text = f"---\na: b\n---\n# Top\n\n{body}\n\n## Sub\r\n\r\n{body}\n\n### Deep\n\n{body}\n\n# Next\n\n{body}\n"
    found = chunks(text, 20)
    assert [chunk.heading for chunk in found] == ["Top", "Top > Sub", "Top > Sub > Deep", "Next"]
    assert [(chunk.start_line, chunk.end_line) for chunk in found] == [(4, 6), (8, 10), (12, 14), (16, 18)]


def test_overlap_repeats_the_last_sentence_of_a_block_that_was_cut() -> None:
    sentences = [sentence(word, 4) for word in "abcdefgh"]
    found = texts(" ".join(sentences), 20, 1)
    assert found[0].endswith(sentences[4]) and found[1].startswith(sentences[4])
    assert all(size(text) <= 20 for text in found)


def test_no_overlap_between_whole_blocks() -> None:
    paragraphs = [sentence(word, 12) for word in ("one", "two", "three")]
    assert texts("\n\n".join(paragraphs), 20, 1) == paragraphs


MARKDOWN = st.lists(
    st.sampled_from(
        ["# h", "## i j", "word " * 5, "One two. Three four! ", "- item x", "```", "    code", "> q", "|a|b|"]
    )
    | st.sampled_from(["", "", "x" * 70, "字。字", "\x85", "\u2028", "\x0c", "---", "a\r", "1. one", "| - |", "e.g. "])
    | st.text(max_size=8),
    max_size=40,
)


@given(MARKDOWN, st.sampled_from(["\n", "\r\n"]), st.integers(8, 60), st.integers(0, 2), st.sampled_from("wcd"))
def test_chunks_of_any_note(lines: list[str], newline: str, budget: int, overlap: int, unit: str) -> None:
    note = parse(newline.join(lines))
    # Words; characters; characters twice, as byte-level tokenizers give for one that takes several bytes.
    token_starts = {"w": words, "c": lambda t: range(len(t)), "d": lambda t: [i // 2 for i in range(2 * len(t))]}[unit]
    found = chunk_note(note, token_starts, Chunking(budget, overlap))  # type: ignore[operator]
    check_chunks(note, found, overlap)
    for chunk in found:
        assert len(token_starts(chunk.text)) <= budget + 1  # type: ignore[operator]


# Whatever may be taken for the end of a line, in any mixture; marks of all formats; halves of characters.
ANY_TEXT = st.text(
    st.sampled_from("\r\n\x0b\x0c\x1c\x85\u2028\ufeff\ud800\udfff\0\u0301")
    | st.sampled_from("#*-=`|>[]():+. \t字。")
    | st.characters(codec=None),
)


@given(ANY_TEXT, st.sampled_from(["a.md", "a.org", "a.rst", "a.txt"]), st.integers(8, 30), st.integers(0, 1))
def test_chunks_of_any_text(text: str, name: str, budget: int, overlap: int) -> None:
    note = parse(text, name)
    found = chunk_note(note, words, Chunking(budget, overlap))
    check_chunks(note, found, overlap)
    for chunk in found:
        assert size(chunk.text) <= budget
        passage_text(note.title, chunk.heading, chunk.text)


def check_chunks(note: Note, found: tuple[Chunk, ...], overlap: int) -> None:
    position = note.blocks[0].start if note.blocks else 0
    last_start = -1
    for chunk in found:
        assert note.text[chunk.start : chunk.end] == chunk.text and chunk.text.strip()
        assert chunk.start > last_start
        assert not note.text[position : chunk.start].strip()
        assert overlap or chunk.start >= position
        position, last_start = chunk.end, chunk.start
        assert chunk.start_line == line_of(note.text, chunk.start)
        assert chunk.end_line == line_of(note.text, chunk.end - 1)
    if note.blocks:
        assert found and not note.text[position:].strip()


def line_of(text: str, offset: int) -> int:
    return len(re.findall(r"\r\n|\r|\n", text[:offset])) + 1 - (text[offset - 1 : offset + 1] == "\r\n")


@pytest.mark.parametrize(
    "text",
    [
        "# heading\n" * 100_000,
        "word " * 10**6,
        "x" * 5 * 10**6,
        "a. " * 10**5,
        "a\n\n" * 10**5,
        "- a\n" * 10**5,
        "#" * 10**6,
        "\0" * 10**6,
    ],
    ids=lambda text: repr(text[:8]),
)
def test_hostile_notes_take_linear_time(text: str) -> None:
    note = parse(text)
    starts = words(text)
    started = time.process_time()
    chunk_note(note, lambda _: starts, Chunking())
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    ("text", "name", "passage"),
    [
        ("# The **Title**\n\nbody", "n.md", "# The **Title**\n\nbody"),
        ("---\ntitle: The title\n---\nbody", "n.md", "The title\nbody"),
        ("---\ntitle: The title\n---\n# The Title\n\nbody", "n.md", "# The Title\n\nbody"),
        ("body", "shopping list.txt", "shopping list\nbody"),
        ("Shopping list:\nmilk", "shopping list.txt", "Shopping list:\nmilk"),
        ("body", "2025-01-04.md", "body"),
        ("body", "000123.txt", "body"),
        ("intro\n\n# Later", "n.md", "n\nintro\n\n# Later"),
    ],
)
def test_passage_of_a_small_note(text: str, name: str, passage: str) -> None:
    note = parse(text, name)
    (chunk,) = chunk_note(note, words, Chunking())
    assert passage_text(note.title, chunk.heading, chunk.text) == passage


def test_passages_of_a_longer_note() -> None:
    body = sentence("x", 14)
    note = parse(f"# Top\n\n{body}\n\n## Sub\n\n{body}\n\n{body}\n\n### Deep\n\n{body}\n")
    found = chunk_note(note, words, Chunking(20))
    assert [passage_text(note.title, chunk.heading, chunk.text) for chunk in found] == [
        f"# Top\n\n{body}",
        f"Top\n## Sub\n\n{body}",
        f"Top\nSub\n{body}",
        f"Top\nSub\n### Deep\n\n{body}",
    ]
