"""A note cut into chunks."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from notesearch.notes.data import blank_out
from notesearch.notes.structure import LineTable
from notesearch.records import Block, Chunk, Chunking, Note
from notesearch.words import key_of

# Raise this when notes are cut, or passages put together (`words.passage_text`), in another way than before.
PASSAGES_VERSION = 1

# Places at which a block that is too long may be cut.

# The start of a list item, a table row or a quoted line.
_ITEM_BREAK = re.compile(r"(?:\r\n|\r|\n)(?=[ \t]*(?:[-*+>|]|\d{1,9}[.)])[ \t]*\S)")
# The end of a sentence (not of a number: `1. item`), with a closing quote or bracket; in Chinese and Japanese no space
# follows.
_SENTENCE_BREAK = re.compile(
    r"(?<=[^\d\s][.!?…])\s+"
    r"|(?<=[.!?…][\"'”’»)\]*_])\s+"
    r"|(?<=[。！？])(?![。！？」』”’）\s])"
    r"|(?<=[。！？][」』”’）])(?=\S)"
)
_LINE_BREAK = re.compile(r"\r\n|\r|\n")

# A tokenizer reads a word of any length, or a run of spaces, as one token or none.
_MAX_TOKEN_CHARS = 64


class TokenIndex:
    """Where the tokens of a text start, to count those of any span of it."""

    __slots__ = ("starts",)

    def __init__(self, starts: Sequence[int], offset: int, end: int) -> None:
        """Build the index.

        Args:
            starts: Ascending offsets of the tokens.
            offset: What to add to them.
            end: One past the last character of the text.
        """
        self.starts = array("q")
        last = offset
        for start in (*(start + offset for start in starts), end):
            if start - last > _MAX_TOKEN_CHARS:
                self.starts.extend(range(last + _MAX_TOKEN_CHARS, start, _MAX_TOKEN_CHARS))
            if start < end:
                self.starts.append(start)
            last = start

    def before(self, offset: int) -> int:
        """How many tokens start before an offset."""
        return bisect_left(self.starts, offset)


def cut_prose(text: str, start: int, end: int, limit_tokens: int, tokens: TokenIndex) -> Iterator[tuple[int, int]]:
    """Spans of at most so many tokens: list items and table rows, else sentences, cut further where too long."""
    return _cut(text, start, end, limit_tokens, tokens, (_ITEM_BREAK, _SENTENCE_BREAK))


def cut_code(text: str, start: int, end: int, limit_tokens: int, tokens: TokenIndex) -> Iterator[tuple[int, int]]:
    """Spans of at most so many tokens: lines, cut further where they are too long."""
    return _cut(text, start, end, limit_tokens, tokens, (_LINE_BREAK,))


def _cut(
    text: str, start: int, end: int, limit_tokens: int, tokens: TokenIndex, breaks: tuple[re.Pattern[str], ...]
) -> Iterator[tuple[int, int]]:
    if not breaks:
        yield from _windows(text, start, end, limit_tokens, tokens)
        return
    position = start
    for stop, following in [*(match.span() for match in breaks[0].finditer(text, start, end)), (end, end)]:
        if tokens.before(stop) - tokens.before(position) <= limit_tokens:
            yield from _trimmed(text, position, stop)
        else:
            yield from _cut(text, position, stop, limit_tokens, tokens, breaks[1:])
        position = following


def _windows(text: str, start: int, end: int, limit_tokens: int, tokens: TokenIndex) -> Iterator[tuple[int, int]]:
    while True:
        following = tokens.before(start) + limit_tokens
        if following >= len(tokens.starts) or tokens.starts[following] >= end:
            break
        # Several tokens may start at one character.
        reach = max(tokens.starts[following], start + 1)
        stop = _last_gap(text, start, reach)
        yield from _trimmed(text, start, stop)
        start = stop
        while start < end and text[start].isspace():
            start += 1
    yield from _trimmed(text, start, end)


def _last_gap(text: str, start: int, end: int) -> int:
    """Where to cut a span that goes on after `end`: at a line's end in its second half, at a space, else at `end`."""
    line_end = max(text.rfind("\n", start, end), text.rfind("\r", start, end))
    if line_end > (start + end) // 2:
        return line_end
    space = max(text.rfind(gap, start, end) for gap in " \t\n\r\u3000")
    return space if space > start else end


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    stripped = text[start:end].rstrip()
    if stripped.strip():
        yield start, start + len(stripped)


# Cut a note into chunks: at headings, else between blocks, else within a block.


class _Piece(NamedTuple):
    """A span that stays whole: a block, or a part of one that had to be cut."""

    start: int
    end: int
    first_token: int
    end_token: int
    block: int
    is_heading: bool
    may_overlap: bool


# What stands for a note without text, so that it is found by its title.
NO_TEXT = Chunk(start=0, end=0, start_line=1, end_line=1, heading="", text="")


def chunk_note(note: Note, token_starts: Callable[[str], Sequence[int]], chunking: Chunking) -> tuple[Chunk, ...]:
    """Cut a note into chunks.

    Args:
        note: The note.
        token_starts: Gives the ascending offsets at which the tokens of a text start; called once.
        chunking: Budget and overlap.

    Returns:
        The chunks in order; without overlap they are disjoint, and together they hold every non-blank character of
        the note's blocks that is not hidden. None for a note without any.
    """
    if not note.blocks:
        return ()
    start, end = note.blocks[0].start, note.blocks[-1].end
    note = replace(note, text=blank_out(note.text, note.hidden))
    tokens = TokenIndex(token_starts(note.text[start:end]), start, end)
    pieces = _pieces(note, tokens, chunking)
    if not pieces:
        return ()
    overlaps = _Overlaps(pieces, chunking)
    first_pieces = _level(_pack(pieces, overlaps, chunking.budget_tokens), pieces, overlaps, chunking.budget_tokens)
    table = LineTable(note.text)
    headings = _heading_paths(note, [pieces[first].block for first in first_pieces])
    chunks: list[Chunk] = []
    for index, first in enumerate(first_pieces):
        end_piece = first_pieces[index + 1] if index + 1 < len(first_pieces) else len(pieces)
        start = pieces[overlaps.first_piece(first)].start
        if chunks and start <= chunks[-1].start:
            start = pieces[first].start
        end = pieces[end_piece - 1].end
        start_line, end_line = table.line_at(start) + 1, table.line_at(end - 1) + 1
        pages = (bisect_right(note.page_starts, start), bisect_right(note.page_starts, end - 1))
        chunks.append(Chunk(start, end, start_line, end_line, headings[index], note.text[start:end], *pages))
    return tuple(chunks)


def _pieces(note: Note, tokens: TokenIndex, chunking: Chunking) -> list[_Piece]:
    budget = chunking.budget_tokens
    pieces: list[_Piece] = []
    heading_tokens = 0
    for index, block in enumerate(note.blocks):
        size = tokens.before(block.end) - tokens.before(block.start)
        # What follows a heading is cut so that its first part fits beside the heading.
        room = budget - min(heading_tokens, budget // 2)
        spans = [(block.start, block.end)]
        if size > (room if block.kind == "paragraph" else budget):
            limit = max(1, room * 3 // 4) if chunking.overlap_sentences else room
            cut = cut_code if block.kind == "code" else cut_prose
            spans = list(cut(note.text, block.start, block.end, limit, tokens))
        is_heading = block.kind == "heading" and len(spans) == 1
        heading_tokens = heading_tokens + size if is_heading else 0
        for start, end in spans:
            first_token, end_token = tokens.before(start), tokens.before(end)
            pieces.append(_Piece(start, end, first_token, end_token, index, is_heading, block.kind == "paragraph"))
    return pieces


class _Overlaps:
    """Which pieces are repeated before a piece, when a chunk starts with it."""

    def __init__(self, pieces: Sequence[_Piece], chunking: Chunking) -> None:
        self._pieces = pieces
        self._sentences = chunking.overlap_sentences
        self._budget = chunking.budget_tokens

    def first_piece(self, index: int) -> int:
        """The first piece of a chunk whose own first piece is `index`."""
        piece = self._pieces[index]
        first = index
        while piece.may_overlap and first > 0 and index - first < self._sentences:
            before = self._pieces[first - 1]
            repeated = piece.first_token - before.first_token
            fits = piece.end_token - before.first_token <= self._budget
            if before.block != piece.block or repeated > self._budget // 4 or not fits:
                break
            first -= 1
        return first

    def tokens(self, first: int, end: int) -> int:
        """Tokens of a chunk of its own pieces `first` to `end` (exclusive)."""
        return self._pieces[end - 1].end_token - self._pieces[self.first_piece(first)].first_token


def _pack(pieces: Sequence[_Piece], overlaps: _Overlaps, budget: int) -> list[int]:
    """Fill chunks in order; returns the index of each one's first piece."""
    if overlaps.tokens(0, len(pieces)) <= budget:
        return [0]
    section_ends = _section_ends(pieces)
    firsts = [0]
    origin = pieces[0].first_token
    for index in range(1, len(pieces)):
        piece = pieces[index]
        if piece.end_token - origin > budget:
            cut = _before_headings(pieces, firsts[-1], index)
            if piece.end_token - pieces[cut].first_token > budget:
                cut = index
        elif piece.is_heading and not pieces[index - 1].is_heading:
            filled = pieces[index - 1].end_token - origin
            section = section_ends[index] - piece.first_token
            overflows = section_ends[index] - origin > budget
            # A heading is the best place to cut, but small sections are better together than alone.
            if not ((overflows and filled >= budget // 4) or (filled >= budget // 2 and section >= budget // 4)):
                continue
            cut = index
        else:
            continue
        firsts.append(cut)
        origin = pieces[overlaps.first_piece(cut)].first_token
    return firsts


def _section_ends(pieces: Sequence[_Piece]) -> list[int]:
    """For each piece, the token after its section: the text up to the next heading that follows any text."""
    ends = [0] * len(pieces)
    end = pieces[-1].end_token
    for index in range(len(pieces) - 1, -1, -1):
        if index + 1 < len(pieces) and pieces[index + 1].is_heading and not pieces[index].is_heading:
            end = pieces[index].end_token
        ends[index] = end
    return ends


def _before_headings(pieces: Sequence[_Piece], first: int, index: int) -> int:
    """Where to cut before a piece so that the headings over it go with it; not at `first`, which would cut nothing."""
    cut = index
    while cut > first and pieces[cut - 1].is_heading:
        cut -= 1
    return cut if cut > first else index


def _level(firsts: list[int], pieces: Sequence[_Piece], overlaps: _Overlaps, budget: int) -> list[int]:
    """Move pieces from the chunk before to a chunk that came out tiny, until they are most alike."""
    leveled = [*firsts, len(pieces)]
    for position in range(1, len(firsts)):
        before, first, end = leveled[position - 1 : position + 2]
        if overlaps.tokens(first, end) >= budget // 4:
            continue
        best, difference = first, overlaps.tokens(before, first) - overlaps.tokens(first, end)
        for candidate in range(first - 1, before, -1):
            size = overlaps.tokens(candidate, end)
            if size > budget:
                break
            # A section keeps its beginning, and a heading what it stands over.
            if pieces[candidate - 1].is_heading or (pieces[first].is_heading and not pieces[candidate].is_heading):
                continue
            if abs(overlaps.tokens(before, candidate) - size) < difference:
                best, difference = candidate, abs(overlaps.tokens(before, candidate) - size)
        leveled[position] = best
    return leveled[:-1]


def _heading_paths(note: Note, block_indexes: Sequence[int]) -> list[str]:
    """For each of some blocks, ascending, the headings that it stands under, itself included."""
    paths: list[str] = []
    open_headings: list[Block] = []
    next_block = 0
    for index in block_indexes:
        for block in note.blocks[next_block : index + 1]:
            if block.kind == "heading":
                while open_headings and open_headings[-1].level >= block.level:
                    open_headings.pop()
                open_headings.append(block)
        next_block = max(next_block, index + 1)
        paths.append(
            " > ".join(block.title for block in open_headings if not _says_title_again(block.title, note.title))
        )
    return paths


def _says_title_again(heading: str, title: str) -> bool:
    """Whether a heading is the note's title, or its beginning: `Dune` under the title `Dune (Frank Herbert, 1965)`."""
    return f"{key_of(title)} ".startswith(f"{key_of(heading)} ") or not heading
