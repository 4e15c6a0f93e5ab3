"""Options that several commands share, one by one and in groups; dates and durations as people type them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from datetime import datetime, timedelta
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from notesearch.cli.terminal import is_terminal, progress_bar, stage_progress, warn, warn_of_skipped
from notesearch.errors import NotesearchError, UsageError
from notesearch.records import Skipped

if TYPE_CHECKING:
    from notesearch.settings import Settings
    from notesearch.storage import IndexReader, Unfinished

_MOST_SEED = 2**32 - 1


def option(metavar: str, help: str, *names: str, **more: Any) -> Any:
    """An option that takes a value."""
    return typer.Option(*names, metavar=metavar, help=help, **more)


def flag(help: str, *names: str) -> Any:
    """An option that is given or not."""
    return typer.Option(*names, help=help)


# Shells evaluate what completes a line, and anyone may have written a tag: only tags that are harmless in all shells.
_HARMLESS = re.compile(r"\w[\w/.+-]*")


def complete_collection(incomplete: str) -> list[str]:
    """The collections of the settings whose names begin like this."""
    from notesearch.settings import collection_names

    try:
        return _beginning(collection_names(), incomplete)
    except NotesearchError:  # a message would stand in the line that is being typed
        return []


def complete_tag(context: typer.Context, incomplete: str) -> list[str]:
    """The tags of the index, or of the collections that were named, that begin like this; frequent ones first."""
    return _names_in_index(context, incomplete, lambda reader: [tag for tag, _ in reader.tag_counts()])


def complete_property(context: typer.Context, incomplete: str) -> list[str]:
    """The properties, likewise."""
    return _names_in_index(context, incomplete, lambda reader: [name for name, *_ in reader.property_counts()])


def _names_in_index(context: typer.Context, incomplete: str, names_of: Callable[[IndexReader], list[str]]) -> list[str]:
    from notesearch.settings import load_settings
    from notesearch.storage import IndexReader

    index_dir: Path | None = context.params.get("index_dir")
    named: str | list[str] = context.params.get("collection") or []  # one for some commands, several for others
    collections: list[str | None] = [named] if isinstance(named, str) else [*named] or [None]
    names: dict[str, None] = {}
    try:
        for collection in collections:
            with IndexReader(load_settings(collection=collection, index_dir=index_dir).index_dir) as reader:
                names |= dict.fromkeys(names_of(reader))
    except NotesearchError:
        return []
    return _beginning(names, incomplete)


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete) and _HARMLESS.fullmatch(name)]


IndexDir = Annotated[
    Path | None,
    option(
        "DIR", "Directory of the index. Default: $NOTESEARCH_INDEX_DIR, else the user's data directory.", "--index-dir"
    ),
]
CollectionName = Annotated[
    str | None,
    option("NAME", "A collection of the settings.", "--collection", "-c", autocompletion=complete_collection),
]
CrossEncoderName = Annotated[
    str | None, option("MODEL", "Rerank with this model: a local directory or a hub id.", "--cross-encoder")
]
ConceptsFile = Annotated[
    Path | None,
    option("FILE", "Links between ideas. Default: concepts.toml in the user's configuration directory.", "--concepts"),
]
# What a limit of 0 stands for; more than there can be.
ALL = 2**31
Limit = Annotated[int, option("N", "The most hits; 0: all.", "--limit", "-n", min=0)]
Seed = Annotated[int, option("N", "Seed of the random numbers.", min=0, max=_MOST_SEED)]


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """Which index a command is about."""

    collection: CollectionName = None
    index_dir: IndexDir = None

    def settings(self, **flags: Any) -> Settings:
        """The settings in force: see `load_settings`, which takes the flags."""
        from notesearch.settings import load_settings

        return load_settings(collection=self.collection, index_dir=self.index_dir, **flags)


@dataclass(frozen=True, slots=True)
class MessageOptions:
    """How much a command says on stderr."""

    quiet: Annotated[bool, flag("Say nothing but errors on stderr.", "--quiet", "-q")] = False
    verbose: Annotated[bool, flag("Say more on stderr; show tracebacks of errors.", "--verbose", "-v")] = False

    def tell(self, message: str) -> None:
        """Says something that is not an error."""
        if not self.quiet:
            warn(message)

    def tell_of_skipped(self, skipped: Sequence[Skipped], problems: Sequence[Skipped] = ()) -> None:
        """Names what was skipped, even if told to be quiet; and what was taken in spite of something wrong."""
        warn_of_skipped(skipped, problems, everything=self.verbose)

    def tell_of_unfinished(self, unfinished: Iterable[Unfinished]) -> None:
        """Says how much of the notes is looked at while the first run of `index` is not finished."""
        for each in unfinished:
            self.tell(f"searched {each}: the first index is not finished; notesearch index goes on")

    def progress(self, what: str) -> AbstractContextManager[Callable[[int, int], None] | None]:
        """A progress bar, where anyone would see it: see `progress_bar`."""
        return progress_bar(what, shown=not self.quiet and is_terminal(sys.stderr))

    def stages(self) -> AbstractContextManager[Callable[[str, int, int], None] | None]:
        """The same for work in several stages: see `stage_progress`."""
        return stage_progress(shown=not self.quiet and is_terminal(sys.stderr))


@dataclass(frozen=True, slots=True)
class Turn:
    """How to wait for other processes that write.

    Attributes:
        wait_s: How long.
        waiting: Says that we wait.
    """

    wait_s: float
    waiting: Callable[[], None]

    @classmethod
    def of(cls, wait: str | None, messages: MessageOptions, said: str) -> Turn:
        """What is meant by the option, or by its absence: to wait, but not where somebody sits at a terminal."""
        time = wait if wait is not None else "0" if is_terminal(sys.stderr) else "10m"
        return cls(parse_duration(time).total_seconds(), lambda: messages.tell(said))


@dataclass(frozen=True, slots=True)
class FilterOptions:
    """Which notes may be hits."""

    tag: Annotated[
        list[str], option("TAG", "Only notes with this tag; may be repeated.", "--tag", autocompletion=complete_tag)
    ] = field(default_factory=list)
    not_tag: Annotated[
        list[str], option("TAG", "Only notes without this tag.", "--not-tag", autocompletion=complete_tag)
    ] = field(default_factory=list)
    path: Annotated[str, option("PATH", "Only notes there, or below it; or a glob.", "--path")] = ""
    since: Annotated[str, option("DATE", 'Not older: 2024-05-17, "jan 2025", "last week".', "--since")] = ""
    until: Annotated[str, option("DATE", "Not newer.", "--until")] = ""
    where: Annotated[
        list[str],
        option(
            "CONDITION",
            "Only notes whose property meets it: status=draft, 'rating>=4'; may be repeated.",
            "--where",
            autocompletion=complete_property,
        ),
    ] = field(default_factory=list)

    def arguments(self) -> dict[str, Any]:
        """The filters as the library takes them, by name.

        Raises:
            UsageError: A date cannot be understood.
        """
        return {
            "tags": self.tag,
            "not_tags": self.not_tag,
            "path": self.path,
            "since": _moment(self.since, end=False),
            "until": _moment(self.until, end=True),
            "where": self.where,
        }


def _moment(written: str | None, *, end: bool) -> datetime | None:
    if not written:
        return None
    from notesearch.library.dates import parse_date

    return parse_date(written, now=datetime.now(), end=end)


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """A command as typer takes it: in the place of an argument whose type is a dataclass, the fields of that class."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters: list[Parameter] = []
    for name, parameter in signature(command).parameters.items():
        if name not in groups:
            parameters.append(parameter.replace(annotation=hints[name], kind=Parameter.KEYWORD_ONLY))
            continue
        of_group = get_type_hints(groups[name], include_extras=True)
        for option in fields(groups[name]):
            default = option.default if option.default_factory is MISSING else option.default_factory()
            parameters.append(
                Parameter(option.name, Parameter.KEYWORD_ONLY, default=default, annotation=of_group[option.name])
            )

    @wraps(command)
    def run(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{option.name: values.pop(option.name) for option in fields(group)})
        command(**values)

    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


_DURATION = re.compile(r"(\d{1,6})\s*(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SHARE = re.compile(r"(\d*\.?\d+|\d+\.)\s*(%?)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)(?:b|bytes?)?")
_MOST_BYTES = 2**62


def parse_duration(written: str) -> timedelta:
    """Reads `90s`, `10m`, `24h`, `7d`, `2w` or `0`.

    Raises:
        UsageError: It is none of these.
    """
    text = written.strip().lower()
    if text == "0":
        return timedelta()
    match = _DURATION.fullmatch(text)
    if not match:
        raise UsageError(f"{written!r} is not a duration", "Write 90s, 10m, 24h or 7d.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def parse_size(written: str) -> int:
    """Reads a number of bytes, at least 1: `2000000`, `2MB`, `500k`, `1.5 GiB`; as elsewhere, k is 1000 and Ki 1024.

    Raises:
        UsageError: It is none.
    """
    match = _SIZE.fullmatch(written.strip().lower())
    size = float(match[1]) * (1024 if match[3] else 1000) ** "_kmgt".index(match[2] or "_") if match else 0
    if not 1 <= size <= _MOST_BYTES:
        raise UsageError(f"{written!r} is not a size", "Write a number of bytes, 500k or 2MB.")
    return int(size)


def share_of(least: float) -> Callable[[str], float]:
    """What reads a part of a whole, from `least` to 1: `0.8` or `80%`.

    Raises:
        UsageError: It is none.
    """

    def parse(written: str | float) -> float:
        match = _SHARE.fullmatch(str(written).strip())
        share = float(match[1]) / (100 if match[2] else 1) if match else -1
        if not least <= share <= 1:
            raise UsageError(f"{written!r} is not from {least:g} to 1", "Write 0.8 or 80%.")
        return share

    return parse
