"""`notesearch mcp`: the notes as tools for assistants."""

from __future__ import annotations

import os
import signal
from datetime import datetime
from types import FrameType

from notesearch.cli.dates import parse_date
from notesearch.cli.options import IndexDir, Verbose


def mcp(index_dir: IndexDir = None, verbose: Verbose = False) -> None:
    """Serve the notes to assistants by the Model Context Protocol, on stdin and stdout.

    An assistant starts it; see docs/assistants.md. It offers the tools search, read_note, tags and status, and writes
    nothing. Needs: pip install 'notesearch[mcp]'

    Example: notesearch mcp --index-dir ~/work-index
    """
    from notesearch.mcp_server import serve
    from notesearch.settings import load_settings

    def read_date(written: str, end: bool) -> datetime:
        return parse_date(written, now=datetime.now(), end=end)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    serve(load_settings(index_dir=index_dir), read_date, verbose=verbose)


def _end(number: int, frame: FrameType | None) -> None:
    """Ends the process at once: it has made nothing that is to be cleared up, and a thread of it waits for stdin."""
    os._exit(128 + number)
