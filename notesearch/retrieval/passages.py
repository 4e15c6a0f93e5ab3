"""The passages of notes: which of them is shown, why, and what lines of it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from notesearch.records import Evidence, Hit, MetProperty
from notesearch.retrieval.floor import count_supported, support
from notesearch.retrieval.fusion import Candidate, Fusion, Stage, run_stages
from notesearch.retrieval.late_interaction import LateQuery
from notesearch.retrieval.lexical import forms_of_query
from notesearch.retrieval.query import Query
from notesearch.storage import Reader, StoredChunk, StoredNote, StoredProperty
from notesearch.words import distinct_words, find_some_words, passage_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from notesearch.encoders.cross_encoder import CrossEncoder

# How many notes are scored again at least: more changes nothing.
POOL_NOTES = 50
# A weaker match of two words than this cosine is reported as evidence, but not highlighted in the snippet.
_LEAST_STRENGTH = 0.4
_SNIPPET_CHARS = 220
_MOST_PROPERTIES = 3
# How far back a snippet may reach for the start of its sentence or line.
_LEAD_CHARS = 60

_HEADING_LINES = re.compile(r"(?:#{1,6}[ \t][^\n]*\n\s*)+")
_BOUNDARY = re.compile(r"(?:[.!?。！？][)\"']*\s*|\n\s*)")


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Notes as one text ranks them: the query, or an idea linked to it.

    Attributes:
        query: The text.
        fusion: Its scores of notes and passages.
        stages: What scores candidates again.
        late: The text for late interaction, where that takes part.
        candidates: The notes, best first.
    """

    query: Query
    fusion: Fusion
    stages: tuple[Stage, ...]
    late: LateQuery | None
    candidates: list[Candidate]

    def score(self, note_ids: Sequence[int]) -> list[Candidate]:
        """Scores any notes as the candidates were scored, best first."""
        return run_stages(self.fusion.score(note_ids), self.stages)


@dataclass(frozen=True, slots=True)
class ChosenPassage:
    """The passage by which a note is shown.

    Attributes:
        found: The note with its scores.
        note: The note.
        chunk: The passage.
        others: How many other passages the note has (of those that may be shown).
        forms: Words of the note that are forms of words of the query, and these; see `lexical.word_forms`.
        late: The query for late interaction, where that took part.
        shown: The part of the passage that is shown; `None` for all of it.
        properties: Of the note, which may have been found by them.
        support: What speaks for the note being an answer; see `floor.support`.
        also: Words of the note that are corrections of mistyped ones.
    """

    found: Candidate
    note: StoredNote
    chunk: StoredChunk
    others: int
    forms: Mapping[str, str]
    late: LateQuery | None = None
    shown: StoredChunk | None = None
    properties: Sequence[StoredProperty] = ()
    support: float = math.inf
    also: tuple[str, ...] = ()


def choose_passages(
    reader: Reader, ranked: Sequence[tuple[Candidate, Ranking]], required: NDArray[np.int64] | None
) -> list[ChosenPassage]:
    """Chooses the passage of each note that answers best.

    Args:
        reader: The index.
        ranked: Notes, best first, each with the ranking that it has its score from.
        required: Ids of the only chunks that may be shown, where not all may.
    """
    note_ids = [found.note_id for found, _ in ranked]
    notes = reader.notes(note_ids)
    passages: dict[int, list[StoredChunk]] = {note_id: [] for note_id in note_ids}
    admitted = None if required is None else set(required.tolist())
    for chunk in reader.chunks_of_notes(note_ids):
        if admitted is None or chunk.id in admitted:
            passages[chunk.note_id].append(chunk)
    words = {chunk.id: distinct_words(chunk.text) for chunks in passages.values() for chunk in chunks}
    properties = reader.properties(note_ids)
    beside = {
        note_id: distinct_words(
            "\n".join([note.title, Path(note.path).stem, *(each.value for each in properties.get(note_id, ()))])
        )
        for note_id, note in notes.items()
    }
    every_word = set().union(*words.values(), *beside.values())
    forms = {
        ranking: forms_of_query(reader, ranking.query, every_word)
        for ranking in dict.fromkeys(ranking for _, ranking in ranked)
    }
    chosen = []
    for found, ranking in ranked:
        chunks, own = passages[found.note_id], forms[ranking]
        ids = [chunk.id for chunk in chunks]
        held = [{own[word] for word in words[chunk_id] & own.keys()} for chunk_id in ids]
        # What later stages did not look at is no better than the worst of what they did.
        unseen = min(found.passages.values(), default=0.0)
        added = np.array([found.passages.get(chunk_id, unseen) for chunk_id in ids], dtype=np.float32)
        best = int((ranking.fusion.score_passages(found.note_id, ids, held) + added).argmax())
        met = {word: own[word] for word in own.keys() & beside[found.note_id].union(*map(words.__getitem__, ids))}
        chosen.append(
            ChosenPassage(
                found,
                notes[found.note_id],
                chunks[best],
                len(chunks) - 1,
                own,
                ranking.late,
                properties=properties.get(found.note_id, ()),
                support=support(
                    found,
                    ranking.query,
                    held=ranking.fusion.held(set(met.values())),
                    legible=ranking.late.legible if ranking.late else 1.0,
                ),
                also=tuple(sorted(word for word, typed in met.items() if typed in ranking.query.corrections)),
            )
        )
    return chosen


def show_passages(chosen: Sequence[ChosenPassage], codes: Mapping[int, bytes]) -> list[Hit]:
    """Makes hits of chosen passages.

    Args:
        chosen: Best first.
        codes: Token codes of their chunks, where late interaction took part.
    """
    hits = []
    supported = count_supported([passage.support for passage in chosen])
    for rank, passage in enumerate(chosen, start=1):
        chunk = passage.shown or passage.chunk
        evidence: list[Evidence] = []
        matches: list[Match] = []
        if passage.late and passage.chunk.id in codes:
            evidence, matches = find_evidence(passage.late, passage.note.title, passage.chunk, codes[passage.chunk.id])
            above = chunk.start - passage.chunk.start
            matches = [replace(m, start=m.start - above, end=m.end - above) for m in matches if m.start >= above]
        snippet = make_snippet(chunk.text, [*_exact_matches(chunk.text, passage.forms, matches), *matches])
        hits.append(replace(make_hit(rank, passage, snippet, evidence), weaker=rank > supported))
    return hits


def make_hit(rank: int, passage: ChosenPassage, snippet: Snippet, evidence: Sequence[Evidence] = ()) -> Hit:
    """Makes a hit of the passage that was chosen of a note."""
    found, note, chunk = passage.found, passage.note, passage.shown or passage.chunk
    return Hit(
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
        properties=_met_properties(passage, snippet.text),
        collection=note.collection,
        also=passage.also,
    )


def _met_properties(passage: ChosenPassage, snippet: str) -> tuple[MetProperty, ...]:
    """The properties in which words of the query stand that one cannot see in title and snippet; not many of them."""
    forms = passage.forms
    seen = {forms[word] for word in distinct_words(f"{passage.note.title}\n{snippet}") & forms.keys()}
    met = []
    for name, value in passage.properties:
        matches = _exact_matches(value, forms, ())
        if {match.word for match in matches} - seen:
            met.append(MetProperty(name, make_snippet(value, matches).text))
    return tuple(met[:_MOST_PROPERTIES])


def _exact_matches(text: str, forms: Mapping[str, str], matches: Sequence[Match]) -> list[Match]:
    """The words of a passage that are forms of words of the query, weighted as those are in late interaction."""
    weights = {match.word: match.weight for match in matches}
    usual = sum(weights.values()) / len(weights) if weights else 1.0
    return [
        Match(start, end, forms[word], 1.0, weights.get(forms[word], usual))
        for start, end, word in find_some_words(text, forms)
    ]


def rerank_by_cross_encoder(
    cross_encoder: CrossEncoder, query: str, chosen: Sequence[ChosenPassage], pool: int
) -> list[ChosenPassage]:
    """Ranks notes by a cross-encoder's scores of the passages chosen for them.

    Args:
        cross_encoder: The cross-encoder.
        query: The query.
        chosen: Best first.
        pool: How many are scored. The others stay below them in their order, their scores lowered to fit.
    """
    chosen = [replace(passage, support=math.inf) for passage in chosen]  # its scores are on a scale of their own
    texts = [passage_text(passage.note.title, passage.chunk.heading, passage.chunk.text) for passage in chosen[:pool]]
    scores = cross_encoder.score(query, texts)
    ranked = []
    for row in np.argsort(-scores, kind="stable").tolist():
        found, score = chosen[row].found, float(scores[row])
        parts = found.parts | {"cross_encoder": score}
        ranked.append(replace(chosen[row], found=replace(found, score=score, parts=parts, contributions={})))
    rest = chosen[pool:]
    if ranked and rest and (drop := rest[0].found.score - (floor := ranked[-1].found.score)) > 0:
        for passage in rest:
            score = min(passage.found.score - drop, floor)  # rounding may leave it a little above
            ranked.append(replace(passage, found=replace(passage.found, score=score, contributions={})))
        return ranked
    return [*ranked, *rest]


def find_evidence(query: LateQuery, title: str, chunk: StoredChunk, codes: bytes) -> tuple[list[Evidence], list[Match]]:
    """Finds the words of a chunk that meet the words of a query.

    Args:
        query: The query.
        title: The title of the chunk's note.
        chunk: The whole chunk.
        codes: Its token codes.

    Returns:
        Evidence, with places in the file, and matches, with places in the chunk's text, for all places of a word.
    """
    passage = passage_text(title, chunk.heading, chunk.text)
    before = len(passage) - len(chunk.text)  # the passage ends with the chunk's text
    evidence, matches = [], []
    for met in query.match(codes, passage):
        if not (met.weight and met.word.spans and met.places):  # one not read, a marker, or a text without words
            continue
        inside = [(start - before, end - before) for start, end in met.places if start >= before]
        first_start, first_end = met.places[0]
        evidence.append(
            Evidence(
                query_token=query.text[slice(*met.word.spans[0])],
                matched=chunk.text[slice(*inside[0])] if inside else passage[first_start:first_end],
                start=chunk.start + inside[0][0] if inside else None,
                end=chunk.start + inside[0][1] if inside else None,
                score=min(max(met.cosine, 0.0), 1.0),
            )
        )
        if met.cosine >= _LEAST_STRENGTH:
            strength = min(met.cosine, 1.0)
            matches += [Match(start, end, met.word.word, strength, met.weight) for start, end in inside]
    return evidence, matches


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
            # Squared, since many words match halfway by chance.
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
