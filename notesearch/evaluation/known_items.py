"""Known items: queries made of the notes' own titles, headings and links, which are removed from the notes first."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import chain, islice, pairwise, zip_longest
from pathlib import Path
from typing import Literal

from notesearch.errors import ModelError, NoteUnreadable, UsageError
from notesearch.evaluation.collections import Collection, write_copies
from notesearch.notes import NoteFile, lines_are_of_file, read_note
from notesearch.notes.links import LinkResolver
from notesearch.records import Block, Link, Note, Skipped
from notesearch.words import STOPWORDS, distinct_words, find_words, key_of

ItemKind = Literal["title", "heading", "link"]

# How many words a query must have besides stopwords: one says little in a heading ("Background") or a link ("here").
_INFORMATIVE_WORDS: dict[ItemKind, int] = {"title": 1, "heading": 2, "link": 2}
# Words of dates: a title made of these is that of a diary, and no text answers it.
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
# So many adjoining words repeat a title or heading; fewer may just be the subject of the text.
_LEAST_REPEATED_WORDS = 3
# Of a longer title or heading, only so many first words are looked for.
_MOST_REPEATED_WORDS = 8
# These delimit lines, the words of a link, and its target.
_MARK = re.compile(r"[\n\r\[\]|]+")

_QUERIES_A_KIND = 300
_LEAST_QUERIES = 10
_TOO_FEW = (
    "Add to the folder, if there are more notes; or write a queries.jsonl into it, with lines like "
    '{"_id": "1", "text": "…", "relevant": ["folder/note.md"]}.'
)
_UNREADABLE = "Make them readable: is the disk that they are on mounted?"
# The file in a tuned model's directory that describes its tuning; under `learnt_from`, digests of paths.
TUNING_RECORD = "tuning.json"

_Phrase = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KnownItem:
    """A query, and the note that it should find.

    Attributes:
        kind: What the query is in its note.
        query: Its words.
        source: Number of the note whose text contains them.
        target: Number of the note to be found.
        start: Where they are in the source's text; they are removed before the query is asked.
        end: One past that; `start` for a title that is not in the text.
        answer_start: Where the target's text answers the query.
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
    """Finds the titles, headings and links of notes that can be queries: informative, and different from each other.

    A title or heading is left out if the note that it should find repeats it, as a table of contents does: on a line or
    in a link of its own; or anywhere, if it has three words or more. Numbers do not count as words here.

    Args:
        notes: The notes; an item refers to them by number.

    Returns:
        The items in the order of the notes. Items of one kind with the same query are all left out.
    """
    parted = [_PartedNote.of(note) for note in notes]
    items = [*_titles(parted), *_headings(parted), *_links(parted)]
    said = Counter((item.kind, key_of(item.query)) for item in items)
    return _without_repeated(parted, [item for item in items if said[item.kind, key_of(item.query)] == 1])


def without_items(note: Note, items: Iterable[KnownItem]) -> str:
    """A note's text without its title and without queries.

    Args:
        note: The note.
        items: Queries that its text contains.

    Returns:
        The text without the front matter, headings that repeat the title, and the items' characters.
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
    """A note, parted into its title and its body.

    Attributes:
        note: The note.
        title: The blocks that repeat its title, and a first heading beside a title in the front matter.
        body: The others.
    """

    note: Note
    title: tuple[Block, ...]
    body: tuple[Block, ...]

    @classmethod
    def of(cls, note: Note) -> _PartedNote:
        title = key_of(note.title)
        first = next((block for block in note.blocks if block.kind == "heading"), None)
        parts: tuple[list[Block], list[Block]] = ([], [])
        for block in note.blocks:
            says_title = (block is first and block.level == 1) or _says(note, block, title)
            parts[0 if says_title else 1].append(block)
        return cls(note, tuple(parts[0]), tuple(parts[1]))


def _says(note: Note, block: Block, title: str) -> bool:
    """Whether a block contains a title, given in lower case, and nothing else."""
    if block.kind == "heading":
        return key_of(block.title) == title
    if block.end - block.start > 2 * len(title) + 8:
        return False
    return key_of(note.text[block.start : block.end].strip("*_ \t\r\n")) == title


def _titles(notes: Sequence[_PartedNote]) -> Iterator[KnownItem]:
    for number, parted in enumerate(notes):
        if parted.body and _is_informative("title", parted.note.title):
            own = parted.title[0] if parted.title else Block("heading", 0, 0)
            yield from _answered("title", parted.note.title, number, own, number, parted.note, parted.body)


def _headings(notes: Sequence[_PartedNote]) -> Iterator[KnownItem]:
    for number, parted in enumerate(notes):
        blocks, titles = parted.note.blocks, set(parted.title)
        places = [place for place, block in enumerate(blocks) if block.kind == "heading"]
        for place, following in pairwise([*places, len(blocks)]):
            block = blocks[place]
            if block not in titles and _is_informative("heading", block.title):
                below = blocks[place + 1 : following]
                yield from _answered("heading", block.title, number, block, number, parted.note, below)


def _links(notes: Sequence[_PartedNote]) -> Iterator[KnownItem]:
    numbers = {str(parted.note.path): number for number, parted in enumerate(notes)}
    resolver = LinkResolver(numbers, ids={name: str(parted.note.path) for parted in notes for name in parted.note.ids})
    for number, parted in enumerate(notes):
        path = str(parted.note.path)
        for link in parted.note.links:
            target = resolver.resolve(path, link.target, link.kind)
            if target is None or target == path:
                continue
            other = notes[numbers[target]]
            if _is_informative("link", link.anchor) and not _names_its_target(link, other.note):
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
    """The item, if the blocks that should answer it have enough words."""
    if not blocks:
        return
    start, end = blocks[0].start, blocks[-1].end
    words = _RUN.finditer(answering.text, start, end)
    if next(islice(words, _LEAST_ANSWER_WORDS - 1, None), None):
        yield KnownItem(kind, query, source, target, asking.start, asking.end, start, end)


def _is_informative(kind: ItemKind, query: str) -> bool:
    words = distinct_words(_HASHTAG.sub(" ", query)) - STOPWORDS
    informative = {word for word in words if any(char.isalpha() for char in word) and not _ORDINAL.fullmatch(word)}
    return len(informative) >= _INFORMATIVE_WORDS[kind] and not informative <= _DATE_WORDS


def _without_repeated(notes: Sequence[_PartedNote], items: Sequence[KnownItem]) -> list[KnownItem]:
    """The items without the titles and headings that their notes repeat."""
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
    """How often phrases occur in a note without its title."""
    return _count(without_items(parted.note, ()), phrases)


def _count(text: str, phrases: Set[_Phrase]) -> Counter[_Phrase]:
    """How often phrases occur in a text: long ones anywhere, short ones on a line or in a link of their own."""
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
    """Whether a link's words are just the name of its target, so that they are the same query as the title."""
    anchor = key_of(link.anchor)
    return anchor in (key_of(link.target), key_of(target.title), key_of(target.path.stem))


def read_notes(files: Iterable[NoteFile | Skipped]) -> tuple[list[Note], list[Skipped]]:
    """Reads notes; returns them, and those that cannot be read."""
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
    """Chooses queries from notes: some of each kind, in a random sample that is always the same.

    Args:
        notes: The notes.
        most: How many queries at most; 0 for 300 of each kind.
        learnt: Numbers of notes that must not be the target of a query.
        unreadable: Notes that could not be read, for messages.

    Raises:
        UsageError: There are too few queries to measure by.
    """
    items = _sample([item for item in find_known_items(notes) if item.target not in learnt], most)
    if len(items) < min(most or _LEAST_QUERIES, _LEAST_QUERIES):
        queries = "1 query" if len(items) == 1 else f"{len(items)} queries"
        first = unreadable[0] if unreadable else None
        reason = f"; {len(unreadable):,} could not be read, {first.path} for one: {first.reason}" if first else ""
        raise UsageError(
            f"the titles, headings and links of these notes make only {queries}: too few{reason}",
            _UNREADABLE if unreadable and not notes else _TOO_FEW,
        )
    return items


def make_own_collection(
    notes: Sequence[Note], names: Sequence[str], folder: Path, items: Sequence[KnownItem]
) -> Collection:
    """Makes a collection of notes; its grades are the kinds of queries.

    Args:
        notes: The notes.
        names: The id of each in the judgements.
        folder: Where copies of the notes are written: without titles, since all notes that a title should find its note
            among must lack theirs; without the words of the queries; with numbers for names.
        items: The queries.
    """
    of_source: dict[int, list[KnownItem]] = {}
    for item in items:
        of_source.setdefault(item.source, []).append(item)
    # A document's text is read as Markdown.
    texts = (
        (
            note.path.suffix.lower() if lines_are_of_file(note.path) else ".md",
            without_items(note, of_source.get(number, ())),
        )
        for number, note in enumerate(notes)
    )
    copies = write_copies(folder, texts)
    by_id = {f"{item.kind}-{number}": item for number, item in enumerate(items, start=1)}
    return Collection(
        # Quotation marks would ask for these exact words, which were taken out.
        queries={query_id: item.query.replace('"', " ") for query_id, item in by_id.items()},
        qrels={query_id: {names[item.target]: 1.0} for query_id, item in by_id.items()},
        grades={query_id: item.kind for query_id, item in by_id.items()},
        notes_dir=folder,
        corpus_file=None,
        document_ids=dict(zip(copies, names, strict=True)),
    )


def path_digest(path: Path) -> str:
    """32 hex digits by which a path is recognised without revealing it."""
    return hashlib.blake2b(os.fsencode(path), digest_size=16).hexdigest()


def read_learnt_from(model: Path) -> frozenset[str]:
    """Digests of the paths of the notes that a model was tuned on; none for a model that was not tuned here.

    Args:
        model: The model's directory.

    Raises:
        ModelError: The record of its tuning cannot be read.
    """
    record = model / TUNING_RECORD
    try:
        return frozenset(map(str, json.loads(record.read_text(encoding="utf-8"))["learnt_from"]))
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"cannot read {record}: {error!r}", "Tune the model anew.") from error


def find_learnt(notes: Sequence[Note], model: Path) -> frozenset[int]:
    """The numbers of the notes that a model was tuned on, for which its results would be too good.

    Raises:
        ModelError: See `read_learnt_from`.
    """
    digests = read_learnt_from(model)
    return frozenset(number for number, note in enumerate(notes) if path_digest(note.path) in digests)


def _sample(items: Sequence[KnownItem], most: int) -> list[KnownItem]:
    """An equal number of each kind, in the order of the items."""
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
