"""The owner's links between ideas (`concepts.toml`): which of them apply to a query, and how they change the ranking.

See docs/decisions/0008-concepts.md.
"""

from __future__ import annotations

import math
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from notesearch.errors import SettingsError
from notesearch.files import read_text
from notesearch.retrieval.fusion import Candidate
from notesearch.retrieval.passages import Ranking
from notesearch.storage import Reader
from notesearch.words import find_words

# What a linked idea counts beside the query, unless the file says otherwise (docs/decisions/0008-concepts.md).
DEFAULT_WEIGHT = 0.5
# The most ideas that one query brings along.
MOST_LINKED = 8
_EXAMPLE = 'Below [concepts], a line is like this: "impermanence" = ["eventual consistency", "letting go"]'


@dataclass(frozen=True, slots=True)
class ConceptLink:
    """Two ideas that belong together in their owner's mind, whatever their words mean to others.

    Attributes:
        idea: One of them; where a query calls for the link, the one that occurs in the query.
        linked: The other.
        weight: What the other counts beside the query, above 0 and up to 1.
    """

    idea: str
    linked: str
    weight: float


@dataclass(frozen=True, slots=True)
class Concepts:
    """What a file of concepts says.

    Attributes:
        path: The file.
        links: Each once, in the order of the file.
        keys: The ideas that have a line of their own, as written; `None` where there is no table for them yet.
    """

    path: Path
    links: tuple[ConceptLink, ...]
    keys: tuple[str, ...] | None

    def ideas(self) -> list[str]:
        """All ideas, each once, in the order of the file."""
        return list(dict.fromkeys(idea for link in self.links for idea in (link.idea, link.linked)))

    def called_for(self, text: str, reader: Reader) -> tuple[ConceptLink, ...]:
        """The links of which one idea occurs in a query and the other does not, the heaviest first.

        Args:
            text: The query. An idea occurs in it as its words do, one after another, in whatever form.
            reader: The index, which knows the stems of words.
        """
        ideas = self.ideas()
        terms = reader.stems([text, *ideas])
        present = {idea for idea in ideas if _occurs(terms[idea], terms[text])}
        called: dict[tuple[str, ...], ConceptLink] = {}
        for link in sorted(_both_ways(self.links), key=lambda link: -link.weight):
            if link.idea in present and link.linked not in present:
                called.setdefault(terms[link.linked], link)
        return tuple(called.values())[:MOST_LINKED]


def read_concepts(path: Path) -> Concepts:
    """Reads a file of concepts.

    Raises:
        SettingsError: The file is missing, is not valid TOML, or holds an unknown key or a wrong value.
    """
    try:
        return parse_concepts(read_text(path), path)
    except (OSError, ValueError, RecursionError) as error:  # ValueError: not UTF-8, not TOML, a far too long number
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise SettingsError(f"cannot read the concepts in {path}: {reason}", _EXAMPLE) from error


def parse_concepts(text: str, path: Path) -> Concepts:
    """Parses what a file of concepts holds.

    Args:
        text: TOML: a table `concepts` of ideas, each with a list of linked ideas or a table of their weights; and
            `weight`, what those in lists count.
        path: The file, for messages.

    Raises:
        SettingsError: It holds an unknown key or a wrong value.
        tomllib.TOMLDecodeError: It is not valid TOML.
    """
    values = tomllib.loads(text)
    if unknown := [name for name in values if name not in ("weight", "concepts")]:
        raise SettingsError(f"{path}: unknown key {unknown[0]!r}", "Known keys: weight, concepts.")
    weight = _checked_weight(values.get("weight", DEFAULT_WEIGHT), f"{path}: weight")
    table = values.get("concepts", {})
    if not isinstance(table, dict):
        raise SettingsError(f"{path}: concepts should be a table of ideas", _EXAMPLE)
    keys = tuple(table) if "concepts" in values else None
    return Concepts(path, tuple(_distinct(_read_links(table, weight, path))), keys)


def count_ideas(own: Ranking, ideas: Sequence[tuple[float, Ranking]]) -> list[tuple[Candidate, Ranking]]:
    """Gives each note the higher of its scores for the query and for the linked ideas.

    The best note of an idea gets at most the idea's weight times the score of the query's best note. So that one stays
    first, and the notes of the query stay in their order, those of ideas between and below them. Where the query finds
    nothing (all scores are 0), the scores of ideas are not lowered.

    Args:
        own: The query's ranking.
        ideas: What each idea counts beside the query, and its ranking.

    Returns:
        The notes of all rankings, best first, each with the ranking that it counts for.
    """
    if not ideas:
        return [(candidate, own) for candidate in own.candidates]
    known = {candidate.note_id for candidate in own.candidates}
    brought = {found.note_id for _, ranking in ideas for found in ranking.candidates} - known
    candidates = [*own.candidates, *own.score(sorted(brought))]
    scores = {candidate.note_id: candidate.score for candidate in candidates}
    most = max(scores.values(), default=0.0) if any(scores.values()) else math.inf
    raised: dict[int, tuple[Candidate, Ranking]] = {}
    for weight, ranking in ideas:
        answers = [found for found in ranking.candidates if found.score > 0]
        if answers and most > 0:
            factor = weight * min(1.0, most / max(found.score for found in answers))
            for found in answers:
                score = min(most, factor * found.score)  # rounded, a product may be a little more
                if score > scores[found.note_id]:
                    scores[found.note_id] = score
                    raised[found.note_id] = found, ranking
    ranked = []
    for candidate in candidates:
        if not candidate.contributions:  # BM25 as it is: now it is a part of a sum
            candidate = replace(candidate, contributions={"lexical": candidate.score})
        if candidate.note_id not in raised:
            ranked.append((candidate, own))
            continue
        (found, ranking), score = raised[candidate.note_id], scores[candidate.note_id]
        with_idea = candidate.with_part("concepts", score, score - candidate.score)
        # The sum of the parts may differ from the score by rounding, and so pass the query's best note.
        ranked.append((replace(with_idea, score=score, passages=found.passages), ranking))
    return sorted(ranked, key=lambda pair: -pair[0].score)


def can_be_appended(path: Path, lines: str, table: Mapping[str, Sequence[str]]) -> bool:
    """Whether a file of concepts, with lines put at its end, is valid and says the same and what they say.

    Args:
        path: The file; it can be read.
        lines: TOML.
        table: What the lines are to add to the table of ideas.
    """
    text = read_text(path)
    wanted = tomllib.loads(text)
    wanted["concepts"] = wanted.get("concepts", {}) | {idea: list(linked) for idea, linked in table.items()}
    try:
        return tomllib.loads(text + lines) == wanted
    except tomllib.TOMLDecodeError:
        return False


def idea_key(idea: str) -> tuple[str, ...]:
    """An idea's words, by which two spellings of it are the same."""
    return tuple(word for _, _, word in find_words(idea))


def _read_links(table: Mapping[str, Any], weight: float, path: Path) -> Iterator[ConceptLink]:
    for written, value in table.items():
        where = f"{path}: {written!r}"
        idea = _checked_idea(written, where)
        for other, own_weight in _weighted(value, weight, where):
            linked = _checked_idea(other, where)
            if idea_key(linked) == idea_key(idea):
                raise SettingsError(f"{where} is linked to itself", "Take that link out.")
            yield ConceptLink(idea, linked, own_weight)


def _weighted(value: object, weight: float, where: str) -> list[tuple[object, float]]:
    """The ideas that one is linked to, and their weights."""
    if isinstance(value, list):
        return [(other, weight) for other in value]
    if isinstance(value, dict):
        return [(other, _checked_weight(own, f"{where}, {other!r}")) for other, own in value.items()]
    raise SettingsError(f"{where} should have a list of ideas, or a table of their weights", _EXAMPLE)


def _checked_idea(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise SettingsError(f"{where}: an idea should be a text", f"It is {value!r}.")
    idea = " ".join(value.split())
    if any(unicodedata.category(char) == "Cc" for char in idea):
        raise SettingsError(f"{where}: an idea should have no control characters", f"It is {value!r}.")
    if not idea_key(idea):
        raise SettingsError(f"{where}: an idea should have words", f"It is {value!r}.")
    return idea


def _checked_weight(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise SettingsError(f"{where} should be a number above 0 and up to 1", f"It is {value!r}.")
    return float(value)


def _distinct(links: Iterable[ConceptLink]) -> list[ConceptLink]:
    """Links each once, whichever way they are written; of two weights the greater."""
    spellings: dict[tuple[str, ...], str] = {}
    found: dict[frozenset[tuple[str, ...]], ConceptLink] = {}
    for link in links:
        idea, linked = (spellings.setdefault(idea_key(text), text) for text in (link.idea, link.linked))
        key = frozenset((idea_key(idea), idea_key(linked)))
        known = found.get(key, ConceptLink(idea, linked, link.weight))
        found[key] = replace(known, weight=max(known.weight, link.weight))
    return list(found.values())


def _both_ways(links: Iterable[ConceptLink]) -> Iterator[ConceptLink]:
    for link in links:
        yield link
        yield ConceptLink(link.linked, link.idea, link.weight)


def _occurs(phrase: Sequence[str], terms: Sequence[str]) -> bool:
    """Whether some terms stand one after another among others."""
    length = len(phrase)
    return length > 0 and any(terms[i : i + length] == phrase for i in range(len(terms) - length + 1))
