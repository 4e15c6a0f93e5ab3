import json
import stat
import subprocess
import sys
import warnings
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tagging_fixtures import WORDS, bytes_below, note_about, tagged, text_about, write_labels

from notesearch.errors import ModelError, UsageError
from notesearch.library.tag import remember
from notesearch.library.train import TrainingOptions, report_file, train_classifier
from notesearch.settings import Settings
from notesearch.tagging.classifier import load_classifier

pytest_plugins = ["tagging_fixtures"]

TOPICS = tuple(WORDS)
ODD_LABELS = ("a, b", "key: value", "🍲 soup", "C#", "料理/汁物", "[red]", "<b>&amp;", 'it\'s "so"', "\x1b[31mred")


def label_row(**row: object) -> str:
    return json.dumps({"labels": ["x"], "text": "a"} | row)


# What is learnt, and from what


def test_a_classifier_is_learnt_from_tags_and_kept_with_its_report(vault) -> None:
    report = vault.train()
    assert (report.labels, report.notes, report.method, report.exclusive) == (TOPICS, 12, "tf-idf", True)
    classifier = load_classifier(vault.classifiers / "default")
    assert classifier is not None and classifier.labels == TOPICS
    page = report_file(vault.settings, "default")
    assert page.parent == vault.classifiers / "default"
    assert "Classifier default" in page.read_text()
    assert json.loads((page.parent / "report.json").read_text())["labels"] == list(TOPICS)


def test_labels_are_front_matter_tags_and_hashtags(empty_vault) -> None:
    empty_vault.write({f"{n}.md": tagged("cooking", n) for n in range(4)})
    empty_vault.write({f"d{n}.md": note_about("databases", n) + "\n\n#storage\n" for n in range(4)})
    empty_vault.index()
    assert empty_vault.train().labels == ("cooking", "storage")


def test_labels_are_folders(empty_vault) -> None:
    empty_vault.write({f"{t}/deep/{n}.md": note_about(t, n) for t in TOPICS for n in range(4)})
    empty_vault.write({"top.md": tagged("cooking", 9)})
    empty_vault.index()
    report = empty_vault.train(labels_from="folder")
    assert (report.labels, report.notes, report.exclusive) == (("cooking/deep", "databases/deep"), 8, True)


def test_labels_from_a_file_of_texts_need_no_index(empty_vault, tmp_path) -> None:
    file = write_labels(tmp_path / "labels.jsonl", {"food": "cooking", "data": "databases"})
    assert empty_vault.train(labels_from=str(file)).labels == ("data", "food")
    assert empty_vault.suggest(*empty_vault.write({"a.md": text_about("cooking", 6)})).suggestions[0].suggested == (
        "food",
    )


def test_paths_in_a_file_of_labels_are_relative_to_it_and_what_cannot_be_read_is_named(vault) -> None:
    rows = [{"path": f"{topic}/{n}.md", "labels": topic} for topic in TOPICS for n in range(4)]
    rows += [{"path": "absent.md", "labels": "cooking"}, {"path": "binary.md", "labels": "cooking"}]
    rows += [{"path": "cooking", "labels": "cooking"}, {"path": "inbox/new.md", "labels": []}]
    (vault.folder / "binary.md").write_bytes(bytes(range(256)))
    file = vault.folder / "labels.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    report, skipped = train_classifier(vault.settings, TrainingOptions(str(file), quick=True, method="tf-idf"))
    assert (report.notes, report.labels) == (8, TOPICS)
    assert [Path(entry.path).name for entry in skipped] == ["absent.md", "binary.md", "cooking"]
    assert all(entry.reason for entry in skipped)


def test_labels_that_cannot_be_learnt_are_left_out_and_named(empty_vault) -> None:
    empty_vault.write({f"{t}{n}.md": tagged(t, n, "all", *["few"] * (n < 2)) for t in TOPICS for n in range(4)})
    empty_vault.write({"one.md": tagged("cooking", 5, "all", "Alone")})
    empty_vault.index()
    report = empty_vault.train("most frequent", min_examples=4)
    assert (report.labels, report.rare, report.universal) == (
        ("cooking", "databases", "few"),
        (("Alone", 1),),
        ("all",),
    )
    assert empty_vault.train(min_examples=2, method="most frequent").rare == (("Alone", 1),)


def test_labels_may_hold_anything(empty_vault, tmp_path) -> None:
    labels = dict(zip(ODD_LABELS, TOPICS * 5, strict=False))
    file = write_labels(tmp_path / "labels.jsonl", labels, 3)
    report = empty_vault.train(labels_from=str(file), method="neighbours")
    assert report.labels == tuple(sorted(ODD_LABELS))
    classifier = load_classifier(empty_vault.classifiers / "default")
    assert classifier is not None and classifier.labels == report.labels
    page = report_file(empty_vault.settings, "default").read_text()
    assert "&lt;b&gt;&amp;amp;" in page and "<b>&amp;<" not in page


def test_a_text_without_a_file_can_be_told_from_others_as_a_reason(empty_vault, tmp_path) -> None:
    empty_vault.train(labels_from=str(write_labels(tmp_path / "l.jsonl", {"food": "cooking", "data": "databases"})))
    run = empty_vault.suggest(*empty_vault.write({"a.md": text_about("cooking", 6)}))
    notes = run.suggestions[0].because[0].notes
    assert len({note.title for note in notes}) == len(notes) == 3


def test_what_was_rejected_is_learnt_from(trained) -> None:
    note = trained.folder / "inbox/new.md"
    before = trained.suggest(note).suggestions[0]
    assert before.suggested == ("databases",)
    remember(trained.settings, {str(note): before.suggested})
    report = trained.train()
    assert report.notes == 13
    classifier = load_classifier(trained.classifiers / "default")
    assert classifier is not None
    assert [example.labels for example in classifier.examples if example.path == str(note)] == [()]


# How it is learnt


@pytest.mark.parametrize("method", ["most frequent", "neighbours", "embeddings"])
def test_a_method_can_be_forced(vault, method) -> None:
    report = vault.train(method)
    assert (report.method, report.runner_up) == (method, "")
    assert [entry.name for entry in report.methods] == [method]


def test_methods_compete_and_the_best_is_kept(vault) -> None:
    report = vault.train(method="")
    scores = {entry.name: (entry.micro_f1 + entry.macro_f1) / 2 for entry in report.methods}
    assert len(scores) > 3
    assert scores[report.method] == max(scores.values()) > scores["most frequent"]
    assert report.runner_up in scores and report.runner_up != report.method
    assert report.lead >= 0


def test_the_same_seed_makes_the_same_classifier(vault) -> None:
    once, again = (vault.train(name=name, seed=3) for name in ("once", "again"))
    assert learnt(once) == learnt(again)
    files = [bytes_below(vault.classifiers / name) for name in ("once", "again")]
    for name in ("heads.safetensors", "vocabulary.json", "examples.json"):
        assert files[0][name] == files[1][name]


def learnt(report) -> dict:
    """A report without names and times."""
    values = asdict(replace(report, name="", seconds=0))
    return {**values, "methods": [{**entry, "seconds": 0} for entry in values["methods"]]}


def test_the_newest_notes_are_held_out(empty_vault) -> None:
    empty_vault.write({f"c{n}.md": tagged("cooking", n) for n in range(6)})
    empty_vault.write({f"d{n}.md": tagged("databases", n + 20) for n in range(4)})
    empty_vault.index()
    held_out = empty_vault.train(test_split="time").held_out
    assert (held_out.split, held_out.notes) == ("time", 2)
    assert {label.label: label.support for label in held_out.labels} == {"cooking": 0, "databases": 2}


@pytest.mark.parametrize("notes", [2, 3, 5])
def test_very_few_notes_are_enough(empty_vault, notes) -> None:
    empty_vault.write({f"{t}{n}.md": tagged(t, n) for t in TOPICS for n in range(notes)})
    empty_vault.index()
    assert empty_vault.train(min_examples=2).notes == 2 * notes


@pytest.mark.parametrize("body", ["", "麻婆豆腐", "🍲", "the of and"])
def test_notes_that_say_nothing_do_no_harm(empty_vault, body) -> None:
    notes = {f"{t}{n}.md": f"---\ntags: [{t}]\n---\n{body}" for t in TOPICS for n in range(4)}
    empty_vault.write(notes)
    empty_vault.index()
    report = empty_vault.train()
    assert 0 <= report.held_out.micro_f1 <= 1
    run = empty_vault.suggest(*empty_vault.write({"new.md": body}), min_score=0.0)
    assert all(0 <= tag.score <= 1 for entry in run.suggestions for tag in entry.tags)


def test_nothing_is_said_about_numbers_that_overflow(vault) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        vault.train(method="")


def test_another_encoder_than_that_of_the_index(vault, tagging_encoder) -> None:
    known = len(tagging_encoder.encoded)
    vault.train(base="another")
    assert len(tagging_encoder.encoded) >= known + 12
    classifier = load_classifier(vault.classifiers / "default")
    assert classifier is not None and classifier.model == "another"
    (entry,) = vault.suggest().suggestions
    assert entry.suggested == ("databases",)


# With a real encoder

SUGGEST = """
import sys
from pathlib import Path
from notesearch.settings import Settings
from notesearch.library.tag import suggest_tags
run = suggest_tags(Settings(Path(sys.argv[1])), [Path(path) for path in sys.argv[2:]])
print(run.basis, *(entry.suggested for entry in run.suggestions))
assert not {"torch", "transformers", "scipy", "sklearn", "onnx"} & set(sys.modules), "too much was imported"
"""


def test_a_fine_tuned_encoder_tags_notes_without_torch(tiny_training, tiny_encoder, tmp_path) -> None:
    index, labels = tmp_path / "index", {"food": "cooking", "data": "databases"}
    file = write_labels(tmp_path / "labels.jsonl", labels, 16)
    options = TrainingOptions(str(file), base=str(tiny_encoder), method="fine-tuned")
    told: list[str] = []
    report, _ = train_classifier(Settings(index), options, lambda what, done, total: told.append(what))
    assert (report.method, report.labels, report.notes) == ("fine-tuned", ("data", "food"), 32)
    assert report.held_out.micro_f1 > 0.9
    assert {"reading", "lower layers", "fine-tuned"} <= set(told)
    assert modes(index) == {0o700, 0o600}
    notes = [tmp_path / f"{words[0]}.md" for words in WORDS.values()]
    for note, topic in zip(notes, WORDS, strict=True):
        note.write_text(text_about(topic, 17))
    command = [sys.executable, "-c", SUGGEST, str(index), *map(str, notes)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120)
    assert (done.stderr, done.stdout) == ("", "classifier ('food',) ('data',)\n")


# Stopped, or failing


def stop_at(method: str):
    def progress(what: str, done: int, total: int) -> None:
        if what == method:
            raise KeyboardInterrupt

    return progress


def test_ctrl_c_keeps_the_best_so_far(vault) -> None:
    report = vault.train("", progress=stop_at("tf-idf"))
    assert report.interrupted
    assert [entry.name for entry in report.methods] == ["most frequent", "names of labels", "neighbours"]
    classifier = load_classifier(vault.classifiers / "default")
    assert classifier is not None and classifier.method == report.method


@pytest.mark.parametrize("where", ["reading", "most frequent"])
def test_ctrl_c_before_there_is_anything_leaves_what_there_was(trained, where) -> None:
    trained.write({"more.md": tagged("cooking", 9)})
    trained.index()
    before = bytes_below(trained.classifiers)
    with pytest.raises(KeyboardInterrupt):
        trained.train("", progress=stop_at(where), base="another")
    assert bytes_below(trained.classifiers) == before


def test_a_classifier_that_cannot_be_written_leaves_what_there_was(trained, monkeypatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    before = bytes_below(trained.classifiers)
    monkeypatch.setattr("notesearch.library.train.write_report", full)
    with pytest.raises(ModelError, match="No space left"):
        trained.train("neighbours")
    assert bytes_below(trained.classifiers) == before


def test_an_index_directory_that_is_made_for_a_classifier_is_private(empty_vault, tmp_path) -> None:
    empty_vault.train(labels_from=str(write_labels(tmp_path / "l.jsonl", {"food": "cooking", "data": "databases"})))
    assert modes(empty_vault.settings.index_dir) == {0o700, 0o600}


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}


# What makes no sense


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"name": "../../x"}, "'../../x' cannot be the name", "letters, digits"),
        ({"name": ""}, "'' cannot be the name", "letters, digits"),
        ({"name": ".hidden"}, "'.hidden' cannot be the name", "letters, digits"),
        ({"method": "magic"}, "no method 'magic'", "'tf-idf'"),
        ({"min_examples": 7}, "'cooking' is on 6 of them", "Tag more notes"),
        ({"labels_from": "no/such.jsonl"}, "cannot read no/such.jsonl", "JSON lines"),
    ],
)
def test_options_that_make_no_sense(vault, options, message, hint) -> None:
    with pytest.raises(UsageError) as caught:
        vault.train(**options)
    assert message in caught.value.message and hint in caught.value.hint
    assert not vault.classifiers.exists()


@pytest.mark.parametrize(
    ("notes", "options", "message"),
    [
        (["A", "B"], {}, "no note has a label to learn from"),
        ([], {}, "no note has a label to learn from"),
        (["A", "B"], {"labels_from": "folder"}, "no note has a label to learn from"),
        (["#a one", "#a two", "#a three", "none"], {}, "3 labelled notes, .*'a' is on every note"),
        (["#a one", "#a two", "#a three", "#b"], {}, "'b' is on 1 of them, 'a' is the only one on 3 or more"),
    ],
)
def test_too_little_to_learn_from(empty_vault, notes, options, message) -> None:
    empty_vault.write({f"{number}.md": text for number, text in enumerate(notes)})
    empty_vault.index()
    with pytest.raises(UsageError, match=message) as caught:
        empty_vault.train(**options)
    assert caught.value.hint
    assert not empty_vault.classifiers.exists()


@pytest.mark.parametrize("labels_from", ["tags", "folder"])
def test_without_an_index_nothing_is_made(empty_vault, labels_from) -> None:
    with pytest.raises(UsageError, match="nothing is indexed"):
        empty_vault.train(labels_from=labels_from)
    assert not empty_vault.settings.index_dir.exists()


def test_an_unknown_base_model(vault, fake_models) -> None:
    fake_models.files["/no/such model"] = ModelError("unknown model '/no/such model'")
    with pytest.raises(ModelError, match="unknown model '/no/such model'"):
        vault.train(base="/no/such model")
    assert not vault.classifiers.exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (label_row() + "\n\nnothing", "line 3 is not JSON"),
        ("", "no note has a label"),
        (label_row(labels=[" ", ""]), "no note has a label"),
    ],
)
def test_a_file_of_labels_that_is_none(empty_vault, tmp_path, data, message) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_bytes(data.encode() if isinstance(data, str) else data)
    with pytest.raises(UsageError) as caught:
        empty_vault.train(labels_from=str(file))
    assert message in caught.value.message and caught.value.hint
    assert not empty_vault.classifiers.exists()


@pytest.mark.parametrize("row", [{"text": "a \ud800"}, {"labels": ["\ud800", "x\0"]}, {"text": "a\0b"}])
def test_texts_and_labels_that_no_file_can_hold_become_ones_that_it_can(empty_vault, tmp_path, row) -> None:
    file = write_labels(tmp_path / "labels.jsonl", {"food": "cooking", "data": "databases"})
    with file.open("a") as rows:
        rows.write(label_row(**row) + "\n")
    assert empty_vault.train(labels_from=str(file)).labels == ("data", "food")
    assert all(path.read_text(encoding="utf-8") for path in (empty_vault.classifiers / "default").glob("*.json"))


@pytest.mark.parametrize("path", ["a\0b", "\ud800"])
def test_a_path_that_no_file_can_have_is_skipped(empty_vault, tmp_path, path) -> None:
    file = write_labels(tmp_path / "labels.jsonl", {"food": "cooking", "data": "databases"})
    with file.open("a") as rows:
        rows.write(label_row(text=None, path=path) + "\n")
    options = TrainingOptions(str(file), quick=True, method="tf-idf")
    report, (skipped,) = train_classifier(empty_vault.settings, options)
    assert (report.notes, skipped.path, skipped.reason) == (10, str(tmp_path / path), "no such file")
