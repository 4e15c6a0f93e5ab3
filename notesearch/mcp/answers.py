"""What tools answer: a text that reads well, and the same as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from notesearch.records import Hit, as_json
from notesearch.retrieval.similar import SimilarHit

_EXPLANATION = ("scores", "contributions", "highlights", "strengths", "evidence")


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a tool.

    Attributes:
        text: For reading.
        data: The same for programs, as JSON's types.
    """

    text: str
    data: dict[str, Any]


def answer_with_hits(hits: Sequence[Hit]) -> Answer:
    """The notes that a search found."""
    head = f"{_counted(len(hits), 'note')} found, the best first." if hits else "Nothing found."
    return Answer("\n\n".join([head, *map(_hit_as_text, hits)]), {"hits": _as_data(hits)})


def _as_data(hits: Sequence[Hit]) -> list[Any]:
    """Hits as `search --json` prints them, without what explains a score."""
    return [as_json(hit, leave_out=_EXPLANATION) for hit in hits]


def _hit_as_text(hit: Hit) -> str:
    heading = f" › {hit.heading}" if hit.heading else ""
    tags = "".join(f"  #{tag}" for tag in hit.tags)
    properties = "".join(f"\n{each.name}: {each.value}" for each in hit.properties)
    place = f"{hit.path}:{hit.start_line}-{hit.end_line}"
    return f"{hit.rank}. {hit.title}{heading}\n{place}{tags}\n{hit.snippet}{properties}"


def answer_with_similar(hits: Sequence[SimilarHit]) -> Answer:
    """The notes that are related to a note, and why."""
    head = f"{_counted(len(hits), 'related note')}, the closest first." if hits else "No note is related to it."
    return Answer(
        "\n\n".join([head, *map(_similar_as_text, hits)]),
        {"hits": _as_data(hits)},
    )


def _similar_as_text(hit: SimilarHit) -> str:
    lines = [
        f"lines {each.start_line}-{each.end_line} of the note meet {each.hit_start_line}-{each.hit_end_line}"
        for each in hit.meetings
    ]
    linked = [f"linked {' and '.join(hit.links)} the note"] if hit.links else []
    return "\n".join([_hit_as_text(hit), *lines, *linked])


def answer_with_tags(counts: Sequence[tuple[str, int]], limit: int) -> Answer:
    """The most frequent tags."""
    return _listed("tag", "tags", counts, ("tag", "notes"), limit)


def answer_with_properties(counts: Sequence[tuple[str, int, int]], limit: int) -> Answer:
    """The properties that most notes have."""
    return _listed("property", "properties", counts, ("name", "notes", "values"), limit)


def answer_with_values(counts: Sequence[tuple[str, str, int]], limit: int) -> Answer:
    """The most frequent values of a property."""
    return _listed("value", "values", counts, ("value", "type", "notes"), limit)


def _listed(one: str, several: str, rows: Sequence[tuple[Any, ...]], columns: tuple[str, ...], limit: int) -> Answer:
    shown = [dict(zip(columns, row, strict=True)) for row in rows[:limit]]
    head = f"{len(rows):,} {one if len(rows) == 1 else several}, the most frequent first."
    if len(shown) < len(rows):
        head += f" These are the first {len(shown):,}."
    lines = [f"{row[columns[0]]}: {row['notes']}" for row in shown]
    return Answer(
        "\n".join([head, *lines] if rows else [f"No note has {several}."]), {several: shown, "total": len(rows)}
    )


def answer_with_status(folders: Mapping[str, int], synced: Mapping[str, datetime], model: str) -> Answer:
    """What an index holds: the notes of each folder, and when it was last brought in step (UTC)."""
    when = {path: at.isoformat(timespec="seconds") for path, at in synced.items()}
    notes = sum(folders.values())
    lines = [
        f"{path}: {_counted(count, 'note')}, last brought in step {when.get(path, 'never, as far as is known')}"
        for path, count in folders.items()
    ]
    listed = [{"path": path, "notes": count, "synced": when.get(path)} for path, count in folders.items()]
    head = f"{_counted(notes, 'note')} in {_counted(len(folders), 'folder')}."
    return Answer("\n".join([head, *lines]), {"notes": notes, "folders": listed, "model": model})


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
