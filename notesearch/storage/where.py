"""Conditions on properties, as conditions of SQL on `notes`, so that they apply before anything is ranked."""

from __future__ import annotations

from notesearch.records import PropertyCondition
from notesearch.storage.rows import stored_date
from notesearch.words import key_of

# What holds for a date is said of the first and of the last moment that are meant: 2025-03 is a month.
_OF_MOMENT = {
    "=": "moment BETWEEN :first AND :last",
    "<": "moment < :first",
    "<=": "moment <= :last",
    ">": "moment > :last",
    ">=": "moment >= :first",
}


def property_condition(condition: PropertyCondition) -> tuple[str, list[str | float]]:
    """The SQL that holds for the notes that meet a condition, and its parameters."""
    key = key_of(condition.name)
    if not condition.operator:  # also where there are properties below it: `author` and `author.name`
        named = "SELECT note_id FROM properties WHERE key = ? OR substr(key, 1, length(?)) = ?"
        return f"notes.id IN ({named})", [key, f"{key}.", f"{key}."]
    # What is not equal may be missing too, and in a list no value may be equal.
    is_in, operator = ("NOT IN", "=") if condition.operator == "!=" else ("IN", condition.operator)
    as_text, parameters = f"value_key {operator} ?", [condition.compared]
    cases: list[tuple[str, list[str | float]]] = []
    if condition.number is not None:
        cases.append((f"WHEN number IS NOT NULL THEN number {operator} ?", [condition.number]))
    if condition.first and condition.last:
        ends = {":first": stored_date(condition.first), ":last": stored_date(condition.last)}
        sql = _OF_MOMENT[operator]
        used = sorted((name for name in ends if name in sql), key=sql.index)
        for name in used:
            sql = sql.replace(name, "?")
        cases.append((f"WHEN moment IS NOT NULL THEN {sql}", [ends[name] for name in used]))
    if cases and operator != "=":
        as_text += " AND value_key GLOB '[0-9]*'"  # a word is neither more nor less than a number
    whens = " ".join(sql for sql, _ in cases)
    holds = f"CASE {whens} ELSE {as_text} END" if cases else as_text
    own = [each for _, of_case in cases for each in of_case]
    return f"notes.id {is_in} (SELECT note_id FROM properties WHERE key = ? AND {holds})", [key, *own, *parameters]
