"""The passages of a hit that answer, and the snippet that is shown of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from notesearch.records import Evidence, Hit
from notesearch.retrieval.candidates import Candidate
from notesearch.retrieval.lexical import telling_words
from notesearch.retrieval.query import Query
from notesearch.storage import IndexReader, StoredChunk, StoredNote
from notesearch.words import distinct_words, find_some_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = NDArray[np.float32]


_SNIPPET_CHARS = 220
# How far back a snippet may reach for the start of its sentence or line.
_LEAD_CHARS = 60

_HEADING_LINES = re.compile(r"(?:#{1,6}[ \t][^\n]*\n\s*)+")
_BOUNDARY = re.compile(r"(?:[.!?。！？][)\"']*\s*|\n\s*)")


@dataclass(frozen=True, slots=True)
class Match:
    """A word of a passage that meets a word of the query.

    Attributes:
        start: Its first character in the passage.
        end: One past its last.
        word: Of the query.
        strength: How well it meets that word, up to 1.
        weight: What that word counts in the query.
    """

    start: int
    end: int
    word: str
    strength: float
    weight: float


@dataclass(frozen=True, slots=True)
class Snippet:
    """A part of a passage on one line.

    Attributes:
        text: Some 220 characters, with an ellipsis where it starts or ends inside the passage.
        highlights: Spans of the words that meet the query's, ascending, disjoint.
        strengths: How well each of them does.
    """

    text: str
    highlights: tuple[tuple[int, int], ...]
    strengths: tuple[float, ...]


def make_snippet(text: str, matches: Sequence[Match]) -> Snippet:
    """Cuts out the window of a passage that holds the most evidence.

    Args:
        text: The passage.
        matches: Its words that meet words of the query.

    Returns:
        The window; the passage's beginning, below its headings, where there are no matches.
    """
    found = sorted(matches, key=lambda match: (match.start, match.end))
    heading = _HEADING_LINES.match(text)
    body_start = heading.end() if heading and heading.end() < len(text) else 0
    start = max(body_start, _sentence_start(text, _best_window(found))) if found else body_start
    end = start + _SNIPPET_CHARS
    if end < len(text):
        end = max(text.rfind(" ", start, end), text.rfind("\n", start, end), start + _SNIPPET_CHARS // 2)
    before = "…" if text[body_start:start].strip() else ""
    after = "…" if text[end:].strip() else ""
    words = list(re.finditer(r"\S+", text[start:end]))
    snippet = before + " ".join(word.group() for word in words) + after
    highlights, strengths = _highlights(found, start, words, len(before))
    return Snippet(snippet, highlights, strengths)


def _highlights(
    found: Sequence[Match], start: int, words: Sequence[re.Match[str]], position: int
) -> tuple[tuple[tuple[int, int], ...], tuple[float, ...]]:
    """Where matches are once white space is collapsed; those that meet or overlap are joined.

    Args:
        found: Matches, ascending.
        start: Where the snippet starts in the passage.
        words: What stands between white space, from there on.
        position: Where the first of these stands in the snippet.
    """
    spans: list[tuple[int, int]] = []
    strengths: list[float] = []
    index = 0
    for word in words:
        first, last = start + word.start(), start + word.end()
        while index < len(found) and found[index].start < first:
            index += 1
        while index < len(found) and found[index].start < last:
            match = found[index]
            index += 1
            if match.end > last:  # cut off by the snippet's end
                continue
            span = (position + match.start - first, position + match.end - first)
            if spans and span[0] <= spans[-1][1]:
                spans[-1] = (spans[-1][0], max(span[1], spans[-1][1]))
                strengths[-1] = max(match.strength, strengths[-1])
            else:
                spans.append(span)
                strengths.append(match.strength)
        position += len(word.group()) + 1
    return tuple(spans), tuple(strengths)


def _best_window(found: Sequence[Match]) -> int:
    """Start of the window in which the query's words are met best, then with the most matches; the first such."""
    best, best_value = 0, (0.0, 0)
    for first, match in enumerate(found):
        met: dict[str, float] = {}
        count = 0
        for other in found[first:]:
            if other.start > match.start + _SNIPPET_CHARS - _LEAD_CHARS:
                break
            # Squared, since many words meet half by chance.
            met[other.word] = max(met.get(other.word, 0.0), other.strength**2 * other.weight)
            count += 1
        value = (round(sum(met.values()), 6), count)
        if value > best_value:
            best, best_value = match.start, value
    return best


def _sentence_start(text: str, position: int) -> int:
    """Where to begin before a position: at the first sentence or line that starts near it, else at a word."""
    earliest = max(0, position - _LEAD_CHARS)
    boundaries = [match.end() for match in _BOUNDARY.finditer(text, earliest, position) if match.end() <= position]
    if boundaries or earliest == 0:
        return boundaries[0] if boundaries else 0
    space = text.find(" ", earliest, position)
    return space + 1 if space >= 0 else position


# Which passage of a note to show, and what of it.

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
