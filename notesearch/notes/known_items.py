"""Queries that notes make themselves: a title asks for its note, a heading for its section, a link for its target.

Known-item search, with queries made from the documents (Azzopardi et al., "Building simulated queries for known-item
topics", SIGIR 2007); but the words are the owner's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Literal

from notesearch.notes.links import LinkResolver
from notesearch.records import Block, Link, Note
from notesearch.words import STOPWORDS, distinct_words, find_words

ItemKind = Literal["title", "heading", "link"]

# What a query must have besides words like "and": one word says little in a heading ("Background") or a link ("here").
_TELLING_WORDS: dict[ItemKind, int] = {"title": 1, "heading": 2, "link": 2}
# Words that only say when: a title made of these is that of a diary, and no text answers it.
_DATE_WORDS = frozenset(
    """
    january february march april may june july august september october november december
    jan feb mar apr jun jul aug sep sept oct nov dec
    monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri sat sun
    """.split()
)
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)")
_HASHTAG = re.compile(r"(?<!\S)#\S+")
# A shorter text answers nothing.
_LEAST_ANSWER_WORDS = 5
_RUN = re.compile(r"\S+")
# So many words that stand together repeat a title or heading; fewer may just be what the text is about.
_LEAST_REPEATED_WORDS = 3
# Of a longer title or heading the first ones are looked for.
_MOST_REPEATED_WORDS = 8
# What stands between these is a line, the words of a link, or its target.
_MARK = re.compile(r"[\n\r\[\]|]+")

_Phrase = tuple[str, ...]


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

    A title or heading is none where the note that it asks for says it once more, as a table of contents does: on a line
    or in a link of its own; or anywhere, if it has three words or more. Numbers do not count as words here.

    Args:
        notes: The notes; an item refers to them by number.

    Returns:
        The items in the order of the notes; of those with the same query none, unless they are of different kinds.
    """
    parted = [_PartedNote.of(note) for note in notes]
    items = [*_titles(parted), *_headings(parted), *_links(parted)]
    said = Counter((item.kind, item.query.casefold()) for item in items)
    return _without_repeated(parted, [item for item in items if said[item.kind, item.query.casefold()] == 1])


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
    spans += [(block.start, block.end) for block in _PartedNote.of(note).title]
    parts = []
    position = note.blocks[0].start
    for start, end in sorted(spans):
        parts.append(note.text[position:start])
        position = max(position, end)
    return "".join([*parts, note.text[position:]])


@dataclass(frozen=True, slots=True)
class _PartedNote:
    """A note, and which of its blocks say its title.

    Attributes:
        note: The note.
        title: The blocks that do, or are like it: a first heading beside a title in the front matter.
        body: The others.
    """

    note: Note
    title: tuple[Block, ...]
    body: tuple[Block, ...]

    @classmethod
    def of(cls, note: Note) -> _PartedNote:
        title = note.title.casefold()
        first = next((block for block in note.blocks if block.kind == "heading"), None)
        parts: tuple[list[Block], list[Block]] = ([], [])
        for block in note.blocks:
            says_title = (block is first and block.level == 1) or _says(note, block, title)
            parts[0 if says_title else 1].append(block)
        return cls(note, tuple(parts[0]), tuple(parts[1]))


def _says(note: Note, block: Block, title: str) -> bool:
    """Whether a block holds a title, in lower case, and nothing else."""
    if block.kind == "heading":
        return block.title.casefold() == title
    if block.end - block.start > 2 * len(title) + 8:
        return False
    return note.text[block.start : block.end].strip("*_ \t\r\n").casefold() == title


def _titles(notes: Sequence[_PartedNote]) -> Iterator[KnownItem]:
    for number, parted in enumerate(notes):
        if parted.body and _is_telling("title", parted.note.title):
            own = parted.title[0] if parted.title else Block("heading", 0, 0)
            yield from _answered("title", parted.note.title, number, own, number, parted.note, parted.body)


def _headings(notes: Sequence[_PartedNote]) -> Iterator[KnownItem]:
    for number, parted in enumerate(notes):
        blocks, titles = parted.note.blocks, set(parted.title)
        places = [place for place, block in enumerate(blocks) if block.kind == "heading"]
        for place, following in pairwise([*places, len(blocks)]):
            block = blocks[place]
            if block not in titles and _is_telling("heading", block.title):
                below = blocks[place + 1 : following]
                yield from _answered("heading", block.title, number, block, number, parted.note, below)


def _links(notes: Sequence[_PartedNote]) -> Iterator[KnownItem]:
    numbers = {parted.note.path: number for number, parted in enumerate(notes)}
    resolver = LinkResolver(numbers, {name: parted.note.path for parted in notes for name in parted.note.ids})
    for number, parted in enumerate(notes):
        path = parted.note.path
        for link in parted.note.links:
            target = resolver.resolve(path, link.target, link.kind)
            if target is None or target == path:
                continue
            other = notes[numbers[target]]
            if _is_telling("link", link.anchor) and not _names_its_target(link, other.note):
                yield from _answered("link", link.anchor, number, link, numbers[target], other.note, other.body)


def _answered(
    kind: ItemKind,
    query: str,
    source: int,
    asking: Block | Link,
    target: int,
    answering: Note,
    blocks: Sequence[Block],
) -> Iterator[KnownItem]:
    """The item, if the blocks that should answer say anything."""
    if not blocks:
        return
    start, end = blocks[0].start, blocks[-1].end
    words = _RUN.finditer(answering.text, start, end)
    if next(islice(words, _LEAST_ANSWER_WORDS - 1, None), None):
        yield KnownItem(kind, query, source, target, asking.start, asking.end, start, end)


def _is_telling(kind: ItemKind, query: str) -> bool:
    words = distinct_words(_HASHTAG.sub(" ", query)) - STOPWORDS
    telling = {word for word in words if any(char.isalpha() for char in word) and not _ORDINAL.fullmatch(word)}
    return len(telling) >= _TELLING_WORDS[kind] and not telling <= _DATE_WORDS


def _without_repeated(notes: Sequence[_PartedNote], items: Sequence[KnownItem]) -> list[KnownItem]:
    """The items without the titles and headings that their notes say once more."""
    phrases: dict[int, set[_Phrase]] = {}
    for item in items:
        if item.kind != "link":
            phrases.setdefault(item.target, set()).add(_phrase(item.query))
    said = {number: _count_in_body(notes[number], wanted) for number, wanted in phrases.items()}

    def is_repeated(item: KnownItem) -> bool:
        phrase = _phrase(item.query)
        own = notes[item.source].note.text[item.start : item.end] if item.kind == "heading" else ""
        return said[item.target][phrase] > _count(own, {phrase})[phrase]

    return [item for item in items if item.kind == "link" or not is_repeated(item)]


def _count_in_body(parted: _PartedNote, phrases: Set[_Phrase]) -> Counter[_Phrase]:
    """How often a note says phrases, its title left out."""
    return _count(without_items(parted.note, ()), phrases)


def _count(text: str, phrases: Set[_Phrase]) -> Counter[_Phrase]:
    """How often a text says phrases: long ones anywhere, short ones on a line or in a link of their own."""
    said: Counter[_Phrase] = Counter()
    lengths: dict[str, set[int]] = {}
    for phrase in phrases:
        if len(phrase) >= _LEAST_REPEATED_WORDS:
            lengths.setdefault(phrase[0], set()).add(len(phrase))
    words = _words(text)
    for place, word in enumerate(words):
        for length in lengths.get(word, ()):
            said[words[place : place + length]] += 1
    said.update(piece for piece in map(_words, _MARK.split(text)) if len(piece) < _LEAST_REPEATED_WORDS)
    return said


def _phrase(query: str) -> _Phrase:
    return _words(query)[:_MOST_REPEATED_WORDS]


def _words(text: str) -> _Phrase:
    """The words of a text, without numbers: a table of contents has its own."""
    return tuple(word for _, _, word in find_words(text) if not word.isdecimal())


def _names_its_target(link: Link, target: Note) -> bool:
    """Whether a link's words are just what its target is called, so that they ask for what the title asks for."""
    anchor = link.anchor.casefold()
    return anchor in (link.target.casefold(), target.title.casefold(), target.path.stem.casefold())
