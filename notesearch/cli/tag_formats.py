"""Suggestions as text: for people, and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from enum import StrEnum

from notesearch.cli.formats import one_line, shown_path
from notesearch.cli.terminal import harmless, json_text, paint, wrapped
from notesearch.records import Because, Suggestions, TagScore

_MOST_WIDTH = 100
_DECIMALS = 4


class TagFormat(StrEnum):
    """How suggestions are printed."""

    HUMAN = "human"
    JSONL = "jsonl"
    TSV = "tsv"


def format_suggestions(
    suggestions: Sequence[Suggestions], kind: TagFormat, *, new_only: bool, colour: bool, width: int
) -> Iterator[str]:
    """Renders suggestions.

    Args:
        suggestions: Of each note.
        kind: `human`; `jsonl`, which also has tags below their thresholds; or `tsv`, a line a suggestion.
        new_only: Whether to leave out tags that a note has already.
        colour: Whether to colour what is for people.
        width: Columns of the terminal.
    """
    for entry in suggestions:
        tags = [tag for tag in entry.tags if not (new_only and tag.present)]
        if kind is TagFormat.JSONL:
            yield json_text(_as_json(entry, tags)) + "\n"
        elif kind is TagFormat.TSV:
            for tag in tags:
                if tag.suggested:
                    yield "\t".join((one_line(entry.path), one_line(tag.tag), f"{tag.score:.{_DECIMALS}f}")) + "\n"
        else:
            yield from _for_people(entry, tags, colour=colour, width=min(width, _MOST_WIDTH))


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


def _for_people(entry: Suggestions, tags: Sequence[TagScore], *, colour: bool, width: int) -> Iterator[str]:
    yield paint(harmless(shown_path(entry.path)), "path", colour=colour) + "\n"
    for line in lines_of_suggestions(entry, tags, width, colour=colour):
        yield line + "\n"
    yield "\n"


def lines_of_suggestions(
    entry: Suggestions, tags: Sequence[TagScore], width: int, *, colour: bool = False
) -> Iterator[str]:
    """The lines that tell a person which of some tags are suggested for a note, and why.

    Args:
        entry: What is suggested.
        tags: Of which tags to tell.
        width: Columns to fit them into.
        colour: Whether to colour them.
    """
    reasons = {reason.tag: reason for reason in entry.because}
    for tag in tags:
        if tag.suggested:
            has = "  (has it)" if tag.present else ""
            first, *rest = wrapped(harmless(tag.tag) + has, width, f"  {tag.score:.2f}  ", "        ")
            yield paint(first, "tag", colour=colour)
            yield from (paint(line, "tag", colour=colour) for line in rest)
            if reason := reasons.get(tag.tag):
                yield from (paint(line, "dim", colour=colour) for line in _reason_lines(reason, width))


def _reason_lines(reason: Because, width: int) -> Iterator[str]:
    if reason.words:
        yield from wrapped(harmless(", ".join(reason.words)), width, "        words:", "          ")
    if reason.notes:
        notes = "; ".join(f"{note.title} ({note.similarity:.2f})" for note in reason.notes)
        yield from wrapped(harmless(notes), width, "        like:", "          ")
