"""Filters as conditions of SQL, so that they apply before anything is ranked."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from notesearch.phrases import VARIATION
from notesearch.records import Filters, HeldWords
from notesearch.storage.full_text import quoted
from notesearch.storage.where import property_condition
from notesearch.words import find_runs, key_of, spelled

Condition = tuple[str, Sequence[str | float]]
"""SQL that holds for the notes that are meant, and its parameters."""

_NOTES = "notes JOIN folders ON folders.id = notes.folder_id"
_TAGGED = "SELECT note_id FROM tags WHERE key = ? OR substr(key, 1, length(?)) = ?"
# The folder "/" ends with its separator, any other without.
_BELOW_FOLDER = "spelled(substr(notes.path, length(rtrim(folders.path, '/')) + 2))"
_PATH_MATCHES = (
    f"(spelled(notes.path) GLOB ? OR spelled(notes.path) GLOB ? OR {_BELOW_FOLDER} GLOB ? OR {_BELOW_FOLDER} GLOB ?)"
)
# How far apart words may be that a reader sees side by side: the target of a link may stand between them.
_MOST_BETWEEN = 40
# A phrase of words that more notes hold is too common to search by.
_MOST_PHRASE_MATCHES = 2_000
_EVERY_FOLDER = "**/"
# The parts of a note that the full-text index knows, apart: no phrase stands in two of them.
_TITLE = """notes.title || coalesce((SELECT group_concat(char(1) || value, '') FROM properties
    WHERE note_id = notes.id AND words = 'title'), '')"""
_TEXT = f"""{_TITLE} || char(1) || coalesce((SELECT group_concat(text, char(10)) FROM
        (SELECT text FROM chunks WHERE note_id = notes.id ORDER BY position)), '')
    || coalesce((SELECT group_concat(char(1) || value, '') FROM properties
        WHERE note_id = notes.id AND words = 'text'), '')"""

_HOLDING_SIGN = """instr(notes.title, ?) OR notes.id IN (SELECT note_id FROM chunks WHERE instr(text, ?)
    UNION SELECT note_id FROM properties WHERE instr(value, ?))"""


def admitted_notes(filters: Filters) -> Condition:
    """A SELECT of the ids of the notes that filters admit, empty where every note is admitted, and its parameters."""
    conditions: list[Condition] = [
        *_tagged(filters.tags, "IN"),
        *_tagged(filters.excluded_tags, "NOT IN"),
        *(_at_path(globs) for globs in filters.paths),
        *(_negated(_at_path(globs)) for globs in filters.excluded_paths),
        *(
            (f"notes.date {operator} ?", [date.isoformat()])
            for operator, date in ((">=", filters.since), ("<=", filters.until))
            if date
        ),
        *(_holding(words) for words in filters.held),
        *map(property_condition, filters.where),
    ]
    if filters.notes is not None:
        conditions.append((f"notes.id IN ({','.join(map(str, filters.notes))})", []))
    if not conditions:
        return "", []
    where = " AND ".join(sql for sql, _ in conditions)
    return f"SELECT notes.id FROM {_NOTES} WHERE {where}", [each for _, own in conditions for each in own]


def _negated(condition: Condition) -> Condition:
    return f"NOT ({condition[0]})", condition[1]


def _tagged(tags: Iterable[str], operator: str) -> Iterable[Condition]:
    for tag in tags:
        key = key_of(tag.removeprefix("#").rstrip("/"))
        yield f"notes.id {operator} ({_TAGGED})", [key, f"{key}/", f"{key}/"]


def _at_path(globs: tuple[str, ...]) -> Condition:
    """By the first of some globs that matches any note."""
    conditions = [_matching(glob) for glob in globs]
    if not conditions:
        return "0", []
    parameters: list[str | float] = []
    cases = ""
    for sql, own in conditions[:-1]:
        cases += f" WHEN EXISTS (SELECT 1 FROM {_NOTES} WHERE {sql}) THEN {sql}"
        parameters += [*own, *own]
    last, own = conditions[-1]
    return (f"CASE{cases} ELSE {last} END" if cases else last), [*parameters, *own]


def _matching(glob: str) -> Condition:
    """A glob stands for a note, or for a folder and so for all that is below it."""
    forms = [spelled(glob)]
    if _EVERY_FOLDER in glob:  # it may stand for no folder at all
        forms.append(spelled(glob).replace(_EVERY_FOLDER, ""))
    parameters = [parameter for form in forms for parameter in [form, f"{form}/*"] * 2]
    return f"({' OR '.join([_PATH_MATCHES] * len(forms))})", parameters


def _holding(words: HeldWords) -> Condition:
    """Whether a note holds some words; the full-text index proposes notes, and letters decide where they count."""
    text = _TITLE if words.in_title else _TEXT
    runs = [words.text[start:end] for start, end in find_runs(words.text)]
    limit = "" if words.excluded else f"ORDER BY rank LIMIT {_MOST_PHRASE_MATCHES}"
    column = "title : " if words.in_title else ""
    if not runs:  # a sign, which that index does not know
        sign = (spelled(words.text).split() or [""])[0].split(VARIATION)[0]
        forms = list(dict.fromkeys([sign, html.escape(sign, quote=False)]))
        proposed = " OR ".join(["instr(notes.title, ?)" if words.in_title else _HOLDING_SIGN] * len(forms))
        parameters = [form for form in forms for _ in range(1 if words.in_title else 3)]
    else:
        forms = [quoted(words.text)]
        if words.exact and len(runs) > 1:  # with markup between them
            forms.append(f"NEAR({' '.join(map(quoted, runs))}, {_MOST_BETWEEN})")
        matching = f"notes.id IN (SELECT rowid FROM note_words WHERE note_words MATCH ? {limit})"
        proposed, parameters = " OR ".join([matching] * len(forms)), [column + form for form in forms]
    if words.exact or not runs:
        proposed, parameters = f"({proposed}) AND holds(?, {text})", [*parameters, words.text]
    return _negated((proposed, parameters)) if words.excluded else (f"({proposed})", parameters)
