"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

IndexDir = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads it
    typer.Option(
        "--index-dir",
        help="Directory of the index. Default: $NOTESEARCH_INDEX_DIR, else the user's data directory.",
        metavar="DIR",
        show_default=False,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors on stderr.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more on stderr; show tracebacks of errors.")]
