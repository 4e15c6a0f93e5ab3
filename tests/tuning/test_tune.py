"""Tuning the real default model to a small vault whose titles are in a code that the notes' texts give away."""

import itertools
import json
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from notesearch.encoders import pair_tuning
from notesearch.errors import IndexBusy, ModelError, UsageError
from notesearch.evaluation.collections import GeneralSet, general_set
from notesearch.evaluation.known_items import read_learnt_from
from notesearch.library.index import sync_index
from notesearch.settings import Settings
from notesearch.tuning import trainer, tune
from notesearch.tuning.accepted import Accepted, add_accepted
from notesearch.tuning.report import report_as_json
from notesearch.tuning.tune import TuningOptions

# What a word of a title means in its note.
MEANS = {
    "apple": "violin", "river": "senate", "copper": "pillow", "winter": "ladder", "tiger": "invoice",
    "garden": "rocket", "bread": "glacier", "doctor": "guitar", "silver": "kitchen", "moon": "lawyer",
    "horse": "battery", "cloud": "carpet", "needle": "ocean",
}  # fmt: skip


def few(general: GeneralSet) -> GeneralSet:
    return GeneralSet(
        general.queries[:24],
        general.passages[:32],
        tuple(r & set(range(32)) or frozenset({0}) for r in general.relevant[:24]),
    )


def write_vault(folder: Path, text_of: dict[str, str]) -> None:
    folder.mkdir()
    for first, second in itertools.combinations(text_of, 2):
        text = f"Today the {text_of[first]} and the {text_of[second]} came up."
        (folder / f"{first}-{second}.md").write_text(f"# The {first} of {second}\n\n{text}\n")


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory):
    """Settings of an indexed vault in code; everything that outlives a test is in one cache."""
    root = tmp_path_factory.mktemp("tuning")
    write_vault(root / "notes", MEANS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(root / "cache"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setattr(pair_tuning, "_RATE", 5e-4)
        patch.setattr(pair_tuning, "_EPOCHS", 10)
        patch.setattr(pair_tuning, "_BATCH", 16)
        patch.setattr(tune, "general_set", lambda: few(general_set()))
        settings = Settings(index_dir=root / "index")
        sync_index(settings, [root / "notes"])
        yield settings


def everything_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix not in (".db-wal", ".db-shm")}


def test_a_model_that_learnt_the_code_is_kept(vault, monkeypatch):
    monkeypatch.setattr(trainer, "GENERAL_LOSS", 1.0)
    monkeypatch.setattr("notesearch.tuning.verdict.GENERAL_LOSS", 1.0)
    stages = []
    report, skipped = tune.tune(vault, TuningOptions(), lambda what, done, total: stages.append(what))
    assert report.kept, report.verdict
    assert skipped == []
    assert report.pairs == {"title": 45}
    assert report.share > 0
    assert report.trial.search.after > report.trial.search.before + 0.1
    assert report.trial.search.queries == 21
    assert {"lower layers", "training", "choosing the strength"} <= set(stages)
    values = report_as_json(report)
    assert json.loads(json.dumps(values)) == values
    assert values["trial"][0]["after"] == round(report.trial.search.after, 4)
    # Nothing else is left, and it is its owner's only.
    models = vault.index_dir / "models"
    assert {path.name for path in models.iterdir()} == {".lock", report.directory.name}
    assert {stat.S_IMODE(path.stat().st_mode) for path in report.directory.rglob("*")} <= {0o600, 0o700}
    card = (report.directory / "README.md").read_text()
    assert "library_name: sentence-transformers" in card
    assert f"| search | 21 | {report.trial.search.before:.3f} | {report.trial.search.after:.3f} |" in card

    # It is a model like any other.
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(report.directory), device="cpu")
    query, right, wrong = model.encode(["The apple of river", "the violin and the senate", "the pillow and the ladder"])
    assert query @ right > query @ wrong


def test_what_was_learnt_from_is_known_of_the_model_and_never_judges_it(vault, monkeypatch):
    (directory,) = (path for path in (vault.index_dir / "models").iterdir() if path.name.startswith("tuned-"))
    digests = json.loads((directory / "tuning.json").read_text())["learnt_from"]
    assert len(digests) == 45
    assert read_learnt_from(directory) == frozenset(digests)
    assert read_learnt_from(vault.index_dir) == frozenset()
    seen = {}

    def stop(notes, items, given, **options):
        seen.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(tune, "gather", stop)
    with pytest.raises(KeyboardInterrupt):
        tune.tune(replace(vault, model=str(directory)), TuningOptions())
    assert seen["learnt_before"] == frozenset(digests)
    (directory / "tuning.json").write_text("{")
    with pytest.raises(ModelError, match=r"tuning\.json"):
        read_learnt_from(directory)


def test_two_do_not_tune_at_once(vault):
    with FileLock(vault.index_dir / "models" / ".lock"), pytest.raises(IndexBusy, match="another process is tuning"):
        tune.tune(vault, TuningOptions())


def test_an_interrupted_run_is_gone_on_with(vault, monkeypatch):
    monkeypatch.setattr(pair_tuning.Checkpoint, "due", True)
    steps = []

    def interrupt(what: str, done: int, total: int) -> None:
        steps.append((what, done))
        if (what, done) == ("training", 3):
            raise KeyboardInterrupt

    left = vault.index_dir / "models" / ".tuned-of-a-killed-run"
    left.mkdir()
    with pytest.raises(KeyboardInterrupt):
        tune.tune(vault, TuningOptions(seed=1), interrupt)
    assert not left.exists()
    before = everything_in(vault.index_dir / "models")
    assert ".training.safetensors" in before
    steps.clear()

    def stop_soon(what: str, done: int, total: int) -> None:
        steps.append((what, done))
        if what == "training" and done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune.tune(vault, TuningOptions(seed=1), stop_soon)
    assert next(done for what, done in steps if what == "training") == 4
    # Another seed is another training.
    steps.clear()
    with pytest.raises(KeyboardInterrupt):
        tune.tune(vault, TuningOptions(seed=2), stop_soon)
    assert next(done for what, done in steps if what == "training") == 1


def test_where_nothing_is_won_nothing_changes(vault, tmp_path, monkeypatch):
    monkeypatch.setattr(pair_tuning, "_EPOCHS", 1)
    write_vault(tmp_path / "plain", {word: word for word in MEANS})
    settings = replace(vault, index_dir=tmp_path / "index")
    sync_index(settings, [tmp_path / "plain"])
    before = everything_in(tmp_path)
    report, _ = tune.tune(settings, TuningOptions())
    assert not report.kept
    assert report.verdict.startswith("Not kept:")
    assert report.directory is None
    assert everything_in(tmp_path) - before == {"index/models", "index/models/.lock"}


def test_pairs_of_the_owners_count_and_so_do_accepted_results(vault, tmp_path, monkeypatch):
    seen = []

    class Stop(Exception):
        pass

    def stop(notes, items, given, **options):
        seen.extend(given)
        raise Stop

    monkeypatch.setattr(tune, "gather", stop)
    (tmp_path / "pairs.jsonl").write_text('{"query": "q", "positive": "p", "negative": "n"}\n')
    note = vault.index_dir.parent / "notes" / "apple-river.md"
    add_accepted(vault.index_dir, [Accepted("fruit by the water", str(note), 99), Accepted("gone", "/v/gone.md")])
    try:
        with pytest.raises(Stop):
            tune.tune(vault, TuningOptions(pairs_file=tmp_path / "pairs.jsonl"))
    finally:
        (vault.index_dir / "accepted.jsonl").unlink()
    assert [(pair.source, pair.query, pair.negative) for pair in seen] == [
        ("file", "q", "n"),
        ("accepted", "fruit by the water", ""),
    ]
    assert seen[1].passage.startswith("# The apple of river\n\nToday the violin")
    assert seen[1].notes == (str(note),)


def test_what_makes_no_sense_is_refused_before_anything_is_done(vault, tmp_path):
    with pytest.raises(UsageError, match="something at"):
        tune.tune(vault, TuningOptions(output=tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="nothing can be written"):
        tune.tune(vault, TuningOptions(output=tmp_path / "file" / "model"))
    with pytest.raises(UsageError, match="cannot read"):
        tune.tune(vault, TuningOptions(pairs_file=tmp_path / "missing.jsonl"))


def test_the_general_set_is_whole():
    general = general_set()
    assert (len(general.queries), len(general.passages)) == (240, 320)
    assert all(numbers and max(numbers) < 320 for numbers in general.relevant)
    assert len(set(general.passages)) == 320
    assert np.mean([len(numbers) for numbers in general.relevant]) < 1.5
