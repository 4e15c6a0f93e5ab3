"""Documents in an index: read once, and again only where that may help."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from document_files import make_pdf

from notesearch import file_kinds
from notesearch.documents import converter
from notesearch.indexing import batches, sync
from notesearch.notes import read
from notesearch.records import IndexReport, Skipped

from .vault import Vault, changes, contents, paths_of

Index = Callable[..., IndexReport]


@pytest.fixture
def converted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the documents that are converted."""
    names: list[str] = []
    convert = converter.convert

    def noting(name: str, data: bytes) -> object:
        names.append(name)
        return convert(name, data)

    monkeypatch.setattr(converter, "convert", noting)
    yield names


def test_documents_are_read_once(vault: Vault, index: Index, converted: list[str], index_dir: Path) -> None:
    vault.write("a.pdf", make_pdf([["Flour and water."], ["Salt and time."]]))
    vault.write("b.html", "<h1>Bread</h1><p>Crust.")
    assert changes(index(vault.root)) == {"added": 2, "encoded": 2}
    assert changes(index()) == {"unchanged": 2}
    assert converted == ["a.pdf", "b.html"]
    assert [row[6] for row in contents(index_dir)["chunks"]] == ["", ""]


def test_a_better_reader_reads_documents_again_and_nothing_else(
    vault: Vault, index: Index, converted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.write("a.html", "<p>Some text")
    vault.write("b.pdf", "no PDF")
    vault.write("c.md", "text")
    index(vault.root)
    converted.clear()
    for module in (batches, sync, read):
        monkeypatch.setattr(module, "reader_version", lambda path: 0 if path.suffix == ".md" else 99)
    assert changes(index()) == {"updated": 1, "unchanged": 1}
    assert converted == ["a.html", "b.pdf"]
    assert changes(index()) == {"unchanged": 2}


def test_what_cannot_be_read_is_tried_again_only_once_it_changes(
    vault: Vault, index: Index, converted: list[str]
) -> None:
    path = str(vault.write("scan.pdf", make_pdf([[]])))
    other = str(vault.write("broken.pdf", "no PDF"))
    skipped = {
        Skipped(path, "no text: scanned pages?", by_rule=True),
        Skipped(other, "damaged, or no PDF file"),
    }
    assert set(index(vault.root).skipped) == skipped
    for _ in range(2):
        assert set(index().skipped) == skipped
    assert sorted(converted) == ["broken.pdf", "scan.pdf"]
    vault.write("scan.pdf", make_pdf([["Now with text."]]))
    assert changes(index()) == {"added": 1, "encoded": 1}


def test_a_document_that_becomes_unreadable_is_taken_out(vault: Vault, index: Index, index_dir: Path) -> None:
    vault.write("a.pdf", make_pdf([["Some text."]]))
    index(vault.root)
    vault.write("a.pdf", "broken")
    assert changes(index()) == {"removed": 1}
    assert paths_of(index_dir) == []


def test_documents_stay_while_nothing_reads_them(
    vault: Vault, index: Index, index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [str(vault.write(name, "<p>Some text")) for name in ("a.html", "b.html")]
    index(vault.root)
    monkeypatch.setattr(file_kinds, "_is_installed", lambda library: False)
    vault.delete("b.html")
    vault.write("c.md", "text")
    assert changes(index()) == {"added": 1, "removed": 1, "encoded": 1}
    assert paths[0] in paths_of(index_dir)


def test_an_index_without_documents_starts_nothing(vault: Vault, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notesearch.documents.converter._start", None)
    vault.write("a.md", "text")
    assert changes(index(vault.root)) == {"added": 1, "encoded": 1}
