"""The words of queries and passages, and the passage that is encoded for a chunk."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

# Scripts written without spaces (or, for Hangul, with particles glued on): Han, Hiragana, Katakana, Hangul.
UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U000323af"
UNSPACED_CHARACTER = re.compile(f"[{UNSPACED}]")

# English words that say nothing about what a query or a passage is about.
STOPWORDS = frozenset(
    """
    a about above after again against all also am an and any are as at be because been before being below between both
    but by can could did do does doing down during each few for from further get had has have having he her here hers
    him himself his how i if in into is it its itself just let me more most my myself no nor not now of off on once
    only or other our ours out over own s same shall she should so some such t than that the their theirs them then
    there these they this those through to too under until up us very was we were what when where which while who whom
    why will with would you your yours
    """.split()
)

_LETTERS = f"[^\\W_{UNSPACED}]"
# A letter may be typed as one with combining marks: some keyboards and all of macOS's file names do.
_RUN = re.compile(f"[{UNSPACED}]+|{_LETTERS}+(?:[\u0300-\u036f]+{_LETTERS}*)*")
# In a text of ASCII, all but letters and digits separates words, as it does there for the pattern.
_SEPARATORS = {code: " " for code in range(128) if not chr(code).isalnum()}
# What typing programs put into texts that are ASCII otherwise: none of it is a letter.
_TYPOGRAPHIC = "‘’“”–—…•→×\u00a0"

_WORD = re.compile(r"\w+")
# Longer titles and heading paths would swamp the text that they stand before.
_MOST_TITLE_CHARS = 120


def storable(text: str) -> str:
    """Replaces lone surrogates, which stand for undecodable bytes: neither SQLite nor JSON can hold them."""
    return text.encode("utf-8", "replace").decode("utf-8")


def find_runs(text: str) -> list[tuple[int, int]]:
    """Finds start and end of each run of letters and digits: a word, or a whole sentence of an unspaced script."""
    return [run.span() for run in _RUN.finditer(text)]


def find_words(text: str) -> Iterator[tuple[int, int, str]]:
    """Finds the words of a text.

    Yields:
        Start, end, and the word in lower case; for a run of characters of an unspaced script, its overlapping pairs.
    """
    for run in _RUN.finditer(text):
        start, end = run.span()
        if end - start > 2 and UNSPACED_CHARACTER.match(run.group()):
            yield from ((i, i + 2, text[i : i + 2]) for i in range(start, end - 1))
        else:
            # Not casefold(), which makes two letters of ß where the full-text index keeps one.
            yield start, end, run.group().lower()


def lowered_runs(text: str) -> list[str]:
    """The runs that `find_runs` finds, in lower case, and much faster."""
    plain = _without_typography(text)
    if plain.isascii():
        return plain.lower().translate(_SEPARATORS).split()
    return [run.lower() for run in _RUN.findall(text)]


def distinct_words(text: str) -> set[str]:
    """The words that `find_words` finds, each once, and much faster; whole runs of an unspaced script among them."""
    words = set(lowered_runs(text))
    if UNSPACED_CHARACTER.search(text):
        words |= {word for run in _RUN.findall(text) for _, _, word in find_words(run)}
    return words


def find_some_words(text: str, wanted: Collection[str]) -> list[tuple[int, int, str]]:
    """Those of the words that `find_words` finds that are wanted, for few of them much faster.

    Args:
        text: The text.
        wanted: Words as `find_words` gives them.
    """
    lowered = _without_typography(text).lower()
    if not lowered.isascii():
        return [found for found in find_words(text) if found[2] in wanted]
    found = []
    for word in wanted:
        start = lowered.find(word)
        while start >= 0:
            end = start + len(word)
            if not (lowered[start - 1 : start].isalnum() or lowered[end : end + 1].isalnum()):
                found.append((start, end, word))
            start = lowered.find(word, end)
    return sorted(found)


def _without_typography(text: str) -> str:
    """The text with spaces for what no word has, so that more texts are ASCII."""
    if not text.isascii():
        for mark in _TYPOGRAPHIC:
            text = text.replace(mark, " ")
    return text


def passage_text(title: str, heading: str, text: str) -> str:
    """The text to encode for a chunk: title, heading path and the chunk's own text, which comes last, each on its line.

    A title that is only a number or a date, as in `2025-01-04.md`, says nothing and is left out; so is a title or
    heading with which the chunk itself begins.

    Args:
        title: The note's.
        heading: The chunk's heading path.
        text: The chunk's.
    """
    lines: list[str] = []
    if any(char.isalpha() for char in title) and not _begins_with(text, title):
        lines.append(title[:_MOST_TITLE_CHARS])
    above, _, last = heading.rpartition(" > ")
    if shown := above if _begins_with(text, last) else heading:
        lines.append(shown[-_MOST_TITLE_CHARS:])
    return "\n".join([*lines, text])


def _begins_with(text: str, title: str) -> bool:
    words = _WORD.findall(title.casefold())
    # Markup may stand between the words.
    beginning = text[: 2 * len(title) + 40].casefold()
    return _WORD.findall(beginning)[: len(words)] == words
