import csv
import io
import json
import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notesearch.cli.output import PROGRAM_FORMATS, Format, explain_concepts, explanation, lines_for_people
from notesearch.records import Evidence, Hit
from notesearch.retrieval.concepts import ConceptLink

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def hit(**values) -> Hit:
    standard = {
        "rank": 1,
        "score": 1.23456789,
        "path": "/notes/cap.md",
        "title": "CAP theorem",
        "heading": "Theory > Proof",
        "start_line": 3,
        "end_line": 9,
        "snippet": "Consistency or availability.",
        "tags": ("databases", "theory/cap"),
        "date": "2024-02-10T00:00:00",
        "scores": {"lexical": 2.00000049, "dense": 0.5},
        "more_passages": 2,
        "highlights": ((0, 11),),
    }
    values = standard | values
    return Hit(**{"strengths": (1.0,) * len(values["highlights"])} | values)


def formatted(kind: Format, *hits: Hit, query_id: str | None = None) -> str:
    """Hits as a program gets them."""
    return "".join(PROGRAM_FORMATS[kind]([(query_id, hits)]))


def shown(*hits: Hit, colour: bool = False, columns: int = 80, explain: bool = False) -> str:
    """Hits as a person gets them."""
    text = "".join(f"{line}\n" for line in lines_for_people([(None, hits)], columns, explain=explain))
    return text if colour else ESCAPE.sub("", text)


def columns(text: str) -> int:
    """Columns of a terminal that a text takes."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def test_a_hit_as_json_has_the_keys_of_the_contract():
    values = json.loads(formatted("json", hit()))[0]
    assert values["rank"] == 1
    assert values["score"] == 1.234568
    assert values["scores"] == {"lexical": 2.0, "dense": 0.5}
    assert values["path"] == "/notes/cap.md"
    assert (values["title"], values["heading"]) == ("CAP theorem", "Theory > Proof")
    assert (values["start_line"], values["end_line"]) == (3, 9)
    assert values["snippet"] == "Consistency or availability."
    assert values["tags"] == ["databases", "theory/cap"]
    assert values["highlights"] == [[0, 11]]
    assert values.keys() & {"query_id", "collection"} == set()
    assert json.loads(formatted("json", hit(collection="work")))[0]["collection"] == "work"


@pytest.mark.parametrize("kind", [kind for kind in PROGRAM_FORMATS if kind != "json"])
def test_no_hit_is_nothing_in_the_other_formats(kind):
    assert formatted(kind) == ""


def test_jsonl_is_one_hit_a_line_with_the_query_of_a_batch():
    lines = formatted("jsonl", hit(title="a\u2028b\nc"), hit(rank=2), query_id="q7").split("\n")
    assert lines.pop() == ""
    assert [json.loads(line)["rank"] for line in lines] == [1, 2]
    assert [json.loads(line)["query_id"] for line in lines] == ["q7", "q7"]
    assert json.loads(lines[0])["title"] == "a\u2028b\nc"


def test_tsv_has_one_line_a_hit_and_its_columns():
    assert formatted("tsv", hit()) == (
        "1\t1.234568\t/notes/cap.md\t3\t9\tCAP theorem\tTheory > Proof\tConsistency or availability.\n"
    )
    assert formatted("tsv", hit(), query_id="q7").startswith("q7\t1\t")


def test_paths_are_exact():
    odd = hit(path="/notes/two  spaces\tand 麻婆\n.md")
    assert formatted("files", hit(), hit(path="/notes/dal.md"), hit()) == "/notes/cap.md\n/notes/dal.md\n"
    assert formatted("files0", odd, hit()) == "/notes/two  spaces\tand 麻婆\n.md\0/notes/cap.md\0"


def test_vimgrep_is_path_line_column_text():
    assert formatted("vimgrep", hit()) == "/notes/cap.md:3:1:CAP theorem: Consistency or availability.\n"


def test_trec_is_a_run_file():
    assert formatted("trec", hit(), query_id="q7") == "q7 Q0 /notes/cap.md 1 1.234568 notesearch\n"
    assert formatted("trec", hit()).startswith("0 Q0 ")


@pytest.mark.parametrize("path", ["/notes/white bread.md", "/a\tb\nc.md", "/a\u00a0b\u3000c.md", "/100%20.md"])
def test_a_document_of_a_run_file_is_one_word_that_gives_the_path_back(path):
    from urllib.parse import unquote

    (line,) = formatted("trec", hit(path=path), query_id="a query").splitlines()
    parts = line.split()
    assert len(parts) == 6
    assert unquote(parts[2]) == path
    assert unquote(parts[0]) == "a query"


hostile = st.text(
    st.one_of(
        st.sampled_from("\x1b\r\n\t\0\x07\x85\u2028\u202e\u2066 [/#-豆é\u0308\ufe0f"), st.characters(codec="utf-8")
    ),
    max_size=60,
)
hits = st.builds(
    hit, title=hostile, heading=hostile, snippet=hostile.map(lambda text: " ".join(text.split())), path=hostile
)


@example(hit(title="a\nb\rc", heading="\t\x85", path="/a\n\u2028.md"), "tsv")
@example(hit(title="a\nb\rc", heading="\t\x85", path="/a\n\u2028.md"), "vimgrep")
@example(hit(path="/a\n\r\u2028.md"), "trec")
@given(hits, st.sampled_from(["tsv", "vimgrep", "trec", "jsonl"]))
def test_a_hit_takes_one_line_whatever_a_note_holds(found, kind):
    text = formatted(kind, found)
    assert text.endswith("\n")
    assert "\n" not in text[:-1] and "\r" not in text


@given(hits)
def test_tsv_is_read_by_the_readers_of_others(found):
    (row,) = csv.reader(io.StringIO(formatted("tsv", found)), delimiter="\t", quoting=csv.QUOTE_NONE)
    assert len(row) == 8


@given(hits)
def test_json_is_exact(found):
    (values,) = json.loads(formatted("json", found))
    for name in ("title", "heading", "snippet", "path"):
        assert values[name] == getattr(found, name)


@given(hits, hostile, st.integers(1, 300), st.booleans())
def test_what_people_read_is_harmless(found, tag, width, colour):
    text = shown(hit(**{**as_values(found), "tags": (tag,)}), columns=width, colour=colour)
    bare = ESCAPE.sub("", text) if colour else text
    assert all(char == "\n" or unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp") for char in bare)
    assert not set(bare) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


def as_values(found: Hit) -> dict:
    return {name: getattr(found, name) for name in Hit.__slots__}


LONG = hit(
    title="The Cambridge Handbook of Consistency, Availability and Antidisestablishmentarianism " * 2,
    snippet="Consistency or availability, https://example.org/a/very/long/address/without/any/space/in/it/at/all " * 2,
    tags=("distributed-systems/consensus", "a-rather-long-tag-that-nobody-would-type", "databases"),
    highlights=(),
)
WIDE = hit(
    title="京都のお寺、歩いた順に書いておく覚え書き",
    heading="麻婆豆腐",
    snippet="先把豆腐切成小块，再炒豆瓣酱。" * 12,
    tags=("言語/日本語",) * 5,
)


@pytest.mark.parametrize("found", [LONG, WIDE, hit(), hit(rank=10_000)], ids=["long", "wide", "usual", "last"])
@pytest.mark.parametrize("width", [24, 40, 80, 200])
def test_only_paths_are_wider_than_the_window(found, width):
    lines = shown(found, columns=width).splitlines()
    assert all(columns(line) <= width for line in lines if "/notes/cap.md" not in line), max(lines, key=columns)


@given(hits, st.sampled_from([24, 40, 80, 200]))
def test_no_text_is_wider_than_the_window(found, width):
    text = shown(hit(**{**as_values(found), "path": "/p"}), columns=width)
    assert all(columns(line) <= width for line in text.splitlines())


@example(["a", "a", "a", "aaaaaaaa豆豆豆豆", "aa", "aaaaaaaaaaaaaaaaa豆豆"], 24)
@given(st.lists(st.text("ab豆é-", min_size=1, max_size=40), max_size=20), st.sampled_from([24, 40, 80]))
def test_no_word_of_a_snippet_is_lost(words, width):
    text = shown(hit(snippet=" ".join(words), highlights=(), tags=(), title="t", heading=""), columns=width)
    below = text.split("2024-02-10\n", 1)[1]
    assert "".join(below.split()) == "".join(words)
    # A line holds words as they follow each other in the snippet, and is not indented further.
    assert all(line.strip() in " ".join(words) and line[4:5] != " " for line in below.splitlines())


def test_a_person_sees_title_heading_place_tags_and_snippet():
    assert shown(hit(), columns=80) == (
        " 1. CAP theorem › Theory > Proof\n"
        "    /notes/cap.md:3-9  (+2 more)  2024-02-10\n"
        "    #databases #theory/cap\n"
        "    Consistency or availability.\n"
        "\n"
    )


def test_a_hit_in_a_collection_says_in_which():
    text = shown(hit(collection="work"), columns=80)
    assert "    /notes/cap.md:3-9  in work  (+2 more)  2024-02-10\n" in text


def test_what_is_not_there_takes_no_line():
    bare = hit(heading="", tags=(), more_passages=0, end_line=3)
    assert shown(bare, columns=80) == (
        " 1. CAP theorem\n    /notes/cap.md:3  2024-02-10\n    Consistency or availability.\n\n"
    )


def test_paths_are_short_where_that_is_possible(monkeypatch, tmp_path):
    home, here = tmp_path / "home", tmp_path / "work"
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    text = shown(
        hit(path=str(here / "a.md")),
        hit(path=str(home / "notes" / "b.md")),
        hit(path=str(tmp_path / "workshop" / "c.md")),
    )
    assert "    a.md:3-9" in text
    assert "    ~/notes/b.md:3-9" in text
    assert f"    {tmp_path}/workshop/c.md:3-9" in text


def test_paths_are_whole_where_the_working_directory_is_gone(monkeypatch, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert "    /notes/cap.md:3-9" in shown(hit())


def test_colour_changes_nothing_else():
    plain = shown(hit(), LONG, columns=60)
    coloured = shown(hit(), LONG, columns=60, colour=True)
    assert coloured != plain
    assert ESCAPE.sub("", coloured) == plain


EXPLAINED = hit(
    scores={"lexical": 2.0, "dense": 0.4, "late": 0.1234567},
    contributions={"lexical": 0.5, "dense": 0.7345678, "late": 0.0000004},
    highlights=((0, 11), (15, 27)),
    strengths=(1.0, 0.654321),
    evidence=(Evidence("consistent", "Consistency", 20, 31, 0.876543), Evidence("theorem", "theorem", None, None, 1.0)),
)


def test_a_hit_as_json_says_why_it_was_found():
    (values,) = json.loads(formatted("json", EXPLAINED))
    assert values["scores"] == {"lexical": 2.0, "dense": 0.4, "late": 0.123457}
    assert values["contributions"] == {"lexical": 0.5, "dense": 0.734568, "late": 0.0}
    assert values["highlights"] == [[0, 11], [15, 27]] and values["strengths"] == [1.0, 0.6543]
    assert values["evidence"] == [
        {"query_token": "consistent", "matched": "Consistency", "start": 20, "end": 31, "score": 0.8765},
        {"query_token": "theorem", "matched": "theorem", "start": None, "end": None, "score": 1.0},
    ]


def test_a_person_is_told_why_when_asked():
    assert shown(EXPLAINED, explain=True) == (
        shown(EXPLAINED).removesuffix("\n")
        + "    1.23 = 0.50 words + 0.73 meaning + 0.00 words in context\n"
        + "    consistent ████████▊  0.88 Consistency\n"
        + "    theorem    ██████████ 1.00 theorem\n"
        + "\n"
    )


def test_each_match_has_its_own_shade_on_every_line():
    snippet = ("Consistency or availability, " * 6).strip()
    spans = tuple(match.span() for match in re.finditer("Consistency|availability", snippet))
    found = hit(snippet=snippet, highlights=spans, strengths=(0.9, 0.6, 0.4) * 4)
    text = shown(found, columns=40, colour=True)
    marked = re.findall("\x1b\\[([0-9;]*)m(Consistency|availability)\x1b\\[0m", text)
    assert marked == list(zip(["1;33", "33", "2;33"] * 4, ["Consistency", "availability"] * 6, strict=True))


def test_a_match_that_was_broken_over_lines_has_one_shade():
    found = hit(snippet="x" * 100, highlights=((0, 100),), strengths=(0.6,))
    marked = re.findall("\x1b\\[33m(x+)\x1b\\[0m", shown(found, columns=40, colour=True))
    assert len(marked) == 3 and sum(map(len, marked)) == 100


# Why a hit was found


def met(query_token: str = "trade", matched: str = "choose", score: float = 0.36) -> Evidence:
    return Evidence(query_token, matched, 0, len(matched), score)


def explained(*evidence: Evidence, colour: bool = False, columns: int = 80, **values) -> list[str]:
    """What is said of the score of a hit."""
    standard = {"score": 1.41, "contributions": {"lexical": 0.17, "dense": 0.78, "late": 0.46}}
    return [
        line if colour else ESCAPE.sub("", line)
        for line in explanation(hit(**{**standard, **values, "evidence": evidence}), columns)
    ]


def test_an_explanation_is_a_sum_and_a_row_for_each_word():
    assert explained(met(), met("consistency", "consistent", 0.73)) == [
        "    1.41 = 0.17 words + 0.78 meaning + 0.46 words in context",
        "    trade       ███▋       0.36 choose",
        "    consistency ███████▎   0.73 consistent",
    ]


def test_what_lowers_a_score_is_subtracted():
    assert explained(score=0.19, contributions={"dense": 0.31, "late": -0.12}) == [
        "    0.19 = 0.31 meaning - 0.12 words in context"
    ]


def test_where_the_parts_do_not_add_up_they_are_listed():
    scores = {"lexical": 0.0, "dense": 0.11, "cross_encoder": 4.0}
    (line,) = explained(score=4.0, scores=scores, contributions={})
    assert "=" not in line and "+" not in line
    assert {"0.00 BM25", "0.11 cosine", "4.00 cross-encoder"} == set(line.strip().split(", "))


@pytest.mark.parametrize(
    ("score", "bar"),
    [(0.0, ""), (0.01, "▏"), (0.05, "▌"), (0.1, "█"), (0.5, "█████"), (0.99, "█████████▉"), (1.0, "█" * 10)],
)
def test_a_bar_is_as_long_as_the_words_are_close(score, bar):
    assert explained(met(score=score))[-1] == f"    trade {bar.ljust(10)} {score:.2f} choose"


def test_words_that_do_not_fit_end_in_an_ellipsis():
    shown = explained(met("a" * 30, "麻" * 15))[-1].split()
    assert shown == ["a" * 28 + "…", "███▋", "0.36", "麻" * 14 + "…"]


rows = st.lists(st.builds(met, hostile, hostile, st.floats(0, 1)), max_size=6)


@example([met("豆" * 40, "豆" * 40)], 40)
@example([met("\x1b[31m" * 20, "e\u0308" * 60, 1.0)], 40)
@example([met("x" * 60, "x" * 60, 1.0)], 41)
@given(rows, st.integers(40, 200))
def test_no_row_is_wider_than_the_window(found, width):
    shown = explained(*found, columns=width)
    assert len(shown) > len(found)
    assert all(columns(line) <= width for line in shown)


words = hostile.filter(lambda text: "█" not in text)


@example(["豆", "e\u0308" * 9, "a" * 90], 40)
@given(st.lists(words, min_size=1, max_size=6), st.integers(40, 200))
def test_bars_stand_below_each_other(asked, width):
    shown = explained(*(met(word, "x", 1.0) for word in asked), columns=width)[-len(asked) :]
    assert len({columns(line[: line.index("█" * 10)]) for line in shown}) == 1


@given(rows, st.integers(40, 200))
def test_colours_change_nothing_else(found, width):
    plain, coloured = explained(*found, columns=width), explained(*found, colour=True, columns=width)
    assert [ESCAPE.sub("", line) for line in coloured] == plain
    assert all(line != bare for line, bare in zip(coloured, plain, strict=True))


@pytest.mark.parametrize(("score", "code"), [(0.9, "1;33"), (0.6, "33"), (0.3, "2;33")])
def test_a_bar_and_the_word_it_is_for_are_shaded_alike(score, code):
    line = explained(met(score=score), colour=True)[-1]
    assert re.findall("\x1b\\[([0-9;]*)m([^\x1b]*)\x1b\\[0m", line) == [
        (code, explained(met(score=score))[-1][10:20]),
        (code, "choose"),
    ]


def test_what_a_linked_idea_adds_is_a_part_of_the_sum():
    assert explained(score=1.33, contributions={"dense": 0.35, "late": 0.15, "concepts": 0.83}) == [
        "    1.33 = 0.35 meaning + 0.15 words in context + 0.83 concepts"
    ]


def test_linked_ideas_are_told_one_a_line():
    links = [ConceptLink("impermanence", "eventual consistency", 0.5), ConceptLink("raft", "boats\x1b", 0.25)]
    assert [ESCAPE.sub("", line) for line in explain_concepts(links, 80)] == [
        "linked: impermanence ~ eventual consistency (0.50)",
        "linked: raft ~ boats\ufffd (0.25)",
        "",
    ]
    assert all(len(ESCAPE.sub("", line)) <= 24 for line in explain_concepts(links, 24))
    assert list(explain_concepts([], 80)) == []
