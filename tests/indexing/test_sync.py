import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from notesearch import files, open_index
from notesearch.encoders import PreparedModel, models
from notesearch.errors import FolderUnreadable, IndexMismatch, IndexMissing, StoreError, UsageError
from notesearch.indexing import Synchronizer, batches, sync
from notesearch.library.index import forget_folder, sync_index
from notesearch.notes import NoteFile
from notesearch.records import Chunking, IndexReport, Skipped
from notesearch.settings import Settings
from notesearch.storage import IndexReader
from notesearch.storage.writer import IndexWriter

from .vault import CHUNKING, Vault, changes, contents, paths_of, run_index

Index = Callable[..., IndexReport]

LONG_NOTE = "\n\n".join(
    f"## Part {part}\n\n" + " ".join(f"{part}{word}" for word in "alpha beta gamma delta epsilon zeta eta".split())
    for part in "abcdefgh"
)


@pytest.fixture
def fresh(tmp_path: Path, fake_model: PreparedModel) -> Callable[..., dict[str, Any]]:
    """What an index made from nothing holds."""

    def make(*folders: Path, **options: Any) -> dict[str, Any]:
        directory = tmp_path / "fresh-index"
        shutil.rmtree(directory, ignore_errors=True)
        run_index(directory, fake_model, *folders, **options)
        return contents(directory)

    return make


class TestChanges:
    @pytest.fixture(autouse=True)
    def notes(self, vault: Vault, index: Index) -> None:
        vault.write("a.md", "# Tea\n\nGreen tea and black tea")
        vault.write("sub/b.md", "# Coffee\n\nEspresso")
        vault.write("long.md", f"# Long\n\n{LONG_NOTE}")
        index(vault.root)

    @pytest.fixture(autouse=True)
    def like_new(self, notes: None, index_dir: Path, vault: Vault, fresh: Callable[..., Any]) -> Iterator[None]:
        """After each test the index is as one made from nothing."""
        yield
        assert contents(index_dir) == fresh(vault.root)

    def test_new_notes(self, vault: Vault, index: Index, index_dir: Path) -> None:
        vault.write("c.md", "# New\n\ntext")
        report = index(vault.root)
        assert changes(report) == {"added": 1, "unchanged": 3, "encoded": 1}
        assert report.notes == 4
        assert report.chunks == len(contents(index_dir)["chunks"])

    def test_nothing_changed(self, vault: Vault, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(models, "open_encoder", None)  # neither opened nor
            patch.setattr(sync, "read_bytes", None)  # read
            assert changes(index(vault.root)) == {"unchanged": 3}
            assert changes(index()) == {"unchanged": 3}

    def test_an_edited_note(self, vault: Vault, index: Index) -> None:
        vault.write("a.md", "# Tea\n\nOolong")
        assert changes(index(vault.root)) == {"updated": 1, "unchanged": 2, "encoded": 1}

    def test_an_edit_that_keeps_the_size(self, vault: Vault, index: Index) -> None:
        vault.write("a.md", "# Tea\n\nGreen tea and white tea")
        assert changes(index(vault.root)) == {"updated": 1, "unchanged": 2, "encoded": 1}

    def test_an_edit_that_keeps_the_time(self, vault: Vault, index: Index) -> None:
        before = (vault.root / "a.md").stat()
        (vault.root / "a.md").write_text("# Tea\n\nLonger than before, and with an old time of change")
        os.utime(vault.root / "a.md", ns=(before.st_atime_ns, before.st_mtime_ns))
        assert changes(index(vault.root)) == {"updated": 1, "unchanged": 2, "encoded": 1}

    def test_one_section_of_a_long_note(self, vault: Vault, index: Index, fake_encoder: Any) -> None:
        chunks = index(vault.root).chunks
        fake_encoder.encoded.clear()
        vault.write("long.md", f"# Long\n\n{LONG_NOTE}".replace("dgamma", "changed"))
        report = index(vault.root)
        assert changes(report) == {"updated": 1, "unchanged": 2, "encoded": 1}
        assert report.chunks == chunks > 8
        assert ["changed" in passage for passage in fake_encoder.encoded] == [True]

    def test_lines_put_in_front_move_the_chunks_but_not_their_vectors(
        self, vault: Vault, index: Index, index_dir: Path
    ) -> None:
        before = {chunk[7]: chunk for chunk in contents(index_dir)["chunks"]}
        vault.write("a.md", "---\ntags: [new]\n---\n# Tea\n\nGreen tea and black tea")
        assert changes(index(vault.root)) == {"updated": 1, "unchanged": 2}
        after = {chunk[7]: chunk for chunk in contents(index_dir)["chunks"]}
        text = "# Tea\n\nGreen tea and black tea"
        assert (before[text][4], after[text][4]) == (1, 4)
        assert before[text][-1] == after[text][-1]

    def test_a_removed_note(self, vault: Vault, index: Index) -> None:
        vault.delete("long.md")
        report = index(vault.root)
        assert changes(report) == {"removed": 1, "unchanged": 2}
        assert (report.notes, report.chunks) == (2, 2)

    def test_all_notes_removed(self, vault: Vault, index: Index) -> None:
        for name in ("a.md", "sub/b.md", "long.md"):
            vault.delete(name)
        report = index(vault.root)
        assert (report.removed, report.notes, report.chunks) == (3, 0, 0)

    @pytest.mark.parametrize("new", ["renamed.md", "other/a.md", "sub/a.md"])
    def test_a_renamed_note(self, vault: Vault, index: Index, new: str) -> None:
        vault.rename("a.md", new)
        assert changes(index(vault.root)) == {"renamed": 1, "unchanged": 2}

    def test_a_renamed_folder(self, vault: Vault, index: Index) -> None:
        vault.rename("sub", "moved")
        assert changes(index(vault.root)) == {"renamed": 1, "unchanged": 2}

    def test_a_note_titled_by_its_name_has_a_new_title_when_it_is_renamed(self, vault: Vault, index: Index) -> None:
        vault.write("Old name.txt", "just text")
        index(vault.root)
        vault.rename("Old name.txt", "New name.txt")
        assert changes(index(vault.root)) == {"renamed": 1, "unchanged": 3, "encoded": 1}

    def test_a_renamed_and_edited_note_is_a_new_one(self, vault: Vault, index: Index) -> None:
        vault.rename("a.md", "c.md")
        vault.write("c.md", "# Tea\n\nGreen tea and black tea and mate")
        assert changes(index(vault.root)) == {"added": 1, "removed": 1, "unchanged": 2, "encoded": 1}

    def test_a_renamed_note_that_replaces_another(self, vault: Vault, index: Index) -> None:
        vault.rename("a.md", "sub/b.md")
        assert changes(index(vault.root)) == {"updated": 1, "removed": 1, "unchanged": 1}

    def test_two_notes_that_change_places(self, vault: Vault, index: Index) -> None:
        vault.rename("a.md", "x.md")
        vault.rename("sub/b.md", "a.md")
        vault.rename("x.md", "sub/b.md")
        assert changes(index(vault.root)) == {"updated": 2, "unchanged": 1}

    def test_a_copied_note_takes_the_vectors_that_are_there(self, vault: Vault, index: Index) -> None:
        vault.write("long.md", f"---\ntitle: Parts\n---\n{LONG_NOTE}")
        index(vault.root)
        shutil.copy(vault.root / "long.md", vault.root / "copy.md")
        assert changes(index(vault.root)) == {"added": 1, "unchanged": 3}

    def test_copies_that_are_new_together_are_encoded_once(self, vault: Vault, index: Index) -> None:
        vault.write("one.md", "---\ntitle: Same\n---\nthe same text")
        vault.write("two.md", "---\ntitle: Same\n---\nthe same text")
        assert changes(index(vault.root)) == {"added": 2, "unchanged": 3, "encoded": 1}

    def test_one_of_two_equal_notes_is_renamed(self, vault: Vault, index: Index) -> None:
        vault.write("a.md", "---\ntitle: Coffee\n---\nEspresso")
        vault.write("copy.md", "---\ntitle: Coffee\n---\nEspresso")
        index(vault.root)
        vault.rename("copy.md", "copy 2.md")
        assert changes(index(vault.root)) == {"renamed": 1, "unchanged": 3}

    def test_a_touched_note_is_unchanged_but_for_its_date(
        self, vault: Vault, index: Index, index_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = contents(index_dir)["notes"][0]
        vault.touch("a.md")
        assert changes(index(vault.root)) == {"unchanged": 3}
        assert contents(index_dir)["notes"][0][3] > before[3]
        with monkeypatch.context() as patch:
            patch.setattr(sync, "read_bytes", None)  # the new time is known now
            assert changes(index(vault.root)) == {"unchanged": 3}

    def test_an_empty_note(self, vault: Vault, index: Index, index_dir: Path) -> None:
        vault.write("Empty.md", "")
        assert index(vault.root).added == 1
        assert str(vault.root / "Empty.md") in paths_of(index_dir)

    def test_a_note_that_becomes_empty(self, vault: Vault, index: Index) -> None:
        vault.write("a.md", "")
        assert index(vault.root).updated == 1

    def test_tags_links_and_dates_are_kept(self, vault: Vault, index: Index, index_dir: Path) -> None:
        vault.write("a.md", "---\ntags: [One, two/three]\ndate: 2020-02-03\n---\n# Tea\n\nSee [[Coffee|that]] #four")
        index(vault.root)
        found = contents(index_dir)
        assert [row[2] for row in found["tags"]] == ["One", "two/three", "four"]
        assert [row[2:] for row in found["links"]] == [("Coffee", "that", "wiki")]
        assert found["notes"][0][3] == "2020-02-03T00:00:00"

    def test_names_of_all_kinds(self, vault: Vault, index: Index, index_dir: Path) -> None:
        names = ["with space.md", "quote'\".md", "line\nbreak.md", "日本語.md", "100%_[x].md", "-flag.md"]
        for name in names:
            vault.write(name, f"# Title\n\n{len(name)}")
        assert index(vault.root).added == len(names)
        assert {str(vault.root / name) for name in names} <= set(paths_of(index_dir))


@pytest.fixture
def poor_stamps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of files, only size and time are known, as on FAT."""
    monkeypatch.setattr(files.Stamp, "of", lambda status: files.Stamp(status.st_size, status.st_mtime_ns))


class TestChangesThatKeepSizeAndTime:
    @staticmethod
    def edit(path: Path, text: str) -> None:
        before = path.stat()
        path.write_text(text)
        assert path.stat().st_size == before.st_size
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def test_an_edit(self, vault: Vault, index: Index) -> None:
        path = vault.write("a.md", "# Tea\n\nGreen tea")
        index(vault.root)
        self.edit(path, "# Tea\n\nWhite tea")
        assert changes(index(vault.root)) == {"updated": 1, "encoded": 1}

    def test_two_notes_that_swap_names(self, vault: Vault, index: Index, index_dir: Path) -> None:
        paths = [vault.write("a.md", "# A\n\ngreen"), vault.write("b.md", "# B\n\nblack")]
        for path in paths:
            os.utime(path, (1_700_000_000, 1_700_000_000))
        index(vault.root)
        paths[0].rename(vault.root / "other")
        paths[1].rename(paths[0])
        (vault.root / "other").rename(paths[1])
        assert changes(index(vault.root)) == {"updated": 2}
        assert [row[2] for row in contents(index_dir)["notes"]] == ["B", "A"]

    def test_files_with_other_inodes_are_read_once_and_are_no_change(
        self, vault: Vault, index: Index, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = vault.write("a.md", "# Tea")
        index(vault.root)
        shutil.copy2(path, vault.root / "copy")
        (vault.root / "copy").rename(path)
        with monkeypatch.context() as patch:
            patch.setattr(models, "open_encoder", None)
            patch.setattr(sync, "note_from_bytes", None)  # a document is not converted
            assert changes(index(vault.root)) == {"unchanged": 1}
            patch.setattr(sync, "read_bytes", None)
            assert changes(index(vault.root)) == {"unchanged": 1}

    def test_what_no_stamp_tells_a_check_of_all_notes_does(
        self, vault: Vault, index: Index, poor_stamps: None, fake_encoder: Any
    ) -> None:
        path = vault.write("a.md", "# Tea\n\nGreen tea")
        vault.write("b.md", "# Bread")
        index(vault.root)
        self.edit(path, "# Tea\n\nWhite tea")
        assert changes(index(vault.root)) == {"unchanged": 2}
        assert changes(index(vault.root, check=True)) == {"updated": 1, "unchanged": 1, "encoded": 1}

    def test_numbers_that_no_database_holds(self, vault: Vault, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
        path, of = vault.write("a.md", "# Tea"), files.Stamp.of
        numbers = {"st_size": 5, "st_mtime_ns": 10**20, "st_ctime_ns": -(10**20), "st_ino": 2**64 - 2}
        monkeypatch.setattr(files.Stamp, "of", lambda status: of(SimpleNamespace(**numbers)))
        monkeypatch.setattr("time.time_ns", lambda: 10**21)
        assert changes(index(path.parent)) == {"added": 1, "encoded": 1}
        monkeypatch.setattr(sync, "read_bytes", None)
        assert changes(index(path.parent)) == {"unchanged": 1}


class TestRecentFiles:
    """A file may be written once more within one tick of the clock, and have the size and the times that it had."""

    @pytest.fixture(autouse=True)
    def tick(self, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(files, "_TICK_NS", 2_000_000_000)

    def test_an_edit_that_keeps_size_and_time_is_noticed(
        self, vault: Vault, index: Index, index_dir: Path, fresh: Callable[..., Any], poor_stamps: None
    ) -> None:
        path = vault.write("a.md", "# Tea\n\nGreen tea")
        now_ns = time.time_ns()
        os.utime(path, ns=(now_ns, now_ns))
        index(vault.root)
        path.write_text("# Tea\n\nWhite tea")
        os.utime(path, ns=(now_ns, now_ns))
        assert changes(index(vault.root)) == {"updated": 1, "encoded": 1}
        assert contents(index_dir)["chunks"] == fresh(vault.root)["chunks"]

    def test_once_its_time_is_past_a_file_is_not_read_again(
        self, vault: Vault, index: Index, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = vault.write("a.md", "# Tea\n\nGreen tea")
        future_ns = time.time_ns() + 10**15
        os.utime(path, ns=(future_ns, future_ns))
        assert changes(index(vault.root)) == {"added": 1, "encoded": 1}
        assert changes(index(vault.root)) == {"unchanged": 1}
        monkeypatch.setattr("time.time_ns", lambda: future_ns + 10**10)
        assert changes(index(vault.root)) == {"unchanged": 1}
        monkeypatch.setattr(sync, "read_bytes", None)
        assert changes(index(vault.root)) == {"unchanged": 1}


class TestSynced:
    """The index knows when each of its folders was last brought in step."""

    @staticmethod
    def synced(index_dir: Path) -> dict[str, datetime]:
        with closing(IndexReader(index_dir)) as reader:
            return reader.synced()

    def test_the_beginning_of_the_run_counts(
        self, vault: Vault, index: Index, index_dir: Path, fake_encoder: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vault.write("a.md", "text")
        read_at: list[datetime] = []

        def read(file: NoteFile) -> bytes:
            read_at.append(datetime.now(UTC))
            return file.path.read_bytes()

        monkeypatch.setattr(sync, "read_bytes", read)
        before = datetime.now(UTC).replace(microsecond=0)
        index(vault.root)
        assert before <= self.synced(index_dir)[str(vault.root)] <= read_at[0]

    def test_a_part_of_a_folder_is_not_the_folder(self, vault: Vault, index: Index, index_dir: Path) -> None:
        vault.write("sub/a.md", "text")
        index(vault.root)
        first = self.synced(index_dir)
        index(vault.root / "sub")
        assert self.synced(index_dir) == first

    def test_a_folder_that_was_not_reached_keeps_its_time(
        self, vault: Vault, index: Index, index_dir: Path, tmp_path: Path
    ) -> None:
        vault.write("a.md", "text")
        index(vault.root)
        first = self.synced(index_dir)
        vault.root.rename(tmp_path / "unmounted")
        index()
        vault.root.mkdir()  # a mount point without its disk
        index()
        assert self.synced(index_dir) == first

    def test_a_rebuild_counts_too(self, vault: Vault, index: Index, index_dir: Path) -> None:
        vault.write("a.md", "text")
        index(vault.root, rebuild=True)
        assert list(self.synced(index_dir)) == [str(vault.root)]


class TestUnreadable:
    @pytest.fixture(autouse=True)
    def notes(self, vault: Vault, index: Index) -> None:
        vault.write("a.md", "# Tea\n\nGreen tea")
        vault.write("b.md", "# Coffee\n\nEspresso")
        index(vault.root)

    def test_broken_front_matter_is_told_and_the_note_indexed(
        self, vault: Vault, index: Index, index_dir: Path
    ) -> None:
        path = vault.write("broken.md", "---\ntags: [never closed\n---\n# Title\n\nfindable words")
        report = index(vault.root)
        assert [entry.path for entry in report.problems] == [str(path)]
        assert "front matter" in report.problems[0].reason
        assert (report.added, report.skipped) == (1, ())
        assert "findabl" in {row[3] for row in contents(index_dir)["words"]}

    def test_what_is_skipped_is_told_and_recorded(self, vault: Vault, index: Index, index_dir: Path) -> None:
        vault.write("binary.md", b"\0\1\2" * 100)
        vault.write("huge.md", "x" * 100_001)
        (vault.root / "nowhere.md").symlink_to("missing")
        for report in (index(vault.root), index(vault.root)):
            reasons = {Path(entry.path).name: entry.reason for entry in report.skipped}
            assert set(reasons) == {"binary.md", "huge.md", "nowhere.md"}
            assert reasons["binary.md"] == "binary file"
            assert "too large" in reasons["huge.md"]
            assert reasons["nowhere.md"] == "broken symlink"
            assert report.notes == 2
            assert dict(contents(index_dir)["skipped"]) == {str(vault.root / name): reasons[name] for name in reasons}
        for name in reasons:
            vault.delete(name)
        assert index(vault.root).skipped == ()
        assert contents(index_dir)["skipped"] == []

    def test_ignore_files_of_the_whole_hold_when_a_part_is_indexed(self, vault: Vault, index: Index) -> None:
        vault.write(".gitignore", "drafts/\n")
        vault.write("sub/drafts/c.md", "text")
        vault.write("sub/d.md", "text")
        index(vault.root)
        assert index(vault.root / "sub").notes == 3
        assert index(vault.root / "sub" / "drafts").notes == 3

    def test_indexing_a_part_keeps_the_record_of_the_rest(self, vault: Vault, index: Index, index_dir: Path) -> None:
        vault.write("sub/c.md", "text")
        (vault.root / "nowhere.md").symlink_to("missing")
        index(vault.root)
        index(vault.root / "sub")
        assert [row[0] for row in contents(index_dir)["skipped"]] == [str(vault.root / "nowhere.md")]

    @pytest.mark.parametrize(
        "error", [FileNotFoundError(2, "gone"), PermissionError(13, "no"), OSError(5, "I/O error")]
    )
    def test_a_note_that_cannot_be_read_now_keeps_its_place(
        self, vault: Vault, index: Index, index_dir: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
    ) -> None:
        before = contents(index_dir)
        vault.touch("a.md")
        vault.touch("b.md")
        real_open = os.open

        def failing_open(path: Any, *arguments: Any, **options: Any) -> int:
            if os.fspath(path).endswith("a.md"):
                raise error
            return real_open(path, *arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, "open", failing_open)
            report = index(vault.root)
        assert [Path(entry.path).name for entry in report.skipped] == ["a.md"]
        assert changes(report) == {"unchanged": 1}
        after = contents(index_dir)
        assert (after["notes"][0], after["chunks"], after["words"]) == (
            before["notes"][0],
            before["chunks"],
            before["words"],
        )

    @pytest.mark.parametrize("content", [b"\0\1\2" * 100, b"x" * 100_001], ids=["binary", "too large"])
    def test_a_note_that_cannot_be_a_note_any_more_is_forgotten(
        self, vault: Vault, index: Index, index_dir: Path, content: bytes
    ) -> None:
        vault.write("a.md", content)
        report = index(vault.root)
        assert (report.removed, len(report.skipped)) == (1, 1)
        assert "green" not in {row[3] for row in contents(index_dir)["words"]}

    def test_an_empty_folder_that_was_full_is_forgotten_only_when_it_is_named(self, vault: Vault, index: Index) -> None:
        vault.delete("a.md")
        vault.delete("b.md")
        report = index()
        assert (report.notes, report.removed) == (2, 0)
        assert "its notes are kept until it is named" in report.skipped[0].reason
        assert index(vault.root).notes == 0

    def test_a_new_note_that_disappears_while_it_is_read(
        self, vault: Vault, index: Index, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vault.write("new.md", "text")
        real_read = sync.read_bytes

        def delete_and_read(file: NoteFile) -> bytes:
            if file.path.name == "new.md":
                file.path.unlink()
            return real_read(file)

        monkeypatch.setattr(sync, "read_bytes", delete_and_read)
        report = index(vault.root)
        assert report.skipped == (Skipped(str(vault.root / "new.md"), "file disappeared", for_now=True),)
        assert report.notes == 2

    def test_the_notes_of_a_folder_that_cannot_be_listed_are_kept(
        self, vault: Vault, index: Index, index_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vault.write("sub/c.md", "text")
        index(vault.root)
        real_scandir = os.scandir

        def failing_scandir(path: Any) -> Any:
            if os.fspath(path).endswith("sub"):
                raise PermissionError(13, "Permission denied")
            return real_scandir(path)

        with monkeypatch.context() as patch:
            patch.setattr(os, "scandir", failing_scandir)
            report = index(vault.root)
        assert report.skipped == (Skipped(str(vault.root / "sub"), "permission denied", for_now=True),)
        assert str(vault.root / "sub" / "c.md") in paths_of(index_dir)

    def test_a_note_that_is_ignored_from_now_on_is_removed(self, vault: Vault, index: Index) -> None:
        vault.write(".notesearchignore", "a.md\n")
        assert changes(index(vault.root)) == {"removed": 1, "unchanged": 1}


class TestFolders:
    @pytest.fixture(autouse=True)
    def notes(self, vault: Vault) -> None:
        vault.write("work/plan.md", "# Plan\n\nDo it")
        vault.write("work/deep/idea.md", "# Idea\n\nThink of it")
        vault.write("home/list.md", "# List\n\nMilk")

    def test_no_folder_at_all(self, index: Index, index_dir: Path) -> None:
        with pytest.raises(UsageError) as caught:
            index()
        assert "notesearch index ~/notes" in caught.value.hint
        with pytest.raises(IndexMissing):
            IndexReader(index_dir)

    def test_an_empty_folder(self, vault: Vault, index: Index, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        assert changes(index(tmp_path / "empty")) == {}

    @pytest.mark.parametrize("kind", ["missing", "file"])
    def test_a_folder_that_is_none_leaves_the_index_as_it_was(
        self, vault: Vault, index: Index, index_dir: Path, kind: str
    ) -> None:
        index(vault.root / "work")
        before = contents(index_dir)
        bad = vault.root / "nowhere" if kind == "missing" else vault.root / "home" / "list.md"
        for folders in ((bad,), (vault.root / "home", bad)):
            for rebuild in (False, True):
                with pytest.raises(FolderUnreadable, match=bad.name):
                    index(*folders, rebuild=rebuild)
                assert contents(index_dir) == before

    def test_a_covered_folder_that_is_missing_keeps_its_notes(
        self, vault: Vault, index: Index, index_dir: Path
    ) -> None:
        index(vault.root / "work", vault.root / "home")
        before = contents(index_dir)
        vault.rename("work", "unmounted")
        report = index()
        assert changes(report) == {"unchanged": 1}
        assert [entry.path for entry in report.skipped] == [str(vault.root / "work")]
        assert report.skipped[0].reason.endswith("its notes are kept")
        assert contents(index_dir) == before
        vault.rename("unmounted", "work")
        assert changes(index()) == {"unchanged": 3}

    @pytest.mark.parametrize("order", ["parent child", "child parent", "child parent child"])
    def test_a_folder_and_one_inside_it_at_once(
        self, vault: Vault, index: Index, index_dir: Path, fresh: Callable[..., Any], order: str
    ) -> None:
        named = {"parent": vault.root, "child": vault.root / "work"}
        assert changes(index(*(named[name] for name in order.split()))) == {"added": 3, "encoded": 3}
        assert contents(index_dir) == fresh(vault.root)
        assert changes(index()) == {"unchanged": 3}

    @pytest.mark.parametrize("order", [["work", "."], [".", "work"], ["work/deep", "work", "."], ["home", "work", "."]])
    def test_a_folder_and_one_inside_it_one_after_the_other(
        self, vault: Vault, index: Index, index_dir: Path, fresh: Callable[..., Any], order: list[str]
    ) -> None:
        encoded = sum(index(vault.root / name).encoded for name in order)
        assert encoded == 3
        assert contents(index_dir) == fresh(vault.root)

    def test_indexing_a_part_leaves_the_rest_alone(self, vault: Vault, index: Index) -> None:
        index(vault.root)
        vault.delete("home/list.md")
        vault.write("work/plan.md", "# Plan\n\nChanged")
        assert changes(index(vault.root / "work")) == {"updated": 1, "unchanged": 1, "encoded": 1}
        assert changes(index()) == {"removed": 1, "unchanged": 2}

    def test_a_note_moved_between_two_folders(self, vault: Vault, index: Index, index_dir: Path) -> None:
        index(vault.root / "work", vault.root / "home")
        vault.rename("work/plan.md", "home/plan.md")
        assert changes(index()) == {"renamed": 1, "unchanged": 2}
        assert contents(index_dir)["notes"][1][:2] == (
            str(vault.root / "home" / "plan.md"),
            str(vault.root / "home"),
        )

    def test_a_folder_whose_name_begins_like_another(self, vault: Vault, index: Index) -> None:
        vault.write("work2/x.md", "# X\n\nx")
        index(vault.root / "work", vault.root / "work2")
        assert changes(index(vault.root / "work")) == {"unchanged": 2}
        assert changes(index()) == {"unchanged": 3}

    def test_the_root_directory(self, vault: Vault, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
        real_find = sync.find_notes
        monkeypatch.setattr(sync, "find_notes", lambda root, **options: real_find(vault.root, **options))
        assert changes(index(Path("/"))) == {"added": 3, "encoded": 3}
        assert changes(index()) == {"unchanged": 3}

    def test_a_folder_by_another_name_is_the_same_folder(self, vault: Vault, index: Index, index_dir: Path) -> None:
        index(vault.root)
        link = vault.root.with_name("link")
        link.symlink_to(vault.root)
        assert changes(index(link)) == {"unchanged": 3}
        assert changes(index(vault.root / "home" / "..")) == {"unchanged": 3}
        assert contents(index_dir)["folders"] == [(str(vault.root),)]

    def test_a_forgotten_folder(self, vault: Vault, index: Index, index_dir: Path, fresh: Callable[..., Any]) -> None:
        index(vault.root / "work", vault.root / "home")
        settings = Settings(index_dir)
        assert forget_folder(settings, vault.root / "work") == 2
        assert contents(index_dir) == fresh(vault.root / "home")
        assert (vault.root / "work" / "plan.md").exists()
        with pytest.raises(UsageError, match="not a folder of this index") as caught:
            forget_folder(settings, vault.root / "work")
        assert str(vault.root / "home") in caught.value.hint

    def test_nothing_is_written_into_the_notes_folder(self, vault: Vault, index: Index) -> None:
        before = sorted((path, path.stat().st_mtime_ns) for path in vault.root.rglob("*"))
        index(vault.root)
        index(vault.root, rebuild=True)
        assert sorted((path, path.stat().st_mtime_ns) for path in vault.root.rglob("*")) == before


class TestFingerprint:
    @pytest.fixture(autouse=True)
    def notes(self, vault: Vault, index: Index) -> None:
        vault.write("work/plan.md", "# Plan\n\nDo it")
        vault.write("home/list.md", "# List\n\nMilk")
        index(vault.root / "work", vault.root / "home")

    def test_another_model_is_refused(
        self, vault: Vault, index_dir: Path, other_model: PreparedModel, fake_model: PreparedModel
    ) -> None:
        before = contents(index_dir)
        with pytest.raises(IndexMismatch) as caught:
            run_index(index_dir, other_model)
        assert fake_model.config.name in caught.value.message
        assert "--rebuild" in caught.value.hint
        assert contents(index_dir) == before

    def test_another_chunking_is_refused(self, index: Index, index_dir: Path) -> None:
        before = contents(index_dir)
        with pytest.raises(IndexMismatch, match="chunk settings"):
            index(chunking=Chunking(budget_tokens=99))
        assert contents(index_dir) == before

    def test_rebuilding_takes_the_other_model(self, index: Index, index_dir: Path, other_model: PreparedModel) -> None:
        report = run_index(index_dir, other_model, rebuild=True)
        assert changes(report) == {"added": 2, "encoded": 2}
        with closing(IndexReader(index_dir)) as reader:
            assert reader.fingerprint.encoder == other_model.config.fingerprint
        with pytest.raises(IndexMismatch):
            index()

    def test_rebuilding_one_folder_rebuilds_the_others_too(self, vault: Vault, index: Index, index_dir: Path) -> None:
        before = contents(index_dir)
        assert index(vault.root / "work", rebuild=True).notes == 2
        assert contents(index_dir) == before
        vault.write("new/x.md", "# X\n\nx")
        assert index(vault.root / "new", rebuild=True).notes == 3

    def test_rebuilding_tells_which_notes_it_could_not_take(self, vault: Vault, index: Index, index_dir: Path) -> None:
        vault.rename("work", "unmounted")
        report = index(rebuild=True)
        assert report.notes == 1
        assert report.skipped[0].reason.endswith("its notes are not in the new index")
        vault.rename("unmounted", "work")
        assert changes(index()) == {"added": 1, "unchanged": 1, "encoded": 1}

    def test_the_same_model_by_another_name_is_the_same(self, index_dir: Path, fake_model: PreparedModel) -> None:
        renamed = replace(fake_model, config=replace(fake_model.config, name="/models/a-copy"))
        assert changes(run_index(index_dir, renamed)) == {"unchanged": 2}


class TestInterrupted:
    @pytest.fixture(autouse=True)
    def notes(self, vault: Vault, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(batches, "BATCH_CHUNKS", 4)
        for number in range(20):
            vault.write(f"{number:02}.md", f"# Note {number}\n\ntext {number}\n\n## Second\n\n" + f"word{number} " * 12)

    @pytest.mark.parametrize("passages", [0, 1, 4, 10, 25, 59])
    def test_the_next_run_finishes_what_was_begun(
        self, vault: Vault, index: Index, index_dir: Path, fake_encoder: Any, fresh: Callable[..., Any], passages: int
    ) -> None:
        fake_encoder.passages_left = passages
        with pytest.raises(KeyboardInterrupt):
            index(vault.root)
        done = len(fake_encoder.encoded)
        assert passages - 6 <= done <= passages
        fake_encoder.passages_left = None
        report = index(vault.root)
        assert done + report.encoded == report.chunks == 60
        assert report.added + report.unchanged == 20
        assert contents(index_dir) == fresh(vault.root)

    @pytest.mark.parametrize("passages", [0, 6, 20])
    def test_an_update_that_is_cut_short_loses_nothing(
        self, vault: Vault, index: Index, index_dir: Path, fake_encoder: Any, fresh: Callable[..., Any], passages: int
    ) -> None:
        index(vault.root)
        for number in range(0, 20, 2):
            vault.write(f"{number:02}.md", f"# Changed {number}\n\nother {number}\n\n## Second\n\n" + "more " * 12)
        vault.rename("01.md", "99.md")
        vault.delete("03.md")
        fake_encoder.passages_left = passages
        with pytest.raises(KeyboardInterrupt):
            index(vault.root)
        assert len(contents(index_dir)["notes"]) == 20
        fake_encoder.passages_left = None
        index(vault.root)
        assert contents(index_dir) == fresh(vault.root)

    def test_a_rebuild_that_is_cut_short_is_finished_by_the_next_run(
        self, vault: Vault, index: Index, index_dir: Path, fake_encoder: Any, fresh: Callable[..., Any]
    ) -> None:
        index(vault.root)
        before = contents(index_dir)
        vault.write("new.md", "# New\n\nnot in the old index")
        fake_encoder.passages_left = 10
        with pytest.raises(KeyboardInterrupt):
            index(rebuild=True)
        assert contents(index_dir) == before
        fake_encoder.passages_left = None
        report = index(rebuild=True)
        assert report.unchanged > 0  # it was in what the first one had written
        assert report.encoded < report.chunks
        assert contents(index_dir) == fresh(vault.root)

    def test_a_rebuild_that_is_cut_short_is_in_nobodys_way(
        self, vault: Vault, index: Index, index_dir: Path, fake_encoder: Any, fresh: Callable[..., Any]
    ) -> None:
        index(vault.root)
        fake_encoder.passages_left = 10
        with pytest.raises(KeyboardInterrupt):
            index(rebuild=True)
        fake_encoder.passages_left = None
        index()
        assert contents(index_dir) == fresh(vault.root)
        assert not list(index_dir.glob("rebuilt*"))

    @pytest.mark.parametrize("passages", [0, 9, 30])
    def test_a_killed_process(
        self,
        vault: Vault,
        index: Index,
        index_dir: Path,
        fake_encoder: Any,
        fresh: Callable[..., Any],
        monkeypatch: pytest.MonkeyPatch,
        passages: int,
    ) -> None:
        child = os.fork()
        if child == 0:
            encode = fake_encoder.encode_passages

            def encode_or_die(texts: list[str]) -> Any:
                if len(fake_encoder.encoded) + len(texts) > passages:
                    os.kill(os.getpid(), 9)
                return encode(texts)

            monkeypatch.setattr(fake_encoder, "encode_passages", encode_or_die)
            try:
                index(vault.root)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == 9
        report = index(vault.root)
        assert report.encoded >= 60 - passages > 0
        assert contents(index_dir) == fresh(vault.root)

    def test_progress_is_told_to_the_end(
        self, vault: Vault, index_dir: Path, fake_model: PreparedModel, fake_encoder: Any
    ) -> None:
        told: list[tuple[int, int]] = []
        with IndexWriter(index_dir) as writer:
            synchronizer = Synchronizer(
                writer, fake_model, chunking=CHUNKING, max_bytes=10_000, progress=lambda *done: told.append(done)
            )
            synchronizer.run([vault.root])
        assert told[-1] == (20, 20)
        assert told == sorted(told)
        assert len(told) > 2


def test_two_runs_over_the_same_folder_make_the_same_index(
    vault: Vault, fake_model: PreparedModel, fake_encoder: Any, tmp_path: Path
) -> None:
    for number in range(30):
        vault.write(f"{number % 4}/{number}.md", f"# Note {number}\n\n{LONG_NOTE}\n\n{number} #tag{number % 3}")
    for name in ("one", "two"):
        run_index(tmp_path / name, fake_model, vault.root)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_vector_file_that_cannot_be_written_costs_no_notes(
    vault: Vault, index: Index, index_dir: Path, fresh: Callable[..., Any]
) -> None:
    vault.write("a.md", f"# Long\n\n{LONG_NOTE}")
    index_dir.mkdir()
    (index_dir / "vectors.hnsw.new").mkdir()
    with pytest.raises(StoreError, match=r"vectors\.hnsw"):
        index(vault.root)
    (index_dir / "vectors.hnsw.new").rmdir()
    assert contents(index_dir) == fresh(vault.root)
    assert changes(index()) == {"unchanged": 1}
    assert (index_dir / "vectors.hnsw").exists()


@pytest.mark.usefixtures("fake_encoder")
def test_an_index_can_be_searched_by_the_api_while_it_is_brought_up_to_date(vault: Vault, index_dir: Path) -> None:
    settings = Settings(index_dir)
    vault.write("tea.md", "# Tea\n\nGreen tea")
    assert sync_index(settings, [vault.root]).added == 1
    with open_index(index_dir) as opened:
        vault.write("tea.md", "# Tea\n\nOolong tea")
        assert sync_index(settings, []).updated == 1
        assert [hit.snippet for hit in opened.search("green tea") if "Green" in hit.snippet]
    with open_index(index_dir) as opened:
        assert opened.search("tea")[0].path == str(vault.root / "tea.md")
        assert "Oolong" in opened.search("tea")[0].snippet


class TestDefaultModel:
    """End to end, with the model that comes with notesearch."""

    @pytest.fixture
    def settings(self, vault: Vault, index_dir: Path) -> Settings:
        vault.write("cap.md", "# The CAP theorem\n\nA distributed store cannot be consistent and available at once.")
        vault.write("soup.md", "# Pumpkin soup\n\nRoast the pumpkin, add stock and cream, blend it smooth.")
        vault.write("sleep.md", "# Bedtime\n\nThe toddler falls asleep more easily with a story and dim light.")
        return Settings(index_dir)

    def test_a_note_is_found_by_its_meaning(self, vault: Vault, settings: Settings) -> None:
        report = sync_index(settings, [vault.root])
        assert changes(report) == {"added": 3, "encoded": 3}
        with open_index(settings.index_dir) as opened:
            for query, name in (
                ("getting a small child to bed", "sleep.md"),
                ("vegetable dish for autumn", "soup.md"),
                ("trade-offs during a network partition", "cap.md"),
            ):
                assert opened.search(query, mode="dense")[0].path == str(vault.root / name)
        with closing(IndexReader(settings.index_dir)) as reader:
            assert models.find_prepared(reader.fingerprint.encoder) is not None
            assert reader.fingerprint.dim == 384

    def test_only_what_changed_is_encoded_again(self, vault: Vault, settings: Settings) -> None:
        sync_index(settings, [vault.root])
        before = contents(settings.index_dir)
        vault.rename("cap.md", "theory/cap.md")
        vault.touch("sleep.md")
        vault.write("soup.md", "# Pumpkin soup\n\nFry the onions first.")
        report = sync_index(settings, [])
        assert changes(report) == {"updated": 1, "renamed": 1, "unchanged": 1, "encoded": 1}
        after = contents(settings.index_dir)
        assert len(set(before["vectors"]) & set(after["vectors"])) == 1
        before_by_text, after_by_text = ({row[7]: row[9] for row in part["chunks"]} for part in (before, after))
        kept = set(before_by_text) & set(after_by_text)
        assert len(kept) == 2
        assert all(before_by_text[text] == after_by_text[text] for text in kept)
