"""What a command changes of the process that it runs in: the umask, closed streams, what SIGTERM does."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

# What a command makes is for its owner only; what an editor makes that it starts is not ours to decide on.
USERS_UMASK = os.umask(0o077)
os.umask(USERS_UMASK)

_STDERR = 2
INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
# A long call into C (building the vector file, say) holds the handler up; nothing on disk needs it to have run.
_PATIENCE_S = 1.5


def keep_private() -> None:
    """From now on, this process makes no file and no folder that anyone but its owner may use, whatever the umask was.

    For commands only: the umask of a program that merely uses the library is its own affair.
    """
    os.umask(0o077)


def fill_closed_streams() -> None:
    """Opens the descriptors of closed streams: what a library writes to stderr must not go into a database."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(descriptor)


@contextmanager
def ending_at_sigterm() -> Iterator[None]:
    """Lets SIGTERM end a command as Ctrl-C does, temporary files removed, and in two seconds at most."""
    received, sent = os.pipe()
    os.set_blocking(sent, False)
    former_handler = signal.signal(signal.SIGTERM, _unwind)
    # Python's handler waits for the main thread to come back from C; the byte is written at once.
    former_wakeup = signal.set_wakeup_fd(sent, warn_on_full_buffer=False)
    threading.Thread(target=_end_in_time, args=[received], daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(former_wakeup)
        signal.signal(signal.SIGTERM, former_handler)
        os.close(sent)


def end_at_once(code: int) -> NoReturn:
    """Ends the process once all is cleared up.

    Threads of the encoder may be at work still. The usual way out would pull their memory from under them and abort.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # it may be closed, or missing
            stream.flush()
    os._exit(code)


def _unwind(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would break off the clearing up
    sys.exit(TERMINATED)


def _end_in_time(received: int) -> None:
    with open(received, "rb", buffering=0) as numbers:
        while number := numbers.read(1):
            if number[0] == signal.SIGTERM:
                time.sleep(_PATIENCE_S)
                os._exit(TERMINATED)
