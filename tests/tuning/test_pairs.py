from datetime import datetime
from pathlib import Path

from notesearch.evaluation.known_items import find_known_items
from notesearch.notes import parse_note
from notesearch.tuning.pairs import Answers, TextPair, count_sources, pairs_of_items, pairs_of_tags

BODY = "one two three four five"


def note(name, text):
    return parse_note(Path(f"/v/{name}.md"), text, datetime(2025, 1, 1))


NOTES = [
    note("a", f"# Sourdough\n\n{BODY} A\n\n## Feeding the starter\n\n{BODY} B\n\n#bread #food"),
    note("b", f"# Rye\n\n{BODY} C [[a|the usual white loaf]]\n\n#bread #food"),
    note("c", f"# 2025-01-04\n\n{BODY} D\n\n#bread #food"),
]


def test_known_items_become_pairs_about_the_note_that_answers():
    items = find_known_items(NOTES)
    pairs = list(pairs_of_items(NOTES, items, Answers(NOTES, items)))
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
    assert count_sources(pairs) == {"title": 2, "heading": 1, "link": 1}


def test_a_title_that_stands_below_other_text_is_taken_out_too():
    notes = [note("a", f"written in spring\n\n# Fermenting garlic\n\n{BODY}\n")]
    (item,) = find_known_items(notes)
    assert Answers(notes, [item]).to(item).split() == f"written in spring {BODY}".split()


def test_notes_that_share_a_rare_tag_ask_for_each_other():
    pairs = list(pairs_of_tags(NOTES, {0, 1}))
    assert [(pair.query, pair.passage[:25], pair.notes) for pair in pairs[:2]] == [
        ("Sourdough", f"{BODY} C", ("/v/a.md", "/v/b.md")),
        ("Rye", f"{BODY} A", ("/v/b.md", "/v/a.md")),
    ]
    # A date asks for nothing; it can still be an answer.
    assert {pair.query for pair in pairs_of_tags(NOTES, {1, 2})} == {"Rye"}
    many = [note(str(n), f"# Title {chr(97 + n)}\n\n{BODY} #food") for n in range(6)]
    assert list(pairs_of_tags(many, range(6))) == []
    assert len(list(pairs_of_tags(many, range(5)))) == 20


def test_pairs_with_a_note_a_query_or_a_passage_in_common_are_about_the_same():
    pair = TextPair("file", "A Query", "text", notes=("/v/a.md",))
    assert pair.groups & TextPair("title", "other", "other", notes=("/v/a.md", "/v/b.md")).groups
    assert pair.groups & TextPair("file", "a query", "other").groups
    assert pair.groups & TextPair("file", "other", "text").groups
    assert not pair.groups & TextPair("file", "text", "A Query", notes=("/v/b.md",)).groups
    # What one says is no answer is another's answer.
    assert TextPair("file", "q", "p", negative="text").groups & pair.groups
    assert not TextPair("file", "q", "p").groups & TextPair("file", "r", "s").groups
