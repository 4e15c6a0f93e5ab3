"""What the user typed: the query, cut into the parts that the retrievers need, and the filters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from notesearch.errors import UsageError, require_type
from notesearch.path_globs import path_meanings
from notesearch.records import Filters, HeldWords
from notesearch.words import STOPWORDS, find_words, spelled, storable

# A pasted document is a query too, but its later words take time and add little meaning.
_MOST_WORDS = 128
# In a query of more words than this outside quotation marks, the marks belong to a pasted text.
_MOST_WORDS_OUTSIDE_PHRASES = 8
# So do more phrases than this.
_MOST_PHRASES = 16

_PHRASE = re.compile(r'"([^"]+)"')
_ENDS = " .,;!?"
_MOST_PATH_CHARS = 10_000


@dataclass(frozen=True, slots=True)
class Query:
    """A query.

    Attributes:
        text: For the encoder: what was typed, in one spelling, without quotation marks.
        words: For the lexical side, as keys, without stopwords (with them, where there is nothing else). A word
            stands here as often as it was typed, and counts as often.
        phrases: What was typed in quotation marks, in a query of few other words; each must occur in a note as it
            stands.
        corrections: Words that no note holds, each with those that are searched for in its place; see `typos`.
        strange: Whether no note holds any of its words, nor anything like it, and the model does not know them either.
    """

    text: str
    words: tuple[str, ...]
    phrases: tuple[str, ...]
    corrections: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    strange: bool = False

    @property
    def says_nothing(self) -> bool:
        """Whether it is made of stopwords, so that only where they stand together tells notes apart: let it be."""
        return bool(self.words) and STOPWORDS.issuperset(self.words)


def parse_query(typed: str) -> Query:
    """Parses a query.

    Raises:
        UsageError: There is nothing in it to search for, or it is no text.
    """
    require_type("the query", typed, str)
    # NUL ends a string for SQLite, and a lone surrogate cannot be encoded as UTF-8.
    clean = spelled(typed.encode("utf-8", "ignore").decode("utf-8").replace("\0", " ")).strip()
    text = " ".join(clean.replace('"', " ").split())
    if not text:
        raise UsageError("the query is empty", "Say what to look for, in words or as a question.")
    words = [word for _, _, word in find_words(text)]
    content = [word for word in words if word not in STOPWORDS] or words
    return Query(text, tuple(content[:_MOST_WORDS]), _phrases(clean) if words else (text,))


def _phrases(text: str) -> tuple[str, ...]:
    others = [word for _, _, word in find_words(_PHRASE.sub(" ", text)) if word not in STOPWORDS]
    if len(others) > _MOST_WORDS_OUTSIDE_PHRASES:
        return ()
    # A question mark may stand inside the marks and belong to the question: Who wrote "Walking in Fresno?"
    asked = (phrase.rstrip(_ENDS) if any(find_words(phrase)) else phrase for phrase in _PHRASE.findall(text))
    phrases = dict.fromkeys(phrase.strip() for phrase in asked if phrase.strip())
    return tuple(phrases) if len(phrases) <= _MOST_PHRASES else ()


def make_filters(
    tags: Sequence[str],
    not_tags: Sequence[str],
    path: str | Sequence[str],
    since: datetime | None,
    until: datetime | None,
    *,
    not_paths: Sequence[str] = (),
    held: Sequence[HeldWords] = (),
) -> Filters:
    """Makes filters. Characters that no tag or path can hold are replaced, so that such a filter matches no note.

    Args:
        tags: Tags that a note must have, all of them.
        not_tags: Tags that a note must not have.
        path: The note's path, or of several all: see `path_globs`; relative to the working directory.
        since: Earliest date of a note, inclusive, local time.
        until: Latest date of a note, inclusive, local time.
        not_paths: Paths that the note must not have.
        held: Words that it must hold, or must not.

    Raises:
        UsageError: A path is too long, or something is of another type.
    """
    require_type("path", path, str, list, tuple)
    paths = ([path] if path else []) if isinstance(path, str) else path
    for what, listed in (("tags", tags), ("not_tags", not_tags), ("paths", paths), ("not_paths", not_paths)):
        require_type(what, listed, list, tuple)
        for each in listed:
            require_type(f"each of {what}", each, str)
    for what, moment in (("since", since), ("until", until)):
        require_type(what, moment, datetime, type(None))
    for each in (*paths, *not_paths):
        if len(each) > _MOST_PATH_CHARS:
            raise UsageError(f"the path has {len(each):,} characters", f"Give {_MOST_PATH_CHARS:,} at most.")
    return Filters(
        tags=tuple(map(storable, tags)),
        excluded_tags=tuple(map(storable, not_tags)),
        paths=tuple(path_meanings(storable(each), Path()) for each in paths),
        excluded_paths=tuple(path_meanings(storable(each), Path()) for each in not_paths),
        since=since,
        until=until,
        held=tuple(replace(each, text=storable(each.text)) for each in held),
    )
