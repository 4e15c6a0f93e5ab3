"""The commands to disturb; benchmarks/faults.py uses them too."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

from indexing.vault import contents
from tagging_fixtures import WORDS, tagged

from notesearch.storage.folders import read_coverage
from notesearch.tagging.classifier import load_classifier

from .driver import Fault, Kind, Outcome, Running, Sandbox
from .scenario import Scenario, assert_told, write
from .tuning_stub import is_whole_model

_PLAIN_WORDS = "apple river copper winter tiger garden bread doctor silver moon horse cloud needle".split()
_LABELLED = ("--labels", "tea", "--min-score", "0")


def write_notes(sandbox: Sandbox) -> None:
    """Twelve notes with all that an index can hold of a note."""
    for number in range(12):
        write(
            sandbox.vault / ("tea" if number % 3 else "coffee") / f"note {number}.md",
            f"---\ntags: [drink, t{number}]\ndate: 2024-01-{number + 1:02}\n---\n# Cup {number}\n\n"
            f"A note on cup number {number}, see [[note {number - 1}]]. #cup\n\n## More\n\n"
            + f"Word{number} of it. "
            * 40
            * (1 + number % 2),
        )


def change_notes(sandbox: Sandbox) -> None:
    """Edits, renames, deletes and adds."""
    tea, coffee = sandbox.vault / "tea", sandbox.vault / "coffee"
    for number in (1, 2):
        write(tea / f"note {number}.md", f"# Cup {number} again\n\nThis note was changed.")
    (coffee / "note 0.md").rename(coffee / "note zero.md")
    (coffee / "note 3.md").rename(tea / "note 3.md")
    (tea / "note 4.md").unlink()
    (coffee / "note 6.md").unlink()
    for number in range(4):
        write(sandbox.vault / f"new {number}.txt", f"Something new, a note about glass {number}")


class _IndexScenario(Scenario):
    """`index`: searches go on meanwhile, and the next run ends in the index of an undisturbed one."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.found_before: set[str] = set()
        super().__init__(sandbox)

    def note_undisturbed(self) -> None:
        self.contents = contents(self.sandbox.index_dir)
        self.found_after = self.found()

    def found(self, fault: Fault = Fault()) -> set[str]:
        """What a search for a word in every note finds; fails unless it finds something."""
        return self.found_by(self.start_search(fault).wait())

    def start_search(self, fault: Fault = Fault()) -> Running:
        """Starts that search."""
        return self.sandbox.start("search", "note", "--limit", "100", "--files", fault=fault)

    def found_by(self, search: Outcome) -> set[str]:
        """What a search has found; fails unless it has found something."""
        said = [line for line in search.errors.splitlines() if not line.startswith("searched ")]
        assert (search.code, said) == (0, []), search
        return set(search.output.splitlines())

    def check_after(self, outcome: Outcome) -> None:
        assert self.sandbox.notes() == self.old_notes
        if self.found_before:
            self.check_found(self.found())
        else:
            assert_told(self.start_search().wait(), also_fine=(0, 1))

    def check_found(self, found: set[str]) -> None:
        """All that is old or new and nothing else; of what is gone or to come, it may be this or that."""
        assert self.found_before & self.found_after <= found <= self.found_before | self.found_after

    def check_recovery(self, outcome: Outcome) -> None:
        self.sandbox.must("index", "--wait", "0", str(self.sandbox.vault), patches=self.patches)
        assert contents(self.sandbox.index_dir) == self.contents
        assert self.sandbox.files() ^ self.files == set()
        assert self.sandbox.notes() == self.old_notes
        assert self.found() == self.found_after


class FirstIndex(_IndexScenario):
    """The first run."""

    name = "index, first"

    def set_up(self) -> None:
        write_notes(self.sandbox)
        self.arguments = ("index", str(self.sandbox.vault))


class IndexAgain(_IndexScenario):
    """A run after changes."""

    name = "index, again"
    arguments = ("index",)

    def set_up(self) -> None:
        write_notes(self.sandbox)
        self.sandbox.must("index", str(self.sandbox.vault), patches=self.patches)
        self.found_before = self.found()
        change_notes(self.sandbox)


class Rebuild(IndexAgain):
    """A run that makes the index anew, after changes."""

    name = "index --rebuild"
    arguments = ("index", "--rebuild")

    def check_found(self, found: set[str]) -> None:
        assert found in (self.found_before, self.found_after)


class _FewNotes(Scenario):
    """So few notes that a command can be disturbed at every change that it makes on the disk."""

    patches: ClassVar[dict[str, Any]] = {}

    def index_few_notes(self) -> None:
        """Indexes two folders of a note each."""
        for folder, text in (("tea", "A note on tea"), ("coffee", "A note on coffee")):
            write(self.sandbox.vault / folder / "note.md", text)
        folders = [str(self.sandbox.vault / folder) for folder in ("tea", "coffee")]
        self.sandbox.must("index", *folders, patches=self.patches)

    def check_after(self, outcome: Outcome) -> None:
        assert self.sandbox.notes() == self.old_notes
        assert [folder.name for folder in read_coverage(self.sandbox.index_dir).folders] == ["coffee", "tea"]

    def note_undisturbed(self) -> None:
        self.contents = contents(self.sandbox.index_dir)

    def check_recovery(self, outcome: Outcome) -> None:
        self.sandbox.must(*self.arguments, patches=self.patches)
        assert contents(self.sandbox.index_dir) == self.contents
        assert self.sandbox.files() ^ self.files == set()
        assert self.sandbox.notes() == self.old_notes


class RebuildFewNotes(_FewNotes):
    """A run that makes the index anew, after a change."""

    name = "index --rebuild, few notes"
    arguments = ("index", "--rebuild")

    def set_up(self) -> None:
        self.index_few_notes()
        write(self.sandbox.vault / "tea" / "note.md", "A note on green tea")


class OtherVersion(_FewNotes):
    """A run that meets an index of another version, and makes it anew."""

    name = "index, of another version"
    arguments = ("index",)

    def set_up(self) -> None:
        self.index_few_notes()
        with closing(sqlite3.connect(self.sandbox.index_dir / "notes.db")) as connection:
            connection.execute("PRAGMA user_version = 1")


class Repair(_FewNotes):
    """A repair of an index whose database is damaged and whose files others may read."""

    name = "doctor --repair"
    arguments = ("doctor", "--repair")

    def set_up(self) -> None:
        self.index_few_notes()
        database = self.sandbox.index_dir / "notes.db"
        database.write_bytes(database.read_bytes()[:20_000] + b"\xff" * 20_000)
        database.chmod(0o644)

    def check_ending(self, outcome: Outcome, fault: Fault) -> None:
        """What could not be repaired is a finding: it is printed with what is wrong still, and the status is 1."""
        if outcome.code != 1:
            super().check_ending(outcome, fault)
        assert outcome.code != 1 or (outcome.fired and "wrong " in outcome.output), outcome
        assert "Traceback" not in outcome.errors, outcome


class _TagScenario(Scenario):
    """`tag`: each note has its old or its new bytes."""

    def note_undisturbed(self) -> None:
        assert self.new_notes.keys() == self.old_notes.keys()
        assert all(self.new_notes[name] != old for name, old in self.old_notes.items())

    def check_after(self, outcome: Outcome) -> None:
        notes = self.sandbox.notes()
        left = {name for name in notes if Path(name).name.startswith(".notesearch-")}
        assert len(left) <= 1
        assert left == set() or outcome.fired
        assert notes.keys() - left == self.old_notes.keys()
        for name in self.old_notes:
            assert notes[name] in (self.old_notes[name], self.new_notes[name]), name

    def undo_all(self) -> None:
        """Undoes run after run."""
        for _ in range(5):
            done = self.sandbox.run("tag", "--undo")
            if done.code != 0:
                assert done.code == 2 and "nothing to undo" in done.errors, done
                break
        assert self.sandbox.notes() == self.old_notes


class TagAndUndo(_TagScenario):
    """`tag --apply`; what it did is taken back at once."""

    name = "tag --apply, undo"
    ADDED = b"\nA sentence that was added meanwhile.\n"

    def set_up(self) -> None:
        write_notes(self.sandbox)
        self.arguments = ("tag", str(self.sandbox.vault), *_LABELLED, "--apply")

    def check_recovery(self, outcome: Outcome) -> None:
        self.undo_all()

    def check_saves(self, at: int, *, by_renaming: bool) -> None:
        """Another program saves all notes just before a change of the disk; what it saved is never lost.

        Args:
            at: Number of the change.
            by_renaming: Whether it saves as careful editors do, rather than in place.
        """
        self.sandbox.put_back()
        running = self.sandbox.start(*self.arguments, fault=Fault(Kind.STOP, at), patches=self.patches)
        assert running.wait().code is None
        for name in self.old_notes:
            note = self.sandbox.vault / name
            if by_renaming:
                saved = note.with_name("~saving")
                saved.write_bytes(note.read_bytes() + self.ADDED)
                saved.replace(note)
            else:
                with note.open("ab") as file:
                    file.write(self.ADDED)
        running.go_on()
        done = running.wait()
        assert done.code in (0, 2) and "Traceback" not in done.errors, done
        self._check_added()
        self.sandbox.run("tag", "--undo")
        self._check_added()

    def _check_added(self) -> None:
        notes = self.sandbox.notes()
        for name in self.old_notes:
            beside = [data for other, (data, *_) in notes.items() if other.startswith(name)]
            assert any(data.endswith(self.ADDED) for data in beside), name


class TagAgain(TagAndUndo):
    """`tag --apply`; the next run finishes what it began, and then both are taken back."""

    name = "tag --apply, again"

    def check_recovery(self, outcome: Outcome) -> None:
        self.sandbox.must(*self.arguments)
        assert self.sandbox.notes() == self.new_notes
        self.undo_all()


class Undo(_TagScenario):
    """`tag --undo`; the next one finishes what it began."""

    name = "tag --undo"
    arguments = ("tag", "--undo")

    def set_up(self) -> None:
        write_notes(self.sandbox)
        self.sandbox.must("tag", str(self.sandbox.vault), *_LABELLED, "--apply")

    def check_recovery(self, outcome: Outcome) -> None:
        done = self.sandbox.run("tag", "--undo")
        # The run may have got to its end.
        assert done.code == 0 or "nothing to undo" in done.errors, done
        assert self.sandbox.notes() == self.new_notes


class FirstTraining(Scenario):
    """`train-classifier` where there is none."""

    name = "train-classifier, first"
    arguments = ("train-classifier", "--quick", "--method", "tf-idf")

    def set_up(self) -> None:
        for topic, number in itertools.product(WORDS, range(6)):
            write(self.sandbox.vault / f"{topic} {number}.md", tagged(topic, number))
        self.sandbox.must("index", str(self.sandbox.vault))

    def note_undisturbed(self) -> None:
        self.directory = self.sandbox.index_dir / "classifiers" / "default"

    def check_after(self, outcome: Outcome) -> None:
        load_classifier(self.directory)  # none, or a whole one

    def check_recovery(self, outcome: Outcome) -> None:
        self.sandbox.must(*self.arguments)
        assert load_classifier(self.directory) is not None
        assert self.sandbox.files() ^ self.files == set()
        assert self.sandbox.notes() == self.old_notes


class TrainingAgain(FirstTraining):
    """`train-classifier` where there is one."""

    name = "train-classifier, again"

    def set_up(self) -> None:
        super().set_up()
        self.sandbox.must(*self.arguments)

    def check_after(self, outcome: Outcome) -> None:
        assert load_classifier(self.directory) is not None


class Tuning(Scenario):
    """`tune`, with a stand-in for the training; the index is not touched."""

    name = "tune"
    arguments = ("tune", "--quiet")

    def set_up(self) -> None:
        for first, second in itertools.combinations(_PLAIN_WORDS, 2):
            text = f"# The {first} of {second}\n\nToday the {first} and the {second} came up."
            write(self.sandbox.vault / f"{first}-{second}.md", text)
        self.sandbox.must("index", str(self.sandbox.vault))

    def note_undisturbed(self) -> None:
        self.models = self.sandbox.index_dir / "models"
        self.files = {name for name in self.files if not name.startswith("index/models/tuned-")}
        self.contents = contents(self.sandbox.index_dir)

    def check_after(self, outcome: Outcome) -> None:
        assert all(is_whole_model(model) for model in self.models.glob("tuned-*"))

    def check_recovery(self, outcome: Outcome) -> None:
        for model in self.models.glob("tuned-*"):
            shutil.rmtree(model)  # two within one second would have one name
        self.sandbox.must(*self.arguments)
        (model,) = self.models.glob("tuned-*")
        assert is_whole_model(model)
        shutil.rmtree(model)
        assert self.sandbox.files() ^ self.files == set()
        assert self.sandbox.notes() == self.old_notes
        assert contents(self.sandbox.index_dir) == self.contents


SCENARIOS = (
    FirstIndex,
    IndexAgain,
    Rebuild,
    RebuildFewNotes,
    OtherVersion,
    Repair,
    TagAndUndo,
    TagAgain,
    Undo,
    FirstTraining,
    TrainingAgain,
    Tuning,
)
