"""One text, however it is written: spelling, words and keys of texts, and the passage that is encoded for a chunk.

Nothing else in the program normalises a text. There are three levels, each built on the one before:

- `spelled`: one spelling of the same characters (Unicode UAX #15 and the ignorable characters of UAX #44). It is what
  models read and words are found in.
- `key_of`: the same in any letter case. It is what tags, names, links and labels are compared by.
- `bare`: the same without accents. It is what words are looked up by.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping
from functools import cache

# Scripts written without spaces between words (or, for Hangul, with particles glued on): Thai, Lao, Burmese, Khmer,
# Hiragana, Katakana, Han, Hangul. Their marks are among them; their punctuation is not.
UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u0edc-\u0edf\u1000-\u103f\u1050-\u1089\u109a-\u109d\u1780-\u17d3\u17dd"
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U000323af"
)

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

# Marks over and under letters that change how a word is pronounced rather than which it is: accents, the points of
# Hebrew, the vowels of Arabic. Not those of Indic scripts, which are letters, nor those of kana.
_ACCENTS = re.compile(
    "[\u0300-\u0305\u0307-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a"
    "\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u1ab0-\u1aff\u1dc0-\u1dff]"
    "|(?<![\u0438\u0418\u0443\u0423])\u0306"  # й and ў are letters of their own
)
# All of a word that `\w` does not know: these marks, and the blocks of the Indic scripts without their punctuation.
_MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0711\u0730-\u074a\u07a6-\u07b0\u0816-\u082d\u0859-\u085b"
    "\u08ca-\u0963\u0966-\u096f\u0971-\u09f1\u0a01-\u0a75\u0a81-\u0aef\u0b01-\u0b6f\u0b82-\u0bef\u0c00-\u0c6f"
    "\u0c80-\u0c83\u0c85-\u0d4e\u0d54-\u0d78\u0d81-\u0df3\u0f71-\u0f84\u0f8d-\u0fbc\u135d-\u135f\u1ab0-\u1aff"
    "\u1dc0-\u1dff\u20d0-\u20f0"
)
_ANY_LETTER = f"(?:[^\\W_]|[{_MARKS}])"
_LETTERS = f"(?:[^\\W_{UNSPACED}]|[{_MARKS}])"
_ASCII_RUN = re.compile("[A-Za-z0-9]+")
# In a text of ASCII, all but letters and digits separates words, as it does there for the pattern.
_SEPARATORS = {code: " " for code in range(128) if not chr(code).isalnum()}
# What typing programs put into texts that are ASCII otherwise: none of it is a letter.
_TYPOGRAPHIC = "–—…•→×\u00a0"

# Curly and other forms of quotation marks and apostrophes, one of which (\u02bc) Unicode counts as a letter.
_QUOTES = (("‘’‛\u02bcʼ＇", "'"), ("“”‟＂", '"'))
# Default-ignorable characters: nobody sees them, so nobody types them when looking for a word.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
)
# Joiners and variation selectors likewise, behind a letter: not in emoji, nor in the Arabic script, where a joiner
# parts what is one word from what is two.
_JOINERS = "\u200c\u200d\ufe00-\ufe0f"
_AFTER_LETTER = re.compile(f"(?<![\u0600-\u08ff])(?<={_ANY_LETTER})[{_JOINERS}]+")
_HAS_UNSEEN = re.compile(f"{_UNSEEN.pattern[:-1]}{_JOINERS}]")
# Where a text may change: characters beyond ASCII, with the letter before them, which they may join.
_BEYOND_ASCII = re.compile("[A-Za-z]?[^\0-\x7f]+")
_WORD = re.compile(r"\w+")
# Longer titles and heading paths would swamp the text that they stand before.
_MOST_TITLE_CHARS = 120


def storable(text: str) -> str:
    """Replaces lone surrogates, which stand for undecodable bytes: neither SQLite nor JSON can hold them."""
    return text.encode("utf-8", "replace").decode("utf-8")


def spelled(text: str) -> str:
    """A text in one spelling: composed characters, plain letters for compatibility forms, nothing that is not seen.

    Letters, digits and their marks change as NFKC has it (ﬁ, Ａ, a letter with a combining accent); other characters,
    such as ½ and …, stay. Curly quotation marks become straight ones.
    """
    return text if text.isascii() else _spell(text)[0]


class Spelling:
    """A text in one spelling, and where each part of it stands in the text as it was written.

    Attributes:
        text: See `spelled`.
    """

    def __init__(self, written: str) -> None:
        self.text, self._starts = (written, None) if written.isascii() else _spell(written)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where a part of the spelled text stands in the written one; of a ligature, all of it."""
        if start == end:
            return self.start(start), self.start(start)
        if self._starts is None:
            return start, end
        following = bisect_right(self._starts, self._starts[end - 1])
        return self._starts[start], self._starts[following]

    def start(self, place: int) -> int:
        """Where a character of the spelled text stands in the written one."""
        return place if self._starts is None else self._starts[place]


def _spell(written: str) -> tuple[str, list[int] | None]:
    """The spelling of a text, and where each of its characters begins in the text; `None` where all stay in place.

    The list ends with the text's length, several times if need be: no other place is beyond the last character.
    """
    text = _with_plain_quotes(written)
    if text.isascii() or (unicodedata.is_normalized("NFKC", text) and not _HAS_UNSEEN.search(text)):
        return text, None
    parts: list[str] = []
    starts: list[int] = []
    position = 0
    for match in _BEYOND_ASCII.finditer(text):
        if _composed(match[0]) != match[0]:
            starts += range(position, match.start())
            parts.append(text[position : match.start()])
            for start, end in _clusters(match[0]):
                part = _composed(match[0][start:end])
                parts.append(part)
                starts += [match.start() + start] * len(part)
            position = match.end()
    if not parts:
        return text, None
    starts += range(position, len(text) + 1)
    return "".join([*parts, text[position:]]), starts


def _composed(text: str) -> str:
    """Some characters in one spelling; those without a letter, digit or mark stay as they are."""
    seen = _AFTER_LETTER.sub("", _UNSEEN.sub("", text))
    return unicodedata.normalize("NFC", "".join(map(_plain, seen)))


def _plain(char: str) -> str:
    """A letter, digit or mark without its compatibility form, unless that holds others, as ½ does."""
    plain = unicodedata.normalize("NFKC", char)
    return plain if all(unicodedata.category(part)[0] in "LMN" for part in (char, *plain)) else char


def _clusters(text: str) -> Iterator[tuple[int, int]]:
    """Parts of a text, each spelled without regard to the others."""
    start = 0
    for end in range(1, len(text)):
        if _composed(text[start : end + 1]) == _composed(text[start:end]) + _composed(text[end]):
            yield start, end
            start = end
    yield start, len(text)


def key_of(text: str) -> str:
    """What tags, names, links and labels are compared by: the text in one spelling and any letter case."""
    folded = spelled(text).casefold()
    return folded if folded.isascii() else unicodedata.normalize("NFC", folded)


def bare(text: str) -> str:
    """What words are looked up by: their key, without accents."""
    key = key_of(text)
    return key if key.isascii() else unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", key)))


def pattern_of(phrase: str) -> re.Pattern[str]:
    """What finds a phrase in `bare` texts: its words as they stand, whole, with any white space between them."""
    words = bare(phrase).split()
    before = f"(?<!{_LETTERS})" if words and re.match(_LETTERS, words[0]) else ""
    after = f"(?!{_LETTERS})" if words and re.search(f"{_LETTERS}\\Z", words[-1]) else ""
    return re.compile(before + r"\s+".join(map(re.escape, words)) + after)


# Compiling these takes 7 ms, which a search of plain English need not wait for.
@cache
def unspaced() -> re.Pattern[str]:
    """What finds a character of the scripts that are written without spaces."""
    return re.compile(f"[{UNSPACED}]")


@cache
def _any_run() -> re.Pattern[str]:
    return re.compile(f"[{UNSPACED}]+|{_LETTERS}+")


def holds_unspaced(text: str) -> bool:
    """Whether a text in one spelling holds a character of the scripts that are written without spaces."""
    return not text.isascii() and unspaced().search(text) is not None


def _runs_of(spelled_text: str) -> Iterator[re.Match[str]]:
    return (_ASCII_RUN if spelled_text.isascii() else _any_run()).finditer(spelled_text)


def find_runs(text: str) -> list[tuple[int, int]]:
    """Finds start and end of each run of letters and digits: a word, or a whole sentence of an unspaced script."""
    spelling = Spelling(text)
    return [spelling.span(*run.span()) for run in _runs_of(spelling.text)]


def find_words(text: str) -> Iterator[tuple[int, int, str]]:
    """Finds the words of a text.

    Yields:
        Start, end, and the word's key; for a run of characters of an unspaced script, its overlapping pairs.
    """
    spelling = Spelling(text)
    for run in _runs_of(spelling.text):
        start, end = run.span()
        if end - start > 2 and holds_unspaced(run.group()):
            yield from ((*spelling.span(i, i + 2), spelling.text[i : i + 2]) for i in range(start, end - 1))
        else:
            yield *spelling.span(start, end), key_of(run.group())


def keys_of_runs(text: str) -> list[str]:
    """The keys of the runs that `find_runs` finds, and much faster."""
    plain = _without_typography(text)
    if plain.isascii():
        return plain.lower().translate(_SEPARATORS).split()
    return [key_of(run.group()) for run in _runs_of(spelled(text))]


def distinct_words(text: str) -> set[str]:
    """The words that `find_words` finds, each once, and much faster; whole runs of an unspaced script among them."""
    text = spelled(text)
    words = set(keys_of_runs(text))
    if holds_unspaced(text):
        words |= {word for _, _, word in find_words(text)}
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
    """The text with what no word has in ASCII, so that more texts are; each character stays in its place."""
    if not text.isascii():
        for mark in _TYPOGRAPHIC:
            text = text.replace(mark, " ")
        text = _with_plain_quotes(text)
    return text


def _with_plain_quotes(text: str) -> str:
    for forms, plain in _QUOTES:
        for form in forms:
            text = text.replace(form, plain)
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
    words = _WORD.findall(key_of(title))
    # Markup may stand between the words.
    beginning = key_of(text[: 2 * len(title) + 40])
    return _WORD.findall(beginning)[: len(words)] == words


def near_names(key: str, names: Mapping[str, str]) -> list[str]:
    """Of some names, given by their keys, those spelt nearly as a key is: three at most, the nearest first."""
    from difflib import get_close_matches

    return [names[other] for other in get_close_matches(key, names)]
