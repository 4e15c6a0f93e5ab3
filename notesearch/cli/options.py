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
CrossEncoderName = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--cross-encoder", metavar="MODEL", help="Rerank by it: a local directory or a hub id.", show_default=False
    ),
]
Explain = Annotated[bool, typer.Option("--explain", help="Show what each score is made of.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors on stderr.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more on stderr; show tracebacks of errors.")]
