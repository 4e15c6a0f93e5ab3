"""Known items: queries that the notes themselves bring, and collections of them."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import chain, islice, pairwise, zip_longest
from pathlib import Path
from typing import Literal

from notesearch.errors import NoteUnreadable, UsageError
from notesearch.evaluation.collections import Collection, write_copies
from notesearch.notes import NoteFile, lines_are_of_file, read_note
from notesearch.notes.links import LinkResolver
from notesearch.records import Block, Link, Note, Skipped
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


# Files to notes and chunks: walking a folder, decoding, front matter, structure, cutting.


# A collection made of notes alone: their own titles, headings and links are the queries, and are taken out of them.

_QUERIES_A_KIND = 300
_LEAST_QUERIES = 10
_TOO_FEW = (
    "Add to the folder, if there are more notes; or write a queries.jsonl into it, with lines like "
    '{"_id": "1", "text": "…", "relevant": ["folder/note.md"]}.'
)


_UNREADABLE = "Make them readable: is the disk there that they are on?"


def read_notes(files: Iterable[NoteFile | Skipped]) -> tuple[list[Note], list[Skipped]]:
    """Reads notes, and names those that cannot be read."""
    notes: list[Note] = []
    skipped: list[Skipped] = []
    for file in files:
        if isinstance(file, Skipped):
            skipped.append(file)
            continue
        try:
            notes.append(read_note(file))
        except NoteUnreadable as error:
            skipped.append(Skipped(str(file.path), error.message, error.for_now))
    return notes, skipped


def choose_items(
    notes: Sequence[Note], most: int = 0, *, learnt: Set[int] = frozenset(), unreadable: Sequence[Skipped] = ()
) -> list[KnownItem]:
    """Chooses queries that notes make: some of each kind, taken at random, always the same.

    Args:
        notes: The notes.
        most: How many queries at most; 0 for 300 of each kind.
        learnt: Numbers of notes that no query is to ask for.
        unreadable: What else could not be read, for messages.

    Raises:
        UsageError: The notes make too few queries to measure by.
    """
    items = _sample([item for item in find_known_items(notes) if item.target not in learnt], most)
    if len(items) < min(most or _LEAST_QUERIES, _LEAST_QUERIES):
        queries = "1 query" if len(items) == 1 else f"{len(items)} queries"
        raise UsageError(
            f"the titles, headings and links of these notes make only {queries}: too few{_told(unreadable)}",
            _UNREADABLE if unreadable and not notes else _TOO_FEW,
        )
    return items


def make_own_collection(
    notes: Sequence[Note], names: Sequence[str], folder: Path, items: Sequence[KnownItem]
) -> Collection:
    """Makes a collection of notes; its grades are the kinds of queries.

    Args:
        notes: The notes.
        names: What each is called in the judgements.
        folder: Where copies of the notes are written: without titles, since a title has to find its note among others
            that have none either; without the words of the queries; under numbers for names.
        items: The queries.
    """
    query_ids = [f"{item.kind}-{number}" for number, item in enumerate(items, start=1)]
    return Collection(
        # Quotation marks would ask for notes that say it word for word, and these words were taken out.
        queries={query_id: item.query.replace('"', " ") for query_id, item in zip(query_ids, items, strict=True)},
        qrels={query_id: {names[item.target]: 1.0} for query_id, item in zip(query_ids, items, strict=True)},
        grades={query_id: item.kind for query_id, item in zip(query_ids, items, strict=True)},
        notes_dir=folder,
        corpus_file=None,
        document_ids=_write_copies(notes, names, items, folder),
    )


def _told(unreadable: Sequence[Skipped]) -> str:
    if not unreadable:
        return ""
    first = unreadable[0]
    return f"; {len(unreadable):,} could not be read, {first.path} for one: {first.reason}"


def _sample(items: Sequence[KnownItem], most: int) -> list[KnownItem]:
    """As many of each kind, in the order in which they were."""
    dice = random.Random(0)
    kinds: dict[str, list[int]] = {}
    for place, item in enumerate(items):
        kinds.setdefault(item.kind, []).append(place)
    for places in kinds.values():
        dice.shuffle(places)
    if most:
        in_turn = chain.from_iterable(zip_longest(*kinds.values()))
        chosen = [place for place in in_turn if place is not None][:most]
    else:
        chosen = [place for places in kinds.values() for place in places[:_QUERIES_A_KIND]]
    return [items[place] for place in sorted(chosen)]


def _text_suffix(path: Path) -> str:
    """The suffix under which a note's text is read as it was: that of a document looks like Markdown."""
    return path.suffix.lower() if lines_are_of_file(path) else ".md"


def _write_copies(
    notes: Sequence[Note], names: Sequence[str], items: Sequence[KnownItem], folder: Path
) -> dict[str, str]:
    """Writes the copies; returns their names, and those of the notes."""
    said: dict[int, list[KnownItem]] = {}
    for item in items:
        said.setdefault(item.source, []).append(item)
    texts = ((_text_suffix(note.path), without_items(note, said.get(number, ()))) for number, note in enumerate(notes))
    return dict(zip(write_copies(folder, texts), names, strict=True))
