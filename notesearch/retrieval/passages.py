"""Which passage of a note to show, and what of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from notesearch.records import Evidence, Hit
from notesearch.retrieval.candidates import Candidate
from notesearch.retrieval.query import Query
from notesearch.retrieval.snippets import Match, make_snippet
from notesearch.retrieval.words import telling_words
from notesearch.storage import IndexReader, StoredChunk, StoredNote
from notesearch.words import distinct_words, find_some_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = NDArray[np.float32]

RankChunks = Callable[["Scores", "NDArray[np.int64]"], "Scores"]
FindEvidence = Callable[[StoredNote, StoredChunk], tuple[tuple[Evidence, ...], list[Match]]]


@dataclass(frozen=True, slots=True)
class ChosenPassage:
    """The passage by which a note is shown.

    Attributes:
        found: The note in its place.
        note: The note.
        chunk: The passage.
        others: How many other passages the note has (of those that may be shown).
        telling: Words of the note, and the words of the query that they stand for, see `words.telling_words`.
    """

    found: Candidate
    note: StoredNote
    chunk: StoredChunk
    others: int
    telling: Mapping[str, str]


def choose_passages(
    reader: IndexReader,
    query: Query,
    ranked: Sequence[Candidate],
    required: NDArray[np.int64] | None,
    rank_chunks: RankChunks,
) -> list[ChosenPassage]:
    """Chooses the passage of each note that answers best.

    Args:
        reader: The index.
        query: The query.
        ranked: Notes, best first.
        required: Ids of the only chunks that may be shown, where not all may.
        rank_chunks: Scores some chunks of one note, given each one's share of the note's lexical score, and their ids.
    """
    note_ids = [found.note_id for found in ranked]
    notes = reader.notes(note_ids)
    passages: dict[int, list[StoredChunk]] = {note_id: [] for note_id in note_ids}
    admitted = None if required is None else set(required.tolist())
    for chunk in reader.chunks_of_notes(note_ids):
        if admitted is None or chunk.id in admitted:
            passages[chunk.note_id].append(chunk)
    words = {chunk.id: distinct_words(chunk.text) for chunks in passages.values() for chunk in chunks}
    telling = telling_words(reader, query.words, set().union(*words.values()))
    chosen = []
    for found in ranked:
        chunks = passages[found.note_id]
        held = [{telling[word] for word in words[chunk.id] & telling.keys()} for chunk in chunks]
        shares = _lexical_shares(held, found.parts.get("lexical", 0.0))
        best = int(rank_chunks(shares, np.array([chunk.id for chunk in chunks], dtype=np.int64)).argmax())
        chosen.append(ChosenPassage(found, notes[found.note_id], chunks[best], len(chunks) - 1, telling))
    return chosen


def show_passages(chosen: Sequence[ChosenPassage], find_evidence: FindEvidence | None) -> list[Hit]:
    """Makes hits of chosen passages.

    Args:
        chosen: Best first.
        find_evidence: Says how late interaction sees a passage, if it takes part.
    """
    hits = []
    for rank, passage in enumerate(chosen, start=1):
        found, note, chunk = passage.found, passage.note, passage.chunk
        evidence, matches = find_evidence(note, chunk) if find_evidence else ((), [])
        snippet = make_snippet(chunk.text, [*_exact_matches(chunk.text, passage.telling, matches), *matches])
        hits.append(
            Hit(
                rank=rank,
                score=found.score,
                path=note.path,
                title=note.title,
                heading=chunk.heading,
                start_line=chunk.start_line,
                end_line=chunk.end_line,
                snippet=snippet.text,
                tags=note.tags,
                date=note.date,
                scores=found.parts,
                more_passages=passage.others,
                highlights=snippet.highlights,
                contributions=found.contributions,
                strengths=snippet.strengths,
                evidence=evidence,
                page=chunk.page or None,
                end_page=chunk.end_page or None,
            )
        )
    return hits


def _exact_matches(text: str, telling: Mapping[str, str], matches: Sequence[Match]) -> list[Match]:
    """The words of a passage that have the stem of a word of the query, weighted as that word is elsewhere."""
    weights = {match.word: match.weight for match in matches}
    usual = sum(weights.values()) / len(weights) if weights else 1.0
    return [
        Match(start, end, telling[word], 1.0, weights.get(telling[word], usual))
        for start, end, word in find_some_words(text, telling)
    ]


def _lexical_shares(held: Sequence[Set[str]], lexical: float) -> Scores:
    """Shares out a note's lexical score by how many of the query's words that it holds are in each chunk."""
    most = max(1, len(set().union(*held)))
    return np.array([lexical * len(words) / most for words in held], dtype=np.float32)
