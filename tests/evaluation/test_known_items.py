import hashlib
import json
import os
import stat
import time
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notesearch.errors import ModelError, UsageError
from notesearch.evaluation.known_items import (
    choose_items,
    find_known_items,
    find_learnt,
    make_own_collection,
    path_digest,
    read_learnt_from,
    read_notes,
    without_items,
)
from notesearch.files import Stamp
from notesearch.notes import NoteFile, find_notes, note_from_bytes, parse_note
from notesearch.records import Skipped

FIVE_WORDS = "one two three four five."


def note(text, path="/v/a.md"):
    return parse_note(Path(path), text, datetime(2025, 1, 1))


def items_of(*notes):
    return [(item.kind, item.query, item.source, item.target) for item in find_known_items(notes)]


def answers(notes):
    return [notes[item.target].text[item.answer_start : item.answer_end] for item in find_known_items(notes)]


def test_the_answer_to_a_title_is_its_note():
    notes = [note(f"# Sourdough bread\n\n{FIVE_WORDS}\n\nMore.\n")]
    assert items_of(*notes) == [("title", "Sourdough bread", 0, 0)]
    assert answers(notes) == [f"{FIVE_WORDS}\n\nMore."]


def test_the_answer_to_a_heading_is_its_section():
    notes = [note(f"# Bread\n\n## Feeding the starter\n\n{FIVE_WORDS}\n\n### Deeper\n\nNot this.\n")]
    assert items_of(*notes) == [("title", "Bread", 0, 0), ("heading", "Feeding the starter", 0, 0)]
    assert answers(notes)[1] == FIVE_WORDS


def test_the_answer_to_the_words_of_a_link_is_its_target():
    notes = [
        note(f"# One\n\n{FIVE_WORDS} See [[b|letting go of things]].\n"),
        note(f"# Impermanence\n\n{FIVE_WORDS}\n", "/v/b.md"),
    ]
    link = find_known_items(notes)[-1]
    assert (link.kind, link.query, link.source, link.target) == ("link", "letting go of things", 0, 1)
    assert notes[0].text[link.start : link.end] == "[[b|letting go of things]]"


def test_relative_and_org_links_are_spanned_as_they_are_written():
    notes = [
        note(f"# One\n\n{FIVE_WORDS} `x` [a much longer anchor](b.md 'title') and more.\n"),
        note(f"* Two\n{FIVE_WORDS} [[file:b.md][another long anchor]] end\n", "/v/c.org"),
        note(f"# Impermanence\n\n{FIVE_WORDS}\n", "/v/b.md"),
    ]
    spans = [notes[i.source].text[i.start : i.end] for i in find_known_items(notes) if i.kind == "link"]
    assert spans == ["[a much longer anchor](b.md 'title')", "[[file:b.md][another long anchor]]"]


def test_only_informative_queries_with_one_target_count():
    body = f"\n\n{FIVE_WORDS}\n"
    assert items_of(note(f"# 2025-01-04{body}")) == []
    assert items_of(note(f"# The{body}")) == []
    assert items_of(note("# Nothing below\n")) == []
    assert items_of(note("# Hardly anything\n\nfour words are here\n")) == []
    assert items_of(note(f"# Same title{body}"), note(f"# same Title{body}", "/v/b.md")) == []
    # A heading of one telling word is like any other note's; so are links that say what their target is called.
    assert items_of(note(f"# Bread\n\n## The background{body}")) == [("title", "Bread", 0, 0)]
    linking = note(f"# One\n\n{FIVE_WORDS} [[b]] [[b|Two things]] [Two things](b.md)\n")
    target = note(f"# Two things{body}", "/v/b.md")
    assert items_of(linking, target) == [("title", "One", 0, 0), ("title", "Two things", 1, 1)]
    twice = note(f"# One\n\n{FIVE_WORDS} [[b|some other words]] [[b|Some other words]] [[a|my own words]]\n")
    assert [kind for kind, *_ in items_of(twice, target)] == ["title", "title"]


@pytest.mark.parametrize(
    "title",
    [
        *(
            "16 February 2025",
            "21 July 2024 #journal #sleep",
            "2024-05-19 Sunday",
            "Sun, 19 May",
            "On the 3rd of March",
        ),
        *("#journal", "Tuesday"),
    ],
)
def test_a_date_is_no_query(title):
    assert items_of(note(f"---\ntitle: '{title}'\n---\n{FIVE_WORDS}\n\n## {title}\n\n{FIVE_WORDS}\n")) == []


@pytest.mark.parametrize("title", ["Sunday lunch", "C# in March", "B12", "16 ways to sleep #health"])
def test_a_title_with_more_than_a_date_is_a_query(title):
    assert items_of(note(f"---\ntitle: '{title}'\n---\n{FIVE_WORDS}\n")) == [("title", title, 0, 0)]


@pytest.mark.parametrize(
    "repeated",
    [
        "- [Alpha beta gamma](#alpha-beta-gamma)",
        "[[#Alpha beta gamma]]",
        "1. Alpha *beta* gamma ... 3",
        "We come to ALPHA\nbeta gamma below.",
    ],
)
def test_what_a_note_repeats_is_no_query(repeated):
    repeating = note(f"# Own words\n\n{FIVE_WORDS}\n\n{repeated}\n\n## Alpha beta gamma\n\n{FIVE_WORDS}\n")
    assert items_of(repeating) == [("title", "Own words", 0, 0)]
    titled = note(f"---\ntitle: Alpha beta gamma\n---\n{FIVE_WORDS}\n\n{repeated}\n")
    assert items_of(titled) == []


@pytest.mark.parametrize(
    "repeated", ["- [Alpha beta](#alpha-beta)", "[[#Alpha beta]]", "2. Alpha beta", "| Alpha beta |"]
)
def test_a_short_one_is_left_out_where_a_line_or_link_repeats_it(repeated):
    assert items_of(note(f"# Bread\n\n{repeated}\n\n## Alpha beta\n\n{FIVE_WORDS}\n")) == [("title", "Bread", 0, 0)]


def test_prose_may_contain_a_short_one():
    prose = note(f"# Bread\n\nHere alpha beta is meant, our own way.\n\n## 1. Alpha beta\n\n{FIVE_WORDS}\n")
    assert [kind for kind, *_ in items_of(prose)] == ["title", "heading"]


def test_repetitions_in_other_notes_do_not_matter():
    notes = [
        note(f"# Bread\n\n## Alpha beta gamma\n\n{FIVE_WORDS}\n"),
        note(f"# Two\n\nAlpha beta gamma, {FIVE_WORDS}\n", "/v/b.md"),
    ]
    assert [query for _, query, *_ in items_of(*notes)] == ["Bread", "Two", "Alpha beta gamma"]


def test_a_long_note_takes_no_longer_than_its_length():
    paragraphs = "word\n\n" * 40_000
    headings = "".join(f"## Heading number{number}\n\n{FIVE_WORDS}\n\n" for number in range(40_000))
    long = note(f"{paragraphs}{headings}[[b|one more link]]\n" + "[[b|one more link]]\n" * 1_000)
    started = time.process_time()
    items = find_known_items([long, note(f"# Two\n\n{FIVE_WORDS * 20_000}\n", "/v/b.md")])
    assert len(items) > 40_000
    without_items(long, items)
    assert time.process_time() - started < 15


def test_title_and_queries_are_taken_out_of_a_text():
    text = f"---\ntitle: Bread\n---\n# Bread, a history\n\nBread\n\n## Feeding the starter\n\n{FIVE_WORDS}\n"
    only = note(text)
    items = find_known_items([only])
    assert [item.query for item in items] == ["Bread", "Feeding the starter"]
    assert without_items(only, []).split("\n\n") == ["", "", "## Feeding the starter", f"{FIVE_WORDS}\n"]
    assert without_items(only, items).split() == FIVE_WORDS.split()


def test_an_empty_note_has_no_items():
    assert items_of(note("")) == []
    assert without_items(note(""), []) == ""


@given(st.text(alphabet="ab# []|()\n`*", max_size=80), st.text(alphabet="ab# []|()\n`*", max_size=80))
def test_what_is_left_of_a_text_stood_in_it_in_the_same_order(first, second):
    notes = [note(first), note(second, "/v/b.md")]
    items = find_known_items(notes)
    for number, own in enumerate(notes):
        taken = [item for item in items if item.source == number]
        assert all(0 <= item.start <= item.end <= len(own.text) for item in taken)
        left = without_items(own, taken)
        assert len(left) <= len(own.text)
        remaining = iter(own.text)
        assert all(char in remaining for char in left)  # what is left stands in the note in the same order


WORDS = "amber birch cedar dune ember fjord grove heath islet jetty knoll lagoon".split()


@pytest.fixture
def read(tmp_path):
    """Writes notes and reads them; returns them and their names."""

    def run(texts: dict[str, str]):
        for name, text in texts.items():
            path = tmp_path / "vault" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        notes, skipped = read_notes(find_notes(tmp_path / "vault", max_bytes=10_000))
        assert skipped == []
        return notes, [str(note.path.relative_to(tmp_path / "vault")) for note in notes]

    return run


def own_collection(notes, names, folder, most=0):
    return make_own_collection(notes, names, folder, choose_items(notes, most))


def vault() -> dict[str, str]:
    """Twelve notes with a title and a heading each, and one that links to the first."""
    notes = {
        f"trees/{word} walk.md": f"---\ntitle: The {word} walk\n---\nOne two three four five six.\n\n"
        f"## Back from {word} hill\n\nSeven eight nine ten eleven twelve.\n"
        for word in WORDS
    }
    return notes | {"links.org": "Long ago I went on [[file:trees/amber walk.md][a stroll in orange light]] once.\n"}


def test_queries_are_titles_headings_and_links(read, tmp_path):
    notes, names = read(vault())
    collection = own_collection(notes, names, tmp_path / "copies")
    kinds = list(collection.grades.values())
    assert (kinds.count("title"), kinds.count("heading"), kinds.count("link")) == (13, 12, 1)
    asked = {collection.queries[query_id]: next(iter(gains.items())) for query_id, gains in collection.qrels.items()}
    assert asked["The dune walk"] == asked["Back from dune hill"] == ("trees/dune walk.md", 1.0)
    assert asked["a stroll in orange light"] == ("trees/amber walk.md", 1.0)
    assert (collection.notes_dir, collection.corpus_file) == (tmp_path / "copies", None)


def test_the_copies_do_not_contain_the_queries(read, tmp_path):
    notes, names = read(vault())
    collection = own_collection(notes, names, tmp_path / "copies")
    copies = {collection.document_ids[path.name]: path.read_text() for path in (tmp_path / "copies").iterdir()}
    assert sorted(copies) == sorted(names)
    for query in collection.queries.values():
        assert not any(query.casefold() in text.casefold() for text in copies.values())
    assert "Long ago I went on" in copies["links.org"] and "once." in copies["links.org"]
    assert (
        copies["trees/dune walk.md"].split()
        == "One two three four five six. Seven eight nine ten eleven twelve.".split()
    )


def test_copies_have_numbers_for_names_and_are_private(read, tmp_path):
    notes, names = read(vault())
    collection = own_collection(notes, names, tmp_path / "work" / "copies")
    assert {Path(copy).suffix for copy in collection.document_ids} == {".md", ".org"}
    assert {Path(copy).stem for copy in collection.document_ids} == {f"{number:06d}" for number in range(13)}
    assert stat.S_IMODE((tmp_path / "work" / "copies").stat().st_mode) == 0o700


def test_copies_of_the_last_time_are_replaced(read, tmp_path):
    notes, names = read(vault())
    copies = tmp_path / "copies"
    own_collection(notes, names, copies)
    (copies / "keep.md").write_text("not ours")
    collection = own_collection(notes[1:], names[1:], copies)
    assert {path.name for path in copies.iterdir()} == {*collection.document_ids, "keep.md"}


def test_titles_that_are_not_queries_are_taken_out_too(read, tmp_path):
    notes, names = read(vault())
    own_collection(notes, names, tmp_path / "copies", most=10)
    texts = [path.read_text() for path in (tmp_path / "copies").iterdir()]
    assert not any("walk" in text and "link" not in text for text in texts if "Long ago" not in text)
    # But a heading that is not asked for stays.
    assert any("Back from" in text for text in texts)


@pytest.mark.parametrize("most", [10, 11, 25])
def test_a_sample_has_some_of_each_kind_and_is_always_the_same(read, tmp_path, most):
    notes, names = read(vault())
    first = own_collection(notes, names, tmp_path / "copies", most=most)
    second = own_collection(notes, names, tmp_path / "copies", most=most)
    assert first.queries == second.queries
    assert len(first.queries) == most
    kinds = list(first.grades.values())
    assert kinds.count("link") == 1
    assert abs(kinds.count("title") - kinds.count("heading")) <= 1


def test_quotation_marks_are_left_out_of_queries(read, tmp_path):
    notes, names = read(
        {f"{number}.md": f'# The "{word}" walk\n\nOne two three four five six.' for number, word in enumerate(WORDS)}
    )
    collection = own_collection(notes, names, tmp_path / "copies")
    assert not any('"' in query for query in collection.queries.values())


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ({f"{number}.md": "# One title\n\nOne two three four five six." for number in range(20)}, "only 0 queries"),
        ({"a.md": "# Alpine walk\n\nOne two three four five six."}, "only 1 query"),
    ],
)
def test_too_few_queries_are_refused(read, tmp_path, texts, told):
    notes, names = read(texts)
    with pytest.raises(UsageError, match=told) as caught:
        own_collection(notes, names, tmp_path / "copies")
    assert "queries.jsonl" in caught.value.hint
    assert not (tmp_path / "copies").exists()


def test_the_error_says_how_many_notes_could_not_be_read_and_why():
    gone = [Skipped(f"/disk/{number}.md", "no such file or directory", for_now=True) for number in range(1200)]
    with pytest.raises(UsageError, match=r"; 1,200 could not be read, /disk/0\.md for one: no such file") as caught:
        choose_items([], unreadable=gone)
    assert "disk" in caught.value.hint


def test_notes_that_the_model_was_tuned_on_are_no_targets(read):
    notes, _ = read(vault())
    items = choose_items(notes, learnt=frozenset({0, 1, 2}))
    assert {item.target for item in items} == set(range(3, 13))
    with pytest.raises(UsageError, match="only 0 queries"):
        choose_items(notes, learnt=frozenset(range(13)))


def test_notes_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "a.md").write_text("fine")
    (tmp_path / "b.md").write_bytes(b"\x00\x01\x02" * 100)
    (tmp_path / "c.md").write_text("x" * 200)
    files = list(find_notes(tmp_path, max_bytes=100_000))
    (tmp_path / "c.md").unlink()
    notes, skipped = read_notes(files)
    assert [note.path.name for note in notes] == ["a.md"]
    assert [(Path(entry.path).name, entry.reason) for entry in skipped] == [
        ("b.md", "binary file"),
        ("c.md", "file disappeared"),
    ]


def test_copies_of_documents_are_text(read, tmp_path):
    notes, _ = read(vault())
    body = "Seven eight nine ten eleven twelve."
    page = NoteFile(tmp_path / "page.html", Stamp())
    document = note_from_bytes(page, f"<title>A page</title><h2>Of trees that stand</h2><p>{body}".encode())
    collection = own_collection([*notes, document], [str(number) for number in range(14)], tmp_path / "copies")
    (copy,) = [copy for copy, name in collection.document_ids.items() if name == "13"]
    assert Path(copy).suffix == ".md" and body in (tmp_path / "copies" / copy).read_text()


PATHS = [Path("/v/a.md"), Path("/v/\udcff.md"), Path("/v/b.md")]
TUNED_NOTES = [parse_note(path, "text", datetime(2025, 1, 1)) for path in PATHS]


def test_a_tuned_model_recognises_its_notes_by_digests_of_their_paths(tmp_path):
    digests = [hashlib.blake2b(os.fsencode(path), digest_size=16).hexdigest() for path in PATHS[:2]]
    assert digests == [path_digest(path) for path in PATHS[:2]]
    (tmp_path / "tuning.json").write_text(json.dumps({"learnt_from": [*digests, "0" * 32], "other": 1}))
    assert read_learnt_from(tmp_path) == {*digests, "0" * 32}
    assert find_learnt(TUNED_NOTES, tmp_path) == {0, 1}


def test_other_models_were_tuned_on_no_notes(tmp_path):
    assert read_learnt_from(tmp_path) == frozenset()
    assert find_learnt(TUNED_NOTES, tmp_path / "missing") == frozenset()


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"learnt_from": 1}'])
def test_a_damaged_record_is_an_error(tmp_path, text):
    (tmp_path / "tuning.json").write_text(text)
    with pytest.raises(ModelError, match=r"tuning\.json"):
        find_learnt(TUNED_NOTES, tmp_path)
