"""notesearch as a library: train a classifier on labelled notes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePath

import numpy as np

from notesearch.errors import IndexMissing, UsageError
from notesearch.library.tag import encoder_for
from notesearch.records import Skipped, TestSplit
from notesearch.settings import Settings
from notesearch.storage import IndexReader
from notesearch.tagging.classifier import (
    DEFAULT_NAME,
    REPORT_PAGE,
    Classifier,
    classifier_dir,
    save_classifier,
    tuned_dir,
)
from notesearch.tagging.estimators import Estimator, Features, Ridge, fast_estimators, one_blas_thread
from notesearch.tagging.features import ContentReader, EncoderSpec
from notesearch.tagging.labels import (
    Examples,
    Labelled,
    choose_labels,
    name_text,
    read_label_file,
    read_rejections,
    sample_examples,
)
from notesearch.tagging.report import Report, make_report, write_report
from notesearch.tagging.selection import Progress, Trained, train
from notesearch.tagging.tuned import Tuning, slow_estimators

# Two to learn from, and one to test with.
MIN_EXAMPLES = 3
# Ridge regression holds kernels of the examples: 4 bytes a pair, three times over.
_MOST_EXAMPLES = 12_000


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """What to train, and how.

    Attributes:
        labels_from: `tags`, `folder`, or a file of labelled texts and paths.
        name: The classifier's name.
        base: The encoder: `None` for the index's.
        method: The method to take, without model selection; empty for the best.
        quick: Whether to leave out the slow methods.
        min_examples: The fewest notes that a label must be on.
        test_split: Whether the notes of the test are chosen at random or are the newest.
        seed: Of all random numbers.
    """

    labels_from: str = "tags"
    name: str = DEFAULT_NAME
    base: str | None = None
    method: str = ""
    quick: bool = False
    min_examples: int = MIN_EXAMPLES
    test_split: TestSplit = "random"
    seed: int = 0


def train_classifier(
    settings: Settings, options: TrainingOptions, progress: Progress | None = None
) -> tuple[Report, list[Skipped]]:
    """Trains a classifier on labelled notes, and writes it into the index's directory.

    Args:
        settings: Which index.
        options: What to train, and how.
        progress: Told what is being done.

    Returns:
        The results of all methods and the quality of the classifier; and notes that could not be read.

    Raises:
        UsageError: There are too few labelled notes, or a name or a method makes no sense.
        ModelError: The encoder cannot be had, or the classifier cannot be written.
        StoreError: The index cannot be read.
    """
    directory = classifier_dir(settings.index_dir, options.name)
    tell = progress or (lambda what, done, total: None)
    reader: IndexReader | None = None
    with ExitStack() as stack:
        stack.enter_context(one_blas_thread())
        with suppress(IndexMissing):
            reader = stack.enter_context(IndexReader(settings.index_dir))
        spec = encoder_for(settings, options.base, reader)
        contents = ContentReader(reader, spec, max_bytes=settings.max_file_bytes)
        labelled, skipped = _labelled_notes(options.labels_from, reader, contents)
        rejections = read_rejections(settings.index_dir, contents, {note.content.path for note in labelled})
        chosen = choose_labels(labelled, options.min_examples, rejections)
        examples = sample_examples(chosen, _MOST_EXAMPLES, options.seed)
        vectors = contents.embed(examples.contents, lambda done, total: tell("reading", done, total))
        name_vectors = contents.encoder.encode_passages([name_text(label) for label in examples.labels]).vectors
        features = Features(examples, vectors, name_vectors)
        tuning = Tuning(spec.model, features, options.seed, tell)
        estimators = _estimators(options, features, tuning)
        trained = train(estimators, features, test_split=options.test_split, seed=options.seed, progress=tell)
        report = make_report(options.name, options.labels_from, len(chosen.contents), examples, trained)
        classifier = _classifier(features, trained, spec)

        def write_more(folder: Path) -> None:
            write_report(folder, report, classifier)
            if classifier.heads.tuned is not None:
                tuning.save(tuned_dir(folder))

        save_classifier(directory, classifier, write_more)
    return report, skipped


def report_file(settings: Settings, name: str) -> Path:
    """The page with the report on a classifier."""
    return classifier_dir(settings.index_dir, name) / REPORT_PAGE


def _labelled_notes(
    labels_from: str, reader: IndexReader | None, contents: ContentReader
) -> tuple[list[Labelled], list[Skipped]]:
    if labels_from not in ("tags", "folder"):
        return read_label_file(Path(labels_from), contents)
    if reader is None:
        raise UsageError("nothing is indexed to learn from", "Index your notes first: notesearch index ~/notes")
    if labels_from == "tags":
        return Labelled.by_tags(contents.indexed(reader.note_ids(tagged=True))), []
    folders = reader.folders_of_notes()
    labels = {
        path: str(below) for path, root in folders.values() if (below := PurePath(path).parent.relative_to(root)).parts
    }
    wanted = [note_id for note_id, (path, _) in folders.items() if path in labels]
    return [Labelled(note, (labels[note.path],)) for note in contents.indexed(wanted)], []


def _estimators(options: TrainingOptions, features: Features, tuning: Tuning) -> Sequence[Estimator]:
    estimators = [*fast_estimators(features), *slow_estimators(features, tuning)]
    if not options.method:
        return [estimator for estimator in estimators if not (options.quick and estimator.slow)]
    chosen = [estimator for estimator in estimators if estimator.name == options.method]
    if not chosen:
        names = ", ".join(repr(estimator.name) for estimator in estimators)
        raise UsageError(f"there is no method {options.method!r}", f"Choose one of {names}.")
    return chosen


def _classifier(features: Features, trained: Trained, spec: EncoderSpec) -> Classifier:
    examples, heads = features.examples, trained.heads
    if heads.terms is None:
        # Words explain a suggestion, even where they had no part in it.
        words = Ridge(features, vector_weight=0.0).fit(np.arange(len(examples.targets)))
        heads = replace(heads, terms=words.terms)
    return Classifier(
        labels=examples.labels,
        method=trained.selection.best.estimator.name,
        exclusive=examples.exclusive,
        heads=heads,
        scored_by_terms=trained.heads.terms is not None,
        vocabulary=features.vocabulary,
        calibration=trained.calibration,
        thresholds=trained.thresholds,
        examples=examples.notes,
        vectors=features.vectors,
        name_vectors=features.name_vectors,
        model=spec.model,
        encoder=spec.fingerprint,
        budget_tokens=spec.budget_tokens,
        tuned=None,
        trained=datetime.now().astimezone().isoformat(timespec="seconds"),
        data=_data_hash(examples),
    )


def _data_hash(examples: Examples) -> str:
    digest = hashlib.sha256()
    for content, note in zip(examples.contents, examples.notes, strict=True):
        digest.update(repr((content.path, content.text, note.labels)).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
