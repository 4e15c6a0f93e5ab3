"""What is data in a note, not text: images written into it, drawings, keys and other long codes.

Every pattern here takes linear time on any text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar


class DataSpan(NamedTuple):
    """Characters of a note that are data.

    Attributes:
        start: First character.
        end: One past the last.
        what: What they are: `an image`, `a drawing`, `a file` or `a code`.
    """

    start: int
    end: int
    what: str


_Span = TypeVar("_Span", tuple[int, int], tuple[int, int, str], DataSpan)

_CODE = r"[A-Za-z0-9+/=_-]"
_NEWLINE = r"(?:\r\n|\r|\n)"
_GAP = rf"[ \t>]*{_NEWLINE}[ \t>]*"
# How a code goes on over lines: whole ones, and a last one that is no word, for it is filled up or a key ends there.
_MORE_LINES = (
    rf"(?:{_GAP}{_CODE}{{48,}}+)*+"
    rf"(?:{_GAP}(?:[A-Za-z0-9+/]+={{1,2}}(?!{_CODE})|{_CODE}{{1,47}}+(?=(?:{_GAP}=\S{{4}})?{_GAP}-----END)))?"
)
# With the marks around it where these hold no words: `![](data:…)`, and the definition of a reference.
_BASE64 = re.compile(
    rf"(?:(?P<image>!\[\]\(<?)|(?:^|(?<=[\r\n]))(?P<reference>\[[^\[\]\r\n]{{1,100}}\]:[ \t]*<?))?"
    rf"data:(?P<type>[a-z]+)/[\w.+-]+(?:;[\w-]+=[\w.-]+)*+;base64,(?:{_CODE}|%[0-9A-Fa-f]{{2}})*+{_MORE_LINES}"
    r"(?(image)>?\)?)(?(reference)>?)"
)
# An image that is not encoded, as it stands in an attribute, a style or a link.
_SVG = re.compile(
    r"""(?:(?<=")data:image/svg\+xml[;,][^"\r\n]*+(?=")|(?<=')data:image/svg\+xml[;,][^'\r\n]*+(?=')"""
    r"""|(?<=\()data:image/svg\+xml[;,][^()\s]*+(?=\)))"""
)
_SVG_PATH = re.compile(r"""(?<=\sd=["'])[A-Za-z0-9\s,.+-]{64,}+(?=["'])|(?<=\spoints=["'])[0-9\s,.e+-]{64,}+(?=["'])""")
# Of Excalidraw and tldraw, with the heading and the marks of a comment that are there for the program.
_FENCED = rf"[^\r\n]*{_NEWLINE}(?:(?!```)[^\r\n]*+{_NEWLINE})*+```"
_DRAWING = re.compile(
    rf"(?:^|(?<=[\r\n]))(?:(?:%%[ \t]*{_NEWLINE})?\#{{1,2}}[ ]Drawing[ \t]*{_NEWLINE})?"
    rf"```(?:compressed-json|json[ \t]*{_NEWLINE}\s*\{{\s*\"type\":\s*\"excalidraw\"|json !!!_START_OF_TLDRAW)"
    rf"{_FENCED}(?:{_NEWLINE}%%)?"
)
# Not within an address or a path; hashes of any usual length are shorter.
_LONG_CODE = re.compile(rf"(?<![^\s\"'`>(\[]){_CODE}{{48,}}+{_MORE_LINES}")
_LEAST_CODE = 256
_LEAST_CODE_LINES = 128
_RUN = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
# Of the characters: those of a code change their kind at every second or third, and one in seven is a digit.
_LEAST_RUNS = 0.3
_LEAST_DIGITS = 0.04
_HEX = re.compile(r"[0-9A-Fa-f\s>]+")


def find_data(text: str) -> list[DataSpan]:
    """The data in a note, ascending and disjoint."""
    return disjoint(_candidates(text))


def disjoint(spans: Iterable[_Span]) -> list[_Span]:
    """Spans in order, without those that begin in another one, or with a longer one."""
    kept: list[_Span] = []
    for span in sorted(spans, key=lambda span: (span[0], -span[1])):
        if not kept or span[0] >= kept[-1][1]:
            kept.append(span)
    return kept


def _candidates(text: str) -> Iterator[DataSpan]:
    if "data:" in text:
        for match in _BASE64.finditer(text):
            yield DataSpan(*match.span(), "an image" if match["type"] == "image" else "a file")
        yield from (DataSpan(*match.span(), "an image") for match in _SVG.finditer(text))
    if "```" in text:
        yield from (DataSpan(*match.span(), "a drawing") for match in _DRAWING.finditer(text))
    if "<" in text:
        yield from (DataSpan(*match.span(), "a drawing") for match in _SVG_PATH.finditer(text))
    yield from (DataSpan(*match.span(), "a code") for match in _LONG_CODE.finditer(text) if _is_code(match[0]))


def _is_code(found: str) -> bool:
    """Whether characters change their kind as those of a code do, and not as those of words, names and paths."""
    lines = found.split()
    if len(lines) > 1 and _HEX.fullmatch(found):
        return False  # a list of hashes
    runs = _RUN.findall(found)
    characters = sum(map(len, runs))
    is_long = len(found) >= (_LEAST_CODE if len(lines) == 1 else _LEAST_CODE_LINES)
    digits = sum(len(run) for run in runs if run[0].isdigit())
    return is_long and len(runs) > _LEAST_RUNS * characters and digits > _LEAST_DIGITS * characters


_NO_LINE_END = re.compile(r"[^\r\n]")


def blank_out(text: str, spans: Iterable[tuple[int, int] | DataSpan]) -> str:
    """A text with spaces in place of some ascending spans; line ends stay, and so do offsets."""
    parts: list[str] = []
    position = 0
    for start, end, *_ in spans:
        parts += [text[position:start], _NO_LINE_END.sub(" ", text[start:end])]
        position = end
    return "".join([*parts, text[position:]])
