"""A command to disturb, and what must hold after a fault and once it is over."""

from __future__ import annotations

import os
import zlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from .driver import Fault, Kind, Outcome, Sandbox

# Several transactions for a dozen notes.
SMALL = {"notesearch.indexing.batches.BATCH_CHUNKS": 3}
# Notes were written long ago: `index` does not rely on the times of those that it reads at once.
_LONG_AGO_S = 1_600_000_000


class Scenario(ABC):
    """A command in a place where things are as they were kept.

    Attributes:
        name: For tables and test ids.
        arguments: Of the command.
        patches: What is other than usual in it.
    """

    name: str
    arguments: tuple[str, ...]
    patches: ClassVar[dict[str, Any]] = SMALL

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.set_up()
        sandbox.keep()
        self.old_notes = sandbox.notes()
        undisturbed = sandbox.must(*self.arguments, patches=self.patches)
        self.changes = undisturbed.calls
        self.files = sandbox.files()
        self.new_notes = sandbox.notes()
        self.note_undisturbed()

    def disturb(self, fault: Fault) -> Outcome:
        """Runs the command with a fault, and checks all that must hold then and later."""
        self.sandbox.put_back()
        outcome = self.sandbox.run(*self.arguments, fault=fault, patches=self.patches)
        self.check_ending(outcome, fault)
        self.check_after(outcome)
        self.check_recovery(outcome)
        return outcome

    def changes_that_take_space(self) -> int:
        """How many changes of the undisturbed command need space on the disk."""
        self.sandbox.put_back()
        return self.sandbox.run(*self.arguments, fault=Fault(Kind.NO_SPACE), patches=self.patches).calls

    def check_ending(self, outcome: Outcome, fault: Fault) -> None:
        """A killed command says nothing; one that met an error says what is wrong and what to do."""
        if fault.kind in (Kind.KILL, Kind.KILL_HALFWAY):
            assert outcome.code == (-9 if outcome.fired else 0), outcome
        elif fault.kind is Kind.TERMINATE:
            # A signal that comes when all is done is too late.
            assert outcome.code in ((143, 0) if outcome.fired else (0,)), outcome
            assert "Traceback" not in outcome.errors, outcome
        else:
            assert_told(outcome, also_fine=(0,))

    @abstractmethod
    def set_up(self) -> None:
        """Brings about what there is before the command."""

    @abstractmethod
    def note_undisturbed(self) -> None:
        """Notes what the undisturbed command has brought about."""

    @abstractmethod
    def check_after(self, outcome: Outcome) -> None:
        """Checks what must hold right after the fault."""

    @abstractmethod
    def check_recovery(self, outcome: Outcome) -> None:
        """Checks that the next command puts everything right."""


def assert_told(outcome: Outcome, *, also_fine: tuple[int, ...] = ()) -> None:
    """An error ends a command with a line that says what is wrong and one that says what to do."""
    assert "Traceback" not in outcome.errors, outcome.errors
    if outcome.code in also_fine:
        return
    assert outcome.code in (2, 3, 4), outcome
    lines = outcome.errors.splitlines()
    assert len(lines) >= 2, outcome
    if outcome.code != 3 and not any(line.startswith("refused  ") for line in lines):
        assert lines[-2].startswith("notesearch: ") and lines[-1].startswith("  "), outcome.errors


def write(path: Path, text: str) -> None:
    """Writes a note whose time says something about its content alone."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    time_s = _LONG_AGO_S + zlib.crc32(text.encode()) % 1_000_000
    os.utime(path, (time_s, time_s))
