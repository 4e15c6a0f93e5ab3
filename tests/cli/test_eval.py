import json
import stat

import pytest

from notesearch.cli.terminal import columns_of

STAGES = [("lexical", "none"), ("dense", "none"), ("hybrid", "none"), ("hybrid", "maxsim")]


@pytest.fixture
def beir(tmp_path):
    """A collection in the layout of BEIR; returns its folder."""
    folder = tmp_path / "set"
    folder.mkdir()
    texts = {"d1": "Lentils and turmeric", "d2": "Flour and water", "d3": "Consistency or availability"}
    write(folder / "corpus.jsonl", *({"_id": name, "title": "", "text": text} for name, text in texts.items()))
    queries = {"q1": "turmeric lentils", "q2": "availability", "q3": "water", "q4": "never judged"}
    write(folder / "queries.jsonl", *({"_id": name, "text": text} for name, text in queries.items()))
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td3\t2\nq3\td1\t1\n")
    return folder


def write(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_json_has_the_measures_of_each_stage(run, fake_encoder, beir):
    done = run("eval", beir, "--json")
    report = json.loads(done.out)
    results = report["stages"]
    assert (done.code, done.err) == (0, "")
    assert report.keys() == {"queries", "own_notes", "stages", "comparisons", "verdict", "skipped"}
    assert (report["queries"], report["own_notes"], report["skipped"]) == (3, False, [])
    assert [comparison["stage"] for comparison in report["comparisons"]] == ["dense", "hybrid", "hybrid + maxsim"]
    assert [(result["mode"], result["rerank"]) for result in results] == STAGES
    assert all(result["queries"] == 3 for result in results)
    lexical = results[0]
    # q1 and q2 find their only document first; q3 asks for a document without its word.
    assert lexical["ndcg_10"] == lexical["recall_100"] == lexical["mrr_10"] == 0.6667
    assert (lexical["recall_10"], lexical["hit_1"], lexical["ndcg_10_low"], lexical["ndcg_10_high"]) == (
        *(0.6667, 0.6667),
        *(0.0, 1.0),
    )
    assert lexical["ms_per_query"] >= 0
    assert lexical["grades"] == {}
    # The dense part ranks every document.
    assert results[1]["recall_100"] == results[2]["recall_100"] == 1.0


def test_the_table_has_a_row_for_each_stage_and_grade(run, fake_encoder, write_notes):
    folder = write_notes({"a.md": "Lentils and turmeric", "b.md": "Flour"})
    write(
        folder / "queries.jsonl",
        {"_id": "1", "text": "lentils", "grade": "exact", "relevant": ["a.md"]},
        {"_id": "2", "text": "powder", "grade": "paraphrase", "relevant": ["b.md"]},
    )
    done = run("eval", folder)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].split() == "nDCG@10 95 % interval recall@10 @100 MRR@10 hit@1 ms/query".split()
    names = ["lexical", "dense", "hybrid", "hybrid + maxsim"]
    shown = [line[:15].strip() for line in lines[1:13]]
    assert shown == [row for name in names for row in (name, "1 exact", "1 paraphrase")]
    assert lines[2].split() == ["1", "exact", *["1.000"] * 5]
    assert lines[3].split() == ["1", "paraphrase", *["0.000"] * 5]
    assert lines[14].split() == "against nDCG@10 95 % interval p better same worse".split()
    assert [line[:15].strip() for line in lines[15:18]] == names[1:]
    assert "scores highest, nDCG@10" in lines[19]


@pytest.mark.parametrize("columns", [80, 100])
def test_what_is_printed_fits_the_terminal(run, fake_encoder, write_notes, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    folder = write_notes({"a.md": "Lentils and turmeric", "b.md": "Flour"})
    write(
        folder / "queries.jsonl",
        {"_id": "1", "text": "lentils " * 40, "grade": "a very long grade " * 5, "relevant": ["a.md"]},
        {"_id": "2", "text": "\x1b[31mturmeric", "grade": "豆" * 50, "relevant": ["b.md"]},
    )
    (folder / f"{'long ' * 20}.run").write_text("1 Q0 b.md 1 1 me\n")
    stages = [option for name in ("lexical", "maxsim") for option in ("--stage", name)]
    done = run("eval", folder, *stages, "--run", folder / f"{'long ' * 20}.run", "--worst", "3")
    assert done.code == 0
    assert max(map(columns_of, done.out.splitlines())) <= columns
    assert "Hurt most by" in done.out and "now first: b.md" in done.out
    assert "\x1b" not in done.out
    assert done.out.splitlines()[2].startswith("  1 a very long")


def test_every_nth_query_can_be_taken(run, fake_encoder, beir):
    assert json.loads(run("eval", beir, "--json", "--max-queries", "2").out)["stages"][0]["queries"] == 2


def test_ones_own_index_is_not_touched(run, indexed, beir):
    assert run("eval", beir, "--json").code == 0
    assert run("search", "availability", "--mode", "lexical", "--files").out == f"{indexed / 'cap.md'}\n"


def test_an_index_can_be_kept_for_the_next_time(run, fake_encoder, beir, tmp_path):
    first = run("eval", beir, "--json", "--work-dir", tmp_path / "kept")
    encoded = len(fake_encoder.encoded)
    second = run("eval", beir, "--json", "--work-dir", tmp_path / "kept")
    assert len(fake_encoder.encoded) == encoded
    assert without_times(second) == without_times(first)


def without_times(done):
    return [
        {name: value for name, value in row.items() if name != "ms_per_query"} for row in json.loads(done.out)["stages"]
    ]


def test_a_kept_index_follows_a_corpus_that_shrinks(run, fake_encoder, beir, tmp_path):
    run("eval", beir, "--work-dir", tmp_path / "kept")
    write(beir / "corpus.jsonl", {"_id": "d1", "text": "Lentils and turmeric"})
    done = run("eval", beir, "--json", "--work-dir", tmp_path / "kept")
    assert done.code == 0
    assert without_times(done) == without_times(run("eval", beir, "--json"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "queries.jsonl").unlink(), "no queries.jsonl"),
        (lambda folder: (folder / "qrels.tsv").unlink(), "qrels.tsv"),
        (lambda folder: (folder / "qrels.tsv").write_text("q1\td1\t1\nq2\n"), "qrels.tsv, line 2"),
        (lambda folder: (folder / "qrels.tsv").write_bytes(b"\xff\xfe\x00"), "not UTF-8"),
        (lambda folder: (folder / "corpus.jsonl").write_text('{"_id": 1}\n'), "corpus.jsonl, line 1"),
    ],
)
def test_a_collection_that_cannot_be_read_is_two_lines(run, fake_encoder, beir, change, message):
    change(beir)
    done = run("eval", beir)
    assert (done.code, done.out) == (2, "")
    first, second = done.err.splitlines()
    assert first.startswith("notesearch: ") and message in first
    assert second.startswith(("  It should hold", "  A line is"))


def test_a_missing_folder_is_told(run, tmp_path):
    done = run("eval", tmp_path / "missing")
    assert done.code == 2
    assert str(tmp_path / "missing") in done.err and len(done.err.splitlines()) == 2


TITLES = "amber birch cedar dune ember fjord grove heath islet jetty".split()


def test_without_judgements_the_notes_ask_for_themselves(run, fake_encoder, write_notes):
    folder = write_notes({f"{word}.md": f"# The {word} walk\n\nOne two three four {word} six." for word in TITLES})
    done = run("eval", folder, "--stage", "lexical", "--json")
    report = json.loads(done.out)
    assert (done.code, report["own_notes"], report["queries"]) == (0, True, 10)
    assert report["stages"][0]["grades"]["title"]["hit_1"] == 1.0
    assert (
        done.err == "The queries are the notes' own titles, headings and links, which were removed from them first.\n"
    )
    assert run("index", folder, "--quiet").code == 0
    of_index = json.loads(run("eval", "--stage", "lexical", "--json", "--max-queries", "4").out)
    assert of_index["queries"] == 4
    assert run("eval", folder, "--stage", "lexical", "--quiet").err == ""


def test_a_query_that_cannot_be_asked_is_told_before_the_work(run, fake_encoder, write_notes):
    folder = write_notes({"a.md": "Lentils and turmeric"})
    (folder / "queries.jsonl").write_text('{"_id": "1", "text": "\\"\\"", "relevant": ["a.md"]}\n')
    done = run("eval", folder)
    assert (done.code, done.out, fake_encoder.encoded) == (2, "", [])
    assert "no judged query" in done.err
    write(folder / "more.jsonl", {"_id": "2", "text": "lentils", "relevant": ["./a.md"]})
    with (folder / "queries.jsonl").open("a") as file:
        file.write((folder / "more.jsonl").read_text())
    done = run("eval", folder, "--stage", "lexical", "--json")
    assert json.loads(done.out)["stages"][0]["hit_1"] == 1.0
    assert done.err == f"skipped  {folder / 'queries.jsonl'}: 1 judged query without a text, 1 for one\n"


def test_runs_alone_need_no_documents(run, tmp_path):
    (tmp_path / "qrels").write_text("1 0 a 1\n2 0 b 0\n")
    (tmp_path / "mine.run").write_text("1 Q0 a 1 1 me\n8 Q0 a 1 1 me\n")
    done = run("eval", "--qrels", tmp_path / "qrels", "--run", tmp_path / "mine.run")
    assert done.code == 0
    assert done.out.splitlines()[1].split() == ["mine.run", "1.000", "1.000–1.000", *["1.000"] * 4]
    assert done.out.splitlines()[-1] == "mine.run: nDCG@10 1.000 (95 % interval 1.000 to 1.000)."
    assert done.err.splitlines() == [
        f"skipped  {tmp_path / 'qrels'}: 1 query without a relevant document",
        f"skipped  {tmp_path / 'mine.run'}: 1 query not among those judged",
    ]


def test_a_page_is_written_for_its_owner_only(run, fake_encoder, beir, tmp_path):
    page = tmp_path / "report.html"
    done = run("eval", beir, "--stage", "lexical", "--stage", "dense", "--html", page)
    assert (done.code, done.err) == (0, f"Report: {page}\n")
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert "dense against lexical" in page.read_text()


def test_a_page_that_cannot_be_written_is_told_before_the_work(run, fake_encoder, beir, tmp_path):
    done = run("eval", beir, "--html", tmp_path / "missing" / "report.html")
    assert (done.code, done.out) == (2, "")
    assert "cannot write" in done.err and len(done.err.splitlines()) == 2
    assert fake_encoder.encoded == []
