import json
import os
import sqlite3

import pytest

NOTES_DIR_TIME = 1_700_000_000


@pytest.fixture
def folder(indexed, run):
    """The notes, as they were long ago, and indexed."""
    for path in indexed.rglob("*.md"):
        os.utime(path, (NOTES_DIR_TIME, NOTES_DIR_TIME))
    (indexed / "picture.md").write_text("\0\1\2binary\0")
    assert run("index", "--quiet").code == 3
    return indexed


def set_synced(tmp_path, value: str) -> None:
    with sqlite3.connect(tmp_path / "data" / "notesearch" / "notes.db") as connection:
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('synced', ?)", [value])


def words(text: str) -> str:
    """A text without its line breaks."""
    return " ".join(text.split())


def test_for_people(run, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "500")  # a path that is longer than a line is broken
    done = run("status")
    assert (done.code, done.err) == (0, "")
    text = words(done.out)
    assert f"index {tmp_path}/data/notesearch model all-MiniLM-L6-v2 holds 3 notes, 3 chunks" in text
    assert f"folder {folder}: 3 notes, brought in step just now; nothing has changed since" in text
    assert f"skipped 1: binary file {folder}/picture.md" in text
    assert "a note): text " in text
    (folder / "new.md").write_text("New")
    (folder / "cap.md").write_text("Changed")
    (folder / "cooking" / "dal.md").unlink()
    assert "1 changed, 1 new, 1 gone since" in words(run("status").out)


def test_many_skipped_files_are_counted_by_reason_and_named_when_asked(run, folder):
    for number in range(6):
        (folder / f"x{number}.md").write_text("\0\1\2binary\0")
    (folder / "link.md").symlink_to(folder / "nowhere.md")
    for size in (1001, 1002):
        (folder / f"large{size}.md").write_text("x" * size)
    run("index", "--quiet", "--max-file-bytes", "1000")
    text = words(run("status").out)
    assert "skipped 7: binary file" in text and "… and 4 more; --verbose names them all" in text
    assert "skipped 1: broken symlink" in text
    assert "skipped 2: too large" in text
    assert run("status", "-v").out.count(".md\n") == 10


def test_json(run, folder):
    status = json.loads(run("status", "--json").out)
    assert status.keys() >= {"index_dir", "model", "notes", "chunks", "bytes", "folders", "skipped", "writing"}
    assert (status["notes"], status["chunks"], status["writing"]) == (3, 3, False)
    (covered,) = status["folders"]
    assert (covered["path"], covered["notes"], covered["changed"], covered["reachable"]) == (str(folder), 3, 0, True)
    assert covered["synced"].endswith("+00:00")
    assert status["skipped"] == [{"path": str(folder / "picture.md"), "reason": "binary file"}]
    assert set(status["bytes"]) == {"text", "words", "embeddings", "token_codes", "vector_file", "rest"}


def test_quiet_is_silent(run, folder):
    done = run("status", "--quiet", "--fail-if-stale", "1h")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_stale_folders_are_told_in_one_line(run, folder, tmp_path):
    set_synced(tmp_path, json.dumps({str(folder): "2024-05-17T10:00:00+00:00"}))
    done = run("status", "-q", "--fail-if-stale", "7d")
    assert (done.code, done.out) == (1, "")
    (line,) = done.err.splitlines()
    assert line.startswith(f"notesearch: stale: {folder}: brought in step ") and line.endswith(" days ago")
    assert run("status", "--fail-if-stale", "7d").out.startswith("index ")
    set_synced(tmp_path, "{}")
    assert "not brought in step since" in run("status", "-q", "--fail-if-stale", "7d").err


def test_a_folder_out_of_reach_is_stale(run, folder):
    folder.rename(folder.with_name("unmounted"))
    done = run("status", "-q", "--fail-if-stale", "24h")
    assert done.code == 1
    assert f"{folder}: cannot be reached" in done.err
    assert "cannot be reached now" in words(run("status").out)


def test_an_age_that_is_none(run, folder):
    done = run("status", "--fail-if-stale", "often")
    assert (done.code, done.out) == (2, "")
    assert "'often'" in done.err


def test_why(run, folder):
    done = run("status", "--why", folder / "cap.md")
    assert done.code == 0
    assert done.out.splitlines() == [
        str(folder / "cap.md"),
        "  indexed: it is in the index as it is",
        "  CAP theorem (1 chunk) #databases #theory",
    ]
    assert "binary file" in words(run("status", "--why", folder / "picture.md").out)


def test_why_says_what_is_data(run, folder):
    image = f"![](data:image/png;base64,{'iVBORw0KGgo1' * 2000})"
    (folder / "images.md").write_text(f"# Lamps\n\nOil\n\n{image}\n" + f"\n{image}" * 4)
    run("index")
    said = words(run("status", "--why", folder / "images.md").out)
    assert "120.1 kB of data is not indexed: an image at line 5, an image at line 7, an image at line 8" in said
    assert "and 2 more" in said
    data = json.loads(run("status", "--json", "--why", folder / "images.md").out)["data"]
    assert data[0] == {"what": "an image", "line": 5, "bytes": 24_027} and len(data) == 5


def test_why_as_json(run, folder):
    answer = json.loads(run("status", "--json", "--why", folder / "cap.md").out)
    assert answer["state"] == "indexed"
    assert (answer["title"], answer["tags"], answer["chunks"]) == ("CAP theorem", ["databases", "theory"], 1)
    answer = json.loads(run("status", "--json", "--why", folder / "none.md").out)
    assert (answer["state"], answer["title"], answer["chunks"]) == ("missing", None, 0)


def test_why_names_that_are_no_text(run, folder):
    path = os.fsdecode(os.fsencode(folder) + b"/caf\xe9\x1b[2J.md")
    done = run("status", "--why", path)
    assert done.code == 1 and "missing" in done.out and "\x1b" not in done.out
    assert json.loads(run("status", "--json", "--why", path).out)["state"] == "missing"


def test_without_an_index(run, tmp_path):
    for arguments in (["status"], ["status", "--why", tmp_path / "a.md"], ["status", "-q", "--fail-if-stale", "1h"]):
        done = run(*arguments)
        assert (done.code, done.out) == (2, "")
        assert "there is no index" in done.err


def test_why_of_a_file_that_is_not_there_exits_with_1(run, folder):
    assert run("status", "--why", folder / "cap.md").code == 0
    assert run("status", "--why", folder / "none.md").code == 1
    (folder / "cap.md").unlink()
    assert run("status", "--why", folder / "cap.md").code == 1
