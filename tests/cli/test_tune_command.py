import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from notesearch.cli import app
from notesearch.errors import IndexMissing
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
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "80")
    seen = []

    def invoke(report, *arguments):
        def stand_in(settings, options, progress):
            seen.append((settings, options))
            return report, [Skipped("/v/gone.md", "file disappeared")]

        monkeypatch.setattr(tune, "tune", stand_in)
        result = CliRunner().invoke(app, ["tune", "--index-dir", str(tmp_path / "index"), *arguments])
        return result, *seen[-1:]

    return invoke


def test_a_model_that_is_kept_is_shown_with_what_to_do_next(run):
    result, (settings, options) = run(KEPT, "--seed", "3", "--pairs", "p.jsonl", "--output", "here", "--model", "m")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert result.stdout.splitlines() == [
        "1,871 notes; pairs: 1,120 from titles, 30 from headings, 12 from links, 7 from",
        "rare tags, 3 from your file, 2 from accepted results; 181 s.",
        "",
        "interpolation weight     notes  general   nDCG@10, vectors alone",
        "0.00                     0.800    0.810",
        "0.25                     0.810    0.812",
        "1.00                     0.850    0.820 ← chosen",
        "",
        "held out         queries  before   after  difference",
        "search             1,234   0.900   0.920  +0.020 [+0.004, +0.031], p = 0.012",
        "vectors alone      1,234   0.800   0.850  +0.050 [+0.004, +0.031], p = 0.012",
        "general English    1,234   0.800   0.800  +0.000 [+0.004, +0.031], p = 0.012",
        "",
        "Kept: search on notes held out +0.020 nDCG@10 (95 % interval +0.004 to +0.031);",
        "general English +0.000.",
    ]
    assert "notesearch index --rebuild --model '/home/nora/my models/tuned'" in result.stderr
    assert "skipped  /v/gone.md: file disappeared" in result.stderr
    assert (settings.model, options.seed, options.pairs_file) == ("m", 3, Path("p.jsonl"))
    assert options.output == Path.cwd() / "here"


def test_exits_with_1_where_the_model_is_not_kept(run):
    result, _ = run(NOT_KEPT, "--quiet")
    assert result.exit_code == 1
    assert result.stdout.endswith("\n\nNot kept: why.\n")
    assert "0.00                     1.000    0.800\n" in result.stdout
    assert result.stderr == ""


def test_as_json(run):
    result, _ = run(KEPT, "--json")
    values = json.loads(result.stdout)
    assert values["kept"] is True
    assert values["directory"] == "/home/nora/my models/tuned"
    assert values["trial"][0] == {
        "name": "search", "queries": 1234, "before": 0.9, "after": 0.92, "difference": 0.02, "low": 0.004,
        "high": 0.031, "p": 0.0123, "wins": 5, "ties": 90, "losses": 2,
    }  # fmt: skip
    assert values["interpolation_weights"][1] == {"weight": 0.25, "own": 0.81, "general": 0.812}


def test_without_an_index_nothing_can_be_tuned(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    result = CliRunner().invoke(app, ["tune", "--index-dir", str(tmp_path / "index")])
    assert isinstance(result.exception, IndexMissing)
    assert not (tmp_path / "index").exists()
