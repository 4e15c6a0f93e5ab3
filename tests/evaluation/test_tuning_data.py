from collections import Counter
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notesearch.errors import UsageError
from notesearch.evaluation import tuning_data
from notesearch.evaluation.known_items import find_known_items, path_digest
from notesearch.evaluation.tuning_data import TextPair, gather, read_pair_file
from notesearch.notes import parse_note

BODY = "one two three four five"


def note(name, text):
    return parse_note(Path(f"/v/{name}.md"), text, datetime(2025, 1, 1))


def notes(count):
    return [
        note(n, f"# Title {n} words\n\n{BODY} {n} [[{(n + 1) % count}|a helpful link to {n}]] #tag{n // 3}")
        for n in range(count)
    ]


def gathered(vault, given=(), **options):
    return gather(vault, find_known_items(vault), given, **options)


def judged(found):
    return {f"/v/{item.target}.md" for item in found.test} | {
        path for paths in found.validation.relevant for path in paths
    }


def learnt(found):
    return {path for pair in found.pairs for path in pair.notes}


def test_no_note_is_both_learnt_from_and_judged_by():
    found = gathered(notes(300))
    test, validation = ({item.target for item in found.test}, set().union(*found.validation.relevant))
    assert 60 <= len(test) <= 90 and 30 <= len(validation) <= 60
    assert len(judged(found)) == len(test) + len(validation)
    assert not learnt(found) & judged(found)
    assert {pair.source for pair in found.pairs} == {"title", "link", "tag"}
    assert set(found.validation.documents) == {f"/v/{n}.md" for n in range(300)}
    assert len(found.validation.queries) == len(found.validation.relevant)


def test_what_the_owner_has_given_pairs_about_is_learnt_from():
    before = gathered(notes(300))
    path = f"/v/{before.test[0].target}.md"
    given = [TextPair("accepted", "some query", "text", notes=(path,)), TextPair("file", before.test[1].query, "text")]
    found = gathered(notes(300), given)
    assert path in learnt(found) and path not in judged(found)
    assert before.test[1] not in found.test and before.test[2] in found.test
    assert list(found.pairs[-2:]) == given


def test_what_was_learnt_from_before_never_judges():
    first = gathered(notes(300))
    path = f"/v/{first.test[0].target}.md"
    other = gathered(notes(300), learnt_before={path_digest(Path(path))})
    assert path in judged(first) - judged(other)
    assert len(first.learnt_from) + 1 == len(other.learnt_from)
    assert path_digest(Path(path)) in other.learnt_from


def test_a_note_stays_in_its_part_whatever_else_comes_or_moves():
    test = {item.target for item in gathered(notes(200)).test}
    assert test <= {item.target for item in gathered(notes(300)).test}
    assert test == {item.target for item in gathered(notes(200), seed=7).test}
    moved = [replace(own, path=Path("/elsewhere") / own.path.relative_to("/")) for own in notes(200)]
    assert test == {item.target for item in gathered(moved).test}


def test_of_many_pairs_some_are_taken_but_all_that_the_owner_gave(monkeypatch):
    monkeypatch.setattr(tuning_data, "_MOST_PAIRS", 25)
    monkeypatch.setattr(tuning_data, "_MOST_ITEMS_JUDGED", 12)
    monkeypatch.setattr(tuning_data, "_MOST_RIVALS", 15)
    given = [TextPair("file", "asked", "answered")] * 3
    found = gathered(notes(300), given)
    sizes = (len(found.pairs), len(found.validation.queries), len(found.test), len(found.validation.passages))
    assert sizes == (28, 12, 12, 27)
    assert set().union(*found.validation.relevant) <= set(found.validation.documents)
    assert list(found.pairs[-3:]) == given
    assert found == gathered(notes(300), given) != gathered(notes(300), given, seed=1)


def test_too_little_to_learn_from_or_to_judge_by_is_said():
    with pytest.raises(UsageError, match=r"too few pairs .* \(0\)"):
        gather([], [])
    with pytest.raises(UsageError, match="to judge"):
        gather([], [], [TextPair("file", "asked", "answered")] * 20)


def pairs_about(*own):
    """The pairs of some notes, all of which are learnt from; others are there to judge by."""
    settled = {path_digest(note.path) for note in own}
    found = gathered([*own, *notes(150)], learnt_before=settled)
    paths = {str(note.path) for note in own}
    return [pair for pair in found.pairs if paths.issuperset(pair.notes)]


BREAD = (
    note("a", f"# Sourdough\n\n{BODY} A\n\n## Feeding the starter\n\n{BODY} B\n\n#bread #food"),
    note("b", f"# Rye\n\n{BODY} C [[a|the usual white loaf]]\n\n#bread #food"),
    note("c", f"# 2025-01-04\n\n{BODY} D\n\n#bread #food"),
)


def test_titles_headings_and_links_ask_for_the_note_that_answers():
    pairs = [pair for pair in pairs_about(*BREAD) if pair.source != "tag"]
    assert [(pair.source, pair.query, pair.notes) for pair in pairs] == [
        ("title", "Sourdough", ("/v/a.md",)),
        ("title", "Rye", ("/v/b.md",)),
        ("heading", "Feeding the starter", ("/v/a.md",)),
        ("link", "the usual white loaf", ("/v/a.md",)),
    ]
    # Nobody's query stands in a passage.
    assert pairs[0].passage.split() == f"{BODY} A {BODY} B #bread #food".split()
    assert pairs[1].passage.split() == f"{BODY} C #bread #food".split()
    assert pairs[2].passage.split() == f"{BODY} B #bread #food".split()
    assert pairs[3].passage == pairs[0].passage


def test_a_title_that_stands_below_a_comment_is_taken_out_too():
    (pair,) = pairs_about(note("a", f"<!-- written in spring -->\n\n# Fermenting garlic\n\n{BODY}\n"))
    assert pair.passage.split() == f"<!-- written in spring --> {BODY}".split()


def test_notes_that_share_a_rare_tag_ask_for_each_other():
    pairs = [pair for pair in pairs_about(*BREAD) if pair.source == "tag"]
    assert (pairs[0].query, pairs[0].passage[:25], pairs[0].notes) == ("Sourdough", f"{BODY} C", ("/v/a.md", "/v/b.md"))
    assert (pairs[1].query, pairs[1].passage[:25], pairs[1].notes) == ("Rye", f"{BODY} A", ("/v/b.md", "/v/a.md"))
    # A date asks for nothing; it can still be an answer.
    assert Counter(pair.query for pair in pairs) == {"Sourdough": 4, "Rye": 4}
    many = [note(f"m{n}", f"# Title {chr(97 + n)}\n\n{BODY} #food") for n in range(6)]
    assert [pair for pair in pairs_about(*many) if pair.source == "tag"] == []
    assert len([pair for pair in pairs_about(*many[:5]) if pair.source == "tag"]) == 20


def test_pairs_with_a_note_a_query_or_a_passage_in_common_are_about_the_same():
    pair = TextPair("file", "A Query", "text", notes=("/v/a.md",))
    assert pair.groups & TextPair("title", "other", "other", notes=("/v/a.md", "/v/b.md")).groups
    assert pair.groups & TextPair("file", "a query", "other").groups
    assert pair.groups & TextPair("file", "other", "text").groups
    assert not pair.groups & TextPair("file", "text", "A Query", notes=("/v/b.md",)).groups
    # What one says is no answer is another's answer.
    assert TextPair("file", "q", "p", negative="text").groups & pair.groups
    assert not TextPair("file", "q", "p").groups & TextPair("file", "r", "s").groups


def write(tmp_path, *lines):
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def test_a_file_of_pairs_with_and_without_a_wrong_answer(tmp_path):
    lines = (
        '{"query": " a ", "positive": "b", "other": 1}',
        "",
        '{"query":"c","positive":"d","negative":"e"}',
        '{"query":"f","positive":"g","negative":null}',
    )
    assert [
        (pair.source, pair.query, pair.passage, pair.negative) for pair in read_pair_file(write(tmp_path, *lines))
    ] == [
        ("file", "a", "b", ""),
        ("file", "c", "d", "e"),
        ("file", "f", "g", ""),
    ]


@pytest.mark.parametrize(
    "line", ["{", "[]", "1", '{"query": "a"}', '{"query": "a", "positive": " "}', '{"query": 1, "positive": "b"}']
)
def test_a_line_that_is_no_pair_is_refused(tmp_path, line):
    with pytest.raises(UsageError, match=r"line 2|is no query with"):
        read_pair_file(write(tmp_path, '{"query": "a", "positive": "b"}', line))
    with pytest.raises(UsageError, match="cannot read"):
        read_pair_file(tmp_path / "missing")


@given(st.text(), st.text())
def test_any_texts_are_read_as_they_are_written(tmp_path_factory, query, positive):
    import json

    file = write(tmp_path_factory.mktemp("pairs"), json.dumps({"query": query, "positive": positive}))
    try:
        (pair,) = read_pair_file(file)
    except UsageError:
        assert not query.strip() or not positive.strip()
    else:
        assert (pair.query, pair.passage) == (query.strip(), positive.strip())
