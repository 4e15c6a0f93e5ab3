"""What people type to search: words and phrases, and among them exclusions (`-word`) and fields (`tag:work`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from notesearch.errors import UsageError
from notesearch.records import HeldWords
from notesearch.words import spelled

# A longer text was pasted, and says nothing of this kind.
_MOST_TOKENS = 40
_TOKEN = re.compile(r'(?:[^\s"]|"[^"]*")+|\S+')
_FIELD = re.compile(r"(-?)(tag|path|title|since|until):(.*)", re.IGNORECASE | re.DOTALL)
_EXCLUSION = re.compile(r'-(?:"([^"]*\S[^"]*)"|([^\W\d_][^\s"=/:\\]+))[.,;!?]*')
# Other words than these are looked for letter by letter: C++ is more than a c.
_PLAIN_WORD = re.compile(r"\w+(?:[-'.]\w+)*")
_ENDS = ".,;!?"

# Behind the name of a command, what begins with a dash is one of its options if it is short, or known as one.
_COMMANDS = frozenset(
    """apt awk bash brew bundle cargo cat cc chmod chown clang cmake cp curl cut date dd df diff dig docker du ffmpeg
    find fzf gcc git go gpg grep gzip head helm java journalctl jq kill kubectl less ln ls lsof make mkdir mount mv nc
    nmap node npm openssl pandoc perl pip podman ps psql python python3 read rg rm rsync ruby sed set sh sort split ssh
    ssh-keygen sudo systemctl tail tar tee tmux top touch tr tree uniq unzip vim wc wget xargs yarn zip""".split()
)
_MOST_OPTION_CHARS = 3
_LONG_OPTIONS = frozenset(
    """cp delete depth exec iname jar keyout maxdepth mindepth mtime name newer newkey nodes noout path perm pix_fmt
    print print0 prune regex size std subj text type user version wall wextra x509""".split()
)


@dataclass(frozen=True, slots=True)
class QueryLine:
    """A query as someone has typed it.

    Attributes:
        text: What to search for.
        tags: Tags that a note must have.
        not_tags: Tags that it must not have.
        paths: Its path, by all of these.
        not_paths: Paths that it must not have.
        since: Earliest date of a note.
        until: Latest date of a note.
        held: Words that a note must hold, or must not.
        remarks: What looked like an exclusion or a field, and was taken as text; for the one who typed it.
    """

    text: str
    tags: tuple[str, ...] = ()
    not_tags: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    not_paths: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    held: tuple[HeldWords, ...] = ()
    remarks: tuple[str, ...] = ()

    def arguments(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The filters as `Index.search` takes them: those of the line and those of options, which all hold."""
        path = options.get("path") or ()
        return {
            **options,
            "tags": [*options.get("tags", ()), *self.tags],
            "not_tags": [*options.get("not_tags", ()), *self.not_tags],
            "path": [*([path] if isinstance(path, str) else path), *self.paths],
            "not_paths": [*options.get("not_paths", ()), *self.not_paths],
            "since": max(filter(None, [options.get("since"), self.since]), default=None),
            "until": min(filter(None, [options.get("until"), self.until]), default=None),
            "held": [*options.get("held", ()), *self.held],
        }


def parse_query_line(typed: str, *, now: datetime) -> QueryLine:
    """Reads what someone has typed.

    `-word`, `-"two words"`, `tag:`, `path:`, `title:` (these also with a `-` before them), `since:` and `until:` may
    stand anywhere up to a lone `--`; values may be in double quotes. What cannot be understood is text, and so is all
    of a text of several lines or many words, and what is left where there would be no text otherwise.

    Args:
        typed: The line.
        now: The present, naive local time.

    Raises:
        UsageError: There are dates in it, and nothing to search for.
    """
    tokens = _TOKEN.findall(spelled(typed))
    if len(tokens) > _MOST_TOKENS or "\n" in typed.strip():
        return QueryLine(typed)
    end = tokens.index("--") if "--" in tokens else len(tokens)
    parts = _Parts(now)
    for place, token in enumerate(tokens[:end]):
        if not parts.take_field(token) and not parts.take_exclusion(token, tokens[:place]):
            parts.text.append(token)
    return parts.line(typed, tokens[end + 1 :])


class _Parts:
    """The parts of a line, as they are read."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self.text: list[str] = []
        self._values: dict[str, list[str]] = {}
        self._dates: dict[str, list[datetime]] = {"since": [], "until": []}
        self._held: list[HeldWords] = []
        self._remarks: list[str] = []

    def take_field(self, token: str) -> bool:
        """Takes `tag:work` and the like; says whether it was one."""
        match = _FIELD.fullmatch(token)
        if not match:
            return False
        excluded, name, value = bool(match[1]), match[2].lower(), match[3]
        quoted = len(value) > 1 and value.startswith('"') and value.endswith('"')
        value = value.strip('"').strip()
        if not value:  # prose: "title: how to bake"
            return False
        if name in self._dates:
            return self._take_date(token, name, value, excluded)
        if name == "title":
            self._held.append(HeldWords(value, exact=quoted, in_title=True, excluded=excluded))
        self._values.setdefault(match[1] + name, []).append(value)
        return True

    def _take_date(self, token: str, name: str, value: str, excluded: bool) -> bool:
        from notesearch.library.dates import parse_date

        for written in (value, value.replace("-", " ").replace("_", " ")):  # since:last-week
            try:
                date = parse_date(written, now=self._now, end=name == "until")
            except UsageError as error:
                reason = error.message
            else:
                if excluded:
                    return self._refuse(token, "a date cannot be excluded")
                self._dates[name].append(date)
                return True
        return self._refuse(token, reason)

    def take_exclusion(self, token: str, before: list[str]) -> bool:
        """Takes `-word` and `-"two words"`; says whether it was one."""
        match = _EXCLUSION.fullmatch(token)
        if not match:
            return False
        word = (match[2] or "").rstrip(_ENDS)
        if match[1] is None and (len(word) < 2 or word.endswith("-") or _is_option(word, before)):
            return False
        self._held.append(HeldWords(match[1] or word, exact=not _PLAIN_WORD.fullmatch(word), excluded=True))
        return True

    def _refuse(self, token: str, why: str) -> bool:
        self._remarks.append(f"{token} is searched for as text: {why}")
        return False

    def line(self, typed: str, literal: list[str]) -> QueryLine:
        """What was read; behind it comes text as it stands."""
        text = " ".join([*self.text, *literal])
        since, until = self._dates["since"], self._dates["until"]
        if not text:
            # Notes with a tag, say, are ranked by what it is called.
            text = " ".join(value for name in ("title", "tag", "path") for value in self._values.get(name, ()))
        if not text and (since or until):
            raise UsageError("the query holds dates alone", "Say also what to look for, in words or as a question.")
        if not text and (self._held or self._values):
            return QueryLine(typed, remarks=(f"{typed.strip()} is searched for as text: there is nothing else",))
        return QueryLine(
            text,
            tags=tuple(self._values.get("tag", ())),
            not_tags=tuple(self._values.get("-tag", ())),
            paths=tuple(self._values.get("path", ())),
            not_paths=tuple(self._values.get("-path", ())),
            since=max(since, default=None),
            until=min(until, default=None),
            held=tuple(self._held),
            remarks=tuple(self._remarks),
        )


def _is_option(word: str, before: list[str]) -> bool:
    """Whether a word behind a dash is an option of a command that was named before it."""
    return (len(word) <= _MOST_OPTION_CHARS or word.lower() in _LONG_OPTIONS) and not _COMMANDS.isdisjoint(
        token.lower().strip("`'\"(") for token in before
    )
