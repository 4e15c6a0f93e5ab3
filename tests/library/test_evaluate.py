import hashlib
import json
import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from notesearch.errors import FolderUnreadable, IndexMissing, ModelError, UsageError
from notesearch.evaluation.collections import read_collection
from notesearch.library.evaluate import EvaluationOptions, evaluate, score_stages
from notesearch.library.index import sync_index
from notesearch.settings import DEFAULT_MODEL, Settings
from notesearch.storage import IndexReader

WORDS = "amber birch cedar dune ember fjord grove heath islet jetty knoll lagoon".split()


@pytest.fixture
def settings(tmp_path, fake_encoder) -> Settings:
    return Settings(tmp_path / "index")


@pytest.fixture
def vault(tmp_path) -> Path:
    """Notes whose bodies hold their titles' telling word."""
    folder = tmp_path / "vault"
    (folder / "trees").mkdir(parents=True)
    for number, word in enumerate(WORDS):
        (folder / f"trees/{word}.md").write_text(f"# About {word} lands\n\nI saw the {word} once, in year {number}.\n")
    return folder


@pytest.fixture
def beir(tmp_path) -> Path:
    folder = tmp_path / "beir"
    folder.mkdir()
    write(folder / "corpus.jsonl", *({"_id": word, "title": "", "text": f"the {word} land"} for word in WORDS))
    write(folder / "queries.jsonl", *({"_id": f"q{n}", "text": word} for n, word in enumerate(WORDS)))
    (folder / "qrels").mkdir()
    qrels = "".join(f"q{number}\t{word}\t1\n" for number, word in enumerate(WORDS))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + qrels)
    return folder


@pytest.fixture
def model(tmp_path) -> Path:
    """A model that is there, for the fake encoder."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").touch()
    (tmp_path / "model" / "config.json").write_text('{"architectures": ["BertModel"], "model_type": "bert"}')
    (tmp_path / "model" / "tokenizer.json").write_text("{}")
    return tmp_path / "model"


def model_of(index_dir: Path) -> tuple[str, str]:
    with closing(IndexReader(index_dir)) as reader:
        return reader.fingerprint.model, reader.fingerprint.token_model


def write(path: Path, *records: dict) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_stages_are_scored_query_by_query(settings, beir, tmp_path):
    collection = read_collection(beir)
    told = []
    (lexical, dense), skipped = score_stages(
        settings, collection, tmp_path / "work", ["lexical", "dense"], progress=lambda *values: told.append(values)
    )
    assert skipped == []
    assert (lexical.name, lexical.mode, lexical.rerank) == ("lexical", "lexical", "none")
    assert np.array_equal(lexical.by_query.ndcg_10, np.ones(12))
    assert len(dense.by_query.ndcg_10) == 12 and dense.by_query.recall_100.tolist() == [1.0] * 12
    assert lexical.run["q3"] == ["dune"]
    assert lexical.ms_per_query > 0
    assert {what for what, _, _ in told} == {"Indexing", "Searching: lexical", "Searching: dense"}
    assert not settings.index_dir.exists()


def test_ones_own_notes_need_no_judgements(settings, vault):
    found = evaluate(settings, EvaluationOptions(vault, stages=("lexical",)))
    assert (found.own_notes, found.queries) == (True, 12)
    (lexical,) = found.stages
    assert lexical.grades.keys() == {"title"}
    # The word still stands in the body.
    assert lexical.measures.hit_1 == 1.0
    assert [documents[0] for documents in lexical.run.values()] == [f"trees/{word}.md" for word in WORDS]


def test_by_default_the_notes_are_those_of_the_index(settings, vault):
    with pytest.raises(IndexMissing):
        evaluate(settings, EvaluationOptions())
    sync_index(settings, [vault])
    (vault / "trees/dune.md").unlink()
    found = evaluate(settings, EvaluationOptions(stages=("lexical",)))
    assert found.queries == 11
    assert found.stages[0].run["title-1"] == [str(vault / "trees/amber.md")]
    assert [Path(entry.path).name for entry in found.skipped] == ["dune.md"]
    assert not (settings.index_dir / "evaluated-notes").exists()


def test_the_notes_of_the_index_are_judged_with_its_models(settings, vault, model, tmp_path):
    sync_index(replace(settings, model=str(model)), [vault])
    options = EvaluationOptions(stages=("lexical",), work_dir=tmp_path / "work")
    evaluate(settings, options)
    assert model_of(tmp_path / "work") == (str(model), "")
    evaluate(settings, EvaluationOptions(vault, stages=("lexical",), work_dir=tmp_path / "other"))
    assert model_of(tmp_path / "other") == (DEFAULT_MODEL, "")
    evaluate(replace(settings, model=DEFAULT_MODEL), replace(options, work_dir=tmp_path / "named"))
    assert model_of(tmp_path / "named") == (DEFAULT_MODEL, "")


@pytest.mark.parametrize("of_index", [True, False])
def test_what_the_model_was_tuned_on_is_not_asked_for(settings, vault, model, tmp_path, of_index):
    sync_index(replace(settings, model=str(model)), [vault])
    (tmp_path / "link").symlink_to(vault)
    learnt = [vault / f"trees/{word}.md" for word in WORDS[:2]]
    digests = [hashlib.blake2b(os.fsencode(path), digest_size=16).hexdigest() for path in learnt]
    (model / "tuning.json").write_text(json.dumps({"learnt_from": digests}))
    options = EvaluationOptions(None if of_index else tmp_path / "link", stages=("lexical",))
    found = evaluate(replace(settings, model=str(model)), options)
    assert found.queries == 10
    assert [(entry.path, entry.reason) for entry in found.skipped] == [
        (str(model), "no query asks for 2 of the notes: it was tuned on them")
    ]
    (vault / "trees/dune.md").unlink()
    with pytest.raises(UsageError, match="only 9 queries: too few"):
        evaluate(replace(settings, model=str(model)), options)


def test_documents_that_are_not_there_are_told(settings, beir):
    with (beir / "qrels" / "test.tsv").open("a") as file:
        file.write("q1\tnowhere\t1\n")
    found = evaluate(settings, EvaluationOptions(beir, stages=("lexical",)))
    assert [entry.reason for entry in found.skipped] == ["1 of 13 relevant documents are not there, nowhere for one"]


def test_files_of_trec_judge_a_folder_of_notes(settings, vault, tmp_path):
    (tmp_path / "qrels").write_text("7 0 trees/dune.md 1\n")
    (tmp_path / "topics").write_text("<top><num> Number: 7 <title> a dune </top>")
    options = EvaluationOptions(vault, tmp_path / "qrels", tmp_path / "topics", stages=("maxsim", "lexical"))
    found = evaluate(settings, options)
    assert [stage.name for stage in found.stages] == ["lexical", "hybrid + maxsim"]
    assert [stage.measures.mrr_10 for stage in found.stages] == [1.0, 1.0]
    assert not found.own_notes


def test_runs_are_scored_without_documents(settings, fake_encoder, tmp_path):
    (tmp_path / "qrels").write_text("1 0 a 1\n2 0 b 1\n")
    for folder, best in (("x", "a"), ("y", "c")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "run").write_text(f"1 Q0 {best} 1 2.0 me\n2 Q0 b 1 1.0 me\n")
    runs = (tmp_path / "x/run", tmp_path / "y/run")
    found = evaluate(settings, EvaluationOptions(qrels_file=tmp_path / "qrels", run_files=runs, worst=1))
    assert [(stage.name, stage.measures.hit_1) for stage in found.stages] == [(str(runs[0]), 1.0), (str(runs[1]), 0.5)]
    assert found.comparisons[0].worst[0].query == "1"
    assert fake_encoder.encoded == []


def test_a_run_stands_beside_the_stages(settings, beir, tmp_path):
    (tmp_path / "mine.run").write_text("q0 Q0 amber 1 1 me\nq99 Q0 amber 1 1 me\n")
    found = evaluate(settings, EvaluationOptions(beir, run_files=(tmp_path / "mine.run",), stages=("lexical",)))
    assert [stage.name for stage in found.stages] == ["lexical", "mine.run"]
    assert [entry.reason for entry in found.skipped] == [
        "1 query not among those judged",
        "11 judged queries not in the run: 0 for each",
    ]


def test_a_cross_encoder_is_scored_where_one_is_set(settings, beir, monkeypatch):
    class LongestFirst:
        def score(self, query, passages):
            return np.array([len(passage) for passage in passages], dtype=np.float32)

    monkeypatch.setattr("notesearch.encoders.models.open_cross_encoder", lambda name: LongestFirst())
    found = evaluate(replace(settings, cross_encoder="any"), EvaluationOptions(beir, max_queries=3))
    assert [stage.name for stage in found.stages][-2:] == ["hybrid + maxsim", "cross-encoder"]
    assert len(found.stages) == 5


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"stages": ("cross-encoder",)}, "no cross-encoder"),
        ({"directory": None, "qrels_file": Path("q")}, "which documents"),
        ({"directory": None, "run_files": (Path("r"),)}, "nothing to judge by"),
        ({"qrels_file": Path("/nowhere/q")}, "cannot read /nowhere/q"),
        ({"topics_file": Path("/nowhere/t")}, "cannot read /nowhere/t"),
        ({"run_files": (Path("/nowhere/r"),)}, "cannot read /nowhere/r"),
    ],
)
def test_options_that_do_not_go_together(settings, beir, change, told):
    with pytest.raises(UsageError, match=told) as caught:
        evaluate(settings, replace(EvaluationOptions(beir), **change))
    assert caught.value.hint


def test_folders_that_hold_nothing(settings, tmp_path):
    with pytest.raises(FolderUnreadable, match="no such folder"):
        evaluate(settings, EvaluationOptions(tmp_path / "missing"))
    with pytest.raises(FolderUnreadable, match="no such folder"):
        evaluate(settings, EvaluationOptions(tmp_path / "missing", qrels_file=tmp_path / "q"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="too few"):
        evaluate(settings, EvaluationOptions(tmp_path / "empty"))
    write(tmp_path / "empty/queries.jsonl", {"_id": "1", "text": "cap", "relevant": ["cap.md"]})
    with pytest.raises(UsageError, match="no notes"):
        evaluate(settings, EvaluationOptions(tmp_path / "empty"))


def test_the_index_of_other_notes_is_left_alone(settings, vault):
    sync_index(settings, [vault])
    before = sorted(path.name for path in settings.index_dir.iterdir())
    with pytest.raises(UsageError, match="other notes"):
        evaluate(settings, EvaluationOptions(vault, work_dir=settings.index_dir))
    assert sorted(path.name for path in settings.index_dir.iterdir()) == before


def test_an_evaluation_that_fails_leaves_no_index(settings, vault, beir, tmp_path):
    work_dir = tmp_path / "work"
    few = tmp_path / "few"
    few.mkdir()
    (few / "a.md").write_text("# About one\n\nToo few notes for an evaluation.")
    empty = tmp_path / "empty"
    empty.mkdir()
    write(empty / "queries.jsonl", {"_id": "1", "text": "cap", "relevant": ["cap.md"]})
    for folder in (few, empty):
        with pytest.raises(UsageError):
            evaluate(settings, EvaluationOptions(folder, work_dir=work_dir))
    for folder in (vault, beir):
        with pytest.raises(ModelError):
            evaluate(replace(settings, model="/nowhere"), EvaluationOptions(folder, work_dir=work_dir))
    assert not (work_dir / "notes.db").exists()


def test_where_all_notes_of_an_index_are_gone_it_is_said(settings, vault):
    sync_index(settings, [vault])
    vault.rename(vault.with_name("elsewhere"))
    with pytest.raises(
        UsageError, match=r"only 0 queries: too few; 12 could not be read, .*amber\.md for one: no such"
    ):
        evaluate(settings, EvaluationOptions())
