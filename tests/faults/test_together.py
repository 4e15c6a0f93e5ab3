"""Commands beside one another: one is stopped in the middle of a change of the disk, and others run meanwhile."""

import pytest
from indexing.vault import contents

from .conftest import Open
from .driver import Fault, Kind, Outcome, Running
from .scenarios import IndexAgain, Rebuild, TagAndUndo


def stopped(found: IndexAgain | TagAndUndo, part: float) -> Running:
    """Starts the command of a scenario, and stops it at a part of the way."""
    found.sandbox.put_back()
    running = found.sandbox.start(
        *found.arguments, fault=Fault(Kind.STOP, max(1, round(part * found.changes))), patches=found.patches
    )
    assert running.wait().code is None
    return running


def went_on(running: Running) -> Outcome:
    """Lets a stopped command go on to its end."""
    running.go_on()
    return running.wait()


@pytest.mark.parametrize("scenario", [IndexAgain, Rebuild])
@pytest.mark.parametrize("part", [0.2, 0.7])
def test_searches_beside_an_index_find_the_old_or_the_new(
    opened: Open, scenario: type[IndexAgain], part: float
) -> None:
    found = opened(scenario)
    assert isinstance(found, IndexAgain)
    index = stopped(found, part)
    searches = [found.start_search() for _ in range(3)]
    for search in searches:
        found.check_found(found.found_by(search.wait()))
    searches = [found.start_search() for _ in range(3)]
    assert went_on(index).code == 0
    for search in searches:
        found.check_found(found.found_by(search.wait()))
    assert found.found() == found.found_after


@pytest.mark.parametrize("scenario", [IndexAgain, Rebuild])
def test_of_two_that_index_one_works_and_the_other_waits_or_leaves(opened: Open, scenario: type[IndexAgain]) -> None:
    found = opened(scenario)
    assert isinstance(found, IndexAgain)
    first = stopped(found, 0.5)
    leaves = found.sandbox.run("index", "--wait", "0", patches=found.patches)
    assert leaves.code == 4
    assert "another process is writing" in leaves.errors
    waits = found.sandbox.start("index", "--wait", "1m", patches=found.patches)
    assert went_on(first).code == 0
    assert waits.wait().code == 0
    assert contents(found.sandbox.index_dir) == found.contents
    assert found.sandbox.files() == found.files


def test_nobody_undoes_what_is_being_written(opened: Open) -> None:
    found = opened(TagAndUndo)
    assert isinstance(found, TagAndUndo)
    first = stopped(found, 0.5)
    undo = found.sandbox.run("tag", "--undo", "--wait", "0")
    assert undo.code == 4
    assert "another process is writing tags" in undo.errors
    assert went_on(first).code == 0
    assert found.sandbox.notes() == found.new_notes
    found.undo_all()


def test_of_two_that_tag_one_works_and_the_other_waits_or_leaves(opened: Open) -> None:
    found = opened(TagAndUndo)
    assert isinstance(found, TagAndUndo)
    first = stopped(found, 0.5)
    other = ("tag", str(found.sandbox.vault), "--labels", "evening", "--min-score", "0", "--apply")
    assert found.sandbox.run(*other, "--wait", "0").code == 4
    waits = found.sandbox.start(*other, "--wait", "1m")
    assert went_on(first).code == 0
    waited = waits.wait()
    assert found.sandbox.notes().keys() == found.new_notes.keys()
    for name, new in found.new_notes.items():
        data = found.sandbox.notes()[name][0]
        refused = f"refused  {found.sandbox.vault / name}: changed since it was read" in waited.errors
        assert data == new[0] if refused else b"evening" in data and b"tea" in data, name
    found.undo_all()


@pytest.mark.parametrize("by_renaming", [False, True])
def test_no_save_beside_tagging_is_lost(opened: Open, by_renaming: bool) -> None:
    found = opened(TagAndUndo)
    assert isinstance(found, TagAndUndo)
    for at in range(found.changes // 2, found.changes, found.changes // 12):
        found.check_saves(at, by_renaming=by_renaming)
