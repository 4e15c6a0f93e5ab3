"""Timing whole commands: what a user waits for, and the memory it takes."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """One run of a command."""

    seconds: float
    megabytes: float


# A child's peak memory counts what its parent had when it was started, so a parent with nothing in it starts it.
_STARTER = """
import json, os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(json.dumps([time.perf_counter() - started, usage.ru_maxrss / 1024, os.waitstatus_to_exitcode(status)]))
"""


def run_command(command: Sequence[str]) -> Timing:
    """Runs a command to its end; raises CalledProcessError if it fails."""
    starter = [sys.executable, "-S", "-c", _STARTER, *command]
    seconds, megabytes, code = json.loads(subprocess.run(starter, stdout=subprocess.PIPE, check=True).stdout)
    if code:
        raise subprocess.CalledProcessError(code, command)
    return Timing(seconds, megabytes)


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
