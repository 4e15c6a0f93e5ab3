"""Results that the owner has accepted: which note answered which query."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from notesearch.errors import StoreError
from notesearch.private import make_private_folder
from notesearch.records import Skipped

_FILE = "accepted.jsonl"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A result that was accepted.

    Attributes:
        query: What was asked.
        path: Absolute path of the note that answers.
        line: Where in it, 1-based; 0 for the whole note.
    """

    query: str
    path: str
    line: int = 0


def accepted_file(index_dir: Path) -> Path:
    """Where an index's accepted results are kept, whether there are any or not."""
    return index_dir / _FILE


def add_accepted(index_dir: Path, results: Iterable[Accepted]) -> None:
    """Adds results to those accepted before.

    Raises:
        StoreError: They cannot be written.
    """
    file = accepted_file(index_dir)
    data = "".join(json.dumps(asdict(result)) + "\n" for result in results).encode()
    try:
        make_private_folder(index_dir)
        descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        with open(descriptor, "rb+") as opened:  # noqa: PTH123 - from a descriptor
            size = opened.seek(0, os.SEEK_END)
            opened.seek(max(0, size - 1))
            cut_off = size > 0 and opened.read() != b"\n"  # by a crash
            opened.write(b"\n" * cut_off + data)
    except OSError as error:
        raise StoreError(f"cannot write {file}: {error.strerror or error}", "Is the disk full?") from error


def read_accepted(index_dir: Path) -> tuple[list[Accepted], list[Skipped]]:
    """Reads the accepted results, each once, and the lines that hold none.

    Raises:
        StoreError: They cannot be read.
    """
    file = accepted_file(index_dir)
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        return [], []
    except OSError as error:
        raise StoreError(f"cannot read {file}: {error.strerror or error}", "May you read it?") from error
    found: dict[Accepted, None] = {}
    skipped = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            found[_read_result(json.loads(line))] = None
        except (ValueError, KeyError, TypeError, RecursionError):
            skipped.append(Skipped(f"{file}, line {number}", "no accepted result"))
    return list(found), skipped


def _read_result(record: dict[str, object]) -> Accepted:
    query, path, line = record["query"], record["path"], record["line"]
    if not isinstance(query, str) or not isinstance(path, str) or type(line) is not int:
        raise TypeError("a value of the wrong type")
    return Accepted(query, path, line)
