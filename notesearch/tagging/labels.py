"""Labels: where they come from, which of them a classifier can learn, and what their names say about notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from notesearch.errors import NoteUnreadable, StoreError, TooFewTags, UsageError
from notesearch.files import append_jsonl, read_jsonl, read_own_jsonl
from notesearch.notes import unique_tags
from notesearch.records import Skipped
from notesearch.tagging.features import Content, ContentReader
from notesearch.words import find_words, key_of, storable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


_HOW_TO_GET_LABELS = (
    "Tag more notes, with two labels or more to tell apart; or have labels guessed by what they mean: "
    'notesearch tag --labels "work, home"'
)
_LINE = (
    'Give tags, folder, or a file of JSON lines such as {"path": "notes/rent.md", "labels": ["home"]} '
    'or {"text": "…", "labels": […]}.'
)

_REJECTIONS = "rejected-tags.jsonl"


@dataclass(frozen=True, slots=True)
class Labelled:
    """A note and its labels as its owner gave them."""

    content: Content
    labels: tuple[str, ...]

    @classmethod
    def by_tags(cls, contents: Iterable[Content]) -> list[Self]:
        """The notes that have tags, which are their labels."""
        return [cls(content, content.tags) for content in contents if content.tags]


@dataclass(frozen=True, slots=True)
class Example:
    """A note that a classifier was trained on.

    Attributes:
        path: Absolute path; empty for a text that is in no file.
        title: Its title.
        labels: Those of its labels that the classifier knows.
    """

    path: str
    title: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Examples:
    """The notes and labels that a classifier is trained on.

    Attributes:
        contents: The notes.
        labels: The labels that can be learnt, sorted.
        targets: Which note has which label, bool `(notes, labels)`.
        exclusive: Whether every note has exactly one label.
        rare: Labels with too few examples, and how many they have.
        universal: Labels that are on every note, which cannot be learnt either.
    """

    contents: tuple[Content, ...]
    labels: tuple[str, ...]
    targets: NDArray[np.bool_]
    exclusive: bool
    rare: tuple[tuple[str, int], ...]
    universal: tuple[str, ...]

    @property
    def notes(self) -> tuple[Example, ...]:
        """The notes, for later reference."""
        return tuple(
            Example(content.path, content.title, tuple(self.labels[column] for column in np.flatnonzero(own).tolist()))
            for content, own in zip(self.contents, self.targets, strict=True)
        )


def choose_labels(notes: Sequence[Labelled], min_examples: int, rejections: Sequence[Labelled] = ()) -> Examples:
    """Chooses the labels that can be learnt.

    Args:
        notes: Notes with one label or more. Spellings with one key (`words.key_of`) are one label.
        min_examples: The fewest notes that a label must be on.
        rejections: Notes, with their labels, whose owner rejected other labels: examples even if they have none.

    Raises:
        TooFewTags: Fewer than two labels are left.
    """
    if not notes:
        raise TooFewTags(
            "no note has a label to learn from", "Tag some notes and index them, or give --labels-from folder."
        )
    spellings: dict[str, Counter[str]] = {}
    for note in notes:
        for label in note.labels:
            spellings.setdefault(key_of(label), Counter())[label] += 1
    names = {key: counts.most_common(1)[0][0] for key, counts in spellings.items()}
    counts = Counter(key for note in notes for key in {key_of(label) for label in note.labels})
    universal = {key for key in counts if counts[key] == len(notes)}
    rare = {key for key in counts if counts[key] < min_examples} - universal
    kept = sorted(set(counts) - rare - universal, key=lambda key: names[key])
    examples = Examples(
        contents=tuple(note.content for note in (*notes, *rejections)),
        labels=tuple(names[key] for key in kept),
        targets=_targets((*notes, *rejections), kept),
        exclusive=all(len({key_of(label) for label in note.labels}) == 1 for note in notes),
        rare=tuple(sorted((names[key], counts[key]) for key in rare)),
        universal=tuple(sorted(names[key] for key in universal)),
    )
    if len(kept) < 2:
        raise TooFewTags(_why_too_few(examples, len(notes), min_examples), _HOW_TO_GET_LABELS)
    return examples


def sample_examples(examples: Examples, most: int, seed: int) -> Examples:
    """Takes a random sample where there are more examples than `most`."""
    if len(examples.contents) <= most:
        return examples
    rows = np.sort(np.random.default_rng(seed).choice(len(examples.contents), most, replace=False))
    return replace(examples, contents=tuple(examples.contents[row] for row in rows), targets=examples.targets[rows])


def _targets(notes: Sequence[Labelled], kept: Sequence[str]) -> NDArray[np.bool_]:
    columns = {key: column for column, key in enumerate(kept)}
    targets = np.zeros((len(notes), len(kept)), dtype=bool)
    for row, note in enumerate(notes):
        for label in note.labels:
            if (column := columns.get(key_of(label))) is not None:
                targets[row, column] = True
    return targets


def _why_too_few(examples: Examples, count: int, min_examples: int) -> str:
    reasons = [f"{label!r} is on every note" for label in examples.universal]
    reasons += [f"{label!r} is on {count} of them" for label, count in examples.rare[:5]]
    reasons += [f"{label!r} is the only one on {min_examples} or more" for label in examples.labels]
    more = f", and {len(examples.rare) - 5} more are on too few" if len(examples.rare) > 5 else ""
    notes = f"{count:,} labelled note{'' if count == 1 else 's'}"
    return f"{notes}, but fewer than two labels to learn: {', '.join(reasons)}{more}"


def read_label_file(file: Path, contents: ContentReader) -> tuple[list[Labelled], list[Skipped]]:
    """Reads a file of labelled texts and paths, JSON lines; relative paths are relative to the file.

    Returns:
        The notes that have labels, and those that cannot be read.

    Raises:
        UsageError: The file cannot be read, or a line of it is not as it should be.
    """
    labelled: list[Labelled] = []
    skipped: list[Skipped] = []
    for number, row in read_jsonl(file, ("labels",), _LINE):
        labels, text, path = _label_row(row, f"{file}, line {number}")
        try:
            content = contents.text(text) if text is not None else contents.file(file.parent / path)
        except NoteUnreadable as error:
            skipped.append(Skipped(str(file.parent / path), error.message, error.for_now))
            continue
        if labels:
            labelled.append(Labelled(content, labels))
    return labelled, skipped


def _label_row(row: dict[str, Any], place: str) -> tuple[tuple[str, ...], str | None, str]:
    """The labels, and the text, or else the path, that has them."""
    labels, text, path = row["labels"], row.get("text"), row.get("path")
    labels = [labels] if isinstance(labels, str) else labels
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise UsageError(f"{place} has no list of labels", _LINE)
    if isinstance(text, str):
        return unique_tags(labels), storable(text), ""
    if isinstance(path, str) and path:
        return unique_tags(labels), None, path
    raise UsageError(f"{place} has neither a text nor a path", _LINE)


def name_text(label: str) -> str:
    """A label as a person would say it: `content-strategy` is "content strategy"."""
    return " ".join(label.replace("_", " ").replace("-", " ").replace("/", " ").split())


def name_features(
    labels: Sequence[str], name_vectors: Vectors, texts: Sequence[Counter[str]], vectors: Vectors
) -> NDArray[np.float32]:
    """Compares notes with the names of labels.

    Args:
        labels: The labels.
        name_vectors: The embeddings of their names, float32 `(labels, dim)`.
        texts: The terms of each note, see `count_terms`.
        vectors: The embeddings of the notes, float32 `(n, dim)`.

    Returns:
        float32 `(n, labels, 2)`: the cosine of note and name, and ln(1 + occurrences of the name). A name of more than
        two words occurs as often as the rarest of them.
    """
    features = np.zeros((len(texts), len(labels), 2), dtype=np.float32)
    features[:, :, 0] = vectors @ name_vectors.T
    names = [[word for _, _, word in find_words(name_text(label))] for label in labels]
    terms = [[" ".join(words)] if len(words) == 2 else words for words in names]
    for row, counts in enumerate(texts):
        features[row, :, 1] = [min((counts[term] for term in own), default=0) for own in terms]
    features[:, :, 1] = np.log1p(features[:, :, 1])
    return features


def remember_rejections(index_dir: Path, rejected: Mapping[str, Sequence[str]]) -> None:
    """Remembers suggestions that the owner rejected, for the next training.

    Args:
        index_dir: Where they are added to those remembered before.
        rejected: The tags, by the path of the note.

    Raises:
        StoreError: They cannot be written.
    """
    records = [{"path": path, "tags": list(tags)} for path, tags in rejected.items() if tags]
    try:
        append_jsonl(index_dir / _REJECTIONS, records)
    except OSError as error:
        raise StoreError(
            f"cannot write {index_dir / _REJECTIONS}: {error.strerror or error}", "Is the disk full, or read-only?"
        ) from error


def read_rejections(index_dir: Path, contents: ContentReader, labelled: Container[str]) -> list[Labelled]:
    """The notes without known labels for which tags were rejected, with the tags that they have.

    A labelled note is an example against every label that it does not have. A rejected suggestion makes such an example
    of a note without labels: no tag that was or could have been suggested is right for it.

    Args:
        index_dir: Where they are remembered.
        contents: Reads the notes; those that are gone are left out.
        labelled: The paths of the notes whose labels are known.
    """
    try:
        paths = [str(record["path"]) for _, record in read_own_jsonl(index_dir / _REJECTIONS) if "path" in record]
    except OSError as error:
        raise StoreError(f"cannot read {index_dir / _REJECTIONS}: {error.strerror or error}") from error
    found = []
    for path in dict.fromkeys(paths):
        if path not in labelled:
            with suppress(NoteUnreadable):
                content = contents.file(Path(path))
                found.append(Labelled(content, content.tags))
    return found
