"""Why a search has found nothing, where that can be known quickly."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from notesearch.file_kinds import NOTE_SUFFIXES
from notesearch.path_globs import path_meanings
from notesearch.records import Filters, HeldWords
from notesearch.retrieval.query import parse_query
from notesearch.settings import Settings
from notesearch.storage import IndexReader
from notesearch.words import key_of, near_names, storable

# How long to look for notes that are newer than the index. Of a large vault, that is a part.
_LOOKING_S = 0.015
_MOST_CHECKED = 50
_IGNORE_FILES = (".gitignore", ".notesearchignore")


def why_nothing(settings: Sequence[Settings], text: str, options: Mapping[str, Any]) -> list[str]:
    """Says why a search may have found nothing.

    Args:
        settings: Those of each index that was searched.
        text: What was searched for.
        options: The filters, as `Index.search` takes them.

    Returns:
        Reasons, a sentence each: unknown tags with the nearest ones, filters that no note passes, dates that exclude
        each other, phrases that no note holds, notes that are newer than the index. Empty where none is known.
    """
    readers = [IndexReader(each.index_dir) for each in settings]
    try:
        return [*_reasons(readers, text, options), *(reason for each in settings for reason in _newer_notes(each))]
    finally:
        for reader in readers:
            reader.close()


def _reasons(readers: Sequence[IndexReader], text: str, options: Mapping[str, Any]) -> Iterator[str]:
    tags = {key_of(tag): tag for reader in readers for tag, _ in reader.tag_counts()}
    for tag in options["tags"]:
        yield from _unknown(tag, tags)
    since, until = options["since"], options["until"]
    dates = [f"{which} {date:%Y-%m-%d}" for which, date in (("since", since), ("until", until)) if date]
    if since and until and since > until:
        yield f"No date is both {' and '.join(dates)}."
    elif dates and not _admits(readers, Filters(since=since, until=until)):
        yield f"No note has a date {' and '.join(dates)}."
    paths = options["path"] if not isinstance(options["path"], str) else [options["path"]]
    for path in filter(None, paths):
        if not _admits(readers, Filters(paths=(path_meanings(path, Path()),))):
            yield f"No note is at {path}."
    for words in (*options["held"], *(HeldWords(phrase, exact=True) for phrase in parse_query(text).phrases)):
        if not (words.excluded or _admits(readers, Filters(held=(words,)))):
            yield f"No note {'has a title with' if words.in_title else 'holds'} “{words.text}”."


def _admits(readers: Sequence[IndexReader], filters: Filters) -> bool:
    return any(len(found) for reader in readers if (found := reader.admitted_chunks(filters)) is not None)


def _unknown(tag: str, tags: Mapping[str, str]) -> Iterator[str]:
    key = key_of(tag.removeprefix("#").rstrip("/"))
    if key in tags or any(other.startswith(f"{key}/") for other in tags):
        return
    alike = near_names(key, tags)
    yield f"No note has the tag {tag}" + (f"; nearest: {', '.join(alike)}." if alike else ".")


def _newer_notes(settings: Settings) -> Iterator[str]:
    """Says how many notes are newer than the index, as far as there is time to look."""
    end = time.perf_counter() + _LOOKING_S
    newer, checked, in_time = 0, 0, True
    with IndexReader(settings.index_dir) as reader:
        for folder, when in reader.synced().items():
            for entry in _files_since(folder, when.timestamp()):
                in_time = time.perf_counter() < end and checked < _MOST_CHECKED
                if not in_time:
                    break
                if entry:
                    began = time.perf_counter()
                    newer += _is_newer(settings, reader, entry)
                    checked += 1
                    end += time.perf_counter() - began  # not many files are looked at so closely
    if newer:
        are = "note is" if newer == 1 else "notes are"
        yield f"{'' if in_time else 'At least '}{newer} {are} newer than the index: notesearch index"


def _files_since(folder: str, when: float) -> Iterator[os.DirEntry[str] | None]:
    """Files of notes below a folder that were made or changed since; `None` for each other folder, to be asked time."""
    folders = [folder]
    while folders:
        yield None
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.name.lower().endswith(NOTE_SUFFIXES) and entry.stat().st_ctime > when:
                    yield entry


def _is_newer(settings: Settings, reader: IndexReader, file: os.DirEntry[str]) -> bool:
    """Whether a file is a note that the index knows not at all, or with another size or time."""
    status = file.stat()
    known = reader.note_at(storable(file.path))
    if known:
        return (known.stamp.size, known.stamp.mtime_ns) != (status.st_size, status.st_mtime_ns)
    if not any((above / name).exists() for above in Path(file.path).parents for name in _IGNORE_FILES):
        return status.st_size <= settings.max_file_bytes
    from notesearch.library.status import why  # its import takes longer than all the rest

    return why(settings, Path(file.path)).state == "new"
