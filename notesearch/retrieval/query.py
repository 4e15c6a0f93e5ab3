"""What the user typed: the query, cut into the parts that the retrievers need, and the filters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from notesearch.errors import UsageError, require_type
from notesearch.records import Filters
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
    """

    text: str
    words: tuple[str, ...]
    phrases: tuple[str, ...]

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
    return Query(text, tuple(content[:_MOST_WORDS]), _phrases(clean))


def _phrases(text: str) -> tuple[str, ...]:
    others = [word for _, _, word in find_words(_PHRASE.sub(" ", text)) if word not in STOPWORDS]
    if len(others) > _MOST_WORDS_OUTSIDE_PHRASES:
        return ()
    # A question mark may stand inside the marks and belong to the question: Who wrote "Walking in Fresno?"
    phrases = dict.fromkeys(_PHRASE.findall(text))
    with_words = {phrase.rstrip(_ENDS).strip(): None for phrase in phrases if any(find_words(phrase))}
    return tuple(with_words) if len(with_words) <= _MOST_PHRASES else ()


def make_filters(
    tags: Sequence[str], not_tags: Sequence[str], path: str, since: datetime | None, until: datetime | None
) -> Filters:
    """Makes filters. Characters that no tag or path can hold are replaced, so that such a filter matches no note.

    Args:
        tags: Tags that a note must have, all of them.
        not_tags: Tags that a note must not have.
        path: Glob for the note's path, absolute or below its indexed folder.
        since: Earliest date of a note, inclusive, local time.
        until: Latest date of a note, inclusive, local time.

    Raises:
        UsageError: The path is too long, or something is of another type.
    """
    for what, listed in (("tags", tags), ("not_tags", not_tags)):
        require_type(what, listed, list, tuple)
        for tag in listed:
            require_type(f"each of {what}", tag, str)
    require_type("path", path, str)
    for what, moment in (("since", since), ("until", until)):
        require_type(what, moment, datetime, type(None))
    if len(path) > _MOST_PATH_CHARS:
        raise UsageError(f"the path has {len(path):,} characters", f"Give {_MOST_PATH_CHARS:,} at most.")
    return Filters(tuple(map(storable, tags)), tuple(map(storable, not_tags)), storable(path), since, until)
