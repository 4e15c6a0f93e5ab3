import json
import shutil
from pathlib import Path

from notesearch.storage.writer import IndexWriter

from .conftest import NOTES

CONTRACT = {"added", "updated", "removed", "unchanged", "skipped", "notes", "chunks", "seconds"}


def lines_of(done) -> tuple[str, str]:
    """The two lines that an error is."""
    assert (done.code, done.out) == (2, "")
    first, second = done.err.splitlines()
    assert first.startswith("notesearch: ") and second.startswith("  ")
    return first.removeprefix("notesearch: "), second.strip()


def test_a_run_is_told_on_stderr(run, fake_encoder, write_notes):
    folder = write_notes(NOTES)
    done = run("index", folder)
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("3 notes added. 3 notes, 3 chunks, ")
    assert run("index").err.startswith("Nothing has changed. 3 notes, 3 chunks, ")
    (folder / "cap.md").write_text("# CAP\n\nAnother text altogether.")
    (folder / "cooking" / "dal.md").unlink()
    assert run("index").err.startswith("1 note updated, 1 note removed. 2 notes, 2 chunks, ")


def test_an_interrupted_run_keeps_what_is_done_and_says_so(run, fake_encoder, write_notes, monkeypatch):
    folder = write_notes({f"{number}.md": f"# Note {number}\n\nBread {number}." for number in range(7)})
    encode, calls = type(fake_encoder).encode_passages, []

    def interrupt(encoder, passages):
        calls.append(passages)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return encode(encoder, passages)

    with monkeypatch.context() as patch:
        patch.setattr("notesearch.indexing.batches.BATCH_CHUNKS", 2)
        patch.setattr(type(fake_encoder), "encode_passages", interrupt)
        done = run("index", folder)
    assert (done.code, done.err.splitlines()[0]) == (130, "notesearch: interrupted, 4 of 7 notes kept; run it again")
    assert "first run not finished, 4 of 7 notes" in " ".join(run("status").out.split())
    searched = run("search", "bread", "--files")
    assert (searched.code, len(searched.out.splitlines())) == (0, 4)
    assert searched.err == "searched 4 of 7 notes: the first index is not finished; notesearch index goes on\n"
    assert run("index").err.startswith("3 notes added. 7 notes")
    searched = run("search", "bread", "--files")
    assert (len(searched.out.splitlines()), searched.err) == (7, "")


def test_a_batch_is_written_after_two_seconds_at_most(run, fake_encoder, write_notes, monkeypatch):
    """A clock that says that each chunk takes 0.4 s: no batch has more than three of them, after the first."""
    folder = write_notes({f"{number}.md": f"# Note {number}\n\nBread {number}." for number in range(100)})
    now, sizes, encode = [0.0], [], type(fake_encoder).encode_passages

    def slowly(encoder, passages):
        now[0] += 0.4 * len(passages)
        sizes.append(len(passages))
        return encode(encoder, passages)

    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(type(fake_encoder), "encode_passages", slowly)
    assert run("index", folder).code == 0
    assert sum(sizes) == 100 and max(sizes[1:]) <= 4


def test_json_has_the_keys_of_the_contract(run, fake_encoder, write_notes):
    folder = write_notes(NOTES | {"picture.md": "\0\1\2binary\0"})
    done = run("index", folder, "--json")
    report = json.loads(done.out)
    assert done.code == 3
    assert report.keys() >= CONTRACT
    counts = {name: report[name] for name in ("added", "updated", "removed", "unchanged", "notes", "chunks")}
    assert counts == {"added": 3, "updated": 0, "removed": 0, "unchanged": 0, "notes": 3, "chunks": 3}
    (skipped,) = report["skipped"]
    assert skipped.keys() == {"path", "reason", "by_rule"}
    assert skipped["by_rule"] is False
    assert skipped["path"] == str(folder / "picture.md") and "binary" in skipped["reason"]
    assert report["seconds"] >= 0
    assert "skipped" in done.err and "added" not in done.err
    assert json.loads(run("index", "--json").out)["unchanged"] == 3


def test_quiet_is_silent(run, fake_encoder, write_notes):
    folder = write_notes(NOTES | {"large.md": "x" * 5000, "broken.md": "---\ntags: [a\n---\nText"})
    done = run("index", folder, "--quiet", "--max-file-bytes", 4000)
    assert (done.code, done.out, done.err) == (0, "", "")
    done = run("index", "--quiet", "--json", "--max-file-bytes", 4000)
    assert done.err == "" and json.loads(done.out)["notes"] == 4
    assert json.loads(done.out)["skipped"][0]["by_rule"] is True


def test_notes_that_could_not_be_read_have_an_exit_code_and_are_named_though_quiet(run, fake_encoder, write_notes):
    folder = write_notes(NOTES | {"picture.md": "\0\1\2binary\0", "large.md": "x" * 5000})
    done = run("index", folder, "--quiet", "--max-file-bytes", 4000)
    assert (done.code, done.out) == (3, "")
    assert done.err == f"skipped  {folder / 'picture.md'}: binary file\n"
    assert len(json.loads(run("search", "--json", "--all", "salt").out)) == 3


def test_a_folder_that_is_gone_has_an_exit_code(run, fake_encoder, write_notes):
    folder = write_notes(NOTES)
    assert run("index", folder).code == 0
    folder.rename(folder.with_name("unmounted"))
    done = run("index", "--quiet")
    assert done.code == 3
    assert "its notes are kept" in done.err


def test_while_another_process_writes_it_leaves_or_waits(run, fake_encoder, write_notes, tmp_path):
    folder = write_notes(NOTES)
    with IndexWriter(tmp_path / "index"):
        done = run("index", folder, "--index-dir", tmp_path / "index", "--wait", "0")
        assert done.code == 4
        assert "another process is writing" in done.err and "--wait" in done.err
        waited = run("index", folder, "--index-dir", tmp_path / "index", "--wait", "1s")
        assert waited.code == 4
        assert "waiting for it" in waited.err
        assert "waiting for it" not in run("index", "--quiet", "--index-dir", tmp_path / "index", "--wait", "1s").err
    assert run("index", folder, "--index-dir", tmp_path / "index", "--wait", "0").code == 0


def test_a_wait_that_is_not_a_duration(run, write_notes):
    done = run("index", write_notes(NOTES), "--wait", "soon")
    assert done.code == 2
    assert "'soon' is not a duration" in done.err


def test_it_takes_as_many_cores_as_it_may_and_stands_back(run, fake_encoder, write_notes, monkeypatch):
    asked: list[object] = []
    monkeypatch.setattr(
        "notesearch.encoders.models.open_encoder",
        lambda *arguments, threads, **options: asked.append(threads) or fake_encoder,
    )
    monkeypatch.setattr("os.nice", lambda niceness: asked.append(f"nice {niceness}"))
    assert run("index", write_notes(NOTES), "--threads", 1, "--nice").code == 0
    assert asked == ["nice 10", 1]


def test_what_is_skipped_or_wrong_is_told_with_its_reason(run, fake_encoder, write_notes):
    folder = write_notes({"good.md": "Text", "picture.md": "\0\1\2binary\0", "broken.md": "---\ntags: [a\n---\nText"})
    err = run("index", folder).err
    assert f"{folder / 'picture.md'}: " in err and "binary" in err
    assert f"{folder / 'broken.md'}: " in err and "front matter" in err
    assert "2 notes added" in err


def test_of_many_skipped_files_only_some_are_shown_unless_asked(run, fake_encoder, write_notes):
    folder = write_notes({f"{number:02d}.md": "\0\1\2binary\0" for number in range(30)} | {"good.md": "Text"})
    done = run("index", folder)
    assert done.err.count("skipped ") == 10
    assert "20 more" in done.err
    assert run("index", "--verbose").err.count("skipped ") == 30


def test_hostile_names_are_told_harmlessly(run, fake_encoder, write_notes):
    folder = write_notes({"e\x1b[2Jvil\n.md": "\0\1\2binary\0", "good.md": "Text"})
    done = run("index", folder, "--json")
    assert "\x1b" not in done.err and "\ufffd[2Jvil\ufffd.md" in done.err
    assert json.loads(done.out)["skipped"][0]["path"] == str(folder / "e\x1b[2Jvil\n.md")


def test_a_missing_folder(run, fake_encoder, tmp_path):
    message, hint = lines_of(run("index", tmp_path / "missing"))
    assert str(tmp_path / "missing") in message
    assert hint


def test_the_home_of_an_unknown_user_is_a_missing_folder(run, fake_encoder):
    message, _ = lines_of(run("index", "~nosuchuser/notes"))
    assert "~nosuchuser/notes" in message


def test_a_file_in_place_of_a_folder(run, fake_encoder, write_notes):
    folder = write_notes(NOTES)
    message, hint = lines_of(run("index", folder / "cap.md"))
    assert str(folder / "cap.md") in message
    assert hint


def test_an_empty_folder_is_no_error_and_no_notes(run, fake_encoder, tmp_path):
    (tmp_path / "empty").mkdir()
    done = run("index", tmp_path / "empty")
    assert (done.code, done.out) == (0, "")
    assert "0 notes" in done.err and len(done.err.splitlines()) == 1
    assert run("search", "salt", "--json").out == "[]\n"


def test_one_missing_folder_of_two_leaves_the_index_as_it_was(run, indexed, tmp_path, write_notes):
    more = tmp_path / "more"
    more.mkdir()
    (more / "new.md").write_text("Tulips")
    assert run("index", more, tmp_path / "missing").code == 2
    assert run("search", "tulips", "--mode", "lexical").code == 1
    assert run("search", "lentils", "--mode", "lexical").code == 0


def test_no_folder_and_no_index(run, fake_encoder):
    message, hint = lines_of(run("index"))
    assert "no folder" in message
    assert "notesearch index ~/notes" in hint


def test_where_there_is_nothing_to_index_nothing_is_made(run, fake_encoder, tmp_path):
    assert run("index", "--index-dir", tmp_path / "index").code == 2
    assert not (tmp_path / "index").exists()


def test_an_index_among_the_notes_is_not_indexed(run, fake_encoder, write_notes):
    folder = write_notes(NOTES | {"tool/models/card.md": "# A model card, no note"})
    done = run("index", folder, "--index-dir", folder / "tool")
    assert done.err.startswith("3 notes added.")
    assert run("index", "--index-dir", folder / "tool").err.startswith("Nothing has changed.")


def test_the_folder_of_notes_cannot_be_the_directory_of_the_index(run, fake_encoder, write_notes):
    folder = write_notes(NOTES)
    first, second = lines_of(run("index", folder, "--index-dir", folder))
    assert "cannot hold the notes as well" in first and "--index-dir" in second


def test_an_index_directory_that_is_a_file(run, fake_encoder, write_notes, tmp_path):
    (tmp_path / "file").write_text("precious")
    message, hint = lines_of(run("index", write_notes(NOTES), "--index-dir", tmp_path / "file"))
    assert str(tmp_path / "file") in message
    assert "--index-dir" in hint
    assert (tmp_path / "file").read_text() == "precious"


def test_an_unknown_model_says_what_was_tried(run, write_notes):
    message, hint = lines_of(run("index", write_notes(NOTES), "--model", "nobody/no-such-model"))
    assert "nobody/no-such-model" in message
    assert "directory" in hint and "HF_HUB_OFFLINE" in hint


def test_another_model_than_that_of_the_index_is_refused(run, indexed):
    message, hint = lines_of(run("index", indexed, "--model", "another-model"))
    assert "fake-model" in message or "all-MiniLM-L6-v2" in message
    assert "--rebuild" in hint
    assert run("search", "lentils").code == 0
    assert run("index", indexed, "--model", "another-model", "--rebuild").code == 0


def test_folders_are_remembered(run, fake_encoder, write_notes, tmp_path):
    folder = write_notes(NOTES)
    other = tmp_path / "other"
    shutil.copytree(folder / "cooking", other)
    run("index", folder, other)
    (other / "new.md").write_text("Tulips")
    assert json.loads(run("index", "--json").out)["added"] == 1


def test_a_folder_can_be_forgotten(run, indexed):
    done = run("index", "--forget", indexed)
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith(f"Forgot {indexed}: 3 notes.")
    assert (indexed / "cap.md").exists()
    assert run("search", "salt").code == 1
    message, hint = lines_of(run("index", "--forget", indexed))
    assert "is not a folder of this index" in message
    assert hint


def test_large_files_are_skipped_by_the_limit_given(run, fake_encoder, write_notes):
    folder = write_notes({"small.md": "Text", "large.md": "word " * 1000})
    assert json.loads(run("index", folder, "--json").out)["notes"] == 2
    report = json.loads(run("index", folder, "--json", "--max-file-bytes", "1000").out)
    assert [Path(entry["path"]).name for entry in report["skipped"]] == ["large.md"]


def test_there_is_a_progress_bar_where_stderr_is_a_terminal(run, fake_encoder, write_notes, terminals):
    terminals.add("stderr")
    folder = write_notes(NOTES)
    assert "Indexing notes" in run("index", folder).err
    assert "Indexing notes" not in run("index", folder, "--quiet").err


def test_ctrl_c_while_indexing_exits_with_130_and_keeps_the_index(run, indexed, fake_encoder):
    (indexed / "new.md").write_text("Tulips in spring")
    fake_encoder.passages_left = 0
    done = run("index", indexed)
    assert (done.code, done.out) == (130, "")
    assert "Traceback" not in done.err
    fake_encoder.passages_left = None
    assert run("search", "lentils").code == 0
    assert run("index", indexed).err.startswith("1 note added")


def test_forget_without_a_folder_is_refused(run):
    done = run("index", "--forget")
    assert done.code == 2
    assert "--forget was given without a folder" in done.err
