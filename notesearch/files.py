"""Text files, line by line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from notesearch.errors import UsageError


def read_lines(path: Path, hint: str) -> Iterator[tuple[int, str]]:
    """The lines of a file that are not blank, with their numbers.

    Raises:
        UsageError: The file cannot be read, or is not in UTF-8; with this hint.
    """
    # Not splitlines(): a text may hold U+2028, which ends no line of JSON.
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.rstrip("\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {path}: it is not UTF-8", hint) from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}", hint) from error


def read_jsonl(path: Path, keys: tuple[str, ...], hint: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file of JSON lines, with the numbers of their lines.

    Raises:
        UsageError: The file cannot be read, or a line is not an object with these keys; with this hint.
    """
    for number, line in read_lines(path, hint):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}, line {number} is not JSON: {error}", hint) from error
        if not isinstance(record, dict) or any(key not in record for key in keys):
            raise UsageError(f"{path}, line {number} lacks {' or '.join(keys)}", hint)
        yield number, record
