"""notesearch as a library: the owner's links between ideas, and proposals for more of them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from notesearch.encoders import models
from notesearch.errors import IndexMissing
from notesearch.file_kinds import kind_of
from notesearch.notes.tags import effect_of_tag
from notesearch.retrieval.concepts import ConceptLink, Concepts, idea_key, read_concepts
from notesearch.retrieval.lexical import is_mentioned
from notesearch.retrieval.links import open_resolver
from notesearch.settings import Settings
from notesearch.storage import IndexReader, StoredNote
from notesearch.words import STOPWORDS, key_of

if TYPE_CHECKING:
    from notesearch.encoders import Encoder


# Nobody would write a longer title into a query.
_MOST_IDEA_WORDS = 6
# Where a title goes on to explain itself.
_TITLE_END = re.compile(r"\s[(\[–—|/-]|[:;,(\[]\s*")
# Names more similar than this (0 unrelated, 1 an answer) are close for the encoder already.
_MOST_SIMILARITY = 0.5
# Two tags are together by chance on fewer notes than this, or with a log-likelihood ratio below that of p = .001.
_LEAST_TOGETHER = 3
_MOST_TAGS = 100
_LEAST_LIKELIHOOD_RATIO = 10.83


@dataclass(frozen=True, slots=True)
class ConceptProposal:
    """A link between ideas that their owner may want in `concepts.toml`.

    Attributes:
        idea: One of them: what a note is about, or a tag.
        linked: The other.
        why: What joins them in the notes.
        similarity: Of the two names, as the encoder sees them: 0 unrelated, 1 an answer to each other.
    """

    idea: str
    linked: str
    why: str
    similarity: float


@dataclass(frozen=True, slots=True)
class _Joint:
    """Two ideas that something in the notes joins."""

    idea: str
    linked: str
    why: str


def list_concepts(settings: Settings) -> tuple[Concepts | None, set[str]]:
    """Reads the links between ideas that are in force.

    Returns:
        The concepts, `None` where there is no file of them; and the ideas that no note of the index mentions.

    Raises:
        SettingsError: The file was named and is missing, or something in it is wrong.
        StoreError: There is an index, and it cannot be read.
    """
    if settings.concepts is None:
        return None, set()
    concepts = read_concepts(settings.concepts)
    with suppress(IndexMissing), IndexReader(settings.index_dir) as reader:
        return concepts, {idea for idea in concepts.ideas() if not is_mentioned(reader, idea)}
    return concepts, set()


def suggest_concepts(settings: Settings, *, limit: int = 20) -> list[ConceptProposal]:
    """Proposes links between ideas that the notes join and the encoder does not: by links, and by tags set together.

    Args:
        settings: Which index, and which concepts there are already: those are not proposed.
        limit: The most proposals, ≥ 1.

    Returns:
        Proposals, the ideas whose names are farthest apart first.

    Raises:
        SettingsError: The file of concepts was named and is missing, or something in it is wrong.
        IndexMissing: Nothing has been indexed.
        ModelError: The index's model cannot be loaded.
        StoreError: The index cannot be read.
    """
    known = read_concepts(settings.concepts).links if settings.concepts else ()
    with IndexReader(settings.index_dir) as reader:
        joints = _new_joints([*_joined_by_links(reader), *_joined_by_tags(reader)], known)
        if not joints:
            return []
        encoder = models.encoder_of(reader.fingerprint.model, reader.fingerprint.encoder)
    far = [found for found in _with_similarities(joints, encoder) if found.similarity <= _MOST_SIMILARITY]
    return sorted(far, key=lambda found: found.similarity)[:limit]


def _new_joints(joints: Iterable[_Joint], known: Iterable[ConceptLink]) -> list[_Joint]:
    """Each two ideas once, without those that are linked already or share a word."""
    seen = {_pair(link.idea, link.linked) for link in known}
    new = []
    for joint in joints:
        pair = _pair(joint.idea, joint.linked)
        if pair not in seen and not set(idea_key(joint.idea)) & set(idea_key(joint.linked)) - STOPWORDS:
            seen.add(pair)
            new.append(joint)
    return new


def _pair(idea: str, linked: str) -> frozenset[tuple[str, ...]]:
    return frozenset((idea_key(idea), idea_key(linked)))


def _with_similarities(joints: Sequence[_Joint], encoder: Encoder) -> Iterator[ConceptProposal]:
    names = list(dict.fromkeys(name for joint in joints for name in (joint.idea, joint.linked)))
    vectors = dict(zip(names, encoder.encode_passages(names).vectors, strict=True))
    for joint in joints:
        cosine = vectors[joint.idea] @ vectors[joint.linked]
        similarity = float(encoder.scale.similarity(cosine))
        yield ConceptProposal(joint.idea, joint.linked, joint.why, round(similarity, 4))


def _joined_by_links(reader: IndexReader) -> Iterator[_Joint]:
    """What two notes are about, of which one has a link to the other."""
    notes = reader.notes(reader.note_ids())
    folders = reader.folders_of_notes()
    by_path = {note.path: note for note in notes.values()}
    resolver = open_resolver(reader)
    for link in reader.links():
        source = notes[link.note_id]
        path = resolver.resolve(source.path, link.target, link.kind)
        if path is None:
            continue
        idea, linked = _idea_of(source.title), _idea_of(by_path[path].title)
        if idea and linked:
            names = (_below_folder(note, folders) for note in (source, by_path[path]))
            yield _Joint(idea, linked, f"linked: {' → '.join(names)}")


def _below_folder(note: StoredNote, folders: Mapping[int, tuple[str, str]]) -> str:
    return str(Path(note.path).relative_to(folders[note.id][1]))


def _idea_of(title: str) -> str:
    """What a title names, short as a query would say it; empty for dates, numbers and whole sentences."""
    if any(word.isdecimal() for word in idea_key(title)):
        return ""
    idea = " ".join(_TITLE_END.split(title, maxsplit=1)[0].split())
    words = idea_key(idea)
    return idea if set(words) - STOPWORDS and len(words) <= _MOST_IDEA_WORDS else ""


def _joined_by_tags(reader: IndexReader) -> Iterator[_Joint]:
    """Tags that are set together more often than by chance."""
    tagged = reader.notes(reader.note_ids(tagged=True)).values()
    notes = [
        {key_of(tag): tag for tag in note.file_tags if not effect_of_tag(tag, kind_of(note.path))} for note in tagged
    ]
    spellings = {key: tag for note in notes for key, tag in note.items()}
    counts = Counter(key for note in notes for key in note)
    # A note with hundreds of tags says of no two that they belong together.
    few = [note for note in notes if len(note) <= _MOST_TAGS]
    together = Counter(pair for note in few for pair in combinations(sorted(note), 2))
    for (first, second), both in together.items():
        if both < _LEAST_TOGETHER or _is_within(first, second):
            continue
        if _likelihood_ratio(both, counts[first], counts[second], len(notes)) < _LEAST_LIKELIHOOD_RATIO:
            continue
        idea, linked = _idea_of_tag(spellings[first]), _idea_of_tag(spellings[second])
        if idea and linked:
            rarer = min(first, second, key=counts.__getitem__)
            yield _Joint(idea, linked, f"together on {both} of {counts[rarer]} notes with #{spellings[rarer]}")


def _is_within(first: str, second: str) -> bool:
    """Whether two tags are of one hierarchy."""
    return first.split("/")[0] == second.split("/")[0]


def _idea_of_tag(tag: str) -> str:
    """A tag's last part, in words."""
    return _idea_of(re.sub(r"[-_]+", " ", tag.rsplit("/", 1)[-1]).strip())


def _likelihood_ratio(both: int, first: int, second: int, notes: int) -> float:
    """Dunning's G² of two tags on one note; 0 where they meet more rarely than by chance.

    Args:
        both: Notes with both tags.
        first: Notes with the first.
        second: Notes with the second.
        notes: All tagged notes.
    """
    if both * notes <= first * second:
        return 0.0
    rows, columns = (first, notes - first), (second, notes - second)
    observed = ((both, first - both), (second - both, notes - first - second + both))
    return 2 * sum(
        observed[i][j] * math.log(observed[i][j] * notes / (rows[i] * columns[j]))
        for i in (0, 1)
        for j in (0, 1)
        if observed[i][j]
    )
