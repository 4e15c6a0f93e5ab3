"""Options that several commands share."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from notesearch.cli.completion import complete_collection, complete_tag
from notesearch.cli.dates import parse_date
from notesearch.cli.formats import Format

IndexDir = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads it
    typer.Option(
        "--index-dir",
        help="Directory of the index. Default: $NOTESEARCH_INDEX_DIR, else the user's data directory.",
        metavar="DIR",
        show_default=False,
    ),
]
CollectionName = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--collection",
        "-c",
        metavar="NAME",
        help="A collection of the settings.",
        show_default=False,
        autocompletion=complete_collection,
    ),
]
CollectionNames = Annotated[
    list[str],
    typer.Option(
        "--collection",
        "-c",
        metavar="NAME",
        help="A collection of the settings; again for more.",
        show_default=False,
        autocompletion=complete_collection,
    ),
]
Tags = Annotated[
    list[str],
    typer.Option("--tag", metavar="TAG", help="Only notes with this tag; again for more.", autocompletion=complete_tag),
]
NotTags = Annotated[
    list[str],
    typer.Option("--not-tag", metavar="TAG", help="Only notes without this tag.", autocompletion=complete_tag),
]
CrossEncoderName = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--cross-encoder", metavar="MODEL", help="Rerank by it: a local directory or a hub id.", show_default=False
    ),
]
ConceptsFile = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--concepts",
        metavar="FILE",
        help="Links between ideas. Default: concepts.toml in the user's configuration directory.",
        show_default=False,
    ),
]
Limit = Annotated[int, typer.Option("--limit", "-n", metavar="N", help="The most hits.", min=1, max=10_000)]
PathGlob = Annotated[
    str, typer.Option("--path", metavar="GLOB", help="Only notes whose path matches.", show_default=False)
]
Since = Annotated[str, typer.Option("--since", metavar="DATE", help='Not older: 2024-05-17, "2 weeks ago".')]
Until = Annotated[str, typer.Option("--until", metavar="DATE", help="Not newer.")]
Output = Annotated[Format, typer.Option("--format", help="How to print the hits.")]
AsJson = Annotated[bool, typer.Option("--json", help="Short for --format json.")]
AsJsonl = Annotated[bool, typer.Option("--jsonl", help="Short for --format jsonl.")]
AsTsv = Annotated[bool, typer.Option("--tsv", help="Short for --format tsv.")]
AsVimgrep = Annotated[bool, typer.Option("--vimgrep", help="Short for --format vimgrep.")]
OnlyFiles = Annotated[bool, typer.Option("--files", help="Print paths only.")]
OnlyFiles0 = Annotated[bool, typer.Option("-0", help="Print paths only, each ended by NUL.")]
Explain = Annotated[bool, typer.Option("--explain", help="Show what each score is made of.")]
MOST_SEED = 2**32 - 1
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors on stderr.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more on stderr; show tracebacks of errors.")]


def filters_as_typed(tags: list[str], not_tags: list[str], path: str, since: str, until: str) -> dict[str, Any]:
    """The filters of a command line as the library takes them, by name.

    Raises:
        UsageError: A date is none.
    """
    from notesearch.settings import resolved_glob

    now = datetime.now()
    return {
        "tags": tags,
        "not_tags": not_tags,
        "path": resolved_glob(path),
        "since": parse_date(since, now=now, end=False) if since else None,
        "until": parse_date(until, now=now, end=True) if until else None,
    }
