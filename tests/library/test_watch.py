"""The loop is given its changes and its clock; so nothing here waits for anything."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from notesearch.errors import FolderUnreadable, IndexBusy, StoreError, UsageError
from notesearch.library.watch import EventsLost, Watch


class Scene:
    """Folders, an index directory, a clock, and the runs that a watch makes of changes."""

    def __init__(self, tmp_path: Path) -> None:
        self.now = 1000.0
        self.index_dir = tmp_path / "index"
        self.index_dir.mkdir()
        (self.index_dir / "notes.db").touch()
        self.notes, self.work = tmp_path / "notes", tmp_path / "work"
        for folder in (self.notes, self.work):
            folder.mkdir()
            (folder / "a.md").touch()
        self.runs: list[list[Path]] = []
        self.told: list[str] = []
        self.asked: list[list[Path]] = []
        self.fail: Callable[[], None] = lambda: None
        self.script: list[Callable[[], Iterator[frozenset[str]]]] = []

    def sync(self, folders: Sequence[Path]) -> None:
        self.runs.append(list(folders))
        self.fail()

    def changes(self, folders: Sequence[Path]) -> Iterator[frozenset[str]]:
        self.asked.append(list(folders))
        return self.script.pop(0)() if self.script else iter(())

    def watch(self, *script: Callable[[], Iterator[frozenset[str]]], folders: Sequence[Path] | None = None) -> list:
        """Runs a watch until the script is over; returns the runs that it made."""
        self.script = list(script)
        Watch(
            folders or [self.notes, self.work],
            self.index_dir,
            self.sync,
            self.told.append,
            self.changes,
            lambda: self.now,
        ).run()
        return self.runs

    def file(self, name: str) -> str:
        return str(self.notes / name)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


NOTHING: frozenset[str] = frozenset()


def test_everything_is_brought_in_step_at_first_and_once_more_when_changes_are_told(scene: Scene) -> None:
    both = [scene.notes, scene.work]
    assert scene.watch() == [both]
    assert scene.asked == [both]
    scene.runs.clear()
    assert scene.watch(lambda: iter([NOTHING, NOTHING, NOTHING])) == [both, both]


def test_a_change_runs_index_on_its_folder_alone(scene: Scene) -> None:
    def changes():
        yield NOTHING
        scene.runs.clear()
        yield frozenset([scene.file("b.md")])
        yield NOTHING

    assert scene.watch(changes) == [[scene.notes]]


def test_a_burst_is_one_run(scene: Scene) -> None:
    def changes():
        yield NOTHING
        scene.runs.clear()
        yield frozenset([*(scene.file(f"{number}.md") for number in range(5000)), str(scene.work / "x.md")])

    assert scene.watch(changes) == [[scene.notes, scene.work]]


def test_what_does_not_matter_runs_nothing(scene: Scene) -> None:
    def changes():
        yield NOTHING
        scene.runs.clear()
        yield frozenset([scene.file(".a.md.swp"), scene.file(".git/index"), str(scene.index_dir / "notes.db-wal")])

    assert scene.watch(changes) == []


def test_every_hour_everything_is_looked_at(scene: Scene) -> None:
    def changes():
        yield NOTHING
        scene.runs.clear()
        for minutes in (59, 62, 100, 121, 125):
            scene.now = 1000 + 60 * minutes
            yield NOTHING

    assert scene.watch(changes) == [[scene.notes, scene.work]] * 2


def test_ignore_files_are_read_anew_then_too(scene: Scene) -> None:
    def changes():
        yield NOTHING
        yield frozenset([scene.file("draft.md")])
        (scene.notes / ".gitignore").write_text("draft.md")  # and nobody said so
        scene.runs.clear()
        yield frozenset([scene.file("draft.md")])
        assert scene.runs == [[scene.notes]]
        scene.now += 3601
        yield NOTHING
        scene.runs.clear()
        yield frozenset([scene.file("draft.md")])

    assert scene.watch(changes) == []


def test_an_index_that_was_deleted_is_made_anew_of_all_folders(scene: Scene) -> None:
    def changes():
        yield NOTHING
        scene.runs.clear()
        (scene.index_dir / "notes.db").unlink()
        yield NOTHING

    assert scene.watch(changes) == [[scene.notes, scene.work]]


class TestFailures:
    def test_the_first_run_fails_as_index_does(self, scene: Scene) -> None:
        def fail() -> None:
            raise UsageError("no", "do")

        scene.fail = fail
        with pytest.raises(UsageError):
            scene.watch()

    @pytest.mark.parametrize(
        "error",
        [StoreError("the disk is full", "Free some space."), IndexBusy("busy"), OSError("bad"), FolderUnreadable("x")],
    )
    def test_later_ones_are_tried_again_less_and_less_often(self, scene: Scene, error: Exception) -> None:
        def fail() -> None:
            raise error

        tried = []

        def changes():
            yield NOTHING
            scene.fail = fail
            scene.runs.clear()
            yield frozenset([scene.file("a.md")])
            for second in range(900):
                before = len(scene.runs)
                scene.now = 1000.0 + second
                yield NOTHING
                tried.extend([second] * (len(scene.runs) - before))
            scene.fail = lambda: None
            for second in range(900, 1300):
                scene.now = 1000.0 + second
                yield NOTHING

        runs = scene.watch(changes)
        assert tried == [2, 6, 14, 30, 62, 126, 254, 510, 810]
        assert runs == [[scene.notes]] * 11, "and once more, with success"
        assert len(scene.told) == 10 and all(str(error) in said for said in scene.told)
        assert "trying again in 2 seconds" in scene.told[0] and "in 300 seconds" in scene.told[-1]

    def test_what_changes_meanwhile_waits_for_the_next_try(self, scene: Scene) -> None:
        def fail() -> None:
            raise StoreError("full", "Free some space.")

        def changes():
            yield NOTHING
            scene.runs.clear()
            scene.fail = fail
            yield frozenset([scene.file("a.md")])
            scene.fail = lambda: None
            yield frozenset([str(scene.work / "a.md")])
            scene.now += 2
            yield NOTHING

        assert scene.watch(changes) == [[scene.notes], [scene.notes, scene.work]]
        assert scene.told == ["full; trying again in 2 seconds. Free some space."]

    def test_after_a_success_the_next_failure_is_the_first_again(self, scene: Scene) -> None:
        failing = [True, True, False, True]

        def fail() -> None:
            if failing.pop(0):
                raise StoreError("full")

        def changes():
            yield NOTHING
            scene.fail = fail
            for _ in range(4):
                scene.now += 10
                yield frozenset([scene.file("a.md")])

        scene.watch(changes)
        assert [said.split(" in ")[1].split()[0] for said in scene.told] == ["2", "4", "2"]

    def test_an_index_that_cannot_be_looked_for_is_one_that_is_gone(self, scene: Scene) -> None:
        def changes():
            yield NOTHING
            scene.runs.clear()
            yield NOTHING

        scene.index_dir = scene.index_dir / ("x" * 300)  # of no file system: stat() fails, but not for want of a file
        assert scene.watch(changes) == [[scene.notes, scene.work]]

    def test_a_defect_is_not_hidden(self, scene: Scene) -> None:
        def fail() -> None:
            raise ZeroDivisionError

        def changes():
            yield NOTHING
            scene.fail = fail
            yield frozenset([scene.file("a.md")])

        with pytest.raises(ZeroDivisionError):
            scene.watch(changes)


class TestFolders:
    def test_one_that_vanishes_and_returns(self, scene: Scene, tmp_path: Path) -> None:
        def vanishing():
            yield NOTHING
            scene.runs.clear()
            scene.notes.rename(tmp_path / "away")
            yield frozenset([str(scene.notes)])

        def without_it():
            yield NOTHING
            (tmp_path / "away").rename(scene.notes)
            yield NOTHING

        def with_it_again():
            yield NOTHING

        runs = scene.watch(vanishing, without_it, with_it_again)
        assert scene.asked == [[scene.notes, scene.work], [scene.work], [scene.notes, scene.work]]
        assert runs == [[scene.work], [scene.notes, scene.work]], "never run on a folder that is gone"
        assert scene.told == [
            f"{scene.notes} is gone or empty; its notes are kept in the index",
            f"{scene.notes} is back",
        ]

    def test_another_one_in_its_place_is_watched_anew(self, scene: Scene) -> None:
        def replaced():
            yield NOTHING
            scene.runs.clear()
            scene.notes.rename(scene.notes.with_name("old"))
            scene.notes.mkdir()
            (scene.notes / "other.md").touch()
            yield NOTHING

        assert scene.watch(replaced, lambda: iter([NOTHING])) == [[scene.notes, scene.work]]
        assert len(scene.asked) == 2

    def test_an_empty_one_is_not_taken_for_one_whose_notes_were_deleted(self, scene: Scene) -> None:
        def emptied():
            yield NOTHING
            scene.runs.clear()
            (scene.notes / "a.md").unlink()
            yield frozenset([scene.file("a.md")])

        assert scene.watch(emptied) == []
        assert scene.told == [f"{scene.notes} is gone or empty; its notes are kept in the index"]

    def test_all_of_them_gone(self, scene: Scene) -> None:
        shutil.rmtree(scene.notes)

        def nothing_to_watch():
            yield NOTHING
            scene.notes.mkdir()
            (scene.notes / "a.md").touch()
            yield NOTHING

        assert scene.watch(nothing_to_watch, lambda: iter([NOTHING]), folders=[scene.notes]) == [[scene.notes]]
        assert scene.asked == [[], [scene.notes]]


class TestLostEvents:
    def test_then_all_is_looked_at_every_half_minute(self, scene: Scene) -> None:
        def lost():
            raise EventsLost("no watches left")
            yield NOTHING

        def ticks():
            yield NOTHING
            scene.runs.clear()
            for second in range(95):
                scene.now = 1000.0 + second
                yield NOTHING

        assert scene.watch(lost, ticks) == [[scene.notes, scene.work]] * 3
        assert scene.told == ["no watches left: all files are looked at every 30 seconds instead"]
        assert scene.asked == [[scene.notes, scene.work], []], "no changes are waited for any more"

    def test_unless_a_folder_had_just_vanished(self, scene: Scene, tmp_path: Path) -> None:
        def lost():
            scene.notes.rename(tmp_path / "away")
            raise EventsLost("no such folder")
            yield NOTHING

        scene.watch(lost, lambda: iter([NOTHING]))
        assert scene.asked == [[scene.notes, scene.work], [scene.work]]
        assert not any("every 30 seconds" in said for said in scene.told)
