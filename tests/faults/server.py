"""Runs notesearch commands, each in a forked child of a process that has everything imported already.

Started by `driver.Server` with the shim preloaded and with names of more modules to import; reads a JSON object a line,
and answers with one. A child runs what `notesearch` on the command line runs, from `main` to the interpreter's end.
"""

import ctypes
import gc
import importlib
import json
import mmap
import os
import select
import signal
import struct
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from fake_encoder import FakeModels
from tuning_stub import StubTuner, kept_trial

import notesearch.cli
from notesearch.cli import COMMANDS

# What the commands import as they go along.
for name in (
    *{f"notesearch.cli.{place.partition('.')[0]}" for group in COMMANDS.values() for place, _ in group.values()},
    *("notesearch.library.doctor", "notesearch.library.tag", "notesearch.library.train", "notesearch.library.tune"),
    *("notesearch.tagging.report", "notesearch.indexing", "notesearch.storage.writer", "notesearch.cli.tables"),
    *(
        "hnswlib",
        "filelock",
        "sqlite_utils",
        "scipy.sparse",
        "scipy.optimize",
        "scipy.stats",
        "jinja2",
        "safetensors.numpy",
        "yaml",
    ),
    *sys.argv[1:],
):
    importlib.import_module(name)

# As `struct counter` of the shim: calls, fired, fired_at_s.
COUNTER = struct.Struct("@lld")


class Child:
    """A command that was started."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.shared = mmap.mmap(-1, mmap.PAGESIZE)
        self.pid = os.fork()
        if self.pid == 0:
            become_command(request, self.shared)

    def wait(self, timeout_s: float) -> dict[str, Any]:
        """Waits until the command ends or stops itself; one that does neither is killed."""
        state = self._next_state(timeout_s)
        ended_at_s = time.clock_gettime(time.CLOCK_MONOTONIC)
        if state is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        calls, fired, fired_at_s = COUNTER.unpack_from(self.shared)
        return {
            "stopped": state is not None and os.WIFSTOPPED(state),
            "hung": state is None,
            "code": None if state is None or os.WIFSTOPPED(state) else os.waitstatus_to_exitcode(state),
            "calls": calls,
            "fired": fired,
            "seconds_after": ended_at_s - fired_at_s if fired else None,
        }

    def _next_state(self, timeout_s: float) -> int | None:
        deadline = time.monotonic() + timeout_s
        ended = os.pidfd_open(self.pid)
        try:
            while True:
                pid, state = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
                if pid:
                    return state
                if time.monotonic() > deadline:
                    return None
                select.select([ended], [], [], 0.005)  # that it has stopped makes no descriptor readable
        finally:
            os.close(ended)


def become_command(request: dict[str, Any], shared: mmap.mmap) -> None:
    """Turns this process into the command."""
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    for descriptor, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, request["stdout"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, request["stderr"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        os.dup2(os.open(path, flags, 0o600), descriptor)
    use_fakes()
    for place, value in request["patches"].items():
        module, _, name = place.rpartition(".")
        setattr(importlib.import_module(module), name, value)
    fault = request["fault"]
    shim = ctypes.CDLL(os.environ["FAULT_SHIM"])
    shim.fault_arm(
        ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(shared))),
        os.fsencode(request["watched"]),
        ctypes.c_int(fault["kind"]),
        ctypes.c_long(fault["at"]),
        ctypes.c_int(fault["for_good"]),
    )
    sys.argv = ["notesearch", *request["arguments"]]
    notesearch.cli.main()
    sys.exit()


def use_fakes() -> None:
    """Puts an encoder in the place of the model's that takes no time and gives the same bits for the same text."""
    FakeModels().put_in_place(setattr)
    tune: Any = importlib.import_module("notesearch.library.tune")
    tune.Tuner, tune.hold_trial = StubTuner, kept_trial


def serve() -> None:
    """Answers requests until there are no more."""
    children: dict[int, Child] = {}
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any] = {}
        if request["do"] == "start":
            sys.stdout.flush()
            child = Child(request)
            children[child.pid] = child
            answer["pid"] = child.pid
        else:
            answer = children[request["pid"]].wait(request["timeout_s"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    gc.freeze()
    serve()
