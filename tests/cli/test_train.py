import json
import re
import stat
from contextlib import contextmanager

import pytest
from tagging_fixtures import WORDS, tagged, write_labels

from notesearch.cli.terminal import columns_of

pytest_plugins = ["tagging_fixtures"]

FAST = ("train-classifier", "--quick", "--method", "tf-idf")
LONG_LABELS = ("料理と汁物と" * 8, "Donaudampfschifffahrtsgesellschaft" * 3, "🍲" * 40, "many words " * 9)


def test_the_report_is_a_table_with_the_page_named_below(run, vault) -> None:
    done = run("train-classifier", "--quick")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].startswith("12 notes, 2 labels (one each), ")
    assert sum("← kept" in line for line in lines) == 1
    assert any(line.startswith("On ") and "held out (random)" in line for line in lines)
    assert {line.split()[0] for line in lines if line} >= {"method", "tf-idf", "label", *WORDS}
    page = vault.classifiers / "default/report.html"
    assert done.err == f"Report: {page}\nTo see what it suggests: notesearch tag\n"
    assert all(word in page.read_text() for word in ("Methods", "Calibration", "held out", *WORDS))


def test_the_report_as_json_is_that_of_the_file(run, vault) -> None:
    done = run(*FAST, "--json")
    assert done.code == 0
    assert json.loads(done.out) == json.loads((vault.classifiers / "default/report.json").read_text())
    assert [method["name"] for method in json.loads(done.out)["methods"]] == ["tf-idf"]


def test_quiet_says_only_the_report(run, vault) -> None:
    done = run(*FAST, "--quiet")
    assert (done.code, done.err) == (0, "") and "tf-idf" in done.out


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--labels-from", "folder"], {"labels_from": "folder", "labels": ["cooking", "databases", "inbox"]}),
        (["--min-examples", 2, "--name", "mine"], {"name": "mine", "labels": ["cooking", "databases"]}),
    ],
)
def test_options_reach_their_aim(run, vault, options, expected) -> None:
    vault.write({f"inbox/{n}.md": "something else" for n in range(4)})
    vault.index()
    report = json.loads(run(*FAST, "--json", *options).out)
    assert {key: report[key] for key in expected} == expected
    assert (vault.classifiers / report["name"] / "classifier.json").exists()


def test_a_split_by_time_and_a_seed(run, vault) -> None:
    reports = [json.loads(run(*FAST, "--json", "--test-split", "time", "--seed", 5).out) for _ in range(2)]
    assert reports[0]["held_out"] == reports[1]["held_out"]
    assert reports[0]["held_out"]["split"] == "time"
    assert run(*FAST, "--test-split", "moon").code == 2


def test_labels_that_are_left_out_are_named(run, vault) -> None:
    vault.write({f"more/{n}.md": tagged("cooking", n, "all", f"rare {n:02}\x1b[31m") for n in range(15)})
    for path in vault.folder.rglob("*.md"):
        path.write_text(path.read_text().replace("tags: [", 'tags: ["every", '))
    vault.index()
    train = ("train-classifier", "--quick", "--method", "most frequent")
    done = run(*train)
    assert "Left out, since every note has them: every.\n" in done.err
    (rare,) = re.findall("Left out, since too few notes have them: (.*)\n", done.err)
    assert "rare 00" in rare and rare.endswith(", and 3 more.") and "\x1b" not in rare
    assert "rare 14" in run(*train, "--verbose").err
    page = (vault.classifiers / "default/report.html").read_text()
    assert "rare 14" in page and "every (on every note)" in page


def test_what_cannot_be_read_is_named(run, vault, tmp_path) -> None:
    file = write_labels(tmp_path / "labels.jsonl", {"food": "cooking", "data": "databases"})
    with file.open("a") as rows:
        rows.write('{"path": "absent.md", "labels": ["food"]}\n')
    done = run(*FAST, "--labels-from", file)
    assert done.code == 0
    assert f"skipped  {tmp_path}/absent.md: no such file or directory\n" in done.err


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        (["--name", "../../x"], "'../../x' cannot be the name", "letters"),
        (["--method", "magic"], "there is no method 'magic'", "'tf-idf'"),
        (["--labels-from", "absent.jsonl"], "cannot read absent.jsonl: No such file", "JSON lines"),
        (["--labels-from", "."], "cannot read .: a folder", "JSON lines"),
        (["--min-examples", "99"], "'cooking' is on 6 of them", "Tag more"),
        (["--index-dir", "/nowhere"], "nothing is indexed to learn from", "notesearch index"),
    ],
)
def test_errors_are_one_line_and_a_hint(run, vault, options, message, hint) -> None:
    done = run("train-classifier", "--quick", *options)
    assert (done.code, done.out) == (2, "")
    first, second = done.err.splitlines()
    assert first.startswith("notesearch: ") and message in first and hint in second
    assert not vault.classifiers.exists()


def stopped_at(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Presses Ctrl-C when the progress bar shows this."""

    @contextmanager
    def stage_progress(*, shown: bool):
        def tell(what: str, done: int, total: int) -> None:
            if what == where:
                raise KeyboardInterrupt

        yield tell

    monkeypatch.setattr("notesearch.cli.options.stage_progress", stage_progress)


def test_ctrl_c_keeps_the_best_so_far_and_says_so(run, vault, monkeypatch) -> None:
    stopped_at("tf-idf", monkeypatch)
    done = run("train-classifier", "--quick")
    assert done.code == 0
    assert "Interrupted: the best method so far was kept.\n" in done.err
    assert "neighbours" in done.out and "tf-idf" not in done.out
    assert run("tag").err == ""


def test_ctrl_c_at_once_ends_with_130_and_keeps_nothing(run, vault, monkeypatch) -> None:
    stopped_at("most frequent", monkeypatch)
    assert run("train-classifier", "--quick").code == 130
    assert not vault.classifiers.exists()


def reported_lines(run, vault, tmp_path, monkeypatch, columns: int) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    labels = dict(zip(LONG_LABELS, [*WORDS, *WORDS], strict=True))
    file = write_labels(tmp_path / "labels.jsonl", labels, 4)
    done = run(*FAST, "--labels-from", file)
    assert done.code == 0
    return done.out.splitlines()


def test_the_report_fits_into_80_columns(run, vault, tmp_path, monkeypatch) -> None:
    lines = reported_lines(run, vault, tmp_path, monkeypatch, 80)
    assert max(map(columns_of, lines)) <= 80
    rows = [line for line in lines if "…" in line]
    assert len(rows) >= len(LONG_LABELS)
    assert len({columns_of(line) for line in rows if "." in line and "taken for" not in line}) == 1, "columns align"


def test_labels_are_harmless_in_the_table_and_exact_in_json(run, vault, tmp_path) -> None:
    label = "[red]\x1b[31m</td>"
    file = write_labels(tmp_path / "labels.jsonl", {label: "cooking", "data": "databases"})
    done = run(*FAST, "--labels-from", file)
    assert "[red]\ufffd[31m</td>" in done.out and "\x1b" not in done.out
    assert label in json.loads(run(*FAST, "--labels-from", file, "--json").out)["labels"]
    page = (vault.classifiers / "default/report.html").read_text()
    assert "[31m&lt;/td&gt;" in page and "[31m</td>" not in page


def test_a_terminal_sees_what_was_kept_in_bold(run, vault, terminals) -> None:
    terminals.add("stdout")
    (bold,) = re.findall("\x1b\\[1m(.*)\x1b\\[0m", run("train-classifier", "--quick").out)
    assert bold.endswith("← kept")


def test_files_of_a_classifier_are_private(run, vault) -> None:
    run(*FAST)
    paths = [vault.classifiers, *vault.classifiers.rglob("*")]
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in paths} == {0}
    assert len(paths) > 5
