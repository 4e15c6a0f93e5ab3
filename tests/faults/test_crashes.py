"""Commands killed in the middle, and on a disk that is full or broken; benchmarks/faults.py does the same at length."""

import pytest

from .conftest import Open
from .driver import Fault, Kind
from .scenario import Scenario
from .scenarios import (
    FirstIndex,
    FirstTraining,
    IndexAgain,
    OtherVersion,
    Rebuild,
    RebuildFewNotes,
    Repair,
    TagAgain,
    TagAndUndo,
    TrainingAgain,
    Tuning,
    Undo,
)


def at(part: float, changes: int) -> int:
    """The change that lies at a part of the way."""
    return max(1, min(changes, round(part * changes)))


@pytest.mark.parametrize(
    ("scenario", "parts"),
    [
        (FirstIndex, (0.0, 0.35, 0.7)),
        (IndexAgain, (0.3, 0.6, 0.97)),
        (Rebuild, (0.3, 0.8, 0.95)),
        (TagAndUndo, (0.3,)),
        (TagAgain, (0.25, 0.6)),
        (Undo, (0.5,)),
        (FirstTraining, (0.5,)),
        (TrainingAgain, (0.55, 0.8)),
    ],
)
def test_a_command_that_is_killed_does_no_harm(
    opened: Open, scenario: type[Scenario], parts: tuple[float, ...]
) -> None:
    found = opened(scenario)
    for number, part in enumerate(parts):
        kind = Kind.KILL_HALFWAY if number % 2 else Kind.KILL
        assert found.disturb(Fault(kind, at(part, found.changes))).fired


@pytest.mark.parametrize("scenario", [RebuildFewNotes, OtherVersion, Repair])
def test_no_kill_at_any_moment_of_a_rebuild_or_a_repair_loses_a_folder(opened: Open, scenario: type[Scenario]) -> None:
    found = opened(scenario)
    # Here and there, and all through the end, where the new index takes the place of the old one.
    for change in (*range(1, found.changes - 12, 23), *range(found.changes - 12, found.changes + 1)):
        assert found.disturb(Fault(Kind.KILL_HALFWAY if change % 2 else Kind.KILL, change)).fired


@pytest.mark.parametrize("kind", [Kind.KILL, Kind.KILL_HALFWAY])
def test_a_run_that_was_killed_before_it_tagged_a_note_is_not_in_the_way(opened: Open, kind: Kind) -> None:
    found = opened(TagAndUndo)
    found.sandbox.put_back()
    found.sandbox.must(*found.arguments)
    again = ("tag", str(found.sandbox.vault), "--labels", "evening", "--min-score", "0", "--apply")
    first_entry = len(found.old_notes) + 5  # after locking, looking for leftovers, and making the journal
    assert found.sandbox.run(*again, fault=Fault(kind, first_entry)).fired
    newest = max((found.sandbox.index_dir / "tag-journals").iterdir()).read_bytes()
    assert b"\n" not in newest and bool(newest) == (kind is Kind.KILL_HALFWAY)
    found.sandbox.must("tag", "--undo")
    assert found.sandbox.notes() == found.old_notes


@pytest.mark.parametrize("scenario", [FirstIndex, IndexAgain, Rebuild, OtherVersion, TagAndUndo, Undo, TrainingAgain])
def test_a_full_disk_is_told_and_does_no_harm(opened: Open, scenario: type[Scenario]) -> None:
    found = opened(scenario)
    outcome = found.disturb(Fault(Kind.NO_SPACE, at(0.5, found.changes_that_take_space()), for_good=True))
    assert outcome.fired and outcome.code == 2
    assert "no space left on device" in outcome.errors.lower() or "disk is full" in outcome.errors.lower()


@pytest.mark.parametrize("scenario", [FirstIndex, IndexAgain, Rebuild, Repair, TagAgain, TrainingAgain])
def test_a_broken_disk_is_told_and_does_no_harm(opened: Open, scenario: type[Scenario]) -> None:
    found = opened(scenario)
    outcome = found.disturb(Fault(Kind.IO_ERROR, at(0.6, found.changes)))
    assert outcome.fired and outcome.code in ((0, 1) if scenario is Repair else (0, 2))


def test_a_search_needs_no_space_on_the_disk(opened: Open) -> None:
    found = opened(IndexAgain)
    assert isinstance(found, IndexAgain)
    found.sandbox.put_back()
    assert found.found(Fault(Kind.NO_SPACE, 1, for_good=True)) == found.found_before


def test_a_signal_to_end_keeps_what_was_done(opened: Open) -> None:
    found = opened(FirstIndex)
    assert isinstance(found, FirstIndex)
    outcome = found.disturb(Fault(Kind.TERMINATE, at(0.6, found.changes)))
    assert outcome.code == 143
    found.sandbox.put_back()
    found.sandbox.run(*found.arguments, fault=Fault(Kind.TERMINATE, at(0.6, found.changes)), patches=found.patches)
    assert set() < found.found() < found.found_after


def test_tuning_that_is_disturbed_does_no_harm(opened_with_torch: Open) -> None:
    found = opened_with_torch(Tuning)
    for kind, part in ((Kind.KILL_HALFWAY, 0.55), (Kind.KILL, 0.85), (Kind.IO_ERROR, 0.4)):
        assert found.disturb(Fault(kind, at(part, found.changes))).fired
