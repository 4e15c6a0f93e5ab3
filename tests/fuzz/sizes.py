"""Notes that are large and of one kind, which take longest to read: `python -m tests.fuzz.sizes [CHARACTERS]`.

Prints seconds and megabytes of each, in a process of its own. The tests compare small ones with larger ones.
"""

import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from notesearch.errors import NoteNotWritable
from notesearch.evaluation.known_items import find_known_items, without_items
from notesearch.notes import chunk_note, parse_note, without_tags
from notesearch.records import Chunking
from notesearch.writeback.plan import plan_tag_edit

MakeText = Callable[[int], str]
_WORD = re.compile(r"\w+|[^\w\s]")
_SHOWN = 10_000_000
_SUFFIXES = (".md", ".org", ".rst", ".txt")


def _repeated(unit: str) -> MakeText:
    return lambda size: unit * (size // len(unit))


def _lines(unit: str, width: int) -> MakeText:
    """Lines of so many characters that repeat something behind a heading's mark."""
    line = "# " + unit * (width // len(unit)) + "\n"
    return lambda size: line * (size // len(line))


def _toml(content: Callable[[int], str]) -> MakeText:
    return lambda size: f"+++\n{content(min(size, 60_000))}\n+++\nbody\n"


def _yaml(content: Callable[[int], str]) -> MakeText:
    return lambda size: f"---\n{content(min(size, 60_000))}\n---\nbody\n"


_UNITS = {
    **{f"{char!r} alone": char for char in "#x>-[]*_|<`~=:(.字\n\r\0\u0301\u200d\ud800\x85"},
    "words": "word ",
    "headings": "# h\n",
    "items": "- a\n",
    "quoted lines": "> a\n",
    "paragraphs": "a\n\n",
    "links": "[a](b.md) ",
    "unclosed links": "[a](b.md ",
    "wikilinks": "[[a]] ",
    "unclosed wikilinks": "[[a",
    "link targets": "[a]((b)",
    "asterisks": "*a ",
    "HTML tags": "<a>",
    "comments": "<!--\n",
    "hashtags": "#a ",
    "fences": "```\n",
    "backticks": "` `` ",
    "underlines": "a\n=\n",
    "sentences": "a. ",
    "Chinese sentences": "字。",
    "Org headings": "* a :b:\n",
    "drawers": ":PROPERTIES:\n:a: b\n:END:\n",
    "Org code": "#+begin_src\n#+end_example\n",
    "Org links": "[[a][b]]",
    "RST titles": "===\na\n===\n\n",
    "RST code": "a::\n\n  b\n",
    "tag lines": "tags: a\n- b\n",
}
INPUTS: dict[str, MakeText] = {
    **{name: _repeated(unit) for name, unit in _UNITS.items()},
    "nested items": lambda size: "".join("  " * depth + "- a\n" for depth in range(int(size**0.5))),
    "lazy lines": lambda size: "> " * 500 + "a\n" * (size // 2),
    "wide table": lambda size: f"|{'a|' * (size // 8)}\n|{'-|' * (size // 8)}\n" + "a\n" * (size // 4),
    "table": lambda size: "|a|b|\n|-|-|\n" + "|a|b|\n" * (size // 6),
    "backticks that grow": lambda size: " ".join("`" * length for length in range(1, int((2 * size) ** 0.5))),
    "one long link": lambda size: f"[a]({'%41' * (size // 3)}.md)",
    "different hashtags": lambda size: "".join(f"#t{number} " for number in range(size // 9)),
    "different headings": lambda size: "".join(f"## h{number} b c d\n\ne f g h i\n\n" for number in range(size // 25)),
    **{f"heading of {unit!r}": _lines(unit, 1190) for unit in ("_a ", "*a", "(_a", "[a](", "<a ", "{#a", "`a`", " #")},
    "spaces": lambda size: "# a" + " " * size + "b",
    "open front matter": lambda size: "---\n" + "a: b\n--- \n" * (size // 10),
    "YAML flow": _yaml(lambda size: "[" * size),
    "YAML dashes": _yaml(lambda size: "- " * (size // 2)),
    "YAML bomb": _yaml(lambda size: "\n".join(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9}]" for n in range(size // 65))),
    "YAML merge keys": _yaml(lambda size: "a: &a {b: c}\n" + "d: {<<: *a}\n" * (size // 12)),
    "YAML objects": _yaml(lambda size: "a: !!python/object/apply:os.system ['true']\n" * (size // 44)),
    "YAML keys": _yaml(lambda size: "".join(f"k{number}: 1\n" for number in range(size // 9))),
    "YAML tags": _yaml(lambda size: "tags:\n" + "".join(f"- t{number}\n" for number in range(size // 9))),
    "YAML number": _yaml(lambda size: "a: " + "1:" * (size // 2) + "1"),
    "TOML flow": _toml(lambda size: "a = " + "[" * size),
    "TOML key": _toml(lambda size: "a" + ".a" * (size // 2) + " = 1"),
    "TOML table": _toml(lambda size: "[a" + ".a" * (size // 2) + "]\nb = 1"),
    "TOML keys": _toml(lambda size: "".join("a." * 25 + f"k{number} = 1\n" for number in range(size // 60))),
    "TOML number": _toml(lambda size: "title = 0x" + "f" * size),
    "TOML tags": _toml(lambda size: "tags = [" + "".join(f"'t{number}', " for number in range(size // 9)) + "]"),
    "TOML comments": _toml(lambda size: "tags = [\n" + "# a\n" * (size // 4) + "]"),
}


def read(text: str, suffix: str) -> None:
    """All that is done with the text of a note."""
    path = Path(f"/notes/name{suffix}")
    note = parse_note(path, text, datetime(2024, 1, 2))
    chunk_note(note, lambda words: [match.start() for match in _WORD.finditer(words)], Chunking())
    without_tags(text, path)
    without_items(note, find_known_items([note]))
    with suppress(NoteNotWritable):  # most of these notes are refused
        plan_tag_edit(path, text.encode("utf-8", "surrogatepass"), ["new"])


def main() -> None:
    """Reads every input once; with a name and a suffix, that one, and prints what it took as JSON."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else _SHOWN
    if len(sys.argv) > 2:
        print(json.dumps(_measured(sys.argv[2], sys.argv[3], size)))
        return
    print(f"{'input':<24} {'format':<6} {'seconds':>8} {'MB':>6}")
    for name in INPUTS:
        for suffix in _SUFFIXES:
            command = [sys.executable, "-m", "tests.fuzz.sizes", str(size), name, suffix]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            seconds, megabytes = json.loads(done.stdout)
            print(f"{name:<24} {suffix:<6} {seconds:8.2f} {megabytes:6.0f}", flush=True)


def _measured(name: str, suffix: str, size: int) -> tuple[float, float]:
    """CPU seconds, and megabytes beside what Python and the text itself take."""
    text = INPUTS[name](size)
    read("# a", suffix)  # what is loaded once
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    read(text, suffix)
    seconds = time.process_time() - started
    return seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


if __name__ == "__main__":
    main()
