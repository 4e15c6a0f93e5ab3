import os
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from storage.building import as_nobody

from notesearch.errors import IndexMissing, UsageError
from notesearch.library.index import sync_index
from notesearch.library.status import find_stale, take_stock, why
from notesearch.settings import Settings
from notesearch.storage.database import acquire_lock

NOTES = {
    "cap.md": "---\ntags: [databases, theory]\n---\n# CAP theorem\n\nConsistency or availability.",
    "cooking/dal.md": "# Dal\n\nLentils, turmeric, salt.",
    "picture.md": "\0\1\2binary\0",
}
LONG_AGO = 1_700_000_000


@pytest.fixture
def folder(tmp_path) -> Path:
    for name, text in NOTES.items():
        write(tmp_path / "notes" / name, text)
    return tmp_path / "notes"


def write(path: Path, text: str, when: int = LONG_AGO) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (when, when))
    return path


@pytest.fixture
def settings(fake_encoder, folder, tmp_path, monkeypatch) -> Settings:
    """Those of an index of the notes."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = Settings(tmp_path / "index")
    sync_index(made, [folder])
    return made


def drift(settings: Settings) -> tuple[int, int, int]:
    """How many files have changed, are new, are gone."""
    (status,) = take_stock(settings).folders
    return status.changed, status.new, status.gone


def test_what_is_indexed(settings, folder):
    status = take_stock(settings)
    assert (status.notes, status.chunks, status.writing) == (2, 2, False)
    assert status.fingerprint.model == "all-MiniLM-L6-v2"
    (covered,) = status.folders
    assert (covered.path, covered.notes, covered.reachable) == (str(folder), 2, True)
    assert datetime.now(UTC) - covered.synced < timedelta(minutes=5)
    assert [(Path(entry.path).name, entry.reason) for entry in status.skipped] == [("picture.md", "binary file")]
    assert drift(settings) == (0, 0, 0)


def test_bytes_by_part(settings):
    parts = take_stock(settings).part_bytes
    assert parts.keys() == {"text", "words", "embeddings", "token_codes", "vector_file", "rest"}
    assert parts["vector_file"] == (settings.index_dir / "vectors.hnsw").stat().st_size
    assert sum(parts.values()) >= (settings.index_dir / "notes.db").stat().st_size


def test_files_that_have_changed_are_new_or_gone_are_counted(settings, folder):
    write(folder / "cap.md", NOTES["cap.md"], LONG_AGO + 1)
    assert drift(settings) == (0, 0, 0)
    write(folder / "cap.md", NOTES["cap.md"][::-1], LONG_AGO)
    assert drift(settings) == (1, 0, 0)
    write(folder / "tulips.md", "Tulips")
    write(folder / "more" / "roses.md", "Roses")
    assert drift(settings) == (1, 2, 0)
    (folder / "cooking" / "dal.md").unlink()
    assert drift(settings) == (1, 2, 1)
    sync_index(settings, [])
    assert drift(settings) == (0, 0, 0)


def test_what_is_ignored_counts_for_nothing(settings, folder):
    write(folder / "draft.md", "Draft")
    write(folder / ".gitignore", "draft.md\n")
    assert drift(settings) == (0, 0, 0)


def test_notes_in_a_folder_that_may_not_be_read_are_not_gone(settings, folder, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("cooking"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    assert drift(settings) == (0, 0, 0)


def test_a_note_that_was_indexed_as_it_was_saved_has_not_changed(settings, folder):
    (folder / "fresh.md").write_text("Just saved")
    sync_index(settings, [])
    assert drift(settings) == (0, 0, 0)
    (folder / "fresh.md").write_text("Saved once more")
    assert drift(settings) == (1, 0, 0)


def test_a_folder_that_is_gone_or_has_lost_everything_is_out_of_reach(settings, folder):
    folder.rename(folder.with_name("unmounted"))
    assert not take_stock(settings).folders[0].reachable
    folder.mkdir()
    (covered,) = take_stock(settings).folders
    assert (covered.reachable, covered.gone, covered.notes) == (False, 0, 2)


def test_a_process_that_writes_is_seen(settings):
    lock = acquire_lock(settings.index_dir)
    assert take_stock(settings).writing
    lock.release()
    assert not take_stock(settings).writing


def test_without_an_index_there_is_no_status(tmp_path):
    for ask in (
        take_stock,
        lambda settings: find_stale(settings, timedelta(1)),
        lambda settings: why(settings, tmp_path / "a.md"),
    ):
        with pytest.raises(IndexMissing):
            ask(Settings(tmp_path / "index"))


def test_a_read_only_index_has_a_status(settings, folder, public_index):
    assert as_nobody(lambda: take_stock(Settings(public_index)).notes) == 2


@pytest.fixture
def public_index(settings, tmp_path_factory):
    """A copy of the index that another user may read."""
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        target = Path(name, "index")
        shutil.copytree(settings.index_dir, target)
        target.chmod(0o755)
        for path in target.iterdir():
            path.chmod(0o644)
        yield target


def set_synced(settings: Settings, value: str) -> None:
    with closing(sqlite3.connect(settings.index_dir / "notes.db", isolation_level=None)) as connection:
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('synced', ?)", [value])


def test_a_folder_is_stale_by_its_age(settings, folder):
    assert find_stale(settings, timedelta(hours=1)) == []
    set_synced(settings, f'{{"{folder}": "2024-05-17T10:00:00+00:00"}}')
    (stale,) = find_stale(settings, timedelta(days=7))
    assert (stale.path, stale.synced, stale.reachable) == (str(folder), datetime(2024, 5, 17, 10, tzinfo=UTC), True)
    assert find_stale(settings, timedelta(days=40_000)) == []


def test_a_folder_that_was_never_brought_in_step_is_stale(settings):
    set_synced(settings, "{}")
    (stale,) = find_stale(settings, timedelta(days=40_000))
    assert stale.synced is None


def test_a_folder_out_of_reach_is_stale_however_fresh(settings, folder):
    folder.rename(folder.with_name("unmounted"))
    (stale,) = find_stale(settings, timedelta(hours=1))
    assert not stale.reachable


def test_a_folder_that_the_last_run_could_not_reach_goes_stale(settings, folder):
    set_synced(settings, f'{{"{folder}": "2024-05-17T10:00:00+00:00"}}')
    folder.rename(folder.with_name("unmounted"))
    sync_index(settings, [])
    folder.with_name("unmounted").rename(folder)
    assert [stale.path for stale in find_stale(settings, timedelta(days=7))] == [str(folder)]
    sync_index(settings, [])
    assert find_stale(settings, timedelta(days=7)) == []


def test_why_an_indexed_note(settings, folder):
    answer = why(settings, folder / "cap.md")
    assert (answer.state, answer.hint) == ("indexed", "")
    assert (answer.note.title, answer.note.tags, answer.note.chunks) == ("CAP theorem", ("databases", "theory"), 1)


def test_why_a_note_by_another_way_to_it(settings, folder, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(folder)
    assert why(settings, tmp_path / "link" / "cap.md").state == "indexed"
    (tmp_path / "cap-link.md").symlink_to(folder / "cap.md")
    assert why(settings, tmp_path / "cap-link.md").state == "indexed"
    monkeypatch.chdir(folder)
    assert why(settings, Path("cooking/../cap.md")).state == "indexed"


def test_why_a_note_that_has_changed_or_is_gone(settings, folder):
    write(folder / "cap.md", "Now otherwise")
    answer = why(settings, folder / "cap.md")
    assert (answer.state, answer.note.title) == ("changed", "CAP theorem")
    (folder / "cap.md").unlink()
    assert why(settings, folder / "cap.md").state == "gone"
    assert "notesearch index" in why(settings, folder / "cap.md").hint


@pytest.mark.parametrize(
    ("name", "state", "message"),
    [
        ("new.md", "new", "new"),
        (".hidden/a.md", "hidden", ".hidden"),
        ("cooking/.a.md", "hidden", ".a.md"),
        ("table.csv", "no note", ".md"),
        ("picture.md", "skipped", "binary file"),
        ("../elsewhere/a.md", "outside", "none of the folders"),
        ("large.md", "skipped", "too large"),
    ],
)
def test_why_a_file_that_is_not_in_the_index(settings, folder, name, state, message):
    if name != "picture.md":
        write(folder / name, "word " * (500_000 if name == "large.md" else 1))
    answer = why(settings, folder / name)
    assert (answer.state, answer.note) == (state, None)
    assert message in answer.message


def test_why_a_file_in_no_folder_of_the_index_says_how_to_add_it(settings, tmp_path):
    path = write(tmp_path / "my diary" / "a.md", "Text")
    assert why(settings, path).hint == f"Add its folder: notesearch index '{path.parent}'"


@pytest.mark.parametrize(
    ("ignored", "rules", "rule"),
    [
        ("draft.md", {".gitignore": "# drafts\n\ndraft*\n"}, ".gitignore:3: draft*"),
        ("old/a/b.md", {".notesearchignore": "/old/\n"}, ".notesearchignore:1: /old/"),
        ("old/a/b.md", {"old/.gitignore": "*.md\n!c.md\n"}, "old/.gitignore:1: *.md"),
        ("a.md", {".gitignore": "!a.md\n", ".notesearchignore": "a.md\n"}, ".notesearchignore:1: a.md"),
        ("a.md", {".gitignore": "a.md\n*\n!b.md\n"}, ".gitignore:2: *"),
    ],
)
def test_why_a_note_is_ignored_names_the_line(settings, folder, ignored, rules, rule):
    write(folder / ignored, "Text")
    for name, text in rules.items():
        write(folder / name, text)
    answer = why(settings, folder / ignored)
    assert answer.state == "ignored"
    assert f"{folder}/{rule}" in answer.message
    sync_index(settings, [])
    assert why(settings, folder / ignored).state == "ignored"


def test_a_line_that_lets_in_again_is_heeded(settings, folder):
    write(folder / "a.md", "Text")
    write(folder / ".gitignore", "*.md\n!a.md\n")
    assert why(settings, folder / "a.md").state == "new"


def test_why_something_that_is_no_note_at_all(settings, folder):
    assert why(settings, folder / "missing.md").state == "missing"
    assert why(settings, folder / os.fsdecode(b"caf\xe9.md")).state == "missing"
    with pytest.raises(UsageError):
        why(settings, folder / "cooking")


def test_status_needs_no_model_runtime(settings):
    import subprocess

    script = (
        "import sys; from pathlib import Path; from notesearch.settings import Settings\n"
        "from notesearch.library.status import take_stock, why\n"
        f"take_stock(Settings(Path({str(settings.index_dir)!r})))\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True)
    assert not {"torch", "onnxruntime", "tokenizers", "transformers", "hnswlib"} & set(done.stdout.split())
