"""Reading a note takes a time and memory that grow as the note does, whatever is in it."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from . import sizes

# Four times the text may take ten times as long where a quadratic one would take sixteen times; a busy machine is given
# a second and a third chance.
_SIZE = 4_000
_TIMES_LARGER = 4
_MOST_TIMES_LONGER = 10
_GRACE_SECONDS = 0.03
_OTHER_FORMATS = [name for name in sizes.INPUTS if not name.startswith(("YAML", "TOML", "heading of"))]
_CASES = [(name, ".md") for name in sizes.INPUTS] + [(name, s) for name in _OTHER_FORMATS for s in (".org", ".rst")]


@pytest.mark.parametrize(("name", "suffix"), _CASES)
def test_time_grows_as_the_text_does(name: str, suffix: str) -> None:
    for _ in range(3):
        short, long = (_seconds(sizes.INPUTS[name](size), suffix) for size in (_SIZE, _SIZE * _TIMES_LARGER))
        if long <= _GRACE_SECONDS + _MOST_TIMES_LONGER * short:
            return
    raise AssertionError(f"{long:.3f} s for {_TIMES_LARGER} times what takes {short:.3f} s")


def _seconds(text: str, suffix: str) -> float:
    started = time.process_time()
    sizes.read(text, suffix)
    return time.process_time() - started


_LARGE = {
    "number signs": '"#" * 10_000_000, ".md"',
    "one word": '"x" * 5_000_000, ".txt"',
    "line ends": '"\\n" * 1_000_000, ".md"',
    "headings": '"# h\\n" * 100_000, ".md"',
    "levels": '">" * 100_000 + "- " * 100_000, ".md"',
    "unclosed links": '"[a](b.md " * 400_000, ".md"',
    "one link": '"[a](" + "%41" * 1_000_000 + ".md)", ".md"',
    "table that is filled up": '("|" + "a|" * 9_000) * 2 + "\\n|" + "-|" * 18_000 + "\\n" + "a\\n" * 15_000, ".md"',
    "lazy lines": '"> " * 500 + "a\\n" * 90_000, ".md"',
    "drawers": '":PROPERTIES:\\n:a: b\\n:END:\\n" * 100_000, ".org"',
    "titles": '"a\\n=\\n\\n" * 100_000, ".rst"',
    "front matter that is never closed": '"---\\n" + "a: b\\n" * 400_000, ".md"',
    "TOML key": '"+++\\na" + ".a" * 32_000 + " = 1\\n+++\\n", ".md"',
}
_READ_WITHIN_LIMITS = """
import resource
from datetime import datetime
from pathlib import Path
from notesearch.notes import parse_note

def read(text, suffix):
    parse_note(Path("/notes/name" + suffix), text, datetime(2024, 1, 2))

read("# a\\n\\n---\\na: b\\n---", ".md")  # what is loaded once
held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 400 * 2**20,) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (15, 15))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc")
@pytest.mark.parametrize("call", _LARGE.values(), ids=_LARGE.keys())
def test_large_notes_are_read_within_fifteen_seconds_and_400_megabytes(call: str) -> None:
    program = f"{_READ_WITHIN_LIMITS}\nread({call})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
