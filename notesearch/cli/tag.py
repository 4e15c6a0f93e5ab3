"""`notesearch tag`: suggest tags for notes, and write them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from notesearch.cli.options import IndexOptions, MessageOptions, Turn, flag, option, share_of
from notesearch.cli.output import one_line
from notesearch.cli.places import lines_of_stdin, read_places
from notesearch.cli.terminal import (
    counted,
    harmless,
    is_terminal,
    named,
    paint,
    show,
    shown_path,
    warn,
    width,
    wrapped,
    write,
    write_json,
)
from notesearch.errors import ERROR, NOTHING_FOUND, TooFewTags, UsageError
from notesearch.records import Place, Skipped, Suggestions, TagScore
from notesearch.words import key_of

if TYPE_CHECKING:
    from notesearch.library.tag import TagRun
    from notesearch.settings import Settings
    from notesearch.writeback.apply import WriteReport

TagFormat = Literal["human", "json", "jsonl", "tsv"]
Decided = dict[str, tuple[str, ...]]
"""Tags by the path of the note."""

_MOST_WIDTH = 100
_DECIMALS = 4
_QUESTION = "[a]ccept, [r]eject, [e]dit, [s]kip, [q]uit? "
_EDIT = "Tags, with commas between (none: leave the note alone): "
_ANSWERS = {
    name[:length]: name[0] for name in ("accept", "reject", "edit", "skip", "quit") for length in (1, len(name))
}
_BASIS = {
    "classifier": "",
    "neighbours": "No classifier was trained: these are the tags of the nearest tagged notes.",
    "names": "These are guesses, by what the tags' names mean.",
}


def tag(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH|-]…", help="Notes and folders; - reads them from stdin; none: the untagged notes."
        ),
    ] = None,
    labels: Annotated[
        str, option("TAG[: DESCRIPTION],…", "Guess among these tags by what they mean; needs no tagged notes.")
    ] = "",
    name: Annotated[str, option("NAME", "The classifier to use.")] = "default",
    min_score: Annotated[
        float | None,
        option(
            "P",
            "Suggest tags with at least this score (0.8, 80%), instead of those above their own thresholds.",
            parser=share_of(0),
        ),
    ] = None,
    top: Annotated[
        int | None, option("N", "The most tags to list of a note. Default: all that are suggested.", min=1)
    ] = None,
    new_only: Annotated[bool, flag("Leave out tags that a note has already.", "--new-only")] = False,
    output: Annotated[TagFormat, flag("How to print suggestions.", "--format")] = "human",
    limit: Annotated[int, option("N", "The most notes; 0: all.", "--limit", "-n", min=0)] = 0,
    as_json: Annotated[bool, flag("Short for --format json.", "--json")] = False,
    as_jsonl: Annotated[bool, flag("Short for --format jsonl.", "--jsonl")] = False,
    as_tsv: Annotated[bool, flag("Short for --format tsv.", "--tsv")] = False,
    apply: Annotated[bool, flag("Write the suggested tags into the notes.", "--apply")] = False,
    interactive: Annotated[bool, flag("With --apply: ask about each note.", "--interactive", "-i")] = False,
    yes: Annotated[bool, flag("With --apply: do not ask, whatever folder it is.", "--yes", "-y")] = False,
    dry_run: Annotated[bool, flag("Show what --apply would change.", "--dry-run")] = False,
    undo: Annotated[bool, flag("Take out again what the last --apply wrote.", "--undo")] = False,
    as_list: Annotated[bool, flag("With --undo: list what can be taken out, and what could not be.", "--list")] = False,
    wait: Annotated[
        str | None,
        option(
            "TIME", "How long to wait (90s, 10m) while another process writes tags. Default: 0 at a terminal, else 10m."
        ),
    ] = None,
    *,
    index: IndexOptions,
    messages: MessageOptions,
) -> None:
    """Suggest tags for notes, and write them.

    The suggestions come from a classifier, where one was trained; else from the nearest tagged notes. At a terminal,
    --apply asks before it writes. Exits with 1 when nothing is suggested, with 4 where another process writes tags.

    Example: notesearch tag ~/notes/inbox

    Write them: notesearch tag --apply, and back: notesearch tag --undo
    """
    from notesearch.library.sweeping import refuse_sweeping
    from notesearch.library.tag import suggest_tags

    settings = index.settings()
    kind: TagFormat = "json" if as_json else "jsonl" if as_jsonl else "tsv" if as_tsv else output
    _check_combination(paths or [], apply=apply, dry_run=dry_run, interactive=interactive, undo=undo, as_list=as_list)
    turn = Turn.of(wait, messages, "Another process is writing tags; waiting for it…")
    if as_list:
        return _list_undoable(settings, messages)
    if undo:
        return _undo(settings, turn, messages)
    named, unreadable = _named(paths)
    if apply and not (dry_run or yes):
        refuse_sweeping(settings, named or ())
    with messages.progress("Reading passages") as progress:
        try:
            run = suggest_tags(
                settings, named, labels=labels, classifier=name, min_score=min_score, top=top, progress=progress
            )
        except TooFewTags as error:  # nothing is wrong: a vault may be young
            if kind == "json":
                write_json([])
            messages.tell(f"{error.message[:1].upper()}{error.message[1:]}. {error.hint}")
            raise typer.Exit(NOTHING_FOUND) from error
    suggested = [entry for entry in run.suggestions if (entry.new_tags if new_only else entry.suggested)]
    shown = (run.suggestions if kind in ("json", "jsonl") else suggested)[: limit or None]
    run = replace(run, suggestions=tuple(shown if limit else run.suggestions))
    unread = [*unreadable, *run.skipped]
    if not (messages.quiet and run.suggestions):
        messages.tell_of_skipped(unread)
    if _BASIS[run.basis]:
        messages.tell(_BASIS[run.basis])
    refused = False
    if dry_run:
        refused = _show_changes(run)
    elif interactive:
        refused = _ask_and_write(settings, run, turn, messages)
    elif apply and not yes and not _is_wanted(run.suggestions):
        return messages.tell("Nothing written.")
    else:
        # The notes come first: whoever reads what is printed may go away.
        refused = apply and _write_tags(settings, run, _new_tags(run.suggestions), turn, messages)
        write_suggestions(shown, kind, new_only=new_only)
    if refused or (unread and not run.suggestions):
        raise typer.Exit(ERROR)
    if not suggested:
        messages.tell(_why_nothing(run, named))
        raise typer.Exit(NOTHING_FOUND)


def _why_nothing(run: TagRun, named: list[Path] | None) -> str:
    if run.suggestions:
        return "Nothing to suggest."
    return "All notes have tags." if named is None else "No notes to tag."


def _check_combination(
    paths: list[str], *, apply: bool, dry_run: bool, interactive: bool, undo: bool, as_list: bool
) -> None:
    """Refuses options that contradict each other."""
    if interactive and not apply:
        raise UsageError("--interactive was given without --apply", "Give both, or neither.")
    if interactive and "-" in paths:
        raise UsageError("stdin cannot give both paths and answers", "Name the notes, or leave out --interactive.")
    if as_list and not undo:
        raise UsageError("--list was given without --undo", "Give both: notesearch tag --undo --list")
    if undo and (paths or apply or dry_run):
        raise UsageError("--undo takes back a whole run, and nothing else", "Give it alone: notesearch tag --undo")


def _undo(settings: Settings, turn: Turn, messages: MessageOptions) -> None:
    from notesearch.library.tag import undo_tags

    report = undo_tags(settings, wait_s=turn.wait_s, waiting=turn.waiting)
    if _tell_of_writing(report, "restored", messages):
        messages.tell("What was refused stays in the list: notesearch tag --undo --list")
        raise typer.Exit(ERROR)


def _list_undoable(settings: Settings, messages: MessageOptions) -> None:
    """Prints the runs that can be undone and what was refused, the newest first."""
    from notesearch.library.tag import undoable_runs

    runs = undoable_runs(settings)
    for run in runs:
        began = f"{run.began.astimezone():%Y-%m-%d %H:%M:%S}"
        if run.notes:
            show([f"{began}  {counted(len(run.notes), 'note')} tagged"])
        for entry in run.refused:
            state = entry.reason or "as it was then: --undo restores it"
            show([f"{began}  {paint(shown_path(entry.path), 'path')}: {state}"])
    if not runs:
        messages.tell("There is nothing to undo.")
        raise typer.Exit(NOTHING_FOUND)


def _named(paths: list[str] | None) -> tuple[list[Path] | None, list[Skipped]]:
    """The notes and folders that were named, with those from stdin in place of -; and what could not be read as one."""
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


def _new_tags(suggestions: tuple[Suggestions, ...]) -> Decided:
    return {entry.path: entry.new_tags for entry in suggestions if entry.new_tags}


def _show_changes(run: TagRun) -> bool:
    """Prints what would be written; says whether anything would be refused."""
    from notesearch.library.tag import diff_tags

    refused: list[Skipped] = []
    for diff in diff_tags(run, _new_tags(run.suggestions)):
        if isinstance(diff, Skipped):
            refused.append(diff)
            continue
        if is_terminal(sys.stdout):
            show(harmless(line.rstrip("\r")) for line in diff.removesuffix("\n").split("\n"))
        else:
            write([diff if diff.endswith("\n") else f"{diff}\n"])
    return _tell_of_refusals(refused)


def _is_wanted(suggestions: Sequence[Suggestions]) -> bool:
    """Asks whether to write all that is suggested; yes, where nobody sits at a terminal or there is nothing to write.

    The end of stdin is as good as "no".
    """
    changed = [entry for entry in suggestions if entry.new_tags]
    if not (changed and is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        return True
    tags = counted(sum(len(entry.new_tags) for entry in changed), "tag")
    question = f"Write {tags} into {counted(len(changed), 'note')}? [y/N] (l lists them) "
    try:
        while (answer := _read(question).strip().lower()) in ("l", "list"):
            for entry in changed:
                warn(f"{shown_path(entry.path)}: {', '.join(entry.new_tags)}")
    except EOFError:
        warn("")
        return False
    return answer in ("y", "yes")


def _ask_and_write(settings: Settings, run: TagRun, turn: Turn, messages: MessageOptions) -> bool:
    from notesearch.library.tag import remember

    accepted, rejected = ask_about([entry for entry in run.suggestions if entry.new_tags])
    refused = _write_tags(settings, run, accepted, turn, messages)
    remember(settings, rejected)
    return refused


def _write_tags(settings: Settings, run: TagRun, tags: Decided, turn: Turn, messages: MessageOptions) -> bool:
    """Writes tags and says what was done; says whether any note was refused."""
    from notesearch.library.tag import write_tags

    report = write_tags(settings, run, tags, wait_s=turn.wait_s, waiting=turn.waiting)
    if not tags:
        messages.tell("Nothing written.")
        return _tell_of_refusals(report.refused)
    return _tell_of_writing(report, "tagged", messages)


def _tell_of_writing(report: WriteReport, verb: str, messages: MessageOptions) -> bool:
    count = len(report.written)
    back = " To take the tags out again: notesearch tag --undo" if verb == "tagged" and count else ""
    messages.tell(f"{counted(count, 'note')} {verb}.{back}")
    return _tell_of_refusals(report.refused)


def _tell_of_refusals(refused: Sequence[Skipped]) -> bool:
    for entry in refused:
        warn(f"refused  {entry.path}: {entry.reason}")
    return bool(refused)


def write_suggestions(suggestions: Sequence[Suggestions], kind: TagFormat, *, new_only: bool) -> None:
    """Prints suggestions.

    Args:
        suggestions: Of each note.
        kind: `human`; `json` or `jsonl`, which also have tags below their thresholds; or `tsv`, a line a suggestion.
        new_only: Whether to leave out tags that a note has already.
    """
    shown = [(entry, [tag for tag in entry.tags if not (new_only and tag.present)]) for entry in suggestions]
    if kind == "human":
        for entry, tags in shown:
            show([paint(shown_path(entry.path), "path"), *_lines(entry, tags), ""])
    elif kind == "json":
        write_json([_as_json(entry, tags) for entry, tags in shown], indent=2)
    elif kind == "jsonl":
        for entry, tags in shown:
            write_json(_as_json(entry, tags))
    else:
        rows = ((entry.path, tag.tag, tag.score) for entry, tags in shown for tag in tags if tag.suggested)
        write(f"{one_line(path)}\t{one_line(tag)}\t{score:.{_DECIMALS}f}\n" for path, tag, score in rows)


def _as_json(entry: Suggestions, tags: Sequence[TagScore]) -> dict[str, object]:
    named = {tag.tag for tag in tags}
    because = [asdict(reason) for reason in entry.because if reason.tag in named]
    for reason in because:
        for note in reason["notes"]:
            note["similarity"] = round(note["similarity"], _DECIMALS)
    return {
        "path": entry.path,
        "title": entry.title,
        "tags": [asdict(tag) | {"score": round(tag.score, _DECIMALS)} for tag in tags],
        "because": because,
    }


def _lines(entry: Suggestions, tags: Sequence[TagScore]) -> Iterator[str]:
    """The lines that tell a person which of some tags are suggested for a note, and why."""
    columns = min(width(), _MOST_WIDTH)
    reasons = {reason.tag: reason for reason in entry.because}
    for tag in tags:
        if tag.suggested:
            has = "  (has it)" if tag.present else ""
            yield from wrapped(tag.tag + has, columns, f"  {tag.score:.2f}  ", " " * 8, style="tag")
            reason = reasons.get(tag.tag)
            if reason and reason.words:
                yield from wrapped(", ".join(reason.words), columns, "        words:", " " * 10, style="dim")
            if reason and reason.notes:
                notes = "; ".join(
                    f"{named(note.title, note.path if note.shares_title else '')} ({note.similarity:.2f})"
                    for note in reason.notes
                )
                yield from wrapped(notes, columns, "        like:", " " * 10, style="dim")


def ask_about(suggestions: Sequence[Suggestions]) -> tuple[Decided, Decided]:
    """Asks on stderr, and reads answers from stdin; its end, or Ctrl-C, is as good as "quit".

    Returns:
        The tags that were accepted, and those that were rejected, by the path of the note.
    """
    accepted: Decided = {}
    rejected: Decided = {}
    try:
        for number, entry in enumerate(suggestions, start=1):
            warn("")
            warn(f"{number}/{len(suggestions)}  {shown_path(entry.path)}")
            for line in _lines(entry, [tag for tag in entry.tags if not tag.present]):
                warn(line)
            answer = _answer()
            if answer == "q":
                break
            if answer == "a":
                accepted[entry.path] = entry.new_tags
            elif answer == "r":
                rejected[entry.path] = entry.new_tags
            elif answer == "e":
                wanted = _typed_tags()
                if wanted:
                    kept = {key_of(tag) for tag in wanted}
                    accepted[entry.path] = wanted
                    rejected[entry.path] = tuple(tag for tag in entry.new_tags if key_of(tag) not in kept)
    except (EOFError, KeyboardInterrupt):
        warn("")
    return accepted, {path: tags for path, tags in rejected.items() if tags}


def _typed_tags() -> tuple[str, ...]:
    from notesearch.notes import unique_tags

    return unique_tags(_read(_EDIT).split(","))


def _answer() -> str:
    while True:
        typed = _read(_QUESTION).strip().lower()
        if typed in _ANSWERS:
            return _ANSWERS[typed]


def _read(question: str) -> str:
    if sys.stderr is not None:
        sys.stderr.write(question)
        sys.stderr.flush()
    line = sys.stdin.readline() if sys.stdin else ""
    if not line:
        raise EOFError
    return line
