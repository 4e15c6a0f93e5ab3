"""Reports as pages of HTML: they open by themselves and load nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from html import escape
from pathlib import Path

from notesearch.errors import UsageError

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bar: #4a7fb5; --other: #8886; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: right; padding: .2rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; }
svg text { font-size: 11px; fill: currentColor; }
.note { color: #777; }
"""
_HOW_TO_WRITE = "Name a file in a folder that you may write."


def page(title: str, parts: Sequence[str], style: str = "") -> str:
    """A page with a title.

    Args:
        title: Plain text.
        parts: What it shows, as HTML: whoever makes it has escaped what it holds.
        style: CSS in addition to that of every page.
    """
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{escape(title)}</title>\n'
        f"<style>{_STYLE}{style}</style>\n</head>\n<body>\n"
        + "\n".join([f"<h1>{escape(title)}</h1>", *parts])
        + "\n</body>\n</html>\n"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of plain texts."""

    def row(tag: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return "\n".join(["<table>", row("th", head), *(row("td", cells) for cells in rows), "</table>"])


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
        descriptor, name = tempfile.mkstemp(prefix=".notesearch-", dir=path.parent)  # with mode 0600
        temporary = Path(name)
        try:
            with open(descriptor, "w", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - from a descriptor
                file.write(text)
                file.flush()
                os.fsync(descriptor)
            temporary.replace(path)
        finally:
            with suppress(OSError):  # it is gone where all went well
                temporary.unlink()


@contextmanager
def _translated_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write {path}: {(error.strerror or str(error)).lower()}", _HOW_TO_WRITE) from error
