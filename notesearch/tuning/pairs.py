"""Queries and the passages that answer them, as notes and their owner give them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from notesearch.evaluation.known_items import KnownItem, without_items
from notesearch.records import Note

PairSource = Literal["title", "heading", "link", "tag", "file", "accepted"]

# More than the encoder reads of a passage while it is tuned.
_MOST_PASSAGE_CHARS = 1_000
# A tag on more notes than this says little about any two of them.
_MOST_NOTES_A_TAG = 5


@dataclass(frozen=True, slots=True)
class TextPair:
    """A query and a passage that answers it.

    Attributes:
        source: Who says so.
        query: The query.
        passage: The passage.
        negative: A passage that looks like an answer and is none; empty where nobody said.
        notes: Paths of the notes that it is about; none for texts of unknown origin.
    """

    source: PairSource
    query: str
    passage: str
    negative: str = ""
    notes: tuple[str, ...] = ()

    @property
    def groups(self) -> frozenset[str]:
        """What two pairs may not have in common if the one's passages are to be wrong answers to the other's query."""
        passages = (f"passage: {text}" for text in (self.passage, self.negative) if text)
        return frozenset((*self.notes, f"query: {self.query.casefold()}", *passages))


class Answers:
    """The passages that answer known items, without the words of any item.

    Args:
        notes: The notes.
        items: All known items of theirs.
    """

    def __init__(self, notes: Sequence[Note], items: Iterable[KnownItem]) -> None:
        self._notes = notes
        self._said: dict[int, list[KnownItem]] = {}
        for item in items:
            self._said.setdefault(item.source, []).append(item)

    def to(self, item: KnownItem) -> str:
        """The passage that answers an item, as much of it as the encoder is given."""
        text = self._notes[item.target].text
        parts = []
        position = item.answer_start
        for said in sorted(self._said.get(item.target, ()), key=lambda said: said.start):
            parts.append(text[position : min(said.start, item.answer_end)])
            position = max(position, said.end)
        parts.append(text[position : item.answer_end])
        return "".join(parts).strip()[:_MOST_PASSAGE_CHARS]


def pairs_of_items(notes: Sequence[Note], items: Iterable[KnownItem], answers: Answers) -> Iterator[TextPair]:
    """Titles, headings and links, each with what it asks for."""
    for item in items:
        if passage := answers.to(item):
            yield TextPair(item.kind, item.query, passage, notes=(str(notes[item.target].path),))


def pairs_of_tags(notes: Sequence[Note], numbers: Collection[int]) -> Iterator[TextPair]:
    """Notes that share a rare tag: the title of one, and the text of the other.

    Args:
        notes: The notes.
        numbers: Which of them may be used.
    """
    tagged: dict[str, list[int]] = {}
    for number in sorted(numbers):
        for tag in notes[number].tags:
            tagged.setdefault(tag.casefold(), []).append(number)
    for sharing in tagged.values():
        if len(sharing) <= _MOST_NOTES_A_TAG:
            for first, second in combinations(sharing, 2):
                for asking, answering in ((first, second), (second, first)):
                    yield from _pair_of_tag(notes[asking], notes[answering])


def _pair_of_tag(asking: Note, answering: Note) -> Iterator[TextPair]:
    text = without_items(answering, ()).strip()[:_MOST_PASSAGE_CHARS]
    if text and any(char.isalpha() for char in asking.title):
        yield TextPair("tag", asking.title, text, notes=(str(asking.path), str(answering.path)))


def count_sources(pairs: Iterable[TextPair]) -> dict[str, int]:
    """How many pairs come from where, most first."""
    return dict(Counter(pair.source for pair in pairs).most_common())
