"""Timing whole commands: what a user waits for, and the memory it takes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """One run of a command."""

    seconds: float
    megabytes: float


def run_command(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Timing:
    """Runs a command to its end; raises CalledProcessError if it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, **(environment or {})})
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if code := os.waitstatus_to_exitcode(status):
        raise subprocess.CalledProcessError(code, command)
    return Timing(seconds, usage.ru_maxrss / 1024)


def compare(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[Timing]]:
    """Runs commands in turn, A B A B …, after one round that does not count; so a drift of the machine meets all."""
    for command in commands.values():
        run_command(command)
    timings: dict[str, list[Timing]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            timings[name].append(run_command(command))
    return timings


def print_comparison(timings: Mapping[str, Sequence[Timing]], baseline: str) -> None:
    """Prints medians, spreads, and how the baseline's median relates to each."""
    base = statistics.median(timing.seconds for timing in timings[baseline])
    print(f"{'':<34}{'median s':>9}{'min':>8}{'max':>8}{'MB':>7}{'ratio':>8}")
    for name, runs in timings.items():
        seconds = [timing.seconds for timing in runs]
        median = statistics.median(seconds)
        megabytes = max(timing.megabytes for timing in runs)
        print(f"{name:<34}{median:9.3f}{min(seconds):8.3f}{max(seconds):8.3f}{megabytes:7.0f}{base / median:8.2f}")


NOTESEARCH = [sys.executable, "-m", "notesearch"]
