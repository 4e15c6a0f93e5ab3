import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notesearch.storage import WordQuery, searchable_words
from notesearch.storage.writer import IndexWriter
from notesearch.words import bare

from .building import encoded_note, found, write


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("plain words", ["plain", "words"]),
        ("Grüße naïve Ærø", ["grusse", "naive", "ærø"]),
        ("分布式系统", ["分", "布", "式", "系", "统"]),
        ("使用CAP定理", ["使", "用", "cap", "定", "理"]),
        ("カタカナひらがな", list("カタカナひらがな")),
        ("ラーメン", ["ラ", "ー", "メ", "ン"]),
        ("ﾊﾝｶﾞｸ", ["ハ", "ン", "ガ", "ク"]),
        ("ผลไม้", list("ผลไม้")),
        ("한국어를", ["한", "국", "어", "를"]),
        ("𠮷野家", ["𠮷", "野", "家"]),
        ("東京 2024年", ["東", "京", "2024", "年"]),
        ("", []),
    ],
)
def test_words_of_scripts_without_spaces_are_their_characters(text: str, words: list[str]) -> None:
    assert searchable_words(text).split() == words


@given(st.text())
def test_only_white_space_is_added_to_a_text_without_case_and_accents(text: str) -> None:
    assert re.sub(r"\s", "", searchable_words(text)).lower() == re.sub(r"\s", "", bare(text))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("在分布式系统中，一致性和可用性不能兼得。", "一致性"),
        ("在分布式系统中，一致性和可用性不能兼得。", "布式系"),
        ("京都の古いお寺で座禅を組んだ。", "お寺で座"),
        ("京都でラーメンを食べた", "ラーメン"),
        ("오늘은 김치찌개를 끓였다", "찌개"),
        ("오늘은 김치찌개를 끓였다", "김치찌개"),
        ("使用CAP定理来解释", "CAP定理"),
    ],
)
def test_any_part_of_an_unspaced_text_is_found(writer: IndexWriter, index_dir: Path, text: str, part: str) -> None:
    shuffled = "".join(reversed(part)) if part.isascii() else "".join(reversed(text))
    write(writer, encoded_note("right.md", text), encoded_note("wrong.md", shuffled))
    assert found(index_dir, WordQuery((part,))) == ["right.md"]


@given(
    st.text("一二三四五六七八九十日本語の文章を한국어로쓰다 abc.,", min_size=2, max_size=30),
    st.data(),
)
def test_the_words_of_a_part_follow_each_other_in_the_whole(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    # Latin letters are cut into words by spaces; a part of such a word is no word of the whole.
    part = re.sub(r"^[a-c.,]+|[a-c.,]+$", "", text[start:end])
    assert " ".join(searchable_words(part).split()) in " ".join(searchable_words(text).split())


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("The monks were meditating", "meditation"),
        ("Ein Café in Zürich", "zurich cafe"),
        ("naïve résumé", "NAIVE RESUME"),
    ],
)
def test_words_are_stemmed_and_without_accents(writer: IndexWriter, index_dir: Path, text: str, query: str) -> None:
    write(writer, encoded_note("right.md", text), encoded_note("wrong.md", "something else"))
    assert found(index_dir, query) == ["right.md"]
