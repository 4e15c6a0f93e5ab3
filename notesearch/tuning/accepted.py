"""Results that the owner has accepted: which note answered which query."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from notesearch.errors import StoreError
from notesearch.files import append_jsonl, read_own_jsonl
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
    try:
        append_jsonl(file, map(asdict, results))
    except OSError as error:
        raise StoreError(f"cannot write {file}: {error.strerror or error}", "Is the disk full?") from error


def read_accepted(index_dir: Path) -> tuple[list[Accepted], list[Skipped]]:
    """Reads the accepted results, each once, and the lines that hold none.

    Raises:
        StoreError: They cannot be read.
    """
    file = accepted_file(index_dir)
    try:
        lines = read_own_jsonl(file)
    except OSError as error:
        raise StoreError(f"cannot read {file}: {error.strerror or error}", "May you read it?") from error
    found: dict[Accepted, None] = {}
    skipped = []
    for number, record in lines:
        try:
            found[_read_result(record)] = None
        except (KeyError, TypeError):
            skipped.append(Skipped(f"{file}, line {number}", "no accepted result"))
    return list(found), skipped


def _read_result(record: dict[str, object]) -> Accepted:
    query, path, line = record["query"], record["path"], record["line"]
    if not isinstance(query, str) or not isinstance(path, str) or type(line) is not int:
        raise TypeError("a value of the wrong type")
    return Accepted(query, path, line)
