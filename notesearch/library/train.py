"""notesearch as a library: train a classifier on labelled notes."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePath

import numpy as np

from notesearch.encoders import absolute_name, prepare
from notesearch.errors import IndexMissing, NoteUnreadable, UsageError
from notesearch.indexing import chunking_for
from notesearch.private import working_folder
from notesearch.records import Skipped
from notesearch.settings import DEFAULT_MODEL, Settings
from notesearch.storage import IndexReader
from notesearch.tagging.adapted import Adapted, adapt_base
from notesearch.tagging.classifier import (
    DEFAULT_NAME,
    REPORT_PAGE,
    Classifier,
    base_dir,
    classifier_dir,
    classifiers_dir,
    save_classifier,
    tuned_dir,
)
from notesearch.tagging.estimators import Learner, Material, Ridge, fast_learners, one_blas_thread
from notesearch.tagging.features import ContentReader, EncoderNeed, open_content_reader
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
from notesearch.tagging.selection import Progress, TestSplit, Trained, train
from notesearch.tagging.tuned import Tuning, slow_learners

# Two to learn from, and one to see whether it was learnt.
MIN_EXAMPLES = 3
# Least squares holds each against each: 4 bytes a pair, three times over.
_MOST_EXAMPLES = 12_000


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """What to train, and how.

    Attributes:
        labels_from: `tags`, `folder`, or a file of labelled texts and paths.
        name: The classifier's name.
        base: The encoder: `None` for the index's.
        method: The learner to take, whatever the contest says; empty for the winner.
        quick: Whether to leave out the slow learners.
        min_examples: The fewest notes that a label must be on.
        test_split: Whether the notes to test on are chosen at random or are the newest.
        seed: Of all that is random.
        adapt: Whether to try going on with the encoder's own training on the notes first.
    """

    labels_from: str = "tags"
    name: str = DEFAULT_NAME
    base: str | None = None
    method: str = ""
    quick: bool = False
    min_examples: int = MIN_EXAMPLES
    test_split: TestSplit = "random"
    seed: int = 0
    adapt: bool = False


def train_classifier(
    settings: Settings, options: TrainingOptions, progress: Progress | None = None
) -> tuple[Report, list[Skipped]]:
    """Trains a classifier on labelled notes, and writes it into the index's directory.

    Args:
        settings: Which index.
        options: What to train, and how.
        progress: Told what is being done.

    Returns:
        How the learners fared and how good the classifier is; and notes that could not be read.

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
        need = _need(settings, options, reader)
        contents = open_content_reader(reader, need, max_bytes=settings.max_file_bytes)
        labelled, skipped = _labelled_notes(options.labels_from, reader, contents)
        rejections = read_rejections(settings.index_dir, contents, {note.content.path for note in labelled})
        chosen = choose_labels(labelled, options.min_examples, rejections)
        examples = sample_examples(chosen, _MOST_EXAMPLES, options.seed)
        vectors = contents.embed(examples.contents, lambda done, total: tell("reading", done, total))
        name_vectors = contents.encoder.encode_passages([name_text(label) for label in examples.labels]).vectors
        material = Material(examples, vectors, name_vectors)
        adapted: Adapted | None = None
        if options.adapt:
            texts = [note.text for note in contents.indexed(reader.note_ids())] if reader else []
            adapted = stack.enter_context(_adapting(settings, options, need, material, texts, tell))
            need, material = adapted.need, adapted.material
        tuning = Tuning(need.model, material, options.seed, tell)
        learners = _learners(options, material, tuning)
        trained = train(learners, material, test_split=options.test_split, seed=options.seed, progress=tell)
        report = make_report(options.name, options.labels_from, len(chosen.contents), examples, trained)
        report = replace(report, adaptation=adapted.outcome if adapted else None)
        if adapted and adapted.outcome.kept:
            need = replace(need, model=str(base_dir(directory)))
        classifier = _classifier(material, trained, need)

        def write_more(folder: Path) -> None:
            write_report(folder, report, classifier)
            if adapted and adapted.outcome.kept:
                shutil.copytree(adapted.need.model, base_dir(folder))
            if classifier.heads.tuned is not None:
                tuning.save(tuned_dir(folder))

        save_classifier(directory, classifier, write_more)
    return report, skipped


@contextmanager
def _adapting(
    settings: Settings,
    options: TrainingOptions,
    need: EncoderNeed,
    material: Material,
    texts: Sequence[str],
    progress: Progress,
) -> Iterator[Adapted]:
    """Adapts the base model in a folder that is gone at the end."""
    with working_folder(classifiers_dir(settings.index_dir), ".adapting-") as folder:
        yield adapt_base(
            folder / "base",
            need,
            material,
            texts or [content.text for content in material.examples.contents],
            lambda other: open_content_reader(None, other, max_bytes=settings.max_file_bytes),
            seed=options.seed,
            progress=progress,
        )


def report_file(settings: Settings, name: str) -> Path:
    """The page with the report on a classifier."""
    return classifier_dir(settings.index_dir, name) / REPORT_PAGE


def _need(settings: Settings, options: TrainingOptions, reader: IndexReader | None) -> EncoderNeed:
    if options.base is None and reader:
        return EncoderNeed.of_index(reader)
    config = prepare(absolute_name(options.base or settings.model or DEFAULT_MODEL)).config
    return EncoderNeed(config.name, config.fingerprint, chunking_for(config.max_tokens).budget_tokens)


def _labelled_notes(
    labels_from: str, reader: IndexReader | None, contents: ContentReader
) -> tuple[list[Labelled], list[Skipped]]:
    if labels_from not in ("tags", "folder"):
        return _from_file(Path(labels_from), contents)
    if reader is None:
        raise UsageError("nothing is indexed to learn from", "Index your notes first: notesearch index ~/notes")
    if labels_from == "tags":
        return [Labelled(note, note.tags) for note in contents.indexed(reader.note_ids(tagged=True))], []
    folders = reader.folders_of_notes()
    labels = {
        path: str(below) for path, root in folders.values() if (below := PurePath(path).parent.relative_to(root)).parts
    }
    wanted = [note_id for note_id, (path, _) in folders.items() if path in labels]
    return [Labelled(note, (labels[note.path],)) for note in contents.indexed(wanted)], []


def _from_file(file: Path, contents: ContentReader) -> tuple[list[Labelled], list[Skipped]]:
    labelled: list[Labelled] = []
    skipped: list[Skipped] = []
    for row in read_label_file(file):
        try:
            content = contents.file(row.path) if row.path else contents.text(row.text)
        except NoteUnreadable as error:
            skipped.append(Skipped(str(row.path), error.message, error.for_now))
            continue
        if row.labels:
            labelled.append(Labelled(content, row.labels))
    return labelled, skipped


def _learners(options: TrainingOptions, material: Material, tuning: Tuning) -> Sequence[Learner]:
    learners = [*fast_learners(material), *slow_learners(material, tuning)]
    if options.method:
        chosen = [learner for learner in learners if learner.name == options.method]
        if not chosen:
            names = ", ".join(repr(learner.name) for learner in learners)
            raise UsageError(f"there is no method {options.method!r}", f"Choose one of {names}.")
        return chosen
    return [learner for learner in learners if not (options.quick and learner.slow)]


def _classifier(material: Material, trained: Trained, need: EncoderNeed) -> Classifier:
    winner, examples = trained.contest.winner, material.examples
    heads = trained.heads
    if heads.terms is None:
        # Words explain a suggestion, even where they had no part in it.
        words = Ridge(material, mixture=0.0).learn(np.arange(len(examples.targets)))
        heads = replace(heads, terms=words.terms)
    return Classifier(
        labels=examples.labels,
        method=winner.learner.name,
        exclusive=examples.exclusive,
        heads=heads,
        scored_by_terms=trained.heads.terms is not None,
        vocabulary=material.vocabulary,
        calibration=trained.calibration,
        thresholds=trained.thresholds,
        examples=examples.notes,
        vectors=material.vectors,
        name_vectors=material.name_vectors,
        model=need.model,
        encoder=need.fingerprint,
        budget_tokens=need.budget_tokens,
        tuned=None,
        trained=datetime.now().astimezone().isoformat(timespec="seconds"),
        data=_data_hash(examples),
    )


def _data_hash(examples: Examples) -> str:
    digest = hashlib.sha256()
    for content, note in zip(examples.contents, examples.notes, strict=True):
        digest.update(repr((content.path, content.text, note.labels)).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
