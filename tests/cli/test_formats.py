import csv
import io
import json
import re
import unicodedata
from dataclasses import fields

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notesearch.cli.formats import Format, format_hits, hit_as_dict
from notesearch.library.collections import CollectionHit
from notesearch.records import Evidence, Hit

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


def formatted(kind: Format, *hits: Hit, **options) -> str:
    return "".join(format_hits(hits, kind, **options))


def columns(text: str) -> int:
    """Columns of a terminal that a text takes."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def test_a_hit_as_json_has_the_keys_of_the_contract():
    values = json.loads(formatted(Format.JSON, hit()))[0]
    assert values["rank"] == 1
    assert values["score"] == 1.234568
    assert values["scores"] == {"lexical": 2.0, "dense": 0.5}
    assert values["path"] == "/notes/cap.md"
    assert (values["title"], values["heading"]) == ("CAP theorem", "Theory > Proof")
    assert (values["start_line"], values["end_line"]) == (3, 9)
    assert values["snippet"] == "Consistency or availability."
    assert values["tags"] == ["databases", "theory/cap"]
    assert values["highlights"] == [[0, 11]]
    assert "query_id" not in values


def test_no_hit_as_json_is_an_empty_list():
    assert json.loads(formatted(Format.JSON)) == []


@pytest.mark.parametrize("kind", [kind for kind in Format if kind is not Format.JSON])
def test_no_hit_is_nothing_in_the_other_formats(kind):
    assert formatted(kind) == ""


def test_jsonl_is_one_hit_a_line_with_the_query_of_a_batch():
    lines = formatted(Format.JSONL, hit(title="a\u2028b\nc"), hit(rank=2), query_id="q7").split("\n")
    assert lines.pop() == ""
    assert [json.loads(line)["rank"] for line in lines] == [1, 2]
    assert [json.loads(line)["query_id"] for line in lines] == ["q7", "q7"]
    assert json.loads(lines[0])["title"] == "a\u2028b\nc"


def test_tsv_has_one_line_a_hit_and_its_columns():
    assert formatted(Format.TSV, hit()) == (
        "1\t1.234568\t/notes/cap.md\t3\t9\tCAP theorem\tTheory > Proof\tConsistency or availability.\n"
    )
    assert formatted(Format.TSV, hit(), query_id="q7").startswith("q7\t1\t")


def test_paths_are_exact():
    odd = hit(path="/notes/two  spaces\tand 麻婆\n.md")
    assert formatted(Format.FILES, hit(), hit(path="/notes/dal.md"), hit()) == "/notes/cap.md\n/notes/dal.md\n"
    assert formatted(Format.FILES0, odd, hit()) == "/notes/two  spaces\tand 麻婆\n.md\0/notes/cap.md\0"


def test_vimgrep_is_path_line_column_text():
    assert formatted(Format.VIMGREP, hit()) == "/notes/cap.md:3:1:CAP theorem: Consistency or availability.\n"


def test_trec_is_a_run_file():
    assert formatted(Format.TREC, hit(), query_id="q7") == "q7 Q0 /notes/cap.md 1 1.234568 notesearch\n"
    assert formatted(Format.TREC, hit()).startswith("0 Q0 ")


@pytest.mark.parametrize("path", ["/notes/white bread.md", "/a\tb\nc.md", "/a\u00a0b\u3000c.md", "/100%20.md"])
def test_a_document_of_a_run_file_is_one_word_that_gives_the_path_back(path):
    from urllib.parse import unquote

    (line,) = formatted(Format.TREC, hit(path=path), query_id="a query").splitlines()
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


@example(hit(title="a\nb\rc", heading="\t\x85", path="/a\n\u2028.md"), Format.TSV)
@example(hit(title="a\nb\rc", heading="\t\x85", path="/a\n\u2028.md"), Format.VIMGREP)
@example(hit(path="/a\n\r\u2028.md"), Format.TREC)
@given(hits, st.sampled_from([Format.TSV, Format.VIMGREP, Format.TREC, Format.JSONL]))
def test_a_hit_takes_one_line_whatever_a_note_holds(found, kind):
    text = formatted(kind, found)
    assert text.endswith("\n")
    assert "\n" not in text[:-1] and "\r" not in text


@given(hits)
def test_tsv_is_read_by_the_readers_of_others(found):
    (row,) = csv.reader(io.StringIO(formatted(Format.TSV, found)), delimiter="\t", quoting=csv.QUOTE_NONE)
    assert len(row) == 8


@given(hits)
def test_json_is_exact(found):
    (values,) = json.loads(formatted(Format.JSON, found))
    for name in ("title", "heading", "snippet", "path"):
        assert values[name] == getattr(found, name)


@given(hits, hostile, st.integers(1, 300), st.booleans())
def test_what_people_read_is_harmless(found, tag, width, colour):
    text = formatted(Format.HUMAN, hit(**{**as_values(found), "tags": (tag,)}), width=width, colour=colour)
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
    lines = formatted(Format.HUMAN, found, width=width).splitlines()
    assert all(columns(line) <= width for line in lines if "/notes/cap.md" not in line), max(lines, key=columns)


@given(hits, st.sampled_from([24, 40, 80, 200]))
def test_no_text_is_wider_than_the_window(found, width):
    text = formatted(Format.HUMAN, hit(**{**as_values(found), "path": "/p"}), width=width)
    assert all(columns(line) <= width for line in text.splitlines())


@example(["a", "a", "a", "aaaaaaaa豆豆豆豆", "aa", "aaaaaaaaaaaaaaaaa豆豆"], 24)
@given(st.lists(st.text("ab豆é-", min_size=1, max_size=40), max_size=20), st.sampled_from([24, 40, 80]))
def test_no_word_of_a_snippet_is_lost(words, width):
    text = formatted(
        Format.HUMAN, hit(snippet=" ".join(words), highlights=(), tags=(), title="t", heading=""), width=width
    )
    shown = text.split("/notes/cap.md:3-9  (+2 more)\n", 1)[1]
    assert "".join(shown.split()) == "".join(words)
    # A line holds words as they follow each other in the snippet, and is not indented further.
    assert all(line.strip() in " ".join(words) and line[4:5] != " " for line in shown.splitlines())


def test_a_person_sees_title_heading_place_tags_and_snippet():
    assert formatted(Format.HUMAN, hit(), width=80) == (
        " 1. CAP theorem › Theory > Proof\n"
        "    /notes/cap.md:3-9  (+2 more)\n"
        "    #databases #theory/cap\n"
        "    Consistency or availability.\n"
        "\n"
    )


def test_a_hit_in_a_collection_says_in_which():
    values = {field.name: getattr(hit(), field.name) for field in fields(Hit)}
    shown = formatted(Format.HUMAN, CollectionHit(**values, collection="work"), width=80)
    assert "    /notes/cap.md:3-9  in work  (+2 more)\n" in shown


def test_what_is_not_there_takes_no_line():
    bare = hit(heading="", tags=(), more_passages=0, end_line=3)
    assert formatted(Format.HUMAN, bare, width=80) == (
        " 1. CAP theorem\n    /notes/cap.md:3\n    Consistency or availability.\n\n"
    )


def test_a_note_without_text_shows_its_title_and_place():
    bare = hit(heading="", tags=(), more_passages=0, start_line=1, end_line=1, snippet="", highlights=())
    assert formatted(Format.HUMAN, bare, width=80).rstrip() == " 1. CAP theorem\n    /notes/cap.md:1"


def test_paths_are_short_where_that_is_possible(monkeypatch, tmp_path):
    home, here = tmp_path / "home", tmp_path / "work"
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    text = formatted(
        Format.HUMAN,
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
    assert "    /notes/cap.md:3-9" in formatted(Format.HUMAN, hit())


def test_matching_words_are_marked_on_every_line():
    snippet = "Consistency or availability: " * 6
    spans = tuple(match.span() for match in re.finditer("Consistency|availability", snippet))
    text = formatted(Format.HUMAN, hit(snippet=snippet.strip(), highlights=spans), width=40, colour=True)
    assert re.findall("\x1b\\[1;33m(.*?)\x1b\\[0m", text) == ["Consistency", "availability"] * 6


def test_colour_changes_nothing_else():
    plain = formatted(Format.HUMAN, hit(), LONG, width=60)
    coloured = formatted(Format.HUMAN, hit(), LONG, width=60, colour=True)
    assert coloured != plain
    assert ESCAPE.sub("", coloured) == plain


def test_a_long_marked_word_that_had_to_be_broken_is_still_there():
    text = formatted(Format.HUMAN, hit(snippet="x" * 100, highlights=((0, 100),)), width=40, colour=True)
    assert ESCAPE.sub("", text).count("x") == 100


def test_the_batch_key_comes_first():
    assert list(hit_as_dict(hit(), "q7"))[:2] == ["query_id", "rank"]


EXPLAINED = hit(
    scores={"lexical": 2.0, "dense": 0.4, "late": 0.1234567},
    contributions={"lexical": 0.5, "dense": 0.7345678, "late": 0.0000004},
    highlights=((0, 11), (15, 27)),
    strengths=(1.0, 0.654321),
    evidence=(Evidence("consistent", "Consistency", 20, 31, 0.876543), Evidence("theorem", "theorem", None, None, 1.0)),
)


def test_a_hit_as_json_says_why_it_was_found():
    (values,) = json.loads(formatted(Format.JSON, EXPLAINED))
    assert values["scores"] == {"lexical": 2.0, "dense": 0.4, "late": 0.123457}
    assert values["contributions"] == {"lexical": 0.5, "dense": 0.734568, "late": 0.0}
    assert values["highlights"] == [[0, 11], [15, 27]] and values["strengths"] == [1.0, 0.6543]
    assert values["evidence"] == [
        {"query_token": "consistent", "matched": "Consistency", "start": 20, "end": 31, "score": 0.8765},
        {"query_token": "theorem", "matched": "theorem", "start": None, "end": None, "score": 1.0},
    ]


def test_a_hit_without_evidence_has_the_same_keys():
    (bare,) = json.loads(formatted(Format.JSON, hit(highlights=())))
    assert (bare["evidence"], bare["contributions"], bare["strengths"]) == ([], {}, [])
    assert bare.keys() == json.loads(formatted(Format.JSON, EXPLAINED))[0].keys()


def test_a_hit_itself_is_not_changed():
    before = as_values(EXPLAINED)
    formatted(Format.JSON, EXPLAINED)
    assert as_values(EXPLAINED) == before


def test_a_person_is_told_why_when_asked():
    assert formatted(Format.HUMAN, EXPLAINED, explain=True) == (
        formatted(Format.HUMAN, EXPLAINED).removesuffix("\n")
        + "    1.23 = 0.50 words + 0.73 meaning + 0.00 words in context\n"
        + "    consistent ████████▊  0.88 Consistency\n"
        + "    theorem    ██████████ 1.00 theorem\n"
        + "\n"
    )


@pytest.mark.parametrize("kind", [kind for kind in Format if kind is not Format.HUMAN])
def test_programs_are_told_the_same_whether_asked_or_not(kind):
    assert formatted(kind, EXPLAINED, explain=True) == formatted(kind, EXPLAINED)


@pytest.mark.parametrize(
    ("strength", "code"), [(1.0, "1;33"), (0.75, "1;33"), (0.74, "33"), (0.55, "33"), (0.54, "2;33"), (0.0, "2;33")]
)
def test_a_match_is_shaded_by_how_strong_it_is(strength, code):
    text = formatted(Format.HUMAN, hit(strengths=(strength,)), colour=True)
    assert f"\x1b[{code}mConsistency\x1b[0m or availability." in text


def test_each_match_has_its_own_shade_on_every_line():
    snippet = ("Consistency or availability, " * 6).strip()
    spans = tuple(match.span() for match in re.finditer("Consistency|availability", snippet))
    found = hit(snippet=snippet, highlights=spans, strengths=(0.9, 0.6, 0.4) * 4)
    text = formatted(Format.HUMAN, found, width=40, colour=True)
    marked = re.findall("\x1b\\[([0-9;]*)m(Consistency|availability)\x1b\\[0m", text)
    assert marked == list(zip(["1;33", "33", "2;33"] * 4, ["Consistency", "availability"] * 6, strict=True))


def test_a_match_that_was_broken_over_lines_has_one_shade():
    found = hit(snippet="x" * 100, highlights=((0, 100),), strengths=(0.6,))
    marked = re.findall("\x1b\\[33m(x+)\x1b\\[0m", formatted(Format.HUMAN, found, width=40, colour=True))
    assert len(marked) == 3 and sum(map(len, marked)) == 100
