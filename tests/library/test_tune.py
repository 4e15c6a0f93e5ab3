"""Tuning a tiny model to a small vault whose titles are in a code that the notes' texts give away."""

import itertools
import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from tagging_fixtures import WORDS
from threadpoolctl import threadpool_limits

from notesearch.encoders import preparing
from notesearch.errors import IndexBusy, ModelError, UsageError
from notesearch.evaluation import tuning_report
from notesearch.evaluation.known_items import read_learnt_from
from notesearch.finetuning import trainer
from notesearch.finetuning.ranking import Recipe
from notesearch.library import tune
from notesearch.library.index import sync_index
from notesearch.library.tune import Accepted, TuningOptions, add_accepted
from notesearch.settings import Settings

pytest_plugins = ["tagging_fixtures"]

# What a word of a title means in its note.
MEANS = dict(zip(*WORDS.values(), strict=True))
OPTIONS = TuningOptions(recipe=Recipe(rate=5e-3, epochs=60, batch=32))


def write_vault(folder: Path, text_of: dict[str, str]) -> None:
    folder.mkdir()
    for words in (*itertools.combinations(text_of, 3), *itertools.combinations(text_of, 4)):
        text = " ".join(text_of[word] for word in (*words, *reversed(words)))
        (folder / f"{'-'.join(words)}.md").write_text(f"# {' of '.join(words)}\n\n{text}\n")


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path):
    """Settings of an indexed vault in code; everything that outlives a test is in one cache."""
    root = tmp_path_factory.mktemp("tuning")
    write_vault(root / "notes", MEANS)
    with pytest.MonkeyPatch.context() as patch, threadpool_limits(1):
        patch.setenv("XDG_CACHE_HOME", str(root / "cache"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setattr(trainer, "available_cores", lambda: 1)
        patch.setattr(preparing, "_LEAST_AGREEMENT", 2.0)  # float32: int8 is too coarse for so small a model
        settings = Settings(index_dir=root / "index", model=str(tiny_encoder))
        sync_index(settings, [root / "notes"])
        yield settings


def everything_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix not in (".db-wal", ".db-shm")}


def test_a_model_that_learnt_the_code_is_kept(vault, monkeypatch):
    monkeypatch.setattr(tuning_report, "_GENERAL_LOSS", 1.0)  # a model that knows 16 words has little to forget
    left = vault.index_dir / "models" / ".tuned-of-a-killed-run"
    left.mkdir(parents=True)
    stages = []
    report, skipped = tune.tune(vault, OPTIONS, lambda what, done, total: stages.append(what))
    assert report.kept, report.verdict
    assert skipped == []
    search = report.trial[0]
    assert search.after > search.before + 0.1
    assert 20 < search.queries < 40 < report.pairs["title"] < 106
    assert report.weight > 0
    assert {"lower layers", "training", "choosing the interpolation weight"} <= set(stages)
    values = report.as_json()
    assert json.loads(json.dumps(values)) == values
    assert values["trial"][0]["after"] == round(search.after, 4)
    # Nothing else is left, and it is its owner's only.
    models = vault.index_dir / "models"
    assert {path.name for path in models.iterdir()} == {".lock", report.directory.name}
    assert {stat.S_IMODE(path.stat().st_mode) for path in report.directory.rglob("*")} <= {0o600, 0o700}
    card = (report.directory / "README.md").read_text()
    assert "library_name: sentence-transformers" in card
    assert f"| search | {search.queries} | {search.before:.3f} | {search.after:.3f} |" in card

    # It is a model like any other.
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(report.directory), device="cpu")
    asked, other = list(MEANS)[:3], list(MEANS)[3:6]
    texts = [" of ".join(asked), *(" ".join(MEANS[word] for word in words) for words in (asked, other))]
    query, right, wrong = model.encode(texts, normalize_embeddings=True)
    assert query @ right > query @ wrong


def test_what_was_learnt_from_is_known_of_the_model_and_never_judges_it(vault, monkeypatch):
    (directory,) = (path for path in (vault.index_dir / "models").iterdir() if path.name.startswith("tuned-"))
    digests = json.loads((directory / "tuning.json").read_text())["learnt_from"]
    assert len(digests) > 40
    assert read_learnt_from(directory) == frozenset(digests)
    seen = {}

    def stop(notes, items, given, **options):
        seen.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(tune, "gather", stop)
    with pytest.raises(KeyboardInterrupt):
        tune.tune(replace(vault, model=str(directory)), OPTIONS)
    assert seen["learnt_before"] == frozenset(digests)
    (directory / "tuning.json").write_text("{")
    with pytest.raises(ModelError, match=r"tuning\.json"):
        tune.tune(replace(vault, model=str(directory)), OPTIONS)


def test_two_do_not_tune_at_once(vault):
    with FileLock(vault.index_dir / "models" / ".lock"), pytest.raises(IndexBusy, match="another process is tuning"):
        tune.tune(vault, OPTIONS)


def test_an_interrupted_run_is_continued(vault, monkeypatch):
    monkeypatch.setattr(trainer.Checkpoint, "due", True)
    steps = []

    def first_step(seed: int, last: int) -> int:
        """Interrupts a run after its n-th step of training; returns its first one."""
        steps.clear()

        def interrupt(what: str, done: int, _total: int) -> None:
            steps.append((what, done))
            if (what, done) == ("training", last):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            tune.tune(vault, replace(OPTIONS, seed=seed), interrupt)
        return next(done for what, done in steps if what == "training")

    assert first_step(seed=1, last=3) == 1
    assert ".training.pt" in everything_in(vault.index_dir / "models")
    assert first_step(seed=1, last=5) == 4
    assert first_step(seed=2, last=5) == 1, "another seed is another training"


def test_where_nothing_is_won_nothing_changes(vault, tmp_path):
    write_vault(tmp_path / "plain", {word: word for word in MEANS})
    settings = replace(vault, index_dir=tmp_path / "index")
    sync_index(settings, [tmp_path / "plain"])
    before = everything_in(tmp_path)
    report, _ = tune.tune(settings, TuningOptions(recipe=Recipe(epochs=1)))
    assert not report.kept
    assert report.verdict.startswith("Not kept:")
    assert report.directory is None
    assert everything_in(tmp_path) - before == {"index/models", "index/models/.lock"}


def test_pairs_of_the_owners_count_and_so_do_accepted_results(vault, tmp_path, monkeypatch):
    seen = []

    def stop(notes, items, given, **options):
        seen.extend(given)
        raise KeyboardInterrupt

    monkeypatch.setattr(tune, "gather", stop)
    (tmp_path / "pairs.jsonl").write_text('{"query": "q", "positive": "p", "negative": "n"}\n')
    note = next((vault.index_dir.parent / "notes").glob("soup-*.md"))
    add_accepted(vault.index_dir, [Accepted("a hot meal", str(note), 99), Accepted("gone", "/v/gone.md")])
    try:
        with pytest.raises(KeyboardInterrupt):
            tune.tune(vault, replace(OPTIONS, pairs_file=tmp_path / "pairs.jsonl"))
    finally:
        (vault.index_dir / "accepted.jsonl").unlink()
    assert [(pair.source, pair.query, pair.negative) for pair in seen] == [
        ("file", "q", "n"),
        ("accepted", "a hot meal", ""),
    ]
    assert seen[1].passage.startswith("# soup of ")
    assert seen[1].notes == (str(note),)


def test_what_makes_no_sense_is_refused_before_anything_is_done(vault, tmp_path):
    (tmp_path / "file").write_text("")
    for options, message in (
        (TuningOptions(output=tmp_path), "something at"),
        (TuningOptions(output=tmp_path / "file" / "model"), "nothing can be written"),
        (TuningOptions(pairs_file=tmp_path / "missing.jsonl"), "cannot read"),
    ):
        with pytest.raises(UsageError, match=message):
            tune.tune(vault, options)
