"""Reading a note takes a time and memory that grow as the note does, whatever is in it."""

import subprocess
import sys
from pathlib import Path

import pytest

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
