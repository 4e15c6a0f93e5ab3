import stat
from pathlib import Path

import pytest

from notesearch.errors import UsageError
from notesearch.evaluation.known_items import choose_items, make_own_collection, read_notes
from notesearch.notes import NoteFile, find_notes, note_from_bytes
from notesearch.records import Skipped

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


def test_what_asks_cannot_be_read_in_the_copies(read, tmp_path):
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


def test_the_titles_of_notes_that_are_not_asked_for_are_taken_out_too(read, tmp_path):
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


def test_quotation_marks_ask_for_nothing(read, tmp_path):
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


def test_where_notes_are_gone_it_is_said_how_many_and_why():
    gone = [Skipped(f"/disk/{number}.md", "no such file or directory", for_now=True) for number in range(1200)]
    with pytest.raises(UsageError, match=r"; 1,200 could not be read, /disk/0\.md for one: no such file") as caught:
        choose_items([], unreadable=gone)
    assert "disk" in caught.value.hint


def test_notes_that_the_model_was_tuned_on_are_not_asked_for(read):
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
    page = NoteFile(tmp_path / "page.html", 0, 0)
    document = note_from_bytes(page, f"<title>A page</title><h2>Of trees that stand</h2><p>{body}".encode())
    collection = own_collection([*notes, document], [str(number) for number in range(14)], tmp_path / "copies")
    (copy,) = [copy for copy, name in collection.document_ids.items() if name == "13"]
    assert Path(copy).suffix == ".md" and body in (tmp_path / "copies" / copy).read_text()
