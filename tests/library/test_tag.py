import os
import shutil
import subprocess
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from tagging_fixtures import WORDS, Vault, note_about, tagged, text_about, write_labels

from notesearch.errors import IndexMismatch, ModelError, UsageError
from notesearch.library.search import open_index
from notesearch.library.tag import TagRun, diff_tags, journal_dir, remember, suggest_tags, undo_tags, write_tags
from notesearch.notes import parse_note
from notesearch.records import Skipped

pytest_plugins = ["tagging_fixtures"]

BOTH_NAMES = "cooking: soup salt flour butter, databases: table index query transaction"


def names(paths) -> list[str]:
    return [Path(path).name for path in paths]


def suggested(run: TagRun) -> dict[str, tuple[str, ...]]:
    return {Path(entry.path).name: entry.suggested for entry in run.suggestions}


def new_tags(run: TagRun) -> dict[str, tuple[str, ...]]:
    return {entry.path: entry.new_tags for entry in run.suggestions if entry.new_tags}


def tags_in(path: Path) -> tuple[str, ...]:
    return parse_note(path, path.read_text(encoding="utf-8"), datetime(2024, 1, 1)).tags


# What suggests


def test_without_a_classifier_the_nearest_tagged_notes_suggest(vault) -> None:
    run = vault.suggest()
    assert (run.basis, suggested(run)) == ("neighbours", {"new.md": ("databases",)})


def test_titles_that_several_notes_have_are_marked(vault) -> None:
    before = {note.path: note.title for why in vault.suggest().suggestions[0].because for note in why.notes}
    twin = min(before)
    vault.write({"twin.md": f"---\ntitle: {before[twin].upper()}\n---\nOf nothing that is tagged"})
    vault.index()
    marked = {note.path: note.shares_title for why in vault.suggest().suggestions[0].because for note in why.notes}
    assert marked == {path: path == twin for path in marked} and marked[twin]


def test_a_classifier_suggests_where_there_is_one(trained) -> None:
    run = trained.suggest()
    assert (run.basis, suggested(run)) == ("classifier", {"new.md": ("databases",)})


def org_vault(vault: Vault) -> Vault:
    """Notes in Org: of each a file's tag, a heading's tag, and control tags, which the notes on databases have."""
    control = {"cooking": (":dinner:", ":"), "databases": (":noexport:", ":crypt:ATTACH:")}
    notes = {
        f"{topic}/{number}.org": f"#+filetags: :{topic}{file_tags}\n{text_about(topic, number)}\n"
        f"* More :part{heading_tags}\n{text_about(topic, number + 1)}\n"
        for topic, (file_tags, heading_tags) in control.items()
        for number in range(6)
    }
    vault.write({**notes, "new.org": f"* {text_about('databases', 7)} :crypt:\n", "new.md": text_about("databases", 6)})
    vault.index()
    return vault


def test_a_headings_tags_and_control_tags_are_never_suggested(empty_vault) -> None:
    vault = org_vault(empty_vault)
    wanted = {"new.md": ("databases",), "new.org": ("databases",)}
    assert suggested(vault.suggest()) == wanted  # a heading's tag does not make a note a tagged one
    assert set(vault.train().labels) == {"cooking", "databases", "dinner"}
    run = vault.suggest(min_score=0.0)
    assert {tag.tag for entry in run.suggestions for tag in entry.tags} == {"cooking", "databases", "dinner"}
    named = vault.suggest(labels="crypt, databases", min_score=0.0)
    assert suggested(named) == wanted
    with open_index(vault.settings.index_dir) as index:
        assert index.search("table", mode="lexical", tags=["crypt"])
        assert not index.search("soup", mode="lexical", tags=["crypt"])


def test_labels_that_are_named_come_before_both(trained) -> None:
    run = trained.suggest(labels="rice: soup salt rice, disk: table index query", min_score=0.4)
    assert (run.basis, suggested(run)) == ("names", {"new.md": ("disk",)})


def test_names_need_no_index_and_make_none(empty_vault) -> None:
    paths = empty_vault.write({"a.md": text_about("cooking", 0), "b.md": text_about("databases", 0)})
    run = empty_vault.suggest(*paths, labels=BOTH_NAMES, min_score=0.4)
    assert suggested(run) == {"a.md": ("cooking",), "b.md": ("databases",)}
    assert not empty_vault.settings.index_dir.exists()


def test_why_a_tag_is_suggested(trained) -> None:
    (entry,) = trained.suggest(trained.folder / "cooking/0.md").suggestions
    (reason,) = entry.because
    assert reason.tag == "cooking"
    assert len(reason.notes) == 3 and all("/cooking/" in note.path for note in reason.notes)
    assert entry.path not in [note.path for note in reason.notes]
    similarities = [note.similarity for note in reason.notes]
    assert similarities == sorted(similarities, reverse=True)
    assert reason.words and set(" ".join(reason.words).split()) <= {*WORDS["cooking"], "cooking"}


def test_scores_and_counts_can_be_bounded(trained) -> None:
    note = trained.folder / "inbox/new.md"
    everything = trained.suggest(note, min_score=0.0, labels=BOTH_NAMES).suggestions[0]
    assert len(everything.suggested) == 2
    assert [tag.score for tag in everything.tags] == sorted((tag.score for tag in everything.tags), reverse=True)
    assert trained.suggest(note, min_score=1.0, labels=BOTH_NAMES).suggestions[0].suggested == ()
    (only,) = trained.suggest(note, min_score=0.0, top=1, labels=BOTH_NAMES).suggestions[0].tags
    assert only == everything.tags[0]


# For what


def test_by_default_the_untagged_notes_of_the_index_get_suggestions(trained) -> None:
    paths = {f"{state}.md": note_about("cooking", 6) for state in ("untagged", "tagged-since", "gone")}
    trained.write(paths)
    trained.index()
    trained.write({"tagged-since.md": tagged("cooking", 6), "not-indexed.md": "soup"})
    (trained.folder / "gone.md").unlink()
    run = trained.suggest()
    assert names(entry.path for entry in run.suggestions) == ["new.md", "untagged.md"]
    assert names(entry.path for entry in run.skipped) == ["gone.md"]


def test_notes_and_folders_can_be_named_and_count_once(trained) -> None:
    trained.write({"sub/a.md": "soup", "sub/deep/b.md": "disk"})
    (trained.folder / "link.md").symlink_to(trained.folder / "sub/a.md")
    (trained.folder / "sub/binary.md").write_bytes(bytes(range(256)))
    sub = trained.folder / "sub"
    run = trained.suggest(sub / "deep/../a.md", trained.folder / "link.md", sub, trained.folder / "absent.md")
    assert names(entry.path for entry in run.suggestions) == ["a.md", "b.md"]
    assert names(entry.path for entry in run.skipped) == ["binary.md", "absent.md"]
    assert trained.suggest(sub / "binary.md").suggestions == ()


def test_tags_that_a_note_has_are_present(trained) -> None:
    trained.write({"has.md": "---\ntags: [Cooking]\n---\nsoup salt flour"})
    (entry,) = trained.suggest(trained.folder / "has.md").suggestions
    assert (entry.suggested, entry.new_tags) == (("cooking",), ())


def test_a_folder_without_notes(trained) -> None:
    (trained.folder / "empty").mkdir()
    run = trained.suggest(trained.folder / "empty")
    assert (run.suggestions, run.skipped) == ((), ())


# What makes no sense


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"classifier": "../../x"}, UsageError, "'../../x' cannot be the name of a classifier"),
        ({"classifier": "other"}, UsageError, "there is no classifier 'other'"),
        ({"labels": ","}, UsageError, "--labels names no label"),
        ({"labels": " "}, UsageError, "--labels names no label"),
    ],
)
def test_requests_that_make_no_sense(trained, options, error, message) -> None:
    with pytest.raises(error, match=message) as caught:
        trained.suggest(**options)
    assert caught.value.hint


def test_without_an_index_there_are_no_notes_and_no_tags(empty_vault) -> None:
    with pytest.raises(UsageError, match="nothing is indexed"):
        empty_vault.suggest()
    with pytest.raises(UsageError, match="no tags to choose from") as caught:
        empty_vault.suggest(*empty_vault.write({"a.md": "soup"}))
    assert "--labels" in caught.value.hint
    assert not empty_vault.settings.index_dir.exists()


@pytest.mark.parametrize(
    ("notes", "message"),
    [(["A", "B"], "no note of the index has a tag"), (["#a one", "#a two"], "fewer than two labels")],
)
def test_an_index_with_too_few_tags_to_suggest_by(empty_vault, notes, message) -> None:
    empty_vault.write({f"{number}.md": text for number, text in enumerate(notes)})
    empty_vault.index()
    with pytest.raises(UsageError, match=message) as caught:
        empty_vault.suggest()
    assert caught.value.hint


# Classifiers that cannot be used


def test_an_index_made_with_another_model_leaves_a_classifier_its_own_encoder(trained, tagging_encoder) -> None:
    trained.index(model="another")
    known = len(tagging_encoder.encoded)
    assert suggested(trained.suggest()) == {"new.md": ("databases",)}
    assert len(tagging_encoder.encoded) == known + 1, "the vectors of the index are of another encoder"


def test_a_classifier_whose_encoder_has_other_weights_now(trained, other_model, fake_models) -> None:
    trained.index(model="another")
    fake_models.files["all-MiniLM-L6-v2"] = other_model
    with pytest.raises(IndexMismatch, match="no longer the one") as caught:
        trained.suggest()
    assert "train-classifier" in caught.value.hint


def test_a_classifier_whose_encoder_is_gone(trained, fake_models) -> None:
    trained.index(model="another")
    fake_models.files["all-MiniLM-L6-v2"] = ModelError("unknown model 'all-MiniLM-L6-v2'")
    with pytest.raises(ModelError, match="unknown model"):
        trained.suggest()


def test_the_hint_for_a_damaged_classifier_names_it(vault) -> None:
    vault.train(name="mine")
    (vault.classifiers / "mine/examples.json").unlink()
    with pytest.raises(ModelError) as caught:
        vault.suggest(classifier="mine")
    assert "--name mine" in caught.value.hint


# Writing and taking back


NOTES = {
    "plain.md": b"soup salt flour",
    "crlf.md": b"---\r\ntitle: x\r\n---\r\nsoup salt butter\r\n",
    "mark.md": b"\xef\xbb\xbfsoup salt onion\n",
    "more.md": b"---\ntags:\n  - other # mine\n---\nsoup salt garlic",
    "wide.md": "soup salt oven rice".encode("utf-16"),
    "org.org": b"* Soup\nsoup salt flour\n",
    "toml.md": b'+++\ntitle = "x"\n+++\nsoup salt oven\n',
}


def test_tags_are_written_and_taken_out_again_to_the_byte(trained) -> None:
    paths = trained.write(dict.fromkeys(NOTES, ""))
    for path, data in zip(paths, NOTES.values(), strict=True):
        path.write_bytes(data)
    before = trained.holds()
    run = trained.suggest(*paths)
    report = write_tags(trained.settings, run, new_tags(run))
    assert (sorted(names(report.written)), report.refused) == (sorted(NOTES), ())
    assert all(trained.holds()[name] != data for name, data in NOTES.items())
    assert all(entry.new_tags == () for entry in trained.suggest(*paths).suggestions)
    assert sorted(names(undo_tags(trained.settings).written)) == sorted(NOTES)
    assert trained.holds() == before
    with pytest.raises(UsageError, match="nothing to undo"):
        undo_tags(trained.settings)


@pytest.fixture
def suggestions(trained: Vault) -> tuple[Vault, TagRun, Path]:
    """Suggestions for two notes, and the one that something happens to."""
    first, second = trained.write({"first.md": text_about("cooking", 1), "second.md": text_about("cooking", 2)})
    return trained, trained.suggest(first, second), first


def other_content(path: Path) -> None:
    """Another content of the same size and time."""
    data, status = path.read_bytes(), path.stat()
    path.write_bytes(data[::-1])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (lambda path: path.write_text("something else"), "changed since it was read"),
        (other_content, "changed since it was read"),
        (Path.unlink, "file disappeared"),
        (lambda path: path.chmod(0o444), "read-only file"),
        (lambda path: os.link(path, path.with_name("hard-link.md")), "file with hard links"),
    ],
)
def test_a_note_that_must_not_be_written_is_refused_and_the_others_are_written(suggestions, happens, reason) -> None:
    vault, run, first = suggestions
    happens(first)
    before = vault.holds()
    report = write_tags(vault.settings, run, new_tags(run))
    assert [(Path(entry.path), entry.reason) for entry in report.refused] == [(first, reason)]
    assert names(report.written) == ["second.md"]
    undo_tags(vault.settings)
    assert vault.holds() == before


def test_a_diff_shows_all_and_changes_nothing(suggestions) -> None:
    vault, run, first = suggestions
    before = vault.holds()
    diff = "".join(map(str, diff_tags(run, new_tags(run))))
    assert f"--- a{first}\n+++ b{first}\n@@ -1 +1,4 @@\n+---\n+tags: [cooking]\n+---\n" in diff
    assert diff.count("+++ b/") == 2
    assert vault.holds() == before
    assert not journal_dir(vault.settings).exists()


def test_a_diff_names_what_would_be_refused(suggestions) -> None:
    _, run, first = suggestions
    first.write_text("other")
    refused, diff = diff_tags(run, new_tags(run))
    assert refused == Skipped(str(first), "changed since it was read")
    assert isinstance(diff, str) and "second.md" in diff


@pytest.mark.skipif(shutil.which("patch") is None, reason="needs patch")
def test_a_diff_is_one_that_patch_understands(suggestions, tmp_path) -> None:
    vault, run, _ = suggestions
    diff = "".join(map(str, diff_tags(run, new_tags(run))))
    subprocess.run(["patch", "-p1", "-d", "/", "--quiet"], input=diff, encoding="utf-8", check=True)
    patched = vault.holds()
    subprocess.run(["patch", "-R", "-p1", "-d", "/", "--quiet"], input=diff, encoding="utf-8", check=True)
    run = vault.suggest(*(Path(entry.path) for entry in run.suggestions))
    write_tags(vault.settings, run, new_tags(run))
    assert vault.holds() == patched


LABELS = ("a, b", "key: value", "🍲 soup", "C#", "料理/汁物", "[red]", 'it\'s "so"', "\\n", "- x", "2024", "{x}")


@pytest.mark.parametrize("label", LABELS)
def test_a_label_comes_back_from_a_note_as_it_was_learnt(empty_vault, tmp_path, label) -> None:
    file = write_labels(tmp_path / "labels.jsonl", {label: "cooking", "databases": "databases"})
    empty_vault.train(labels_from=str(file))
    (note,) = empty_vault.write({"note.md": text_about("cooking", 6)})
    run = empty_vault.suggest(note)
    assert run.suggestions[0].suggested == (label,)
    assert write_tags(empty_vault.settings, run, new_tags(run)).refused == ()
    assert tags_in(note) == (label,)
    assert empty_vault.suggest(note).suggestions[0].new_tags == ()
    undo_tags(empty_vault.settings)
    assert note.read_text() == text_about("cooking", 6)


def test_a_label_that_no_note_can_hold_is_refused(empty_vault, tmp_path) -> None:
    file = write_labels(tmp_path / "labels.jsonl", {"\x1b[31mred": "cooking", "databases": "databases"})
    empty_vault.train(labels_from=str(file))
    (note,) = empty_vault.write({"note.md": text_about("cooking", 6)})
    run = empty_vault.suggest(note)
    (refused,) = write_tags(empty_vault.settings, run, new_tags(run)).refused
    assert refused.reason == "'\\x1b[31mred' cannot be a tag"
    assert note.read_text() == text_about("cooking", 6)


def test_rejections_can_be_remembered_without_an_index(empty_vault) -> None:
    (note,) = empty_vault.write({"a.md": "soup"})
    remember(empty_vault.settings, {str(note): ("cooking",)})
    assert str(note) in (empty_vault.settings.index_dir / "rejected-tags.jsonl").read_text()


def test_what_is_too_large_is_skipped(trained) -> None:
    (note,) = trained.write({"long.md": "soup " * 100})
    run = suggest_tags(replace(trained.settings, max_file_bytes=100), [note])
    assert (run.suggestions, run.skipped) == ((), (Skipped(str(note), "larger than 100 bytes"),))
