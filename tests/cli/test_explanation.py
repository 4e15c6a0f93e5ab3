import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notesearch.cli.output import explain_concepts, explanation, shade
from notesearch.records import Evidence, Hit
from notesearch.retrieval.concepts import ConceptLink

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
BLOCKS = "█▉▊▋▌▍▎▏"


def hit(*evidence: Evidence, **values) -> Hit:
    standard = {
        "rank": 1,
        "score": 1.41,
        "path": "/notes/cap.md",
        "title": "CAP theorem",
        "heading": "",
        "start_line": 1,
        "end_line": 3,
        "snippet": "",
        "tags": (),
        "date": "2024-02-10T00:00:00",
        "scores": {"lexical": 3.2, "dense": 0.4, "late": 0.6},
        "contributions": {"lexical": 0.17, "dense": 0.78, "late": 0.46},
        "evidence": evidence,
    }
    return Hit(**standard | values)


def evidence(query_token: str = "trade", matched: str = "choose", score: float = 0.36) -> Evidence:
    return Evidence(query_token, matched, 0, len(matched), score)


def lines(found: Hit, colour: bool = False, width: int = 80) -> list[str]:
    return list(explanation(found, colour, width))


def row(found: Evidence, width: int = 80) -> str:
    return lines(hit(found), width=width)[-1]


def columns(text: str) -> int:
    """Columns of a terminal that a text takes."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def eighths(text: str) -> int:
    """How long the bar in a text is, in eighths of a column."""
    return sum(8 - BLOCKS.index(char) for char in text if char in BLOCKS)


def test_an_explanation_is_a_sum_and_a_row_for_each_word():
    found = hit(evidence(), evidence("consistency", "consistent", 0.73))
    assert lines(found) == [
        "    1.41 = 0.17 words + 0.78 meaning + 0.46 words in context",
        "    trade       ███▋       0.36 choose",
        "    consistency ███████▎   0.73 consistent",
    ]


def test_what_lowers_a_score_is_subtracted():
    found = hit(score=0.19, contributions={"dense": 0.31, "late": -0.12})
    assert lines(found) == ["    0.19 = 0.31 meaning - 0.12 words in context"]


def test_where_the_parts_do_not_add_up_they_are_listed():
    found = hit(score=4.0, scores={"lexical": 0.0, "dense": 0.11, "cross_encoder": 4.0}, contributions={})
    (line,) = lines(found)
    assert "=" not in line and "+" not in line
    assert {"0.00 BM25", "0.11 cosine", "4.00 cross-encoder"} == set(line.strip().split(", "))


def test_without_evidence_there_are_no_rows():
    assert len(lines(hit())) == 1


def test_rows_come_in_the_order_of_the_query():
    asked = ["what", "to", "cook", "what"]
    assert [line.split()[0] for line in lines(hit(*(evidence(word) for word in asked)))[1:]] == asked


@pytest.mark.parametrize(
    ("score", "bar"),
    [(0.0, ""), (0.01, "▏"), (0.05, "▌"), (0.1, "█"), (0.5, "█████"), (0.99, "█████████▉"), (1.0, "█" * 10)],
)
def test_a_bar_is_as_long_as_the_words_are_close(score, bar):
    assert row(evidence(score=score)) == f"    trade {bar.ljust(10)} {score:.2f} choose"


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_closer_word_has_no_shorter_bar(one, other):
    shorter, longer = (eighths(row(evidence(score=score))) for score in sorted((one, other)))
    assert 0 <= shorter <= longer <= 80
    assert abs(longer - 80 * max(one, other)) <= 0.5 + 1e-9


def test_words_that_fit_are_whole():
    word, other = "Donaudampfschifffahrtskapitän", "internationalization-concerns"
    assert len(word) == len(other) == 29
    assert row(evidence(word, other)).split() == [word, "███▋", "0.36", other]


def test_words_that_do_not_fit_end_in_an_ellipsis():
    shown = row(evidence("a" * 30, "麻" * 15)).split()
    assert shown == ["a" * 28 + "…", "███▋", "0.36", "麻" * 14 + "…"]


hostile = st.text(
    st.one_of(st.sampled_from("\x1b\r\n\t\0\x85\u2028\u202e\u2066 m豆é\u0308\ufe0f\ud800"), st.characters()),
    max_size=60,
)
rows = st.lists(st.builds(evidence, hostile, hostile, st.floats(0, 1)), max_size=6)


@example([evidence("豆" * 40, "豆" * 40)], 40)
@example([evidence("\x1b[31m" * 20, "e\u0308" * 60, 1.0)], 40)
@example([evidence("x" * 60, "x" * 60, 1.0)], 41)
@given(rows, st.integers(40, 200))
def test_no_row_is_wider_than_the_window(found, width):
    shown = lines(hit(*found), width=width)
    assert len(shown) > len(found)
    assert all(columns(line) <= width for line in shown)


@pytest.mark.parametrize("width", [40, 59])
def test_the_sum_is_not_wider_than_the_window(width):
    assert all(columns(line) <= width for line in lines(hit(), width=width))


words = hostile.filter(lambda text: "█" not in text)


@example(["豆", "e\u0308" * 9, "a" * 90], 40)
@given(st.lists(words, min_size=1, max_size=6), st.integers(40, 200))
def test_bars_stand_below_each_other(asked, width):
    shown = lines(hit(*(evidence(word, "x", 1.0) for word in asked)), width=width)[-len(asked) :]
    assert len({columns(line[: line.index("█" * 10)]) for line in shown}) == 1


@given(rows, st.integers(24, 200))
def test_rows_are_harmless(found, width):
    for line in lines(hit(*found), width=width):
        assert all(unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp") for char in line)
        assert not set(line) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


@given(rows, st.integers(40, 200))
def test_colours_change_nothing_else(found, width):
    plain, coloured = lines(hit(*found), width=width), lines(hit(*found), colour=True, width=width)
    assert [ESCAPE.sub("", line) for line in coloured] == plain
    assert all(line != bare for line, bare in zip(coloured, plain, strict=True))


@pytest.mark.parametrize(("score", "code"), [(0.9, "1;33"), (0.6, "33"), (0.3, "2;33")])
def test_a_bar_and_the_word_it_is_for_are_shaded_alike(score, code):
    line = lines(hit(evidence(score=score)), colour=True)[-1]
    assert re.findall("\x1b\\[([0-9;]*)m([^\x1b]*)\x1b\\[0m", line) == [
        (code, row(evidence(score=score))[10:20]),
        (code, "choose"),
    ]


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_closer_word_is_shaded_no_weaker(one, other):
    order = ["weak", "fair", "strong"]
    weaker, stronger = (order.index(shade(score)) for score in sorted((one, other)))
    assert weaker <= stronger
    assert (shade(0), shade(0.6), shade(1)) == tuple(order)


def test_what_a_linked_idea_adds_is_a_part_of_the_sum():
    found = hit(score=1.33, contributions={"dense": 0.35, "late": 0.15, "concepts": 0.83})
    assert lines(found) == ["    1.33 = 0.35 meaning + 0.15 words in context + 0.83 concepts"]


def test_linked_ideas_are_told_one_a_line():
    links = [ConceptLink("impermanence", "eventual consistency", 0.5), ConceptLink("raft", "boats\x1b", 0.25)]
    assert "".join(explain_concepts(links, colour=False, width=80)) == (
        "linked: impermanence ~ eventual consistency (0.50)\nlinked: raft ~ boats\ufffd (0.25)\n\n"
    )
    for line in "".join(explain_concepts(links, colour=False, width=24)).splitlines():
        assert len(line) <= 24
    assert list(explain_concepts([], colour=True, width=80)) == []
