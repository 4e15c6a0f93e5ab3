"""What late interaction saw in a passage, in words and places."""

from __future__ import annotations

from collections.abc import Sequence

from notesearch.encoders import Encoder
from notesearch.passages import passage_text
from notesearch.records import Evidence
from notesearch.retrieval.late_interaction import LateQuery, WordMatch, match_words
from notesearch.retrieval.snippets import Match
from notesearch.storage import StoredChunk, StoredNote

# Below this cosine, two words have met for want of better ones: it is reported, but not shown in the snippet.
_LEAST_STRENGTH = 0.4


def find_passage_evidence(
    late_query: LateQuery, query: str, encoder: Encoder, note: StoredNote, chunk: StoredChunk, codes: bytes
) -> tuple[tuple[Evidence, ...], list[Match]]:
    """How late interaction sees a chunk: evidence, and matches with places in the chunk's text.

    Args:
        late_query: The query, made ready.
        query: The query, as it was encoded.
        encoder: What encoded both.
        note: The chunk's note.
        chunk: The whole chunk.
        codes: Its token codes.
    """
    passage = passage_text(note.title, chunk.heading, chunk.text)
    return collect_evidence(match_words(late_query, codes, passage, encoder), query, passage, chunk.text, chunk.start)


def collect_evidence(
    matches: Sequence[WordMatch], query: str, passage: str, text: str, text_start: int
) -> tuple[tuple[Evidence, ...], list[Match]]:
    """Finds the places of the words that met.

    Args:
        matches: The words that met.
        query: The query, as it was encoded.
        passage: The passage, as it was encoded.
        text: The chunk's own text, with which the passage ends.
        text_start: Where that text starts in its file.

    Returns:
        Evidence, with places in the file, and matches, with places in `text`, for all places where a word stands.
    """
    before = len(passage) - len(text)
    evidence = []
    shown = []
    for match in matches:
        if not match.word.spans or not match.places:  # markers, or a text without words
            continue
        inside = [(start, end) for start, end in match.places if start >= before]
        start, end = (inside or match.places)[0]
        evidence.append(
            Evidence(
                query_token=query[slice(*match.word.spans[0])],
                matched=passage[start:end],
                start=text_start + start - before if inside else None,
                end=text_start + end - before if inside else None,
                score=min(max(match.cosine, 0.0), 1.0),
            )
        )
        if match.cosine >= _LEAST_STRENGTH:
            shown += [
                Match(start - before, end - before, match.word.word, min(match.cosine, 1.0), match.weight)
                for start, end in inside
            ]
    return tuple(evidence), shown
