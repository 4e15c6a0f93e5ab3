"""One target under libFuzzer: `python -m tests.fuzz.engine TARGET [libFuzzer's options and corpus folders]`."""

import importlib
import os
import sys
import time
from collections.abc import Callable

import atheris

# CPU time that no input may take beside its share: an input of eight times the size is to take some eight times as
# long, and a quadratic one takes 64 times as long.
_GRACE_SECONDS = 0.05
_REPEATS = 8
_MOST_TIMES_LONGER = 32


class _Watched:
    """A target that fails where an input takes longer than its size explains."""

    def __init__(self, check: Callable[[bytes], None]) -> None:
        self._check = check
        self._slowest = 0.0

    def __call__(self, data: bytes) -> None:
        seconds = self._seconds(data)
        if seconds <= self._slowest:
            return
        self._slowest = seconds
        print(f"slowest: {seconds * 1000:.1f} ms of CPU for {len(data)} bytes", file=sys.stderr)
        longer = self._seconds(data * _REPEATS)
        if longer > _GRACE_SECONDS + _MOST_TIMES_LONGER * seconds:
            raise AssertionError(f"{longer:.3f} s for {_REPEATS} times what takes {seconds:.3f} s")

    def _seconds(self, data: bytes) -> float:
        started = time.process_time()
        self._check(data)
        return time.process_time() - started


def main() -> None:
    os.environ["PYTHONHASHSEED"] = "0"
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=["notesearch"]):
        target = importlib.import_module(f"tests.fuzz.fuzz_{name}")
    target.check(b"")  # what is loaded once must not count as slow
    atheris.Setup(sys.argv, _Watched(target.check))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
