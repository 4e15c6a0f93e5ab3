"""PDF and other documents, as commands show them."""

import json
import os
from pathlib import Path

import pytest
from document_files import make_epub, make_pdf
from fake_encoder import LONG_AGO_S

from notesearch import file_kinds

PAGES = [["Wheat grows slowly.", *["The field is wide and green."] * 12] for _ in range(1)] + [
    ["Rye is darker.", "It needs less warmth than wheat."]
]


@pytest.fixture
def documents(fake_encoder, run, tmp_path) -> Path:
    """A note, a PDF, a web page, a book, and a PDF that is damaged; indexed."""
    folder = tmp_path / "notes"
    folder.mkdir()
    for name, data in {
        "plain.md": b"# Plain\n\nBarley soup, see [corn](corn.pdf).",
        "corn.pdf": make_pdf(PAGES),
        "page.html": b"<title>Oats</title><h1>Porridge</h1><p>Oats, <a href='plain.md'>barley</a> and milk.",
        "book.epub": make_epub({"a.xhtml": "<h1>Spelt</h1><h2>History</h2><p>An old grain.</p>"}),
        "broken.pdf": b"%PDF-1.4",
    }.items():
        (folder / name).write_bytes(data)
        os.utime(folder / name, (LONG_AGO_S, LONG_AGO_S))
    done = run("index", folder)
    assert done.code == 3
    assert f"skipped  {folder}/broken.pdf: damaged, or no PDF file" in done.err
    return folder


def test_a_hit_names_its_page_or_section(run, documents, monkeypatch):
    monkeypatch.chdir(documents)
    assert run("search", "rye", "--limit", "1").out.splitlines()[:2] == [" 1. corn", "    corn.pdf p. 1-2  2023-11-14"]
    shown = run("search", "old grain", "--limit", "1").out.splitlines()
    assert shown[:2] == [" 1. A book › Spelt", "    book.epub  2023-11-14"]
    assert run("search", "milk", "--limit", "1").out.splitlines()[:2] == [
        " 1. Oats › Porridge",
        "    page.html  2023-11-14",
    ]
    assert run("search", "soup", "--limit", "1").out.splitlines()[1] == "    plain.md:1-3  2023-11-14"


def test_programs_get_lines_of_the_text_and_pages(run, documents):
    (pdf,) = json.loads(run("search", "rye", "--limit", "1", "--json").out)
    assert (pdf["page"], pdf["end_page"], pdf["start_line"]) == (1, 2, 1)
    assert isinstance(pdf["end_line"], int)
    (page,) = json.loads(run("search", "milk", "--limit", "1", "--json").out)
    assert (page["page"], page["end_page"], page["heading"]) == (None, None, "Porridge")
    assert run("search", "rye", "--limit", "1", "--vimgrep").out.startswith(f"{documents}/corn.pdf:1:1:corn: ")
    assert run("search", "rye", "--limit", "1", "--files").out == f"{documents}/corn.pdf\n"
    assert run("search", "rye", "--limit", "1", "--tsv").out.count("\t") == 7


def test_evidence_is_where_the_text_says(run, documents):
    (hit,) = json.loads(run("search", "milk", "--limit", "1", "--json").out)
    text = "# Porridge\n\nOats, [barley](plain.md) and milk."
    (found,) = [evidence for evidence in hit["evidence"] if evidence["query_token"] == "milk"]
    assert text[found["start"] : found["end"]] == "milk"


def test_reranking_reads_documents_too(run, documents, tmp_path):
    copy = tmp_path / "copy.pdf"
    copy.write_bytes((documents / "corn.pdf").read_bytes())
    (hit,) = json.loads(run("rerank", "rye", copy, "--json").out)
    assert (hit["page"], hit["end_page"], hit["title"]) == (1, 2, "copy")
    # The lines of a web page's file are not those of its text.
    (hit,) = json.loads(run("rerank", "milk", f"{documents}/page.html:2:<p>Oats, and milk.", "--json").out)
    assert (hit["start_line"], hit["end_line"]) == (1, 3)


def test_similar_knows_documents(run, documents):
    hits = json.loads(run("similar", documents / "corn.pdf", "--json").out)
    assert all(meeting["page"] == 1 for hit in hits for meeting in hit["meetings"])
    assert [hit["links"] for hit in hits if hit["path"].endswith("plain.md")] == [["from"]]


def test_documents_are_opened_by_the_program_for_them(run, documents, tmp_path, monkeypatch):
    monkeypatch.setenv("EDITOR", "vim")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    done = run("open", documents / "corn.pdf", "--print")
    assert (done.code, done.out) == (2, "") and "nothing here opens PDF files" in done.err
    (tmp_path / "bin").mkdir()
    for name in ("xdg-open", "open"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\n")
        (tmp_path / "bin" / name).chmod(0o700)
    shown = run("open", documents / "corn.pdf", "--print").out
    assert shown.endswith(f"open {documents}/corn.pdf\n") and "vim" not in shown


def test_tags_are_suggested_but_not_written(run, documents):
    for number, (tag, words) in enumerate([("grain", "Rye and wheat."), ("drink", "Tea of leaves.")] * 2):
        (documents / f"{number}.md").write_text(f"---\ntags: [{tag}]\n---\n# Note {number}\n\n{words}")
    run("index")
    before = (documents / "corn.pdf").read_bytes()
    done = run("tag", documents / "corn.pdf", "--min-score", "0.01", "--apply")
    assert done.code == 2
    assert f"refused  {documents}/corn.pdf: tags are not written into PDF files" in done.err
    assert (documents / "corn.pdf").read_bytes() == before


def test_a_damaged_document_is_told_of_each_time_but_one_without_text_only_if_asked(run, documents):
    assert run("index", "--quiet").code == 3
    (documents / "broken.pdf").write_bytes(make_pdf([[]]))
    done = run("index", "--quiet")
    assert (done.code, done.err) == (0, "")
    assert "broken.pdf: no text: scanned pages?" in run("index").err
    why = run("status", "--why", documents / "broken.pdf").out
    assert "the last run of index left it out: no text: scanned pages?" in why


def test_what_has_to_be_installed_is_said_where_folders_are_named(run, documents, monkeypatch):
    monkeypatch.setattr(file_kinds, "_is_installed", lambda library: False)
    told = "1 EPUB file, 1 HTML file and 2 PDF files were not read: pip install 'notesearch[documents]'\n"
    done = run("index", documents)
    assert (done.code, told in done.err) == (0, True)
    for arguments in (["index"], ["index", documents, "--quiet"]):
        assert "notesearch[documents]" not in run(*arguments).err
    assert json.loads(run("index", documents, "--json").out)["not_read"] == {"PDF": 2, "HTML": 1, "EPUB": 1}
    (documents / "new.pdf").write_bytes(b"")
    shown = run("status", "--why", documents / "new.pdf").out
    assert "what reads PDF is not installed" in shown and "notesearch[documents]" in shown
    done = run("rerank", "rye", documents / "new.pdf")
    assert done.code == 2 and "new.pdf: PDF is not read without pip install 'notesearch[documents]'" in done.err


def test_why_a_part_of_a_saved_page_is_no_note(run, documents):
    (documents / "page_files").mkdir()
    (documents / "page_files" / "frame.html").write_text("<p>Advertisement")
    assert "0 notes" not in run("index").err
    shown = run("status", "--why", documents / "page_files" / "frame.html").out
    assert "a part of the web page" in shown
