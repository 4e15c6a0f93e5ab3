"""What suggests tags: a trained classifier, the nearest labelled notes, or nothing but the labels' names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from notesearch.encoders import Encoder, models
from notesearch.errors import UsageError
from notesearch.file_kinds import kind_of
from notesearch.notes import unique_tags
from notesearch.notes.tags import effect_of_tag
from notesearch.records import Because, SimilarNote, Suggestions, TagScore
from notesearch.tagging.calibration import choose
from notesearch.tagging.classifier import Classifier
from notesearch.tagging.estimators import neighbour_scores, term_scores
from notesearch.tagging.features import Content, WeighedTerms, count_terms
from notesearch.tagging.labels import Example, Examples, name_features
from notesearch.words import STOPWORDS, key_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = NDArray[np.float32]
    Vectors = NDArray[np.float32]

_TAGS_SHOWN = 5
_NOTES_SHOWN = 3
_WORDS_SHOWN = 5
_NEIGHBOURS = 10
# A label that fewer than half of the nearest notes have (weighted by similarity) is more likely wrong than right.
_MAJORITY = 0.5
# Halfway between the similarities of unrelated and of related texts.
_GUESS_FROM = 0.5
# Below all scores.
_NEVER = -1


class Tagger(Protocol):
    """Something that suggests tags.

    Attributes:
        labels: The tags that it can suggest.
        exclusive: Whether it suggests one at most.
        thresholds: From which score on it suggests a tag, float32 `(labels,)`.
    """

    labels: tuple[str, ...]
    exclusive: bool
    thresholds: Scores

    def score(self, contents: Sequence[Content], vectors: Vectors) -> Scores:
        """Scores all tags for notes, from 0 to 1.

        Args:
            contents: The notes.
            vectors: Their embeddings, float32 `(n, dim)`.

        Returns:
            float32 `(n, labels)`.
        """
        ...

    def explain(self, content: Content, vector: Vectors, tags: Sequence[str]) -> tuple[Because, ...]:
        """Says why tags are suggested for a note with this embedding, float32 `(dim,)`."""
        ...


class TrainedTagger:
    """Suggests by a trained classifier."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self.labels = classifier.labels
        self.exclusive = classifier.exclusive
        self.thresholds = classifier.thresholds
        self._tuned = models.open_encoder(classifier.tuned) if classifier.tuned else None

    def score(self, contents: Sequence[Content], vectors: Vectors) -> Scores:
        """See `Tagger`."""
        classifier, heads = self._classifier, self._classifier.heads
        counts = [count_terms(content.text) for content in contents]
        if heads.neighbours:
            targets = _targets(classifier.examples, classifier.labels)
            scores = neighbour_scores(vectors @ classifier.vectors.T, targets, heads.neighbours)
        else:
            scores = np.tile(heads.bias, (len(contents), 1))
            if heads.terms is not None and classifier.scored_by_terms:
                scores += term_scores(heads.terms, [classifier.vocabulary.weigh(own) for own in counts])
            if heads.vectors is not None:
                scores += vectors @ heads.vectors
            if heads.tuned is not None and self._tuned:
                scores += self._tuned.encode_passages([content.text for content in contents]).vectors @ heads.tuned
        names = name_features(classifier.labels, classifier.name_vectors, counts, vectors)
        return classifier.calibration.probabilities(scores, names)

    def explain(self, content: Content, vector: Vectors, tags: Sequence[str]) -> tuple[Because, ...]:
        """See `Tagger`."""
        classifier = self._classifier
        terms = classifier.vocabulary.weigh(count_terms(content.text))
        return tuple(
            Because(
                tag,
                _nearest(classifier.examples, classifier.vectors, vector, tag, content.path),
                self._words(terms, self.labels.index(tag)),
            )
            for tag in tags
        )

    def _words(self, terms: WeighedTerms, label: int) -> tuple[str, ...]:
        weights = self._classifier.heads.terms
        if weights is None:
            return ()
        parts = terms.weights * weights[terms.places, label]
        places = (place for place in np.argsort(-parts, kind="stable") if parts[place] > 0)
        return _informative(self._classifier.vocabulary.terms[terms.places[place]] for place in places)


class NeighbourTagger:
    """Suggests the tags of the nearest labelled notes, without any training.

    Args:
        examples: The labelled notes.
        vectors: Their embeddings, float32 `(n, dim)`.
    """

    def __init__(self, examples: Examples, vectors: Vectors) -> None:
        self.labels = examples.labels
        self.exclusive = examples.exclusive
        self.thresholds = np.full(len(self.labels), _MAJORITY, dtype=np.float32)
        self._notes = examples.notes
        self._targets = examples.targets
        self._vectors = vectors

    def score(self, contents: Sequence[Content], vectors: Vectors) -> Scores:
        """See `Tagger`."""
        cosines = vectors @ self._vectors.T
        columns = {note.path: column for column, note in enumerate(self._notes)}
        for row, content in enumerate(contents):  # a tagged note must not be its own neighbour
            if content.path in columns:
                cosines[row, columns[content.path]] = -1
        return neighbour_scores(cosines, self._targets, _NEIGHBOURS)

    def explain(self, content: Content, vector: Vectors, tags: Sequence[str]) -> tuple[Because, ...]:
        """See `Tagger`."""
        return tuple(Because(tag, _nearest(self._notes, self._vectors, vector, tag, content.path), ()) for tag in tags)


class NameTagger:
    """Guesses by how similar a note is to the labels' names and descriptions.

    Args:
        labels: Names, some followed by a colon and a description, with commas between.
        encoder: The bi-encoder.
    """

    exclusive = False

    def __init__(self, labels: str, encoder: Encoder) -> None:
        texts = _described(labels)
        if not texts:
            raise UsageError("--labels names no label", 'Name some: --labels "distributed systems, parenting"')
        self.labels = tuple(texts)
        self.thresholds = np.full(len(texts), _GUESS_FROM, dtype=np.float32)
        self._scale = encoder.scale
        self._vectors = np.stack([encoder.encode_query(text).vector for text in texts.values()])

    def score(self, contents: Sequence[Content], vectors: Vectors) -> Scores:
        """See `Tagger`."""
        similarity: Scores = np.clip(self._scale.similarity(vectors @ self._vectors.T), 0, 1).astype(np.float32)
        return similarity

    def explain(self, content: Content, vector: Vectors, tags: Sequence[str]) -> tuple[Because, ...]:
        """See `Tagger`."""
        return tuple(Because(tag, (), ()) for tag in tags)


def suggest(
    tagger: Tagger, contents: Sequence[Content], vectors: Vectors, *, min_score: float | None, top: int | None
) -> list[Suggestions]:
    """Suggests tags for notes.

    Args:
        tagger: What scores them.
        contents: The notes.
        vectors: Their embeddings, float32 `(n, dim)`.
        min_score: From which score on to suggest, instead of each label's threshold.
        top: The most tags to list for each note, ≥ 1; `None` for all that are suggested, and the next best up to five.
    """
    if not contents:
        return []
    scores = tagger.score(contents, vectors)
    for row, content in enumerate(contents):  # a label may be a control tag of notes of another kind
        scores[row, [bool(effect_of_tag(label, kind_of(content.path))) for label in tagger.labels]] = _NEVER
    thresholds = tagger.thresholds if min_score is None else np.full(len(tagger.labels), min_score, dtype=np.float32)
    chosen = choose(scores, thresholds, exclusive=tagger.exclusive)
    return [
        _suggestions(tagger, content, vector, own, picked, top)
        for content, vector, own, picked in zip(contents, vectors, scores, chosen, strict=True)
    ]


def _suggestions(
    tagger: Tagger, content: Content, vector: Vectors, scores: Scores, chosen: NDArray[np.bool_], top: int | None
) -> Suggestions:
    present = {key_of(tag) for tag in content.tags}
    # What is suggested comes first: thresholds differ, so a tag below its own may score higher.
    order = np.lexsort((-scores, ~chosen))[: top or max(_TAGS_SHOWN, int(chosen.sum()))]
    order = order[scores[order] > _NEVER]
    tags = tuple(
        TagScore(label, float(scores[row]), bool(chosen[row]), key_of(label) in present)
        for row, label in ((row, tagger.labels[row]) for row in order)
    )
    because = tagger.explain(content, vector, [tag.tag for tag in tags if tag.suggested])
    return Suggestions(content.path, content.title, tags, because)


def _nearest(
    notes: Sequence[Example], vectors: Vectors, vector: Vectors, tag: str, path: str
) -> tuple[SimilarNote, ...]:
    """The notes with a tag that are most similar to one with this embedding, without that at a path."""
    rows = [row for row, note in enumerate(notes) if tag in note.labels and (not path or note.path != path)]
    cosines = vectors[rows] @ vector
    return tuple(
        SimilarNote(notes[rows[place]].path, notes[rows[place]].title, float(cosines[place]))
        for place in np.argsort(-cosines, kind="stable")[:_NOTES_SHOWN]
    )


def _described(labels: str) -> dict[str, str]:
    """Each tag that is named, and the text that describes it."""
    texts: dict[str, str] = {}
    for part in labels.split(","):
        name, _, description = part.partition(":")
        for tag in unique_tags([name]):
            if key_of(tag) not in map(key_of, texts):
                texts[tag] = f"{tag}: {description.strip()}" if description.strip() else tag
    return texts


def _informative(terms: Iterable[str]) -> tuple[str, ...]:
    """The first terms with words that were not shown yet, without stopwords and numbers."""
    shown: list[str] = []
    seen: set[str] = set(STOPWORDS)
    for term in terms:
        words = set(term.split())
        if not words & seen and any(len(word) > 1 and word.isalpha() for word in words):
            shown.append(term)
            seen |= words
        if len(shown) == _WORDS_SHOWN:
            break
    return tuple(shown)


def _targets(notes: Sequence[Example], labels: Sequence[str]) -> NDArray[np.bool_]:
    columns = {label: column for column, label in enumerate(labels)}
    targets = np.zeros((len(notes), len(labels)), dtype=bool)
    for row, note in enumerate(notes):
        targets[row, [columns[label] for label in note.labels]] = True
    return targets
