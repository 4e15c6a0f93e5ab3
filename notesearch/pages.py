"""What reports share: rounded values for JSON, and HTML pages, each one file that loads nothing else."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from notesearch.errors import UsageError
from notesearch.files import write_whole

_DECIMALS = 4
_HOW_TO_WRITE = "Name a file in a folder that you may write."


def rounded(value: Any) -> Any:
    """Values for JSON (dicts, lists and tuples of them) with every float rounded to four decimals."""
    if isinstance(value, float):
        return round(value, _DECIMALS)
    if isinstance(value, dict):
        return {key: rounded(own) for key, own in value.items()}
    return [rounded(own) for own in value] if isinstance(value, list | tuple) else value


def render_page(template: str, **values: Any) -> str:
    """Renders a template of notesearch/templates, with every value escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("notesearch"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template(template).render(values)


def check_writable(path: Path) -> None:
    """Makes sure that a page can be written to a file, before the work that it reports on.

    Raises:
        UsageError: It cannot.
    """
    with _translated_errors(path):
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        descriptor, name = tempfile.mkstemp(prefix=".notesearch-", dir=path.parent)
        os.close(descriptor)
        Path(name).unlink()


def write_page(path: Path, text: str) -> None:
    """Writes a page for its owner only: whole, or not at all.

    Raises:
        UsageError: It cannot be written.
    """
    with _translated_errors(path):
        write_whole(path, text, path.with_name(f".notesearch-{os.getpid()}"))


@contextmanager
def _translated_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write {path}: {(error.strerror or str(error)).lower()}", _HOW_TO_WRITE) from error
