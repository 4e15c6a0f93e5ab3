"""`notesearch tag`: suggest tags for notes, and write them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from notesearch.cli.options import CollectionName, IndexDir, Quiet, Verbose
from notesearch.cli.places import lines_of_stdin, read_places
from notesearch.cli.progress import progress_bar
from notesearch.cli.tag_formats import TagFormat, format_suggestions
from notesearch.cli.terminal import harmless, is_terminal, uses_colour, warn, warn_of_skipped, width, write
from notesearch.errors import UsageError
from notesearch.records import Place, Skipped, Suggestions

if TYPE_CHECKING:
    from notesearch.library.tag import TagRun
    from notesearch.settings import Settings
    from notesearch.writeback.apply import WriteReport

_BASIS = {
    "classifier": "",
    "neighbours": "No classifier was trained: these are the tags of the nearest tagged notes.",
    "names": "These are guesses, by what the tags' names mean.",
}


def tag(
    paths: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it
        typer.Argument(
            metavar="[PATH|-]…", help="Notes and folders; - reads them from stdin; none: the untagged notes."
        ),
    ] = None,
    labels: Annotated[
        str,
        typer.Option(
            metavar="TAG[: DESCRIPTION],…", help="Guess among these tags by what they mean; needs no tagged notes."
        ),
    ] = "",
    name: Annotated[str, typer.Option(metavar="NAME", help="The classifier to use.")] = "default",
    min_score: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(metavar="P", help="Suggest from this score on, whatever each tag's own threshold.", min=0, max=1),
    ] = None,
    top: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(metavar="N", help="The most tags to list of a note. Default: all that are suggested.", min=1),
    ] = None,
    new_only: Annotated[bool, typer.Option("--new-only", help="Leave out tags that a note has already.")] = False,
    output: Annotated[TagFormat, typer.Option("--format", help="How to print suggestions.")] = TagFormat.HUMAN,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="Short for --format jsonl.")] = False,
    as_tsv: Annotated[bool, typer.Option("--tsv", help="Short for --format tsv.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Write the suggested tags into the notes.")] = False,
    interactive: Annotated[
        bool, typer.Option("--interactive", "-i", help="With --apply: ask about each note.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what --apply would change.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take out again what the last --apply wrote.")] = False,
    collection: CollectionName = None,
    index_dir: IndexDir = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Suggest tags for notes, from their owner's own tags, and write them.

    By a classifier, where one was trained; else by the nearest tagged notes. Exits with 1 when nothing is suggested.

    Example: notesearch tag ~/notes/inbox

    Write them: notesearch tag --apply, and back: notesearch tag --undo
    """
    from notesearch.library.tag import suggest_tags, undo_tags
    from notesearch.settings import load_settings

    settings = load_settings(collection=collection, index_dir=index_dir)
    _check_combination(paths or [], apply=apply, dry_run=dry_run, interactive=interactive, undo=undo)
    if undo:
        if _tell_of_writing(undo_tags(settings), "restored", quiet=quiet):
            raise typer.Exit(2)
        return
    named, unreadable = _named(paths)
    with progress_bar("Reading", shown=not quiet and is_terminal(sys.stderr), unit="passages") as progress:
        run = suggest_tags(
            settings, named, labels=labels, classifier=name, min_score=min_score, top=top, progress=progress
        )
    unread = [*unreadable, *run.skipped]
    if not quiet or not run.suggestions:
        warn_of_skipped(unread, everything=verbose)
    if not quiet and _BASIS[run.basis]:
        warn(_BASIS[run.basis])
    suggested = [entry for entry in run.suggestions if (entry.new_tags if new_only else entry.suggested)]
    kind = TagFormat.JSONL if as_jsonl else TagFormat.TSV if as_tsv else output
    shown = run.suggestions if kind is TagFormat.JSONL else suggested
    refused = False
    if dry_run:
        refused = _show_changes(run)
    elif interactive:
        refused = _ask_and_write(settings, run, quiet=quiet)
    else:
        # The notes come first: whoever reads what is printed may go away.
        refused = apply and _write_tags(settings, run, _new_tags(run.suggestions), quiet=quiet)
        write(format_suggestions(shown, kind, new_only=new_only, colour=uses_colour(sys.stdout), width=width()))
    if refused or (unread and not run.suggestions):
        raise typer.Exit(2)
    if not suggested:
        if not quiet:
            warn(_why_nothing(run, named))
        raise typer.Exit(1)


def _why_nothing(run: TagRun, named: list[Path] | None) -> str:
    if run.suggestions:
        return "Nothing to suggest."
    return "All notes have tags." if named is None else "No notes to tag."


def _check_combination(paths: list[str], *, apply: bool, dry_run: bool, interactive: bool, undo: bool) -> None:
    """Refuses options that contradict each other."""
    if interactive and not apply:
        raise UsageError("--interactive was given without --apply", "Give both, or neither.")
    if apply and dry_run:
        raise UsageError("--apply and --dry-run were both given", "Give one of them.")
    if interactive and "-" in paths:
        raise UsageError("stdin cannot give both paths and answers", "Name the notes, or leave out --interactive.")
    if undo and (paths or apply or dry_run):
        raise UsageError("--undo takes back a whole run, and nothing else", "Give it alone: notesearch tag --undo")


def _named(paths: list[str] | None) -> tuple[list[Path] | None, list[Skipped]]:
    """The notes and folders that were named, in the place of - those from stdin, and what names none."""
    if not paths:
        return None, []
    if "-" in paths and is_terminal(sys.stdin):
        raise UsageError("no notes were given", "Name them, or pipe some in: ls *.md | notesearch tag -")
    found: list[Path] = []
    unreadable: list[Skipped] = []
    for path in paths:
        for place in read_places(lines_of_stdin() if path == "-" else (path,)):
            if isinstance(place, Place):
                found.append(place.path)
            else:
                unreadable.append(place)
    return found, unreadable


def _new_tags(suggestions: tuple[Suggestions, ...]) -> dict[str, tuple[str, ...]]:
    return {entry.path: entry.new_tags for entry in suggestions if entry.new_tags}


def _show_changes(run: TagRun) -> bool:
    """Prints what would be written; says whether anything would be refused."""
    from notesearch.library.tag import diff_tags

    refused: list[Skipped] = []
    for_people = is_terminal(sys.stdout)
    for diff in diff_tags(run, _new_tags(run.suggestions)):
        if isinstance(diff, Skipped):
            refused.append(diff)
            continue
        # As diff and patch see lines, not as Python does.
        lines = [f"{line}\n" for line in diff.removesuffix("\n").split("\n")]
        write(harmless(line.rstrip("\r\n")) + "\n" if for_people else line for line in lines)
    return _tell_of_refusals(refused)


def _ask_and_write(settings: Settings, run: TagRun, *, quiet: bool) -> bool:
    from notesearch.cli.tag_dialogue import ask_about
    from notesearch.library.tag import remember

    accepted, rejected = ask_about([entry for entry in run.suggestions if entry.new_tags])
    refused = _write_tags(settings, run, accepted, quiet=quiet)
    remember(settings, rejected)
    return refused


def _write_tags(settings: Settings, run: TagRun, tags: dict[str, tuple[str, ...]], *, quiet: bool) -> bool:
    """Writes tags and says what was done; says whether any note was refused."""
    from notesearch.library.tag import write_tags

    if not tags:
        if not quiet:
            warn("Nothing written.")
        return False
    return _tell_of_writing(write_tags(settings, run, tags), "tagged", quiet=quiet)


def _tell_of_writing(report: WriteReport, verb: str, *, quiet: bool) -> bool:
    if not quiet:
        count = len(report.written)
        back = " To take the tags out again: notesearch tag --undo" if verb == "tagged" and count else ""
        warn(f"{count:,} {'note' if count == 1 else 'notes'} {verb}.{back}")
    return _tell_of_refusals(report.refused)


def _tell_of_refusals(refused: Sequence[Skipped]) -> bool:
    for entry in refused:
        warn(f"refused  {entry.path}: {entry.reason}")
    return bool(refused)
