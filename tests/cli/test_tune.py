import json
from pathlib import Path

import pytest

from notesearch.evaluation.comparison import Comparison
from notesearch.evaluation.tuning_report import Outcome, TuningReport, WeightQuality
from notesearch.library import tune
from notesearch.records import Skipped


def outcome(name, before, after):
    return Outcome(name, 1234, before, after, Comparison(after - before, 0.004, 0.031, 0.0123, 5, 90, 2))


KEPT = TuningReport(
    model="all-MiniLM-L6-v2",
    notes=1871,
    pairs={"title": 1120, "heading": 30, "link": 12, "tag": 7, "file": 3, "accepted": 2},
    qualities=(WeightQuality(0.0, 0.8, 0.81), WeightQuality(0.25, 0.81, 0.812), WeightQuality(1.0, 0.85, 0.82)),
    weight=1.0,
    trial=(outcome("search", 0.9, 0.92), outcome("vectors alone", 0.8, 0.85), outcome("general English", 0.8, 0.8)),
    kept=True,
    verdict="Kept: search on notes held out +0.020 nDCG@10 (95 % interval +0.004 to +0.031); general English +0.000.",
    directory=Path("/home/nora/my models/tuned"),
    seconds=181.2,
)
NOT_KEPT = TuningReport("m", 70, {"title": 40}, (WeightQuality(0.0, 1.0, 0.8),), 0.0, (), False, "Not kept: why.")


@pytest.fixture
def tuned(run, tmp_path, monkeypatch):
    """Runs the command with the report of a tuning that took no time."""
    monkeypatch.setenv("COLUMNS", "80")
    seen = []

    def call(report, *arguments):
        def stand_in(settings, options, progress):
            seen.append((settings, options))
            return report, [Skipped("/v/gone.md", "file disappeared")]

        monkeypatch.setattr(tune, "tune", stand_in)
        return run("tune", "--index-dir", tmp_path / "index", *arguments), *seen[-1:]

    return call


def test_a_model_that_is_kept_is_shown_with_what_to_do_next(tuned):
    done, (settings, options) = tuned(KEPT, "--seed", "3", "--pairs", "p.jsonl", "--output", "here", "--model", "m")
    assert done.code == 0
    assert max(map(len, done.out.splitlines())) <= 80
    assert done.out.splitlines() == [
        "1,871 notes; pairs: 1,120 from titles, 30 from headings, 12 from links, 7 from",
        "rare tags, 3 from your file, 2 from accepted results; 181 s.",
        "",
        "nDCG@10, vectors alone:",
        "interpolation weight notes general",
        "0.00                 0.800   0.810",
        "0.25                 0.810   0.812",
        "1.00                 0.850   0.820 ← chosen",
        "",
        "held out        queries before after difference",
        "search            1,234  0.900 0.920 +0.020 [+0.004, +0.031], p = 0.012",
        "vectors alone     1,234  0.800 0.850 +0.050 [+0.004, +0.031], p = 0.012",
        "general English   1,234  0.800 0.800 +0.000 [+0.004, +0.031], p = 0.012",
        "",
        "Kept: search on notes held out +0.020 nDCG@10 (95 % interval +0.004 to +0.031);",
        "general English +0.000.",
    ]
    assert "notesearch index --rebuild --model '/home/nora/my models/tuned'" in done.err
    assert "skipped  /v/gone.md: file disappeared" in done.err
    assert (settings.model, options.seed, options.pairs_file) == ("m", 3, Path("p.jsonl"))
    assert options.output == Path.cwd() / "here"


def test_it_exits_with_1_where_the_model_is_not_kept(tuned):
    done, _ = tuned(NOT_KEPT, "--quiet")
    assert (done.code, done.err) == (1, "")
    assert done.out.endswith("\n0.00                 1.000   0.800\n\nNot kept: why.\n")


def test_as_json(tuned):
    done, _ = tuned(KEPT, "--json")
    values = json.loads(done.out)
    assert values["kept"] is True
    assert values["directory"] == "/home/nora/my models/tuned"
    assert values["trial"][0] == {
        "name": "search", "queries": 1234, "before": 0.9, "after": 0.92, "difference": 0.02, "low": 0.004,
        "high": 0.031, "p": 0.0123, "wins": 5, "ties": 90, "losses": 2,
    }  # fmt: skip
    assert values["interpolation_weights"][1] == {"weight": 0.25, "own": 0.81, "general": 0.812}


def test_without_an_index_nothing_can_be_tuned(run, tmp_path):
    done = run("tune", "--index-dir", tmp_path / "index")
    assert (done.code, done.out) == (2, "") and "notesearch index" in done.err
    assert not (tmp_path / "index").exists()
