import json
import re
import sqlite3

import pytest

from notesearch.cli.terminal import columns_of


@pytest.fixture
def index_dir(fake_models, indexed, tmp_path):
    """An index where commands look by default."""
    return tmp_path / "data" / "notesearch"


def damage(index_dir) -> None:
    data = bytearray((index_dir / "notes.db").read_bytes())
    data[16384 * 5 : 16384 * 12] = bytes(16384 * 7)
    (index_dir / "notes.db").write_bytes(data)


def rows(text: str) -> list[str]:
    """Lines with one space between words."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_all_is_well(run, index_dir):
    done = run("doctor")
    assert (done.code, done.err) == (0, "")
    assert {f"ok directory {index_dir}", "ok database notes.db is sound"} <= set(rows(done.out))
    assert [line for line in done.out.splitlines() if not line.startswith("ok ")] == [done.out.splitlines()[-1]]
    assert rows(done.out)[-1].startswith("versions notesearch 0")


def test_what_is_wrong_comes_with_what_to_do(run, index_dir):
    (index_dir / "notes.db").chmod(0o644)
    done = run("doctor", "--quiet")
    assert done.code == 1
    assert rows(done.out) == [
        f"wrong permissions other users may read {index_dir}/notes.db",
        "Repair it: notesearch doctor --repair",
    ]
    assert "\x1b" not in done.out


def test_in_a_window_of_80_columns_lines_fit_and_no_word_is_lost(run, index_dir, monkeypatch):
    whole = run("doctor").out.split()
    monkeypatch.setenv("COLUMNS", "80")
    done = run("doctor")
    assert max(map(columns_of, done.out.splitlines())) <= 80
    # How much space is free may change in between.
    assert re.sub(r"[0-9.]+", "", "".join(done.out.split())) == re.sub(r"[0-9.]+", "", "".join(whole))


def test_quiet_prints_only_what_is_not_well(run, index_dir, indexed):
    assert run("doctor", "--quiet").out == ""
    indexed.rename(indexed.with_name("unmounted"))
    done = run("doctor", "-q")
    assert done.code == 0, "a warning is no fault"
    assert rows(done.out)[0].startswith(f"warning folders cannot read {indexed}")
    assert " ok " not in done.out


def test_json(run, index_dir):
    done = run("doctor", "--json")
    report = json.loads(done.out)
    assert report.keys() == {"checks", "versions"}
    assert all(check.keys() == {"check", "state", "message", "hint"} for check in report["checks"])
    assert {check["state"] for check in report["checks"]} == {"ok"}
    assert report["versions"]["notesearch"]


def test_repair_says_what_it_did_and_how_things_are_then(run, index_dir, indexed):
    damage(index_dir)
    assert run("search", "lentils", "--quiet").code == 2
    assert run("doctor").code == 1
    done = run("doctor", "--repair")
    assert done.code == 0
    assert done.out.startswith("The index was made anew from the notes: 3 notes.\n")
    assert "ok database notes.db is sound" in rows(done.out)
    assert run("search", "lentils").code == 0


def test_repair_as_json(run, index_dir):
    with sqlite3.connect(index_dir / "notes.db") as connection:
        connection.execute("DELETE FROM embeddings WHERE chunk_id = 1")
    report = json.loads(run("doctor", "--repair", "--json").out)
    assert report["repaired"] == ["The index was made anew from the notes: 3 notes."]
    assert {check["state"] for check in report["checks"]} == {"ok"}
    assert json.loads(run("doctor", "--repair", "--json").out)["repaired"] == []


def test_what_cannot_be_repaired_stays_wrong(run, index_dir, indexed):
    damage(index_dir)
    indexed.rename(indexed.with_name("unmounted"))
    done = run("doctor", "--repair")
    assert done.code == 1
    assert "Are they mounted?" in done.out


def test_without_an_index(run):
    for arguments in (["doctor"], ["doctor", "--repair"], ["doctor", "--json"]):
        done = run(*arguments)
        assert (done.code, done.out) == (2, "")
        assert "there is no index" in done.err and "notesearch index FOLDER" in done.err


def test_another_writer_ends_a_repair_with_a_code_of_its_own(run, index_dir):
    from notesearch.storage.database import acquire_lock

    damage(index_dir)
    lock = acquire_lock(index_dir)
    done = run("doctor", "--repair")
    lock.release()
    assert done.code == 4
    assert "another process is writing" in done.err


def test_what_is_printed_is_harmless(run, index_dir, indexed, tmp_path):
    evil = tmp_path / "e\x1b[2Jvil"
    indexed.rename(evil)
    assert run("index", evil, "--quiet").code == 0
    evil.rename(tmp_path / "gone")
    assert "\x1b" not in run("doctor").out
    assert any("\x1b" in check["message"] for check in json.loads(run("doctor", "--json").out)["checks"])
