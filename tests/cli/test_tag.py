import io
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tagging_fixtures import Vault, bytes_below, text_about, write_labels

from notesearch.errors import StoreError
from notesearch.settings import Settings
from notesearch.storage.database import acquire_lock
from notesearch.tagging.classifier import load_classifier

pytest_plugins = ["tagging_fixtures"]


def entries(text: str) -> dict[str, dict]:
    """JSON lines, by the name of the note."""
    rows = [json.loads(line) for line in text.splitlines()]
    return {Path(row["path"]).name: row for row in rows}


# Suggesting


def test_the_untagged_notes_get_suggestions(run, trained) -> None:
    done = run("tag")
    assert (done.code, done.err) == (0, "")
    path, tag, *reasons = done.out.splitlines()
    assert path.endswith("notes/inbox/new.md")
    assert tag.endswith("  databases")
    assert [line.split(":")[0].strip() for line in reasons if ":" in line] == ["words", "like"]


def test_formats_are_of_the_same_suggestions(run, trained) -> None:
    (entry,) = entries(run("tag", "--jsonl").out).values()
    assert [tag["tag"] for tag in entry["tags"] if tag["suggested"]] == ["databases"]
    assert {tag["tag"] for tag in entry["tags"]} == {"cooking", "databases"}
    assert run("tag", "--tsv").out.split("\t")[:2] == [entry["path"], "databases"]
    for kind in ("jsonl", "tsv"):
        assert run("tag", "--format", kind).out == run("tag", f"--{kind}").out


def test_what_suggests_is_said(run, vault) -> None:
    assert run("tag").err == "No classifier was trained: these are the tags of the nearest tagged notes.\n"
    guess = run("tag", "--labels", "databases: table index query, cooking", "--min-score", 0)
    assert guess.err == "These are guesses, by what the tags' names mean.\n"
    assert (guess.code, run("tag", "--quiet").err) == (0, "")


def test_options_that_bound(run, trained) -> None:
    note = trained.folder / "cooking/0.md"
    assert run("tag", note).code == 0
    nothing = run("tag", note, "--new-only")
    assert (nothing.code, nothing.out, nothing.err) == (1, "", "Nothing to suggest.\n")
    assert run("tag", note, "--labels", "a, b", "--min-score", 1).code == 1
    assert len(entries(run("tag", note, "--jsonl", "--top", 1).out)["0.md"]["tags"]) == 1
    assert run("tag", note, "--top", 0).code == run("tag", note, "--min-score", 2).code == 2


def test_a_classifier_has_a_name(run, vault) -> None:
    vault.train(name="mine")
    assert run("tag", "--name", "mine").err == ""
    assert "No classifier was trained" in run("tag").err


def test_paths_come_from_stdin_too(run, trained, stdin) -> None:
    new, known = trained.folder / "inbox/new.md", trained.folder / "cooking/0.md"
    named = run("tag", new, known)
    for end in ("\n", "\0"):
        stdin(f"{new}{end}{known}{end}")
        assert run("tag", "-") == named
    stdin(f"{known}\n")
    assert run("tag", new, "-") == named
    stdin(named_as_hits := run("tag", new, "--jsonl").out)
    assert run("tag", "-", "--jsonl").out == named_as_hits


@pytest.mark.parametrize("given", ["", "\n \n"])
def test_empty_stdin(run, trained, stdin, given) -> None:
    stdin(given)
    done = run("tag", "-")
    assert (done.code, done.out) == (1, "") and len(done.err.splitlines()) == 1


def test_empty_stdin_does_not_mean_that_all_notes_have_tags(run, vault, stdin) -> None:
    stdin("")
    assert "No notes to tag." in run("tag", "-").err


def test_a_terminal_is_not_waited_for(run, trained, monkeypatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    done = run("tag", "-")
    assert done.code == 2 and "no notes were given" in done.err


def test_nothing_left_to_tag(run, trained) -> None:
    (trained.folder / "inbox/new.md").unlink()
    (trained.folder / "empty").mkdir()
    trained.index()
    for paths, message in (([], "All notes have tags.\n"), ([trained.folder / "empty"], "No notes to tag.\n")):
        done = run("tag", *paths)
        assert (done.code, done.out, done.err) == (1, "", message)
        assert run("tag", *paths, "--quiet").err == ""


def test_what_cannot_be_read_is_named_and_the_rest_gets_suggestions(run, trained) -> None:
    (trained.folder / "binary.md").write_bytes(bytes(range(256)))
    bad = [trained.folder / "binary.md", trained.folder / "absent.md"]
    done = run("tag", trained.folder / "inbox/new.md", *bad)
    assert done.code == 0 and "databases" in done.out
    assert done.err == f"skipped  {bad[1]}: no such file\nskipped  {bad[0]}: binary file\n"
    assert run("tag", *bad).code == run("tag", bad[0]).code == run("tag", bad[1]).code == 2
    assert run("tag", bad[0]).err == f"skipped  {bad[0]}: binary file\n"


def test_an_error_is_said_even_when_quiet(run, trained) -> None:
    path = trained.folder / "absent.md"
    done = run("tag", path, "--quiet")
    assert done.code == 2 and "absent.md" in done.err


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["--name", "other"], "there is no classifier 'other'", "train-classifier --name other"),
        (["--name", "../../x"], "'../../x' cannot be the name", "letters"),
        (["--labels", ","], "--labels names no label", "--labels"),
        (["--interactive"], "--interactive was given without --apply", "both"),
        (["--undo"], "there is nothing to undo", "undone once"),
        (["--index-dir", "/nowhere"], "nothing is indexed", "notesearch tag ~/notes"),
    ],
)
def test_errors_are_one_line_and_a_hint(run, trained, arguments, message, hint) -> None:
    done = run("tag", *arguments)
    assert (done.code, done.out) == (2, "")
    first, second = done.err.splitlines()
    assert first.startswith("notesearch: ") and message in first and hint in second


@pytest.mark.parametrize("more", [["cooking/0.md"], ["--apply"], ["--apply", "-i"], ["--dry-run"]])
def test_undo_goes_with_nothing_else(run, trained, more) -> None:
    assert run("tag", "--apply").code == 0
    before = trained.holds()
    done = run("tag", "--undo", *more)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 2)
    assert done.err.startswith("notesearch: --undo takes back a whole run")
    assert trained.holds() == before


def test_list_goes_with_undo_alone(run, trained) -> None:
    done = run("tag", "--list")
    assert (done.code, done.out) == (2, "") and "--list was given without --undo" in done.err


HOSTILE = "[red]\x1b[31m\x07\u202e"


def test_hostile_notes_are_harmless_to_people_and_exact_for_programs(run, empty_vault, tmp_path) -> None:
    label = f"label {HOSTILE}"
    empty_vault.train(
        labels_from=str(write_labels(tmp_path / "labels.jsonl", {label: "cooking", "databases": "databases"}))
    )
    name = f"{HOSTILE}.md"
    empty_vault.write({name: f"# Title {HOSTILE}\n\n{text_about('cooking', 3)}"})
    done = run("tag", empty_vault.folder)
    assert done.code == 0 and not {"\x1b", "\x07", "\u202e"} & set(done.out + done.err)
    assert "label [red]\ufffd[31m" in done.out
    entry = entries(run("tag", empty_vault.folder, "--jsonl").out)[name]
    assert (entry["title"], entry["tags"][0]["tag"]) == (f"Title {HOSTILE}", label)
    for option in ("--apply", "--dry-run"):
        refused = run("tag", empty_vault.folder, option)
        assert refused.code == 2 and "\x1b" not in refused.err and "cannot be a tag" in refused.err


def test_a_diff_is_harmless_to_a_terminal(run, trained, terminals) -> None:
    trained.write({"inbox/new.md": f"{HOSTILE}\n{text_about('cooking', 3)}"})
    exact = run("tag", trained.folder / "inbox", "--dry-run").out
    assert HOSTILE in exact, "patch has to find it"
    terminals.add("stdout")
    assert "\x07" not in run("tag", trained.folder / "inbox", "--dry-run").out


# Writing


@pytest.fixture
def inbox(trained) -> Vault:
    """Three notes to tag, one of which cannot be written."""
    trained.write({"inbox/soup.md": text_about("cooking", 3), "inbox/fixed.md": text_about("cooking", 4)})
    (trained.folder / "inbox/fixed.md").chmod(0o444)
    return trained


def test_tags_are_written_and_taken_out_again(run, trained) -> None:
    before = trained.holds()
    done = run("tag", "--apply")
    assert (done.code, done.err) == (0, "1 note tagged. To take the tags out again: notesearch tag --undo\n")
    assert "databases" in done.out
    assert b"tags: [databases]" in trained.holds()["inbox/new.md"]
    assert run("tag", "--apply").code == 1, "nothing is left to tag"
    undone = run("tag", "--undo")
    assert (undone.code, undone.out, undone.err) == (0, "", "1 note restored.\n")
    assert trained.holds() == before
    assert run("tag", "--undo").code == 2


def test_quiet_says_nothing_of_success(run, trained) -> None:
    assert run("tag", "--apply", "--quiet").err == run("tag", "--undo", "--quiet").err == ""


def test_refusals_are_named_and_the_rest_is_written(run, inbox) -> None:
    before = inbox.holds()
    for quiet in ((), ("--quiet",)):
        done = run("tag", inbox.folder / "inbox", "--apply", *quiet)
        assert done.code == 2
        assert f"refused  {inbox.folder}/inbox/fixed.md: read-only file\n" in done.err
        assert ("2 notes tagged." in done.err) == (not quiet)
        assert inbox.holds()["inbox/fixed.md"] == before["inbox/fixed.md"]
        assert inbox.holds()["inbox/soup.md"] != before["inbox/soup.md"]
        assert run("tag", "--undo").code == 0
        assert inbox.holds() == before


def test_a_dry_run_shows_a_diff_and_changes_nothing(run, trained) -> None:
    before, index = trained.holds(), set(bytes_below(trained.settings.index_dir))
    done = run("tag", "--dry-run")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"--- a{trained.folder}/inbox/new.md\n+++ b")
    assert "+tags: [databases]\n" in done.out
    assert trained.holds() == before
    assert set(bytes_below(trained.settings.index_dir)) == index


def test_writing_and_showing_is_showing(run, trained, stdin, terminals) -> None:
    before, shown = trained.holds(), run("tag", "--dry-run")
    terminals.update(("stdin", "stderr"))
    for more in ([], ["--interactive"], ["--yes"]):
        done = run("tag", "--dry-run", "--apply", *more)
        assert (done.code, done.out) == (0, shown.out) and "[y/N]" not in done.err
    assert trained.holds() == before


def test_what_was_refused_is_listed_until_it_is_undone(run, inbox) -> None:
    note = inbox.folder / "inbox/soup.md"
    assert (run("tag", "--undo", "--list").code, run("tag", "--undo", "--list").out) == (1, "")
    before = inbox.holds()
    run("tag", inbox.folder / "inbox", "--apply")
    tagged = note.read_bytes()
    assert run("tag", "--undo", "--list").out.endswith("  2 notes tagged\n")
    note.write_bytes(tagged + b"more")
    done = run("tag", "--undo")
    assert done.code == 2 and "1 note restored." in done.err
    assert f"refused  {note}: changed since the tags were written\n" in done.err
    listed = run("tag", "--undo", "--list")
    assert listed.code == 0 and listed.out.endswith(f"{note}: changed since the tags were written\n")
    note.write_bytes(tagged)
    assert run("tag", "--undo").code == 0
    assert inbox.holds() == before
    assert run("tag", "--undo", "--list").code == 1


def test_one_process_writes_tags_at_a_time(run, trained) -> None:
    before = trained.holds()
    lock = acquire_lock(trained.settings.index_dir, name="tags.lock")
    for command in (("--apply",), ("--undo",)):
        done = run("tag", *command, "--wait", "0")
        assert done.code == 4 and "another process is writing tags" in done.err
    assert run("tag").code == 0, "suggestions need no lock"
    assert trained.holds() == before
    lock.release()
    assert run("tag", "--apply", "--wait", "0").code == 0


def test_a_home_directory_is_not_tagged_by_a_slip(run, trained, monkeypatch) -> None:
    before = trained.holds()
    monkeypatch.setenv("HOME", str(trained.folder))
    done = run("tag", "--apply", trained.folder)
    files = sum(path.suffix == ".md" for path in trained.folder.rglob("*"))
    assert done.code == 2 and f": {files} files would be taken for notes\n" in done.err and "--yes" in done.err
    assert trained.holds() == before
    assert run("tag", trained.folder).code == run("tag", "--apply", "--dry-run", trained.folder).code == 0
    assert run("tag", "--apply", trained.folder / "inbox").code == 0
    run("tag", "--undo")
    assert run("tag", "--apply", "--yes", trained.folder).code == 0


# Asking


@pytest.fixture
def at_terminal(stdin, terminals) -> Callable[[str], None]:
    """Sits at a terminal and types."""

    def type_in(text: str) -> None:
        stdin(text)
        terminals.update(("stdin", "stderr"))

    return type_in


QUESTION = "Write 2 tags into 2 notes? [y/N] (l lists them) "


@pytest.mark.parametrize("typed", ["\n", "n\n", "what\n", "", "l\n"])
def test_at_a_terminal_nothing_is_written_without_a_yes(run, inbox, at_terminal, typed) -> None:
    (inbox.folder / "inbox/fixed.md").unlink()
    before = inbox.holds()
    at_terminal(typed)
    done = run("tag", "--apply", inbox.folder / "inbox")
    assert (done.code, done.out) == (0, "") and "Nothing written." in done.err
    assert QUESTION in done.err
    assert inbox.holds() == before


def test_at_a_terminal_a_yes_writes(run, inbox, at_terminal) -> None:
    (inbox.folder / "inbox/fixed.md").unlink()
    at_terminal("l\nY\n")
    done = run("tag", "--apply", inbox.folder / "inbox")
    assert done.code == 0 and "2 notes tagged." in done.err
    assert f"{inbox.folder}/inbox/new.md: databases\n" in done.err
    assert f"{inbox.folder}/inbox/soup.md: cooking\n" in done.err
    assert done.err.count(QUESTION) == 2


def test_nobody_is_asked_who_is_not_there_or_said_yes(run, trained, at_terminal, terminals) -> None:
    for there, more in (
        ({"stdin"}, ()),
        ({"stderr"}, ()),
        ({"stdin", "stderr"}, ("--yes",)),
        ({"stdin", "stderr"}, ("-y",)),
    ):
        at_terminal("")
        terminals.clear()
        terminals.update(there)
        done = run("tag", "--apply", *more)
        assert done.code == 0 and "[y/N]" not in done.err and "1 note tagged." in done.err
        run("tag", "--undo")


def test_nobody_is_asked_about_nothing(run, trained, at_terminal) -> None:
    (trained.folder / "inbox/new.md").unlink()
    at_terminal("")
    assert "[y/N]" not in run("tag", "--apply", trained.folder).err


def written(vault: Vault, names: Sequence[str]) -> list[str]:
    return [name for name in names if b"tags:" in (vault.folder / "inbox" / name).read_bytes()]


def test_notes_are_asked_about_one_by_one(run, trained, stdin) -> None:
    trained.write({"inbox/soup.md": text_about("cooking", 3), "inbox/x.md": text_about("cooking", 4)})
    before = trained.holds()
    stdin("a\nr\ne\nown, #cooking\n")
    done = run("tag", "--apply", "--interactive", trained.folder / "inbox")
    assert done.code == 0 and done.out == "", "questions are no output"
    assert "2 notes tagged." in done.err
    assert written(trained, ["new.md", "soup.md", "x.md"]) == ["new.md", "x.md"]
    assert b"tags: [own, cooking]" in trained.holds()["inbox/x.md"]
    assert run("tag", "--undo").code == 0
    assert trained.holds() == before


def test_a_rejection_counts_in_the_next_training(run, trained, stdin) -> None:
    stdin("r\n")
    assert run("tag", "--apply", "-i").code == 0
    assert run("train-classifier", "--quick", "--method", "tf-idf").code == 0
    classifier = load_classifier(trained.classifiers / "default")
    assert classifier is not None
    assert [Path(note.path).name for note in classifier.examples if not note.labels] == ["new.md"]


def test_the_end_of_stdin_ends_the_questions(run, trained, stdin) -> None:
    before = trained.holds()
    stdin("")
    assert run("tag", "--apply", "-i").code == 0
    assert trained.holds() == before


def test_stdin_cannot_be_both_paths_and_answers(run, trained, stdin) -> None:
    before = trained.holds()
    stdin(f"{trained.folder}/inbox/new.md\na\n")
    done = run("tag", "--apply", "-i", "-")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("notesearch: stdin cannot give both paths and answers\n")
    assert trained.holds() == before


def test_what_was_accepted_is_written_even_if_rejections_cannot_be_remembered(run, trained, stdin, monkeypatch) -> None:
    def full(*arguments: object) -> None:
        raise StoreError("no space left")

    monkeypatch.setattr("notesearch.library.tag.remember_rejections", full)
    trained.write({"inbox/soup.md": text_about("cooking", 3)})
    stdin("a\nr\n")
    assert run("tag", "--apply", "-i", trained.folder / "inbox").code == 2
    assert written(trained, ["new.md", "soup.md"]) == ["new.md"]


# From outside, with the real model


RUN_AND_LIST = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from notesearch.cli import main
main()
"""
DISHES = "soup stew bread pie curry salad noodles dumplings pancakes risotto omelette chutney".split()
SYSTEMS = "Postgres SQLite MySQL Redis Cassandra Oracle MongoDB CockroachDB Spanner RocksDB DuckDB etcd".split()


@dataclass(frozen=True)
class Real:
    """Notes and their index, made with the real model, and commands run on them as a shell does."""

    vault: Vault
    environment: dict[str, str]

    @property
    def options(self) -> list[str]:
        return ["--index-dir", str(self.vault.settings.index_dir)]

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.started([sys.executable, "-m", "notesearch", *arguments])

    def started(self, command: list[str], **more) -> subprocess.CompletedProcess[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"} | more
        return subprocess.run([*command, *self.options], env=self.environment, timeout=120, **pipes)


@pytest.fixture(scope="module")
def real(sample, tmp_path_factory) -> Real:
    """24 notes about cooking and databases and an untagged one, with a classifier."""
    root = tmp_path_factory.mktemp("real")
    vault = Vault(root / "notes", Settings(root / "index"))
    vault.write(
        {
            f"{dish}.md": f"---\ntags: [cooking]\n---\n# {dish}\n\nHow to cook {dish}: chop, fry, salt."
            for dish in DISHES
        }
        | {f"{name}.md": f"# {name}\n\nIndexes, transactions, locks: {name}.\n\n#databases" for name in SYSTEMS}
        | {"untagged.md": "# Dinner\n\nRoast the potatoes with rosemary and a little garlic.\n"}
    )
    real = Real(vault, sample.environment)
    assert real("index", str(vault.folder), "--quiet").returncode == 0
    done = real("train-classifier", "--quick", "--json")
    assert (done.returncode, json.loads(done.stdout)["labels"]) == (0, ["cooking", "databases"])
    assert done.stderr.splitlines() == [
        f"Report: {vault.classifiers}/default/report.html",
        "To see what it suggests: notesearch tag",
    ], "no warnings of libraries"
    return real


def test_a_real_note_is_tagged_and_untagged(real) -> None:
    before = real.vault.holds()
    done = real("tag", "--apply")
    assert done.returncode == 0, done.stderr
    assert real.vault.holds()["untagged.md"] == b"---\ntags: [cooking]\n---\n" + before["untagged.md"]
    assert real("tag", "--undo").returncode == 0
    assert real.vault.holds() == before


def test_tagging_needs_neither_torch_nor_scipy(real) -> None:
    for number, options in enumerate(([], ["--labels", "cooking, databases", "--min-score", "0"])):
        note = real.vault.folder.parent / f"unknown{number}.md"
        note.write_bytes((real.vault.folder / "untagged.md").read_bytes())
        done = real.started([sys.executable, "-c", RUN_AND_LIST, "tag", str(note), *options])
        assert done.returncode == 0 and "cooking" in done.stdout
        imported = set(done.stderr.split())
        assert "onnxruntime" in imported, "this note should have been encoded"
        assert imported & {"torch", "transformers", "scipy", "sklearn", "onnx", "huggingface_hub", "rich"} == set()


def test_a_reader_that_goes_away_is_no_error(real) -> None:
    tag = shlex.join([sys.executable, "-m", "notesearch", "tag", str(real.vault.folder), "--jsonl", *real.options])
    script = f"set -o pipefail; {tag} | head -1"
    done = subprocess.run(["bash", "-c", script], env=real.environment, capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stdout.count("\n"), done.stderr) == (0, 1, "")


def test_apply_needs_no_reader(real) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    before = real.vault.holds()
    try:
        assert real.started([sys.executable, "-m", "notesearch", "tag", "--apply"], stdout=writing).returncode == 0
        assert real.vault.holds() != before
    finally:
        os.close(writing)
        real("tag", "--undo")


def test_json_is_one_document_and_a_limit_is_of_notes(run, trained) -> None:
    paths = [trained.folder / "cooking/0.md", trained.folder / "cooking/1.md"]
    lines = [json.loads(line) for line in run("tag", *paths, "--jsonl").out.splitlines()]
    assert len(lines) == 2
    assert json.loads(run("tag", *paths, "--json").out) == lines
    assert json.loads(run("tag", *paths, "--json", "-n", 1).out) == lines[:1]
    assert json.loads(run("tag", *paths, "--json", "--limit", 0, "--min-score", "0%").out) != []


def test_too_few_tags_to_learn_from_are_no_error(run, fake_encoder, write_notes) -> None:
    assert run("index", write_notes({"a.md": "Soup", "b.md": "Bread"}), "--quiet").code == 0
    done = run("tag")
    assert (done.code, done.out) == (1, "") and done.err.startswith("No note of the index has a tag")
    quiet = run("tag", "--quiet", "--json")
    assert (quiet.code, quiet.out, quiet.err) == (1, "[]\n", "")
