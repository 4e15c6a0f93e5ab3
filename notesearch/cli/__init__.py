"""The command line."""

from __future__ import annotations

import gc
import io
import os
import sys
from typing import Annotated

import typer

from notesearch import __version__
from notesearch.cli import (
    accept_command,
    concepts_command,
    config_command,
    doctor_command,
    duplicates_command,
    eval_command,
    index_command,
    mcp_command,
    open_command,
    rerank_command,
    search_command,
    similar_command,
    status_command,
    tag_command,
    train_command,
    tune_command,
    watch_command,
)
from notesearch.cli.signals import ending_at_sigterm
from notesearch.cli.terminal import warn, warn_of_traceback
from notesearch.errors import NotesearchError
from notesearch.private import keep_private

_STDERR = 2

app = typer.Typer(
    name="notesearch",
    help="Find your notes by meaning, offline, in a fraction of a second.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("index")(index_command.index)
app.command("search")(search_command.search)
app.command("similar")(similar_command.similar)
app.command("duplicates")(duplicates_command.duplicates)
app.command("rerank")(rerank_command.rerank)
app.command("tag")(tag_command.tag)
app.command("train-classifier")(train_command.train_classifier)
app.command("eval")(eval_command.evaluate)
app.command("tune")(tune_command.tune)
app.command("accept")(accept_command.accept)
app.command("status")(status_command.status)
app.command("doctor")(doctor_command.doctor)
app.command("config")(config_command.config)
app.command("open")(open_command.open_note)
app.command("mcp")(mcp_command.mcp)
app.command("watch")(watch_command.watch)
app.add_typer(concepts_command.app, name="concepts")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"notesearch {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    pass


def _fill_closed_streams() -> None:
    """Opens the descriptors of closed streams: what a library writes to stderr must not go into a database."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(descriptor)


def main() -> None:
    """Runs the command line: the one place where errors become messages and exit codes."""
    keep_private()
    _fill_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Not every stream can take every character; and a lone surrogate's \\ud800 is what JSON writes for it.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with ending_at_sigterm():
            app(prog_name="notesearch")
    except NotesearchError as error:
        warn(f"notesearch: {error.message}")
        if error.hint:
            warn(f"  {error.hint}")
        if {"--verbose", "-v"} & set(sys.argv):
            warn_of_traceback(error)
        sys.exit(error.exit_code)
    except OSError as error:  # what no part could say more about: the disk under stdout is full, say
        warn(f"notesearch: {error}")
        sys.exit(NotesearchError.exit_code)
    finally:
        gc.freeze()  # or the interpreter would go through everything once more on its way out
