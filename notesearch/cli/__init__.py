"""The command line. Only the command that is run is imported, and only its options are built."""

from __future__ import annotations

import gc
import io
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Annotated, Any

import typer
import typer.core
import typer.main

from notesearch import __version__
from notesearch.cli.options import with_groups
from notesearch.cli.process import (
    INTERRUPTED,
    TERMINATED,
    end_at_once,
    ending_at_sigterm,
    fill_closed_streams,
    keep_private,
)
from notesearch.cli.terminal import warn, warn_of_traceback
from notesearch.errors import NotesearchError, SettingsError

# By what one wants to do: each command, where it is, and the first line of its help, which is repeated here so that the
# help of notesearch need not import them all.
COMMANDS = {
    "Find": {
        "search": ("search.search", "Find the notes that answer a query, best first."),
        "similar": ("similar.similar", "Find the notes that are related to a note, and say why."),
        "links": ("links.links", "Show what a note links to, and what links to it."),
        "duplicates": ("duplicates.duplicates", "Find notes that are copies of others or parts of them."),
        "rerank": ("rerank.rerank", "Rank what another program has found."),
        "tags": ("properties.tags", "List the tags of the notes, and how many notes have each."),
        "properties": ("properties.properties", "List the properties of the notes, or the values of one."),
        "open": ("open.open_note", "Open a note in your editor, at the line."),
    },
    "Index": {
        "index": ("index.index", "Bring the index in step with folders of notes."),
        "watch": ("watch.watch", "Keep the index in step while notes change."),
    },
    "Tag": {
        "tag": ("tag.tag", "Suggest tags for notes, and write them."),
        "train-classifier": ("train.train_classifier", "Learn to tag from tagged notes."),
    },
    "Evaluate and tune": {
        "eval": ("eval.evaluate", "Score the search, stage by stage."),
        "tune": ("tune.tune", "Tune the model to your notes."),
        "accept": ("accept.accept", "Remember which notes answered a query."),
        "concepts": ("concepts.app", "Show and propose links between ideas."),
    },
    "Settings and health": {
        "status": ("status.status", "Show what the index holds, and how old that is."),
        "doctor": ("doctor.doctor", "Check the index and all that it needs."),
        "config": ("config.config", "Show the settings in force, and where each comes from."),
    },
    "Other programs": {"mcp": ("mcp.mcp", "Serve the notes to assistants (Model Context Protocol).")},
}
# Commands whose arguments are words: one that begins with a dash may be meant as a word, or to exclude one.
_TAKING_TEXT = {"search", "rerank", "accept"}
_LIKE_EXCLUSION = re.compile(r"-\w.+", re.DOTALL)
# What typer raises for arguments that it cannot take.
_BadCall: type[Any] = typer.BadParameter.__bases__[0]
_PLACES = {name: place for group in COMMANDS.values() for name, (place, _) in group.items()}


@cache
def _command(name: str) -> Any:
    """The command of this name, imported and built.

    Raises:
        KeyError: There is no such command.
    """
    module, _, attribute = _PLACES[name].partition(".")
    found = getattr(import_module(f"notesearch.cli.{module}"), attribute)
    if not isinstance(found, typer.Typer):
        found, command = typer.Typer(add_completion=False, rich_markup_mode=None), found
        found.command(name)(with_groups(command))
    return typer.main.get_command(found)


class _Commands(Mapping[str, Any]):
    """All commands by name, each imported when it is asked for."""

    def __getitem__(self, name: str) -> Any:
        return _command(name)

    def __iter__(self) -> Iterator[str]:
        return iter(_PLACES)

    def __len__(self) -> int:
        return len(_PLACES)


class _Program(typer.core.TyperGroup):
    """notesearch itself: its help names the commands by what one wants to do."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands: Any = _Commands()

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

    def main(self, *args: Any, **options: Any) -> Any:
        # Not standalone: then typer would print errors itself, in another style.
        code = super().main(*args, **(options | {"standalone_mode": False}))
        sys.exit(code if isinstance(code, int) else 0)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args[:1] == ["help"]:  # notesearch help search
            args = [*args[1:], "--help"]
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        longest = max(map(len, _PLACES))
        for purpose, group in COMMANDS.items():
            with formatter.section(purpose):
                formatter.write_dl([(name.ljust(longest), summary) for name, (_, summary) in group.items()])


app = typer.Typer(
    name="notesearch",
    cls=_Program,
    help="""Find your notes by meaning, offline, in a fraction of a second.

    \b
    Begin with:  notesearch index ~/notes
    Then ask:    notesearch search "how long does dough rise"
    """,
    epilog="More on a command, with examples: notesearch help search",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"notesearch {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", "-V", help="Print the version and exit.", is_eager=True, callback=_print_version),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Runs the command line: the one place where errors become messages and exit codes."""
    keep_private()
    fill_closed_streams()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # what Python warns of is for programmers, and would make cron send mail
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Not every stream can take every character; and a lone surrogate's \\ud800 is what JSON writes for it.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with ending_at_sigterm():
            app(prog_name="notesearch")
    except NotesearchError as error:
        _tell(error)
        if {"--verbose", "-v"} & set(sys.argv):
            warn_of_traceback(error)
        sys.exit(error.exit_code)
    except _BadCall as error:
        _tell_of_bad_call(error)
        sys.exit(NotesearchError.exit_code)
    except OSError as error:  # what no part could say more about: the disk under stdout is full, say
        warn(f"notesearch: {error}")
        sys.exit(NotesearchError.exit_code)
    finally:
        gc.freeze()  # or the interpreter would go through everything once more on its way out


def _tell_of_bad_call(error: Any) -> None:
    """Says what is wrong with the arguments."""
    message: str = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":  # the help, where notesearch was called with nothing
        for line in message.splitlines():
            warn(line)
        return
    command = error.ctx.command_path if error.ctx else " ".join(["notesearch", *(set(sys.argv[1:2]) & _PLACES.keys())])
    _tell(NotesearchError(message[:1].lower() + message[1:].removesuffix("."), f"See {command} --help"))


def _tell(error: NotesearchError) -> None:
    warn(f"notesearch: {error.message}")
    if error.hint:
        warn(f"  {error.hint}")
    if type(error) in (NotesearchError, SettingsError):  # of SettingsError: -cheese names a collection
        taken = next((each for each in sys.argv[2:] if _LIKE_EXCLUSION.fullmatch(each)), None)
        if taken and "--" not in sys.argv and sys.argv[1] in _TAKING_TEXT:
            warn(f"  {taken} was taken for an option. Where it belongs to the query, put -- before: -- {taken}")


def run_and_exit() -> None:
    """Runs the command line as the program that a user starts."""
    try:
        main()
    except KeyboardInterrupt:  # another one, while the first was dealt with
        end_at_once(INTERRUPTED)
    except SystemExit as end:
        if end.code in (INTERRUPTED, TERMINATED):
            end_at_once(end.code)
        raise
