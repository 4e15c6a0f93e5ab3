import json

import pytest

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
    results = json.loads(done.out)
    assert (done.code, done.err) == (0, "")
    assert [(result["mode"], result["rerank"]) for result in results] == STAGES
    assert all(result["queries"] == 3 for result in results)
    lexical = results[0]
    # q1 and q2 find their only document first; q3 asks for a document without its word.
    assert lexical["ndcg_10"] == lexical["recall_100"] == lexical["mrr_10"] == 0.6667
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
    assert lines[0].split() == ["queries", "nDCG@10", "recall@100", "MRR@10", "ms/query"]
    names = ["lexical", "dense", "hybrid", "hybrid + maxsim"]
    shown = [line[: len("hybrid + maxsim")].strip() for line in lines[1:]]
    assert shown == [row for name in names for row in (name, "exact", "paraphrase")]
    assert lines[2].split() == ["exact", "1", "1.0000", "1.0000", "1.0000"]
    assert lines[3].split() == ["paraphrase", "1", "0.0000", "0.0000", "0.0000"]


def test_every_nth_query_can_be_taken(run, fake_encoder, beir):
    assert json.loads(run("eval", beir, "--json", "--max-queries", "2").out)[0]["queries"] == 2


def test_ones_own_index_is_not_touched(run, indexed, beir):
    assert run("eval", beir, "--json").code == 0
    assert run("search", "availability", "--mode", "lexical", "--files").out == f"{indexed / 'cap.md'}\n"


def test_an_index_can_be_kept_for_the_next_time(run, fake_encoder, beir, tmp_path):
    first = run("eval", beir, "--json", "--index-dir", tmp_path / "kept")
    encoded = len(fake_encoder.encoded)
    second = run("eval", beir, "--json", "--index-dir", tmp_path / "kept")
    assert len(fake_encoder.encoded) == encoded
    assert without_times(second) == without_times(first)


def without_times(done):
    return [{name: value for name, value in row.items() if name != "ms_per_query"} for row in json.loads(done.out)]


def test_a_kept_index_follows_a_corpus_that_shrinks(run, fake_encoder, beir, tmp_path):
    run("eval", beir, "--index-dir", tmp_path / "kept")
    write(beir / "corpus.jsonl", {"_id": "d1", "text": "Lentils and turmeric"})
    done = run("eval", beir, "--json", "--index-dir", tmp_path / "kept")
    assert done.code == 0
    assert without_times(done) == without_times(run("eval", beir, "--json"))


def test_a_kept_index_of_another_collection_is_refused(run, indexed, beir, tmp_path):
    write(indexed / "queries.jsonl", {"_id": "1", "text": "salt", "relevant": ["cap.md"]})
    assert run("eval", indexed, "--index-dir", tmp_path / "kept").code == 0
    done = run("eval", beir, "--index-dir", tmp_path / "kept")
    assert (done.code, done.out) == (2, "")
    first, second = done.err.splitlines()
    assert "other notes" in first
    assert "--index-dir" in second


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "queries.jsonl").unlink(), "no queries.jsonl"),
        (lambda folder: (folder / "qrels.tsv").unlink(), "qrels.tsv"),
        (lambda folder: (folder / "qrels.tsv").write_text("q1\td1\t1\nq2\n"), "qrels.tsv, line 2"),
        (lambda folder: (folder / "corpus.jsonl").write_text('{"_id": 1}\n'), "corpus.jsonl, line 1"),
    ],
)
def test_a_collection_that_cannot_be_read_is_two_lines(run, fake_encoder, beir, change, message):
    change(beir)
    done = run("eval", beir)
    assert (done.code, done.out) == (2, "")
    first, second = done.err.splitlines()
    assert first.startswith("notesearch: ") and message in first
    assert second.startswith("  It should hold") or "tabs between" in second


def test_a_missing_folder_is_told(run, tmp_path):
    done = run("eval", tmp_path / "missing")
    assert done.code == 2
    assert str(tmp_path / "missing") in done.err and len(done.err.splitlines()) == 2
