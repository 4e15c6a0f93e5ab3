"""Which passage of a note to show, and what of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from notesearch.notes.lines import LineTable
from notesearch.records import Evidence, Hit
from notesearch.retrieval.candidates import Candidate
from notesearch.retrieval.evidence import find_evidence
from notesearch.retrieval.fusion import Fusion
from notesearch.retrieval.late_interaction import LateQuery
from notesearch.retrieval.query import Query
from notesearch.retrieval.snippets import Match, make_snippet
from notesearch.retrieval.words import telling_words
from notesearch.storage import IndexReader, StoredChunk, StoredNote
from notesearch.words import distinct_words, find_some_words

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ChosenPassage:
    """The passage by which a note is shown.

    Attributes:
        found: The note in its place.
        note: The note.
        chunk: The passage.
        others: How many other passages the note has (of those that may be shown).
        telling: Words of the note, and the words of the query that they stand for, see `words.telling_words`.
        late: The query for late interaction, where that took part.
        lines: First and last of the lines that another program found in the passage; it is shown from the first on.
    """

    found: Candidate
    note: StoredNote
    chunk: StoredChunk
    others: int
    telling: Mapping[str, str]
    late: LateQuery | None = None
    lines: tuple[int, int] | None = None

    def shown(self) -> StoredChunk:
        """The part of the passage that is shown."""
        chunk, lines = self.chunk, self.lines
        if lines is None or not chunk.start_line <= lines[0] <= lines[1] <= chunk.end_line:
            return chunk
        offset = LineTable(chunk.text).starts[lines[0] - chunk.start_line]
        text = chunk.text[offset:]
        return replace(chunk, start=chunk.start + offset, start_line=lines[0], end_line=lines[1], text=text)


def choose_passages(
    reader: IndexReader,
    query: Query,
    candidates: Sequence[Candidate],
    required: NDArray[np.int64] | None,
    fusion: Fusion,
    late: LateQuery | None,
) -> list[ChosenPassage]:
    """Chooses the passage of each note that answers a query best.

    Args:
        reader: The index.
        query: The query.
        candidates: The notes.
        required: Ids of the only chunks that may be shown, where not all may.
        fusion: The query's scores of passages.
        late: The query for late interaction, where that takes part.
    """
    note_ids = [found.note_id for found in candidates]
    notes = reader.notes(note_ids)
    passages: dict[int, list[StoredChunk]] = {note_id: [] for note_id in note_ids}
    admitted = None if required is None else set(required.tolist())
    for chunk in reader.chunks_of_notes(note_ids):
        if admitted is None or chunk.id in admitted:
            passages[chunk.note_id].append(chunk)
    words = {chunk.id: distinct_words(chunk.text) for chunks in passages.values() for chunk in chunks}
    telling = telling_words(reader, query.words, set().union(*words.values()))
    chosen = []
    for found in candidates:
        chunks = passages[found.note_id]
        ids = [chunk.id for chunk in chunks]
        held = [{telling[word] for word in words[chunk_id] & telling.keys()} for chunk_id in ids]
        # What later stages did not look at is no better than the worst of what they did.
        unseen = min(found.passages.values(), default=0.0)
        added = np.array([found.passages.get(chunk_id, unseen) for chunk_id in ids], dtype=np.float32)
        best = int((fusion.score_passages(found.note_id, ids, held) + added).argmax())
        chosen.append(ChosenPassage(found, notes[found.note_id], chunks[best], len(chunks) - 1, telling, late))
    return chosen


def show_passages(chosen: Sequence[ChosenPassage], codes: Mapping[int, bytes]) -> list[Hit]:
    """Makes hits of chosen passages.

    Args:
        chosen: Best first.
        codes: Token codes of their chunks, where late interaction took part.
    """
    hits = []
    for rank, passage in enumerate(chosen, start=1):
        found, note, chunk = passage.found, passage.note, passage.shown()
        evidence: list[Evidence] = []
        matches: list[Match] = []
        if passage.late and passage.chunk.id in codes:
            evidence, matches = find_evidence(passage.late, note.title, passage.chunk, codes[passage.chunk.id])
            above = chunk.start - passage.chunk.start
            matches = [replace(m, start=m.start - above, end=m.end - above) for m in matches if m.start >= above]
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
                evidence=tuple(evidence),
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
