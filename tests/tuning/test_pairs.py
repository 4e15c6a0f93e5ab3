from datetime import datetime
from pathlib import Path

from notesearch.notes import find_known_items, parse_note
from notesearch.tuning.pairs import TextPair, answer, count_sources, pairs_of_items, pairs_of_tags

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
    pairs = list(pairs_of_items(NOTES, items))
    assert [(pair.source, pair.query, pair.notes) for pair in pairs] == [
        ("title", "Sourdough", ("/v/a.md",)),
        ("title", "Rye", ("/v/b.md",)),
        ("heading", "Feeding the starter", ("/v/a.md",)),
        ("link", "the usual white loaf", ("/v/a.md",)),
    ]
    assert pairs[0].passage.startswith(f"{BODY} A\n\n## Feeding")
    assert pairs[2].passage.startswith(f"{BODY} B")
    assert count_sources(pairs) == {"title": 2, "heading": 1, "link": 1}
    assert pairs[3].passage == answer(NOTES, items[3])


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
