"""`notesearch mcp`: the notes as tools for assistants."""

from __future__ import annotations

import os
import signal
from types import FrameType

from notesearch.cli.options import IndexOptions, MessageOptions
from notesearch.errors import UsageError


def mcp(*, index: IndexOptions, messages: MessageOptions) -> None:
    """Serve the notes to assistants (Model Context Protocol).

    An assistant starts it, and speaks to it on stdin and stdout; see docs/assistants.md. It offers the tools search,
    similar, read_note, tags and status, and writes nothing. Needs: pip install 'notesearch[mcp]'

    Example: notesearch mcp --index-dir ~/work-index
    """
    from notesearch.mcp.server import serve

    settings = index.settings()
    if settings.tags or settings.not_tags or settings.path:
        # An assistant would see what they leave out, if only in read_note and the names of tags.
        raise UsageError(
            f"the collection {index.collection} has filters, which do not bind an assistant",
            "Serve one that has an index of its own, with the notes that an assistant may read.",
        )

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    serve(settings, verbose=messages.verbose)


def _end(number: int, frame: FrameType | None) -> None:
    """Ends the process at once: it has made nothing that is to be cleared up, and a thread of it waits for stdin."""
    os._exit(128 + number)
