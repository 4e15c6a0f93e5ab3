"""What the user typed, cut into the parts that the retrievers need."""

from __future__ import annotations

import re
from dataclasses import dataclass

from notesearch.errors import UsageError
from notesearch.retrieval.stopwords import STOPWORDS
from notesearch.storage import UNSPACED

# A pasted document is a query too, but its later words add time rather than meaning.
_MOST_WORDS = 64

_PHRASE = re.compile(r'"([^"]+)"')
_WORD = re.compile(r"[^\W_]+")
_UNSPACED_RUN = re.compile(f"[{UNSPACED}]+")


@dataclass(frozen=True, slots=True)
class Query:
    """A query.

    Attributes:
        text: For the encoder: what was typed, without quotation marks and control characters.
        words: For the lexical side, lower-case, each once: words without stopwords (with them, where there is nothing
            else); a run of Chinese, Japanese or Korean characters becomes its overlapping pairs.
        phrases: What was typed in quotation marks; each must occur in a passage as it stands.
    """

    text: str
    words: tuple[str, ...]
    phrases: tuple[str, ...]


def parse_query(typed: str) -> Query:
    """Parses a query.

    Raises:
        UsageError: There is nothing in it to search for.
    """
    # NUL ends a string for SQLite, and a lone surrogate cannot be encoded as UTF-8.
    clean = typed.encode("utf-8", "ignore").decode("utf-8").replace("\0", " ").strip()
    text = " ".join(clean.replace('"', " ").split())
    if not text:
        raise UsageError("the query is empty", 'Say what to look for: notesearch search "words or a question"')
    words = list(dict.fromkeys(_words(text.casefold())))
    telling = [word for word in words if word not in STOPWORDS] or words
    phrases = tuple(phrase.strip() for phrase in _PHRASE.findall(clean) if _WORD.search(phrase))
    return Query(text, tuple(telling[:_MOST_WORDS]), phrases)


def _words(text: str) -> list[str]:
    words: list[str] = []
    for word in _WORD.findall(text):
        position = 0
        for run in _UNSPACED_RUN.finditer(word):
            words += [word[position : run.start()]] if run.start() > position else []
            words += _pairs(run.group())
            position = run.end()
        words += [word[position:]] if position < len(word) else []
    return words


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]
