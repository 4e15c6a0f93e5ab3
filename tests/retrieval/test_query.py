from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notesearch.errors import UsageError
from notesearch.records import Filters
from notesearch.retrieval.query import make_filters, parse_query


def test_words_are_lower_case_and_in_order_without_stopwords():
    query = parse_query("How to trade off Consistency vs PARTITION tolerance?")
    assert query.words == ("trade", "consistency", "vs", "partition", "tolerance")


def test_a_repeated_word_is_kept_as_often_as_it_was_typed():
    assert parse_query("raft paxos raft").words == ("raft", "paxos", "raft")


def test_a_query_of_stopwords_alone_keeps_them():
    assert parse_query("To be or not to be").words == ("to", "be", "or", "not", "to", "be")


def test_the_encoder_gets_what_was_typed_without_quotation_marks_on_one_line():
    assert parse_query('  the "CAP theorem"\n in\tpractice ').text == "the CAP theorem in practice"


@pytest.mark.parametrize(
    ("typed", "phrases"),
    [
        ('notes on "eventual consistency"', ("eventual consistency",)),
        ('"two phase" or "three phase" commit', ("two phase", "three phase")),
        ('" spaced  inside "', ("spaced  inside",)),
        ('an "unfinished phrase', ()),
        ('"" cats', ()),
        ('"!?" cats', ("!?",)),
        ("'single quotes' are none", ()),
        ('Who wrote "Walking in Fresno?"', ("Walking in Fresno",)),
        ('"so it goes.", he wrote', ("so it goes",)),
        ('where is ".bashrc" read', (".bashrc",)),
        ('"so it goes" "so it goes." "so it goes"', ("so it goes",)),
        (" ".join(f'"p{number}"' for number in range(16)), tuple(f"p{number}" for number in range(16))),
        (" ".join(f'"p{number}"' for number in range(17)), ()),
    ],
)
def test_phrases_are_what_stands_in_double_quotes(typed, phrases):
    assert parse_query(typed).phrases == phrases


def test_quotation_marks_in_a_pasted_text_ask_for_nothing():
    pasted = 'He wrote "see below" in the margin of every page that mentions leases, clocks, quorums and failing disks.'
    assert parse_query(pasted).phrases == ()
    assert {"see", "margin", "disks"} <= set(parse_query(pasted).words)


def test_the_words_of_a_phrase_count_as_words_too():
    assert parse_query('"eventual consistency" explained').words == ("eventual", "consistency", "explained")


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("麻", ("麻",)),
        ("豆腐", ("豆腐",)),
        ("麻婆豆腐", ("麻婆", "婆豆", "豆腐")),
        ("Rust入門ガイド", ("rust", "入門", "門ガ", "ガイ", "イド")),
        ("서울 여행", ("서울", "여행")),
    ],
)
def test_scripts_without_spaces_are_searched_by_pairs_of_characters(typed, words):
    assert parse_query(typed).words == words


def test_full_text_query_syntax_is_taken_for_words():
    query = parse_query("title:cap* AND NEAR(raft paxos, 2) ^first -second {a b} + col : *")
    assert query.words == ("title", "cap", "near", "raft", "paxos", "2", "first", "second", "b", "col")
    assert query.phrases == ()


@pytest.mark.parametrize("typed", ["cap\0theorem", "cap \ud800 theorem", "\0cap theorem\udfff"])
def test_nul_and_lone_surrogates_are_left_out(typed):
    query = parse_query(typed)
    assert query.words == ("cap", "theorem")
    assert query.text == "cap theorem"


def test_a_letter_with_a_combining_mark_does_not_end_a_word():
    assert parse_query("Mu\u0308nchen cafe\u0301").words == ("m\u00fcnchen", "caf\u00e9")


def test_a_very_long_query_keeps_its_first_words():
    typed = " ".join(f"word{number}" for number in range(2000))[:10_000]
    words = parse_query(typed).words
    assert 30 <= len(words) <= 200
    assert words == tuple(f"word{number}" for number in range(len(words)))


@pytest.mark.parametrize("typed", ["", "   \t\n", '""', '" "', "\0", "\ud800"])
def test_a_query_without_anything_in_it_is_refused(typed):
    with pytest.raises(UsageError, match="empty") as caught:
        parse_query(typed)
    assert "in words or as a question" in caught.value.hint


def test_a_query_of_signs_has_a_text_but_no_words():
    query = parse_query("???")
    assert (query.text, query.words) == ("???", ())


@given(st.text(st.characters(codec=None)))
def test_any_text_is_parsed_or_refused(typed):
    try:
        query = parse_query(typed)
    except UsageError:
        return
    query.text.encode("utf-8")
    assert query.text.strip()
    assert "\0" not in query.text and '"' not in query.text
    assert all(word.strip() for word in query.words)
    assert all(phrase.strip() for phrase in query.phrases)


@pytest.mark.parametrize(
    "typed",
    [
        *("word " * 200_000, '"a" ' * 250_000, " ".join(f'"a{number} b"' for number in range(80_000))),
        *("(" * 10**6, "字" * 300_000, "e\u0301" * 300_000, "a\0" * 500_000, "NEAR(" * 200_000),
    ],
    ids=lambda typed: typed[:8],
)
def test_a_pasted_megabyte_asks_for_no_more_than_a_page(typed):
    query = parse_query(typed)
    assert len(query.words) <= 200 and len(query.phrases) <= 20


def test_filters_say_what_was_written():
    since, until = datetime(2024, 1, 1), datetime(2025, 1, 1)
    expected = Filters(("a", "b/c"), ("d",), (("/notes/a",), ("/b",)), since=since, until=until)
    assert make_filters(["a", "b/c"], ["d"], ["/notes/a", "/b"], since, until) == expected
    assert make_filters([], [], "", None, None) == Filters()


def test_undecodable_bytes_of_a_command_line_become_what_can_be_stored():
    filters = make_filters(["a\udcff"], ["\udc80"], "/\udcfe.md", None, None)
    assert (filters.tags, filters.excluded_tags) == (("a?",), ("?",))
    assert filters.paths[0][-1] == "/?.md"


def test_a_path_of_megabytes_is_refused():
    make_filters([], [], "*" * 10_000, None, None)
    with pytest.raises(UsageError, match="the path has 10,001 characters"):
        make_filters([], [], "*" * 10_001, None, None)
