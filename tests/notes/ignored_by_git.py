"""Compares the notes that a walk finds with the files that git does not ignore, in folders made at random.

`python -m tests.notes.ignored_by_git --trees 2000 --seed 1`
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from notesearch.notes import NoteFile, find_notes

_STEMS = [
    "a",
    "b",
    "ab",
    "aab",
    "abc",
    "A",
    "keep",
    "a b",
    "é",
    "ü",
    "[a]",
    "a*",
    "a?b",
    "#a",
    "!b",
    "a\\b",
    " a",
    "0",
    "-",
]
_FOLDERS = [*_STEMS, "a.md", "d", "dd", "d e"]
_LITERALS = [*"aabbcdek-.!#A0 ", "keep", "ab", "a.md", ".md", "é", "\xc3", "d"]
_SETS = [
    *(
        "[a]",
        "[ab]",
        "[!a]",
        "[^b]",
        "[a-c]",
        "[!a-c]",
        "[]]",
        "[]a]",
        "[!]]",
        "[a-]",
        "[-a]",
        "[c-a]",
        "[--b]",
        "[*?]",
    ),
    *("[[:alpha:]]", "[![:digit:]]", "[[:upper:]a]", "[[:punct:]]", "[[:space:]]", "[[:nope:]]", "[[:alpha:]", "[[a]"),
    *(
        "[[:a]",
        "[[:]",
        "[a",
        "[",
        "[\\]]",
        "[\\a-c]",
        "[a-\\c]",
        "[é]",
        "[[:alpha:]-z]",
        "[a/b]",
        "[!/]",
        "[a&&b]",
        "[||]",
    ),
]
_WHOLE = [
    *(
        "*",
        "!*/",
        "!*.md",
        "*.md",
        "**",
        "/*",
        "/**",
        "**/",
        "*/",
        "!**/*.md",
        "d/**",
        "!d/keep.md",
        "/",
        "!",
        "\\",
        "//",
    ),
    *(
        "",
        "#a",
        "\\#a.md",
        "\\!b.md",
        "!\\!b.md",
        "a.md ",
        "a.md\\ ",
        "a b.md",
        "!a/",
        "!/a/",
        "a/*",
        "!a/ab.md",
        "**/a",
        "a/**/b",
    ),
    *(
        "/a/",
        "*/a.md",
        "a/**/",
        "!keep.md",
        "d/*",
        "/d",
        "!d",
        "a**",
        "a**/b.md",
        "***",
        "***/a.md",
        "a/***",
        "**/**/a.md",
    ),
]


def make_pattern(source: random.Random) -> str:
    """One line of an ignore file."""
    if source.random() < 0.4:
        return source.choice(_WHOLE)
    parts = []
    for _ in range(source.randint(1, 6)):
        kind = source.random()
        if kind < 0.4:
            parts.append(source.choice(_LITERALS))
        elif kind < 0.55:
            parts.append("/")
        elif kind < 0.7:
            parts.append("*")
        elif kind < 0.8:
            parts.append("**")
        elif kind < 0.86:
            parts.append("?")
        elif kind < 0.93:
            parts.append(source.choice(_SETS))
        else:
            parts.append("\\" + source.choice([*_LITERALS, "*", "?", "[", "/", "\\"]))
    start = source.choice(["", "", "", "!", "!", "/", "**/"])
    end = source.choice(["", "", "", "", ".md", ".md", "/", " ", "\t", "\\ ", "  ", "/**", "/*"])
    return start + "".join(parts) + end


def make_tree(source: random.Random, root: Path) -> None:
    """A repository with folders, notes and ignore files."""
    for folder in (".git/objects", ".git/refs", ".git/info"):
        (root / folder).mkdir(parents=True)
    (root / ".git/HEAD").write_text("ref: refs/heads/main\n")
    folders = [root]
    for _ in range(source.randint(1, 7)):
        folder = source.choice(folders) / source.choice(_FOLDERS)
        if not folder.exists():
            folder.mkdir()
            folders.append(folder)
    for folder in folders:
        for stem in source.sample(_STEMS, source.randint(1, 6)):
            if not (note := folder / f"{stem}.md").exists():
                note.touch()
        if folder == root or source.random() < 0.3:
            (folder / ".gitignore").write_bytes(make_ignore_file(source))
    if source.random() < 0.2:
        (root / ".git/info/exclude").write_bytes(make_ignore_file(source))


def make_ignore_file(source: random.Random) -> bytes:
    """An ignore file, with the line ends and byte order marks that editors write."""
    newline = source.choice(["\n", "\n", "\n", "\r\n"])
    lines = [make_pattern(source) for _ in range(source.randint(1, 6))]
    text = newline.join(lines) + source.choice(["", newline])
    return source.choice([b"", b"", b"", b"\xef\xbb\xbf"]) + text.encode("utf-8", "surrogateescape")


def not_ignored(root: Path) -> set[str]:
    """The notes below a folder that git does not ignore; hidden ones are not among them."""
    environment = {
        **os.environ,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "XDG_CONFIG_HOME": os.devnull,
    }
    command = ["git", "ls-files", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=root, env=environment, capture_output=True, check=True).stdout
    names = {os.fsdecode(name) for name in listed.split(b"\0") if name.endswith(b".md")}
    return {name for name in names if not name.startswith(".") and "/." not in name}


def found(root: Path) -> set[str]:
    """The notes that a walk finds."""
    notes = (entry.path for entry in find_notes(root, max_bytes=1000) if isinstance(entry, NoteFile))
    return {str(path.relative_to(root)) for path in notes}


def main() -> None:
    """Make trees, and tell of those where there is a difference."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trees", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    different = kept = left = 0
    for number in range(arguments.trees):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder).resolve()
            make_tree(random.Random(f"{arguments.seed}-{number}"), root)
            wanted, got = not_ignored(root), found(root)
            kept += len(wanted)
            left += sum(1 for _ in root.rglob("*.md")) - len(wanted)
            if wanted != got:
                different += 1
                print(f"tree {number}: git alone {sorted(wanted - got)}, notesearch alone {sorted(got - wanted)}")
                for file in [*root.rglob(".gitignore"), *root.rglob("exclude")]:
                    print(f"  {file.relative_to(root)}: {file.read_bytes()!r}")
    print(f"{different} of {arguments.trees} trees differ; git keeps {kept:,} notes and ignores {left:,}")
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
