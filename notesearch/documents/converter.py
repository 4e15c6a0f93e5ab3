"""Sends documents to the process that converts them."""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
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
        seconds: Processor time; a PDF is cut off after half of it, so that its beginning can be used.
        memory_bytes: Address space.
    """

    seconds: float = 120.0
    memory_bytes: int = 2_000_000_000


class Converter:
    """Converts documents in a separate process, which is started for the first document and then kept."""

    def __init__(self, limits: Limits = Limits()) -> None:
        self._limits = limits
        self._process: Popen[bytes] | None = None
        self._lock = Lock()

    def convert(self, name: str, data: bytes) -> Document:
        """Convert a document.

        Args:
            name: The file's name, whose suffix says what it is.
            data: The whole file.

        Raises:
            NoteUnreadable: It cannot be read; the message is a short reason.
        """
        with self._lock:
            try:
                answer = self._ask(name, data)
            except BaseException:  # after Ctrl-C, the next answer would be the one to this request
                self.close()
                raise
        if "unreadable" in answer:
            raise NoteUnreadable(answer["unreadable"], by_rule=answer["by_rule"])
        return Document(**answer)

    def close(self) -> None:
        """End the process."""
        if self._process:
            self._process.kill()
            self._ended()

    def _ask(self, name: str, data: bytes) -> dict[str, Any]:
        """The answer of the process, or what its end says about the document."""
        request = json.dumps({"name": name, "size": len(data)} | asdict(self._limits)).encode()
        while True:
            process = self._process = self._process or _start()
            assert process.stdin and process.stdout
            line = b""
            with suppress(BrokenPipeError):
                process.stdin.write(request + b"\n" + data)
                process.stdin.flush()
                line = process.stdout.readline()
            if line:
                answer: dict[str, Any] = json.loads(line)
                return answer
            status = self._ended()
            if status == -signal.SIGPROF:
                reason = f"too complicated: not read within {self._limits.seconds:.0f} s"
                return {"unreadable": reason, "by_rule": True}
            if status:
                return {"unreadable": "damaged: what reads it gave up", "by_rule": False}
            # With status 0 it had ended before the request, for lack of work.

    def _ended(self) -> int:
        """The exit status of the process, which has ended or is about to."""
        process, self._process = self._process, None
        assert process
        process.communicate()
        return process.returncode


def _start() -> Popen[bytes]:
    import subprocess

    # It finds notesearch where this process did, and imports nothing from the working directory, which is not trusted.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "notesearch.documents.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,  # Ctrl-C is for this process only
    )


_converter = Converter()
atexit.register(_converter.close)
convert = _converter.convert
