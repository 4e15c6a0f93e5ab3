"""Filters as SQL, so that they apply before ranking."""

from __future__ import annotations

from notesearch.records import Filters


def admitted_notes_sql(filters: Filters) -> tuple[str, list[str]]:
    """Builds the query for the ids of the notes that the filters admit.

    Returns:
        A SELECT of note ids and its parameters; the SELECT is empty where every note is admitted.
    """
    conditions: list[str] = []
    parameters: list[str] = []
    for tag in filters.tags:
        conditions.append(f"notes.id IN ({_TAGGED})")
        parameters += _tag_parameters(tag)
    for tag in filters.excluded_tags:
        conditions.append(f"notes.id NOT IN ({_TAGGED})")
        parameters += _tag_parameters(tag)
    if filters.path_glob:
        conditions.append(_PATH_MATCHES)
        parameters += _path_parameters(filters.path_glob)
    if filters.since:
        conditions.append("notes.date >= ?")
        parameters.append(filters.since.isoformat())
    if filters.until:
        conditions.append("notes.date <= ?")
        parameters.append(filters.until.isoformat())
    if not conditions:
        return "", []
    return (
        "SELECT notes.id FROM notes JOIN folders ON folders.id = notes.folder_id WHERE " + " AND ".join(conditions),
        parameters,
    )


_TAGGED = "SELECT note_id FROM tags WHERE key = ? OR substr(key, 1, length(?)) = ?"
# The folder "/" ends with its separator, any other without.
_BELOW_FOLDER = "substr(notes.path, length(rtrim(folders.path, '/')) + 2)"
_PATH_MATCHES = f"(notes.path GLOB ? OR notes.path GLOB ? OR {_BELOW_FOLDER} GLOB ? OR {_BELOW_FOLDER} GLOB ?)"


def _tag_parameters(tag: str) -> list[str]:
    key = tag.removeprefix("#").rstrip("/").casefold()
    return [key, f"{key}/", f"{key}/"]


def _path_parameters(glob: str) -> list[str]:
    """A glob stands for a note, or for a folder and so for all that is below it."""
    glob = glob.rstrip("/")
    return [glob, f"{glob}/*", glob, f"{glob}/*"]
