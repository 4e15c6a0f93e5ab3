"""What a bi-encoder is tuned on, and what it is judged by: no note is in both."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from notesearch.errors import UsageError
from notesearch.evaluation.known_items import KnownItem, path_digest, without_items
from notesearch.evaluation.measures import RankingTask
from notesearch.files import read_jsonl
from notesearch.records import Note
from notesearch.words import key_of, storable

Kind = TypeVar("Kind")
PairSource = Literal["title", "heading", "link", "tag", "file", "accepted"]

# Parts of the notes, in hundredths: to decide by, and to choose the interpolation weight by.
_TEST, _VALIDATION = 25, 15
# The most of each; where there are more, a random sample.
_MOST_PAIRS = 6_000
_MOST_ITEMS_JUDGED = 600
_MOST_RIVALS = 1_000
_LEAST_PAIRS, _LEAST_NOTES_JUDGED = 20, 10
# More than the encoder reads of a passage while it is tuned.
_MOST_PASSAGE_CHARS = 1_000
# A tag on more notes than this says little about any two of them.
_MOST_NOTES_A_TAG = 5
_LINE = 'Each line is an object such as {"query": "…", "positive": "…"}, with a "negative" if you like.'
_TOO_FEW = "Tune again when there are more notes, or give pairs of your own: --pairs FILE"


@dataclass(frozen=True, slots=True)
class TextPair:
    """A query and a passage that answers it.

    Attributes:
        source: Where the pair comes from.
        query: The query.
        passage: The passage.
        negative: A passage that looks like an answer but is none; empty where none is given.
        notes: Paths of the notes that it is about; none for texts of unknown origin.
    """

    source: PairSource
    query: str
    passage: str
    negative: str = ""
    notes: tuple[str, ...] = ()

    @property
    def groups(self) -> frozenset[str]:
        """What two pairs may not share if the passages of one are to be negatives for the query of the other."""
        passages = (f"passage: {text}" for text in (self.passage, self.negative) if text)
        return frozenset((*self.notes, f"query: {key_of(self.query)}", *passages))


@dataclass(frozen=True, slots=True)
class TuningData:
    """Pairs to learn from, and known items of other notes.

    Attributes:
        notes: All notes.
        pairs: To learn from.
        validation: To choose the interpolation weight by: known items, and passages of any notes.
        test: Known items to decide by.
        learnt_from: Digests of the paths of all notes that were learnt from, here or by the encoder that is tuned.
    """

    notes: tuple[Note, ...]
    pairs: tuple[TextPair, ...]
    validation: RankingTask
    test: tuple[KnownItem, ...]
    learnt_from: frozenset[str]


def read_pair_file(file: Path) -> list[TextPair]:
    """Reads pairs that the owner has written down.

    Args:
        file: JSON lines with `query`, `positive` (a text that answers it) and perhaps `negative` (one that does not).

    Raises:
        UsageError: The file cannot be read, or a line is not as it should be.
    """
    pairs = []
    for _, record in read_jsonl(file, ("query", "positive"), _LINE):
        texts = [record["query"], record["positive"], record.get("negative") or ""]
        if not all(isinstance(text, str) for text in texts) or not texts[0].strip() or not texts[1].strip():
            raise UsageError(f"{file}: {texts[0]!r} is no query with a positive: both should be texts", _LINE)
        query, passage, negative = (storable(text).strip() for text in texts)
        pairs.append(TextPair("file", query, passage, negative))
    return pairs


def gather(
    notes: Sequence[Note],
    items: Sequence[KnownItem],
    given: Sequence[TextPair] = (),
    *,
    learnt_before: Set[str] = frozenset(),
    seed: int = 0,
) -> TuningData:
    """Divides notes, and makes pairs of those to learn from: of titles, headings, links and rare tags.

    A note's name and folder say to which part it belongs, so that it stays there when others come and go, and when all
    are moved; but what the owner has given pairs about is learnt from, and so is what was learnt from before.

    Args:
        notes: The notes.
        items: Their known items.
        given: Pairs that the owner has given.
        learnt_before: Digests of the paths of the notes that the encoder has learnt from already.
        seed: Of what is random.

    Raises:
        UsageError: There is too little to learn from or to judge by.
    """
    digests = [path_digest(note.path) for note in notes]
    about = {path for pair in given for path in pair.notes}
    settled = [digest in learnt_before or str(note.path) in about for note, digest in zip(notes, digests, strict=True)]
    parts = [100 if is_settled else _part(note) for note, is_settled in zip(notes, settled, strict=True)]
    learnt = {number for number, part in enumerate(parts) if part >= _TEST + _VALIDATION}
    passages = dict(zip(items, _passages(notes, items), strict=True))
    own = [
        TextPair(item.kind, item.query, passages[item], notes=(str(notes[item.target].path),))
        for item in items
        if {item.source, item.target} <= learnt and passages[item]
    ]
    random = np.random.default_rng(seed)
    pairs = [*_sample([*own, *_pairs_of_tags(notes, learnt)], _MOST_PAIRS, random), *given]
    if len(pairs) < _LEAST_PAIRS:
        raise UsageError(f"too few pairs to learn from can be made of these notes ({len(pairs)})", _TOO_FEW)

    asked = {key_of(pair.query) for pair in given}
    judged = [item for item in items if key_of(item.query) not in asked]
    validation, test = (
        _sample([item for item in judged if low <= parts[item.target] < high], _MOST_ITEMS_JUDGED, random)
        for low, high in ((_TEST, _TEST + _VALIDATION), (0, _TEST))
    )
    if min(len({item.target for item in own_items}) for own_items in (validation, test)) < _LEAST_NOTES_JUDGED:
        raise UsageError("too few queries can be made of these notes to judge a tuned model by", _TOO_FEW)
    rivals = [*validation, *_sample(items, _MOST_RIVALS, random)]
    return TuningData(
        notes=tuple(notes),
        pairs=tuple(pairs),
        validation=RankingTask(
            queries=tuple(item.query for item in validation),
            passages=tuple(passages[item] for item in rivals),
            documents=tuple(str(notes[item.target].path) for item in rivals),
            relevant=tuple(frozenset((str(notes[item.target].path),)) for item in validation),
        ),
        test=tuple(test),
        learnt_from=frozenset(learnt_before | {digests[number] for number in learnt}),
    )


def _part(note: Note) -> int:
    return int(path_digest(Path(*note.path.parts[-2:])), 16) % 100


def _sample(values: Sequence[Kind], most: int, random: np.random.Generator) -> list[Kind]:
    """A random sample of at most so many, in their order."""
    chosen = random.permutation(len(values))[:most]
    return [values[place] for place in sorted(chosen.tolist())]


def _passages(notes: Sequence[Note], items: Sequence[KnownItem]) -> Iterator[str]:
    """What answers each item, without the words of any item."""
    said: dict[int, list[KnownItem]] = {}
    for item in sorted(items, key=lambda item: item.start):
        said.setdefault(item.source, []).append(item)
    for item in items:
        parts = []
        position = item.answer_start
        for other in said.get(item.target, ()):
            parts.append(notes[item.target].text[position : min(other.start, item.answer_end)])
            position = max(position, other.end)
        parts.append(notes[item.target].text[position : item.answer_end])
        yield "".join(parts).strip()[:_MOST_PASSAGE_CHARS]


def _pairs_of_tags(notes: Sequence[Note], numbers: Collection[int]) -> Iterator[TextPair]:
    """Notes that share a rare tag: the title of one, and the text of the other."""
    tagged: dict[str, list[Note]] = {}
    for number in sorted(numbers):
        for tag in notes[number].file_tags:
            tagged.setdefault(key_of(tag), []).append(notes[number])
    for sharing in tagged.values():
        if len(sharing) > _MOST_NOTES_A_TAG:
            continue
        for first, second in combinations(sharing, 2):
            for asking, answering in ((first, second), (second, first)):
                text = without_items(answering, ()).strip()[:_MOST_PASSAGE_CHARS]
                if text and any(char.isalpha() for char in asking.title):
                    yield TextPair("tag", asking.title, text, notes=(str(asking.path), str(answering.path)))
