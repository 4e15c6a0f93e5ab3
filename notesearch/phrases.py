"""Phrases: words as they stand, in the file or as a reader sees them, without markup."""

from __future__ import annotations

import re
from functools import lru_cache

from notesearch.words import bare, find_runs, pattern_of

# How much of a text around a phrase may be needed to tell its markup: the rest of a link, say.
_CHARS_BEFORE, _CHARS_AFTER = 100, 250
# Asks for an emoji where the character may be a plain sign; some programs leave it out.
VARIATION = "\ufe0f"

# Where there is none of these, a text reads as it is written.
_MARKUP = re.compile(r"[*_`~=\[\]<>&\\#|/+:-]")
# What stands at the beginning of lines: quotation marks of mails, bullets, numbers, check boxes, marks of headings.
_LINE_START = re.compile(
    r"^[ \t]*(?:(?:>|[-*+]|#{1,6}|\d{1,9}[.)])(?:[ \t]+|$)|>|\[[ xX-]\][ \t]+|\|[ \t])+", re.MULTILINE
)
_ORG_HEADING = re.compile(r"^\*+[ \t]+", re.MULTILINE)
_REPLACED = tuple(
    (re.compile(pattern, flags), by)
    for pattern, flags, by in (
        (r"<!--.{0,2000}?-->", re.DOTALL, ""),
        # Links: of Org, of wikis, of Markdown (whose targets may hold brackets, one level of them), of RST; footnotes.
        (r"!?\[\[[^][\n]*\]\[([^][]*)\]\]", 0, r"\1"),
        (r"!?\[\[(?:[^][|\n]*\|)?([^][|\n]*)\]\]", 0, r"\1"),
        (r"\[\^[^][\s]+\]:?", 0, ""),
        (r"!?\[((?:[^][]|\[[^][]*\])*)\]\((?:[^()\n]|\([^()\n]*\))*\)", 0, r"\1"),
        (r"!?\[([^][]+)\]\[[^][\n]*\]", 0, r"\1"),
        (r"`([^`<]+?)\s*<[^>`]*>`__?", 0, r"\1"),
        (r":[A-Za-z][\w:+.-]{0,40}:`([^`<]+?)(?:\s*<[^>`]*>)?`", 0, r"\1"),
        (r"<((?:https?|mailto|ftp):[^<>\s]*)>", re.IGNORECASE, r"\1"),
        (r"<br\s*/?>|</?(?:p|div|li|td|th|tr|h[1-6]|blockquote)\b[^<>]*>", re.IGNORECASE, " "),
        (r"</?[A-Za-z][^<>]*>", 0, ""),
        (r"\\([!-/:-@\[-`{-~])", 0, r"\1"),
        (r"\\$", re.MULTILINE, ""),
        # Emphasis and code. Underscores, slashes and the like only around words: they are parts of names and paths.
        (r"\*+(?=\S)|(?<=\S)\*+|`+|~~|==", 0, ""),
        (r"(?<![^\W_])_+(?=\S)|(?<=\S)_+(?![^\W_])", 0, ""),
        (r"(?<![\w/])([/=~+])(?=\S)([^\n]{0,200}?\S)\1(?![\w/])", 0, r"\2"),
    )
)


# What may stand between two words that a reader sees side by side: markup, and whatever is no word. Possessive, so that
# no text takes long.
_BETWEEN = (
    r"(?>\]\((?:[^()\n]|\([^()\n]*\))*\)|\]\[[^][\n]*\]|\[\[[^][|\n]*(?:\||\]\[)|<!--.{0,2000}?-->|<[^<>]{0,300}>"
    r"|&#?\w{1,8};|\[\^[^][\s]+\]|:[a-z][\w:+.-]{0,40}:`|\n[ \t>]*\d{1,9}[.)]\s|[^\w]|_)*+"
)


def as_read(text: str) -> str:
    """A text as a reader sees it: without the markup of Markdown, Org, reStructuredText and HTML."""
    if not _MARKUP.search(text):
        return text
    text = _ORG_HEADING.sub("", _LINE_START.sub("", text))
    for pattern, by in _REPLACED:
        text = pattern.sub(by, text)
    return _without_references(text)


def _without_references(text: str) -> str:
    """A text with characters in the place of HTML's names and numbers for them."""
    if "&" not in text:
        return text
    import html  # which hardly any search needs

    return html.unescape(text)


def holds(phrase: str, text: str) -> bool:
    """Whether a phrase stands in a text, letter by letter: case, accents, white space and markup aside."""
    exact, near = _patterns(phrase)
    plain = bare(text).replace(VARIATION, "")
    if exact.search(plain):
        return True
    # A text is read without its markup only where that may help: it takes long.
    if near is None:
        return "&" in plain and exact.search(_without_references(plain)) is not None
    windows = (
        plain[max(0, match.start() - _CHARS_BEFORE) : match.end() + _CHARS_AFTER] for match in near.finditer(plain)
    )
    return any(exact.search(as_read(window)) for window in windows)


@lru_cache(maxsize=64)
def _patterns(phrase: str) -> tuple[re.Pattern[str], re.Pattern[str] | None]:
    """What finds a phrase in bare texts, and what finds its words near each other; `None` where it holds no words."""
    words = [re.escape(bare(phrase[start:end])) for start, end in find_runs(phrase)]
    near = re.compile(_BETWEEN.join(words), re.DOTALL) if words else None
    return pattern_of(phrase.replace(VARIATION, "")), near
