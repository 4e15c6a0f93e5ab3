"""Kills, full disks, broken disks, signals and races: what tests/faults does a dozen times, as often as you like.

python benchmarks/faults.py [--kills 200] [--errors 100] [--signals 10] [--races 20] [--seed 0]

With `--every`, each command is killed at every change that it makes on the disk, before it and halfway through it, and
another program saves all notes before every change of `tag --apply`.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from measuring import NOTESEARCH

_ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(_ROOT / "tests"))

from faults.driver import Fault, Kind, Sandbox, Server, build_shim  # noqa: E402
from faults.scenario import Scenario  # noqa: E402
from faults.scenarios import SCENARIOS, IndexAgain, Rebuild, TagAndUndo, Tuning  # noqa: E402

from notesearch.errors import NotesearchError  # noqa: E402

_KILLS = (Kind.KILL, Kind.KILL_HALFWAY)
_LONG_STOP_S = 2.0
_ERRORS = (Kind.NO_SPACE, Kind.IO_ERROR)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--every", action="store_true")
    parser.add_argument("--errors", type=int, default=100)
    parser.add_argument("--signals", type=int, default=10)
    parser.add_argument("--races", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="commands whose name begins so")
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    failures = 0
    with tempfile.TemporaryDirectory(prefix="notesearch-faults-") as temporary:
        folder = Path(temporary)
        shim = build_shim(folder)
        if shim is None:
            sys.exit("Faults are injected by a C library, on Linux, and there is no C compiler (cc).")
        kinds = [kind for kind in SCENARIOS if kind.name.startswith(arguments.only)]
        print(f"{'command':<26}{'changes':>8}{'kills':>7}{'disk full':>11}{'I/O errors':>12}{'wrong':>7}{'s':>6}")
        for kind in kinds:
            server = Server(shim, *(["safetensors.torch"] if kind is Tuning else []))
            scenario = kind(Sandbox(server, folder / kind.__name__))
            kills = every_kill(scenario) if arguments.every else some_kills(scenario, arguments.kills, kinds, chance)
            faults = [*kills, *some_errors(scenario, arguments.errors, kinds, chance)]
            failures += disturb(scenario, faults)
            if arguments.every and type(scenario) is TagAndUndo:
                failures += save_beside(scenario)
            server.close()
        if arguments.races:
            failures += race(shim, folder / "races", arguments.races, chance)
        if arguments.signals:
            failures += end_by_signal(folder / "signals", arguments.signals, chance)
    sys.exit(1 if failures else 0)


def every_kill(scenario: Scenario) -> Iterator[Fault]:
    for at in range(1, scenario.changes + 1):
        yield from (Fault(kind, at) for kind in _KILLS)


def some_kills(scenario: Scenario, total: int, kinds: list[type[Scenario]], chance: random.Random) -> Iterator[Fault]:
    for number in range(-(-total // len(kinds))):
        yield Fault(_KILLS[number % 2], chance.randint(1, scenario.changes))


def some_errors(scenario: Scenario, total: int, kinds: list[type[Scenario]], chance: random.Random) -> Iterator[Fault]:
    changes = {Kind.NO_SPACE: scenario.changes_that_take_space(), Kind.IO_ERROR: scenario.changes}
    for number in range(-(-total // len(kinds))):
        kind = _ERRORS[number % 2]
        yield Fault(kind, chance.randint(1, changes[kind]), for_good=number % 4 > 1)


def disturb(scenario: Scenario, faults: list[Fault]) -> int:
    """Injects faults and prints a line of the table; returns how often something was wrong."""
    started = time.monotonic()
    counts: Counter[Kind] = Counter()
    wrong = []
    for fault in faults:
        counts[fault.kind] += 1
        try:
            scenario.disturb(fault)
        except (AssertionError, NotesearchError, OSError, sqlite3.Error):  # the others are to be tried too
            wrong.append((fault, traceback.format_exc(limit=-2)))
    kills = sum(counts[kind] for kind in _KILLS)
    print(
        f"{scenario.name:<26}{scenario.changes:8}{kills:7}{counts[Kind.NO_SPACE]:11}{counts[Kind.IO_ERROR]:12}"
        f"{len(wrong):7}{time.monotonic() - started:6.0f}",
        flush=True,
    )
    for fault, what in wrong:
        print(f"  {fault}\n{what}")
    return len(wrong)


def save_beside(scenario: TagAndUndo) -> int:
    """Has another program save all notes before every change of `tag --apply`; returns how often a save was lost."""
    lost = 0
    for at in range(1, scenario.changes + 1):
        for by_renaming in (False, True):
            try:
                scenario.check_saves(at, by_renaming=by_renaming)
            except AssertionError:
                lost += 1
                print(f"  a save before change {at}\n{traceback.format_exc(limit=-2)}")
    print(f"saves beside {scenario.name}: {2 * scenario.changes}, lost: {lost}", flush=True)
    return lost


def race(shim: Path, folder: Path, rounds: int, chance: random.Random) -> int:
    """Searches beside one `index` that is stopped at any moment, and beside two that run; returns how many failed."""
    server = Server(shim)
    scenarios = [kind(Sandbox(server, folder / kind.__name__)) for kind in (IndexAgain, Rebuild)]
    searches = failed = 0
    for number in range(rounds):
        scenario = scenarios[number % 2]
        sandbox = scenario.sandbox
        sandbox.put_back()
        stop = Fault(Kind.STOP, chance.randint(1, scenario.changes))
        index = sandbox.start(*scenario.arguments, fault=stop, patches=scenario.patches)
        index.wait()
        beside = [scenario.start_search() for _ in range(4)]
        time.sleep(_LONG_STOP_S)  # long enough to search; in the last moments of `index`, SQLite has them wait for it
        other = sandbox.start("index", "--wait", "1m", patches=scenario.patches)
        beside += [scenario.start_search() for _ in range(4)]
        index.go_on()
        outcomes = [search.wait() for search in beside]
        ends = [index.wait().code, other.wait().code]
        searches += len(outcomes)
        for outcome in outcomes:
            try:
                scenario.check_found(scenario.found_by(outcome))
            except AssertionError as error:
                failed += 1
                print(f"  {scenario.name}, stopped at {stop.at}: {error}")
        if ends != [0, 0] or scenario.found() != scenario.found_after:
            failed += 1
            print(f"  {scenario.name}, stopped at {stop.at}: ended with {ends}")
    server.close()
    print(f"\n{searches} searches beside {2 * rounds} runs of index, two at a time: {failed} failed")
    return failed


def end_by_signal(folder: Path, count: int, chance: random.Random) -> int:
    """Ends real runs with the real model by SIGTERM at any moment; returns how many took more than 2 s or failed."""
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    command = [*NOTESEARCH, "index", str(_ROOT / "sample_notes"), "--index-dir", str(folder / "index"), "--quiet"]
    subprocess.run(command, env=environment, check=True)  # prepares the model
    shutil.rmtree(folder / "index")
    started = time.monotonic()
    subprocess.run(command, env=environment, check=True)
    usual_s = time.monotonic() - started
    taken, codes = [], Counter[int]()
    for _ in range(count):
        shutil.rmtree(folder / "index", ignore_errors=True)
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.3, 1) * usual_s)  # before, Python itself is starting, and the signal ends it
        sent = time.monotonic()
        process.send_signal(signal.SIGTERM)
        codes[process.wait(60)] += 1
        taken.append(time.monotonic() - sent)
        subprocess.run(command, env=environment, check=True)
    print(
        f"{count} runs of {usual_s:.1f} s ended by SIGTERM: median {statistics.median(taken):.2f} s, "
        f"longest {max(taken):.2f} s; exit status {dict(codes)}"
    )
    return sum(seconds > 2 for seconds in taken) + sum(codes[code] for code in codes if code not in (143, 0))


if __name__ == "__main__":
    main()
