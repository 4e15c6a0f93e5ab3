"""Queries that notes make themselves: a title asks for its note, a heading for its section, a link for its target.

Known-item search, with queries made from the documents (Azzopardi et al., "Building simulated queries for known-item
topics", SIGIR 2007); but the words are the owner's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from notesearch.notes.links import LinkResolver
from notesearch.records import Block, Link, Note
from notesearch.words import STOPWORDS, distinct_words

ItemKind = Literal["title", "heading", "link"]

# What a query must have besides words like "and": one word says little in a heading ("Background") or a link ("here").
_TELLING_WORDS: dict[ItemKind, int] = {"title": 1, "heading": 2, "link": 2}
# A shorter text answers nothing.
_LEAST_ANSWER_WORDS = 5


@dataclass(frozen=True, slots=True)
class KnownItem:
    """A query, and the note that it asks for.

    Attributes:
        kind: What the query was to its owner.
        query: Its words.
        source: Number of the note whose text holds them.
        target: Number of the note to be found.
        start: Where the source's text says it, which is to be taken out before the query can be asked.
        end: One past that; `start` for a title that is not in the text.
        answer_start: Where the target's text answers.
        answer_end: One past that.
    """

    kind: ItemKind
    query: str
    source: int
    target: int
    start: int
    end: int
    answer_start: int
    answer_end: int


def find_known_items(notes: Sequence[Note]) -> list[KnownItem]:
    """Finds the queries that notes make: telling ones that ask for one note only.

    Args:
        notes: The notes; an item refers to them by number.

    Returns:
        The items in the order of the notes; of those with the same query none, unless they are of different kinds.
    """
    items = [*_titles(notes), *_headings(notes), *_links(notes)]
    said = Counter((item.kind, item.query.casefold()) for item in items)
    return [item for item in items if said[item.kind, item.query.casefold()] == 1]


def without_items(note: Note, items: Iterable[KnownItem]) -> str:
    """A note's text in which the title cannot be read, nor what makes a query.

    Args:
        note: The note.
        items: Queries that its text holds.

    Returns:
        The text without the front matter, headings that say the title, and the items' characters.
    """
    if not note.blocks:
        return ""
    spans = [(item.start, item.end) for item in items]
    spans += [(block.start, block.end) for block in note.blocks if _says_title(note, block)]
    parts = []
    position = note.blocks[0].start
    for start, end in sorted(spans):
        parts.append(note.text[position:start])
        position = max(position, end)
    return "".join([*parts, note.text[position:]])


def _titles(notes: Sequence[Note]) -> Iterator[KnownItem]:
    for number, note in enumerate(notes):
        body = [block for block in note.blocks if not _says_title(note, block)]
        if not body or not _is_telling("title", note.title):
            continue
        own = next((block for block in note.blocks if _says_title(note, block)), Block("heading", 0, 0))
        yield from _answered("title", note.title, number, (own.start, own.end), number, note, body)


def _headings(notes: Sequence[Note]) -> Iterator[KnownItem]:
    for number, note in enumerate(notes):
        for place, block in enumerate(note.blocks):
            if block.kind != "heading" or _says_title(note, block) or not _is_telling("heading", block.title):
                continue
            below = note.blocks[place + 1 :]
            end = next((i for i, other in enumerate(below) if other.kind == "heading"), len(below))
            yield from _answered("heading", block.title, number, (block.start, block.end), number, note, below[:end])


def _links(notes: Sequence[Note]) -> Iterator[KnownItem]:
    numbers = {note.path: number for number, note in enumerate(notes)}
    resolver = LinkResolver(numbers)
    for number, note in enumerate(notes):
        for link in note.links:
            target = resolver.resolve(note.path, link.target, link.kind)
            if target is None or target == note.path:
                continue
            other = notes[numbers[target]]
            if _is_telling("link", link.anchor) and not _names_its_target(link, other):
                body = [block for block in other.blocks if not _says_title(other, block)]
                span = (link.start, link.end)
                yield from _answered("link", link.anchor, number, span, numbers[target], other, body)


def _answered(
    kind: ItemKind,
    query: str,
    source: int,
    span: tuple[int, int],
    target: int,
    answering: Note,
    blocks: Sequence[Block],
) -> Iterator[KnownItem]:
    """The item, if the blocks that should answer say anything."""
    if not blocks:
        return
    start, end = blocks[0].start, blocks[-1].end
    if len(answering.text[start:end].split()) >= _LEAST_ANSWER_WORDS:
        yield KnownItem(kind, query, source, target, *span, start, end)


def _is_telling(kind: ItemKind, query: str) -> bool:
    words = {word for word in distinct_words(query) if any(char.isalpha() for char in word)}
    return len(words - STOPWORDS) >= _TELLING_WORDS[kind]


def _says_title(note: Note, block: Block) -> bool:
    """Whether a block is the note's title, or one like it: a first heading beside a title in the front matter."""
    if block.kind == "heading":
        first = next(other for other in note.blocks if other.kind == "heading")
        return block.title.casefold() == note.title.casefold() or (block is first and block.level == 1)
    if block.end - block.start > 2 * len(note.title) + 8:
        return False
    return note.text[block.start : block.end].strip("*_ \t\r\n").casefold() == note.title.casefold()


def _names_its_target(link: Link, target: Note) -> bool:
    """Whether a link's words are just what its target is called, so that they ask for what the title asks for."""
    anchor = link.anchor.casefold()
    return anchor in (link.target.casefold(), target.title.casefold(), target.path.stem.casefold())
