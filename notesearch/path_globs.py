"""What a path that someone writes may stand for: a file, a folder, a glob; below the working or an indexed folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# The lines behind a path, as a search prints them.
_LINES = re.compile(r":\d+(?:-\d+)?\Z")
# Which characters are wildcards: none, or not the brackets, which names of folders hold at times; or all.
_WILDCARDS = (re.compile(r"(?!)"), re.compile(r"[*?]"), re.compile(r"[*?\[]"))
_SPECIAL = re.compile(r"[*?\[]")


def path_meanings(written: str, base: Path | None) -> tuple[str, ...]:
    """The globs that a written path may stand for; the first that any note matches is meant.

    Args:
        written: A path or a glob: absolute, from the home directory (`~`), or relative.
        base: What a relative path is relative to before it is one below an indexed folder; `None` for neither.

    Returns:
        Globs for the absolute path of a note or for that below its indexed folder: first the path as it stands, then
        with brackets that stand for themselves, then with all wildcards.
    """
    path = os.path.expanduser(written)  # noqa: PTH111 - Path's raises for an unknown user
    forms = dict.fromkeys([path, _LINES.sub("", path)])
    found = (glob for form in forms for wildcards in _WILDCARDS for glob in _globs(form, wildcards, base))
    return tuple(dict.fromkeys(glob.rstrip("/") for glob in found))


def _globs(path: str, wildcards: re.Pattern[str], base: Path | None) -> Iterator[str]:
    """Where a path may be, with these wildcards in it."""
    first = wildcards.search(path)
    # Where there is a wildcard, the part before it may end within a name.
    literal = path[: path.rfind("/", 0, first.start()) + 1] if first else path
    while (end := path.find("/", len(literal))) >= 0 and os.path.lexists((base or Path("/")) / path[:end]):
        literal = path[: end + 1]  # a folder of just this name is meant
    rest = _SPECIAL.sub(lambda char: char[0] if wildcards.match(char[0]) else f"[{char[0]}]", path[len(literal) :])
    if base or literal.startswith("/"):
        for place in _spellings((base or Path("/")) / literal):
            yield _SPECIAL.sub(r"[\g<0>]", place).rstrip("/") + ("/" if rest else "") + rest
    if not path.startswith(("/", "./", "../")):
        yield _SPECIAL.sub(r"[\g<0>]", literal) + rest


def _spellings(path: Path) -> Iterator[str]:
    """A path with and without symlinks: notes are known without those on the way to their folder, with those below."""
    with suppress(OSError, ValueError):  # no path holds a NUL
        given = os.path.abspath(path)  # noqa: PTH100 - Path.absolute keeps `..`
        parent, name = os.path.split(given)
        yield from dict.fromkeys([given, os.path.join(os.path.realpath(parent), name), os.path.realpath(given)])  # noqa: PTH118
