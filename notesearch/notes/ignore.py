"""Ignore files: which files and folders their owner wants left out.

Their rules are git's to the letter: those of `gitignore(5)`, and where that leaves room, what git does. Names are
matched as bytes, so `?` stands for one byte, and a class such as `[:alpha:]` holds ASCII only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Literal, NamedTuple

from notesearch.files import open_regular
from notesearch.records import Skipped

# git's file, and the program's own, which has the last word: what is not to be read need not be what git leaves out.
IGNORE_FILES = (".gitignore", ".notesearchignore")
# Where a repository begins, git's rules of the folders around it end, and its own hold; these are the weakest of them.
REPOSITORY = ".git"
REPOSITORY_RULES = ".git/info/exclude"
# A folder that holds one of these has rules of its own.
BRING_RULES = (REPOSITORY, *IGNORE_FILES)

_BOM = b"\xef\xbb\xbf"
_SLASH, _BACKSLASH, _STAR, _QUESTION, _BRACKET, _BRACKET_END, _DASH = b"/\\*?[]-"
_SPECIAL = re.compile(rb"[*?\[\\]")
_CLASS_NAME = re.compile(rb"\[:([^]]*):\]")
_CLASSES = {
    name: frozenset(code for code in range(128) if re.match(members, chr(code)))
    for name, members in {
        b"alnum": "[0-9A-Za-z]",
        b"alpha": "[A-Za-z]",
        b"blank": "[ \t]",
        b"cntrl": "[\0-\x1f\x7f]",
        b"digit": "[0-9]",
        b"graph": "[!-~]",
        b"lower": "[a-z]",
        b"print": "[ -~]",
        b"punct": r"[!-/:-@\[-`{-~]",
        b"space": "[ \t\n\r]",
        b"upper": "[A-Z]",
        b"xdigit": "[0-9A-Fa-f]",
    }.items()
}


class Rule(NamedTuple):
    """A line of an ignore file.

    Attributes:
        source: The file, the number of the line, and the line, for people.
        excludes: Whether what it names is left out, or let in again.
        only_folders: It ends with a slash.
        by_name: It has no other slash, so that it holds in all folders below.
        regex: Of the name, or else of the path from the folder of its file on.
    """

    source: str
    excludes: bool
    only_folders: bool
    by_name: bool
    regex: bytes


class IgnoreRules:
    """The rules in force in a folder: those of its own ignore files and of those above."""

    def __init__(self, files: Sequence[_IgnoreFile] = ()) -> None:
        self._files = files  # the one that overrules the others first

    @classmethod
    def read(cls, folder: str, above: IgnoreRules | None) -> tuple[IgnoreRules, list[Skipped]]:
        """Read the ignore files of a folder.

        Args:
            folder: A folder that holds one of `BRING_RULES`.
            above: The rules in force in the folder above.

        Returns:
            The rules in force in the folder, and what could not be read.
        """
        files = list(above._files) if above else []
        if os.path.lexists(os.path.join(folder, REPOSITORY)):  # noqa: PTH118
            files = [file for file in files if not file.of_git]
        problems: list[Skipped] = []
        for name in (REPOSITORY_RULES, *IGNORE_FILES):
            path = Path(folder, name)
            if not path.is_file() or (name == ".gitignore" and path.is_symlink()):  # which git does not follow
                continue
            try:
                rules, invalid = _read_rules(path)
            except OSError as error:
                problems.append(Skipped(str(path), (error.strerror or "cannot be read").lower()))
                continue
            problems += [Skipped(str(path), f"not a valid pattern: {line}", by_rule=True) for line in invalid]
            files.insert(0, _IgnoreFile(folder, rules, _ignores_case(path), name != ".notesearchignore"))
        return cls(sorted(files, key=lambda file: file.of_git)), problems

    @classmethod
    def above(cls, folder: Path, within: Path | None) -> IgnoreRules | Literal[False] | None:
        """The rules in force in a folder from those above it, down from the top of its repository.

        A folder that git leaves out has notes all the same if it is named itself; but then git's rules around it, `*`
        in a home directory for instance, say nothing of them.

        Args:
            folder: Its absolute path.
            within: A folder above that was named before: the ignore files in and below it hold too.

        Returns:
            The rules; False where those below `within` leave the folder out.
        """
        repository = next((top for top in (folder, *folder.parents) if os.path.lexists(top / REPOSITORY)), folder)
        top = min(repository, within or folder, key=lambda path: len(path.parts))
        rules: IgnoreRules | None = None
        for parent, child in pairwise(path for path in (*reversed(folder.parents), folder) if path.is_relative_to(top)):
            rules, _ = cls.read(str(parent), rules)
            if rules.excludes(str(child), True):
                if within and parent.is_relative_to(within):
                    return False
                rules = cls([file for file in rules._files if not file.of_git])
        return rules

    def excludes(self, path: str, is_folder: bool) -> bool:
        """Whether a file or folder below is to be left out. A link is no folder."""
        rule = self.deciding(path, is_folder)
        return rule is not None and rule.excludes

    def deciding(self, path: str, is_folder: bool) -> Rule | None:
        """The rule that decides on a file or folder below: the last that names it.

        In a file of the program's own, if there is one, and else in one of git's; in the closest of them.
        """
        encoded = os.fsencode(path)
        for file in self._files:
            if rule := file.deciding(encoded, is_folder):
                return rule
        return None


class _IgnoreFile:
    """The rules of one ignore file."""

    def __init__(self, folder: str, rules: Sequence[Rule], ignores_case: bool, of_git: bool) -> None:
        self.of_git = of_git
        self._prefix_length = len(os.fsencode(folder.rstrip(os.sep))) + 1
        self._for_folders = _Matcher(rules, ignores_case)
        self._for_files = _Matcher([rule for rule in rules if not rule.only_folders], ignores_case)

    def deciding(self, path: bytes, is_folder: bool) -> Rule | None:
        """The last rule that names a file or folder."""
        return (self._for_folders if is_folder else self._for_files).last(path[self._prefix_length :])


class _Matcher:
    """Rules as one regular expression, so that a name costs little whatever their number."""

    def __init__(self, rules: Sequence[Rule], ignores_case: bool) -> None:
        self._rules = rules[::-1]
        alternatives = []
        for by_name, group in groupby(self._rules, key=lambda rule: rule.by_name):
            either = b"|".join(b"(%b)" % rule.regex for rule in group)
            alternatives.append(b"(?:.*/)?+(?:%b)" % either if by_name else either)
        flags = re.DOTALL | (re.IGNORECASE if ignores_case else 0)
        self._match = re.compile(b"|".join(alternatives), flags).match if rules else None

    def last(self, path: bytes) -> Rule | None:
        """The last rule that names a path."""
        found = self._match(path) if self._match else None
        return self._rules[found.lastindex - 1] if found and found.lastindex else None


def _read_rules(path: Path) -> tuple[list[Rule], list[str]]:
    """The rules of an ignore file, and the lines that can name nothing."""
    rules, invalid = [], []
    with open_regular(path) as file:
        lines = file.read().removeprefix(_BOM).split(b"\n")
    for number, line in enumerate(lines, start=1):
        pattern = _without_spaces_at_end(line.removesuffix(b"\r").partition(b"\0")[0])
        if not pattern or pattern.startswith(b"#"):
            continue
        shown = pattern.decode("utf-8", "replace")
        excludes = not pattern.startswith(b"!")
        bare = pattern.removeprefix(b"!").removesuffix(b"/")
        try:
            regex = _regex(bare.removeprefix(b"/"))
        except (LookupError, ValueError):
            invalid.append(shown)
        else:
            rules.append(Rule(f"{path}:{number}: {shown}", excludes, pattern.endswith(b"/"), b"/" not in bare, regex))
    return rules, invalid


def _without_spaces_at_end(line: bytes) -> bytes:
    """A line without the spaces at its end, except one behind a backslash."""
    bare = line.rstrip(b" ")
    backslashes = len(bare) - len(bare.rstrip(b"\\"))
    return line[: len(bare) + backslashes % 2]


def _ignores_case(path: Path) -> bool:
    """Whether a file system takes names for the same that differ in case, as those of macOS do."""
    other = path.with_name(path.name.upper())
    return other.exists() and other.samefile(path)


def _regex(pattern: bytes) -> bytes:
    """A pattern as a regular expression.

    What follows a wildcard matches at the first place where it can, and is not tried at later ones if what comes then
    fails (`(?>…)`): they would not help, and a pattern of many wildcards stays quick.

    Raises:
        LookupError, ValueError: Nothing matches it.
    """
    if not pattern:
        raise ValueError("an empty pattern")
    special = _SPECIAL.search(pattern)
    literal_end = special.start() if special else -1
    regex = b""
    below, within = b"", b""  # what closes the groups that `**` and `*` have opened
    place = 0
    while place < len(pattern):
        if pattern[place] == _STAR:
            end = len(pattern) - len(pattern[place:].lstrip(b"*"))
            after = pattern[end : end + 2]
            # git matches what stands before the first wildcard by itself, and then takes the rest for a whole pattern.
            first = place == literal_end or pattern[place - 1] == _SLASH
            if end - place > 1 and first and (after[:1] in (b"", b"/") or after == b"\\/"):
                regex += within + below + (b"(?>(?:.*?/)??" if after[:1] == b"/" else b"(?>.*?")
                below, within = b")", b""
                place = end + (after[:1] == b"/")
            else:
                regex += within + b"(?>[^/]*?"
                within = b")"
                place = end
        elif pattern[place] == _QUESTION:
            regex += b"[^/]"
            place += 1
        elif pattern[place] == _BRACKET:
            part, place = _set(pattern, place + 1)
            regex += part
        else:
            place += pattern[place] == _BACKSLASH
            regex += re.escape(bytes([pattern[place]]))
            place += 1
    return regex + rb"\Z" + within + below


def _set(pattern: bytes, place: int) -> tuple[bytes, int]:
    """A bracket expression as a set of a regular expression, and the place after it.

    Args:
        pattern: A pattern.
        place: After the bracket.

    Raises:
        LookupError, ValueError: It has no end, or holds a class that there is not.
    """
    is_negated = pattern[place] in b"!^"
    place += is_negated
    members: set[int] = set()
    start = 0  # of a range, if a dash follows
    while True:
        code = pattern[place]
        if code == _DASH and start and pattern[place + 1] != _BRACKET_END:
            place += 1 + (pattern[place + 1] == _BACKSLASH)
            members.update(range(start, pattern[place] + 1))
            start = 0
        elif pattern[place : place + 2] == b"[:" and (name := _CLASS_NAME.match(pattern, place)):
            members |= _CLASSES[name[1]]
            place = name.end() - 1
            start = 0
        else:
            place += code == _BACKSLASH
            start = pattern[place]
            members.add(start)
        place += 1
        if pattern[place] == _BRACKET_END:
            break
    members.discard(_SLASH)
    if not (members or is_negated):
        raise ValueError("an empty set")
    written = b"".join(b"\\x%02x" % member for member in members)
    return (b"[^/%b]" if is_negated else b"[%b]") % written, place + 1
