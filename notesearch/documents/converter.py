"""Asking the process that reads documents."""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from notesearch.documents.document import Document
from notesearch.errors import NoteUnreadable

if TYPE_CHECKING:
    from subprocess import Popen


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading a document may take.

    Attributes:
        seconds: Processor time; a long PDF is read for half of it, and then as far as that goes.
        memory_bytes: Address space.
    """

    seconds: float = 120.0
    memory_bytes: int = 2_000_000_000


class Converter:
    """Reads documents in a process of its own, which is started when it is first needed and then kept."""

    def __init__(self, limits: Limits = Limits()) -> None:
        self._limits = limits
        self._process: Popen[bytes] | None = None
        self._lock = Lock()

    def convert(self, name: str, data: bytes) -> Document:
        """Read a document.

        Args:
            name: The file's name, whose suffix says what it is.
            data: The whole file.

        Raises:
            NoteUnreadable: It cannot be read; the message is a short reason.
        """
        with self._lock:
            try:
                answer = self._ask(name, data)
            except BaseException:  # Ctrl-C: the next answer would be that to this question
                self.close()
                raise
        if "unreadable" in answer:
            raise NoteUnreadable(answer["unreadable"], by_rule=answer["by_rule"])
        return Document.from_values(answer)

    def close(self) -> None:
        """Ends the process."""
        if self._process:
            self._process.kill()
            self._wait()

    def _ask(self, name: str, data: bytes) -> dict[str, Any]:
        """The answer of the process, or what its end says about the document."""
        while True:
            process = self._process = self._process or _start()
            assert process.stdin and process.stdout
            request = {
                "name": name,
                "size": len(data),
                "seconds": self._limits.seconds,
                "memory_bytes": self._limits.memory_bytes,
            }
            try:
                process.stdin.write(json.dumps(request).encode() + b"\n" + data)
                process.stdin.flush()
                line = process.stdout.readline()
            except BrokenPipeError:
                line = b""
            if line:
                answer: dict[str, Any] = json.loads(line)
                return answer
            if status := self._wait():
                return {"unreadable": self._reason(status), "by_rule": status == -signal.SIGPROF}
            # It had ended by itself, for want of work.

    def _reason(self, status: int) -> str:
        if status == -signal.SIGPROF:
            return f"too complicated: not read within {self._limits.seconds:.0f} s"
        return "damaged: what reads it gave up"

    def _wait(self) -> int:
        assert self._process
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                if pipe:
                    pipe.close()
            except BrokenPipeError:  # what was not written yet
                continue
        status = self._process.wait()
        self._process = None
        return status


def _start() -> Popen[bytes]:
    import subprocess

    # It finds notesearch where this process did, and nothing in the working directory, which may hold anything.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "notesearch.documents.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,  # Ctrl-C is for this process
    )


_converter = Converter()
atexit.register(_converter.close)


def convert(name: str, data: bytes) -> Document:
    """Read a document; see `Converter.convert`."""
    return _converter.convert(name, data)
