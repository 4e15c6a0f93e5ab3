"""What late interaction saw in a passage, in words and places."""

from __future__ import annotations

from notesearch.passages import passage_text
from notesearch.records import Evidence
from notesearch.retrieval.late_interaction import LateQuery
from notesearch.retrieval.snippets import Match
from notesearch.storage import StoredChunk

# Below this cosine, two words have met for want of better ones: it is reported, but not shown in the snippet.
_LEAST_STRENGTH = 0.4


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
        if not met.word.spans or not met.places:  # markers, or a text without words
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
