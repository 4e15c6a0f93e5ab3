"""Tune the bi-encoder of an index to its notes, on accepted results too; the new one is kept only if it is better."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from notesearch.encoders import EncoderConfig, absolute_name, find_model, models
from notesearch.errors import IndexBusy, ModelError, StoreError, UsageError
from notesearch.evaluation.collections import general_set
from notesearch.evaluation.known_items import find_known_items, make_own_collection, read_learnt_from, read_notes
from notesearch.evaluation.tuning_data import TextPair, TuningData, gather, read_pair_file
from notesearch.evaluation.tuning_report import Outcome, TuningReport, WeightQuality, choose_weight, decide, write_card
from notesearch.files import append_jsonl, make_private_folder, read_own_jsonl, seal, working_folder
from notesearch.finetuning.ranking import Pair, Recipe, fit_pairs
from notesearch.finetuning.trainer import Checkpoint, TrainableEncoder, copies
from notesearch.library.evaluate import Progress, files_of_index, score_stages
from notesearch.records import Skipped
from notesearch.settings import Settings
from notesearch.storage import IndexReader, StoredChunk

if TYPE_CHECKING:
    from notesearch.finetuning.trainer import Vectors

INTERPOLATION_WEIGHTS = (0.33, 0.67, 1.0)
_ACCEPTED = "accepted.jsonl"
_MODELS = "models"
_CHECKPOINT = ".training.pt"
_LOCK = ".lock"
_UNFINISHED = ".tuned-"
_GONE = "Is the disk mounted? Bring the index in step with what is there: notesearch index"


@dataclass(frozen=True, slots=True)
class TuningOptions:
    """How to tune.

    Attributes:
        pairs_file: Pairs that the owner has written down.
        output: Where the tuned encoder is to be; `None` for a new folder beside the index.
        seed: Of all that is random.
        recipe: How to train.
    """

    pairs_file: Path | None = None
    output: Path | None = None
    seed: int = 0
    recipe: Recipe = field(default_factory=Recipe)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A result that its owner has accepted.

    Attributes:
        query: What was asked.
        path: Absolute path of the note that answers.
        line: Where in it, 1-based; 0 for the whole note.
    """

    query: str
    path: str
    line: int = 0


def tune(
    settings: Settings, options: TuningOptions, progress: Progress | None = None
) -> tuple[TuningReport, list[Skipped]]:
    """Tunes the encoder of an index to its notes.

    A run that was interrupted is continued by the next one, if notes and options are the same.

    Args:
        settings: Which index; its model is tuned, unless the settings name another.
        options: How to tune.
        progress: Told what is being done, how much of it is done, and how much there is.

    Returns:
        What was found, and what could not be read.

    Raises:
        IndexMissing: Nothing has been indexed.
        UsageError: There is too little to learn from, or the options make no sense.
        ModelError: The encoder cannot be loaded, or the tuned one cannot be written.
        IndexBusy: Another process is tuning.
        StoreError: The index cannot be read.
    """
    started = time.monotonic()
    tell = progress or (lambda what, done, total: None)
    if options.output:
        _require_free(options.output)
    with IndexReader(settings.index_dir) as reader:
        made_with = reader.fingerprint
        given, skipped = _given_pairs(reader, settings, options)
    settings = replace(settings, token_model=settings.token_model or made_with.token_model or "none")
    notes, unreadable = read_notes(files_of_index(settings.index_dir))
    if unreadable and not notes:
        first = unreadable[0]
        raise UsageError(f"none of the {len(unreadable):,} notes can be read: {first.path}: {first.reason}", _GONE)
    model = absolute_name(settings.model or made_with.model)
    learnt_before = read_learnt_from(find_model(model).directory)
    data = gather(notes, find_known_items(notes), given, learnt_before=learnt_before, seed=options.seed)
    folder = settings.index_dir / _MODELS
    with _only_one(folder) as temporary:
        config = models.prepare(model).config
        checkpoint = Checkpoint(folder / _CHECKPOINT, _training_key(config, data, options))
        tuner = Tuner(config, data, options, tell)
        tuner.fit(checkpoint)
        qualities = tuner.qualities()
        weight = choose_weight(qualities)
        trial: tuple[Outcome, ...] = ()
        if weight:
            tuner.save(weight, temporary / "model")
            trial = hold_trial(settings, model, temporary, data, tell)
        pairs = dict(Counter[str](pair.source for pair in data.pairs).most_common())
        report = TuningReport(model, len(notes), pairs, tuple(qualities), weight, trial, *decide(trial))
        if report.kept:
            target = options.output or folder / f"tuned-{datetime.now():%Y%m%d-%H%M%S}"
            report = replace(report, directory=target)
            _keep(tuner, report, data, target)
        checkpoint.remove()
    return replace(report, seconds=time.monotonic() - started), [*skipped, *unreadable]


class Tuner:
    """A bi-encoder with the texts that it is trained on, and those that the interpolation weight is chosen by.

    Args:
        config: Of the encoder.
        data: The pairs to learn from, and known items for the choice.
        options: How to train.
        progress: Told what is being done.
    """

    def __init__(self, config: EncoderConfig, data: TuningData, options: TuningOptions, progress: Progress) -> None:
        self._max_tokens = config.max_tokens
        self._recipe = options.recipe
        self._progress = progress
        query, passage = config.query_prompt, config.passage_prompt
        self._pairs = [
            Pair(query + pair.query, passage + pair.passage, pair.negative and passage + pair.negative, pair.groups)
            for pair in data.pairs
        ]
        self._tasks = [task.with_prompts(query, passage) for task in (data.validation, general_set().half(0))]
        texts = [text for pair in self._pairs for text in (pair.query, pair.passage, pair.negative) if text]
        texts += [text for task in self._tasks for text in (*task.queries, *task.passages)]
        self._encoder = TrainableEncoder(
            config.name,
            list(dict.fromkeys(texts)),
            tokens=min(options.recipe.tokens, config.max_tokens),
            layers=options.recipe.layers,
            seed=options.seed,
            progress=partial(progress, "lower layers"),
        )
        self._trained = copies(self._encoder.parameters)

    def fit(self, checkpoint: Checkpoint) -> None:
        """Trains the encoder; a training that was interrupted is continued."""
        progress = partial(self._progress, "training")
        fit_pairs(self._encoder, self._pairs, self._recipe, checkpoint=checkpoint, progress=progress)
        self._trained = copies(self._encoder.parameters)

    def qualities(self) -> list[WeightQuality]:
        """How good the encoder is as it was, and with each interpolation weight."""
        found = []
        for done, weight in enumerate((0.0, *INTERPOLATION_WEIGHTS), start=1):
            self._encoder.interpolate(self._trained, weight)
            means = [task.ndcg(self._embed(task.queries), self._embed(task.passages)).mean() for task in self._tasks]
            found.append(WeightQuality(weight, *map(float, means)))
            self._progress("choosing the interpolation weight", done, 1 + len(INTERPOLATION_WEIGHTS))
        return found

    def save(self, weight: float, directory: Path) -> None:
        """Saves the encoder with an interpolation weight, as a model directory.

        Raises:
            ModelError: It cannot be written.
        """
        self._encoder.interpolate(self._trained, weight)
        self._encoder.save(directory, self._max_tokens)

    def _embed(self, texts: Sequence[str]) -> Vectors:
        return self._encoder.embed([self._encoder.rows[text] for text in texts])


def hold_trial(
    settings: Settings, before: str, folder: Path, data: TuningData, progress: Progress
) -> tuple[Outcome, ...]:
    """Compares a tuned encoder with the one it was made of: in the whole search, by vectors alone, on general English.

    Args:
        settings: How notes are indexed and searched.
        before: The encoder, as the user named it.
        folder: Holds the tuned one in `model`; copies of notes and indexes are put beside it.
        data: The notes, and the known items to decide by.
        progress: Told what is being done.

    Raises:
        ModelError: An encoder cannot be prepared.
    """
    task = general_set().half(1)
    names = [str(note.path) for note in data.notes]
    fingerprint = models.fingerprint_of(str(folder / "model"))
    known = models.find_prepared(fingerprint)
    values = []
    try:
        for when, model in (("before", before), ("after", str(folder / "model"))):
            collection = make_own_collection(data.notes, names, folder / when / "notes", data.test)

            def tell(what: str, done: int, total: int, when: str = when) -> None:
                progress(f"{what} ({when})", done, total)

            own = replace(settings, model=model)
            index_dir = folder / when / "index"
            (dense, search), _ = score_stages(own, collection, index_dir, ("dense", "maxsim"), progress=tell)
            encoder = models.open_encoder(models.prepare(model))
            queries = np.stack([encoder.encode_query(text).vector for text in task.queries])
            general = task.ndcg(queries, encoder.encode_passages(task.passages).vectors)
            values.append((search.by_query.ndcg_10, dense.by_query.ndcg_10, general))
    finally:
        if known is None:  # else it is one that was kept before, and is used
            models.forget_prepared(fingerprint)
    notes = [item.target for item in data.test]
    rows = zip(
        ("search", "vectors alone", "general English"), *values, (notes, notes, range(len(general))), strict=True
    )
    return tuple(Outcome.of(*row) for row in rows)


@contextmanager
def _only_one(folder: Path) -> Iterator[Path]:
    """Gives a working folder in this one, and sees to it that nobody else tunes here meanwhile."""
    from filelock import FileLock, Timeout

    try:
        make_private_folder(folder)
        with FileLock(folder / _LOCK, timeout=0, mode=0o600), working_folder(folder, _UNFINISHED) as temporary:
            yield temporary
    except Timeout as error:
        raise IndexBusy(f"another process is tuning in {folder}", "Try again when it has finished.") from error
    except OSError as error:
        raise ModelError(f"cannot write to {folder}: {error.strerror or error}", "Is the disk full?") from error


def _require_free(output: Path) -> None:
    """Says at once, and not after minutes, that nothing can be put in a place."""
    if output.exists():
        raise UsageError(f"there is something at {output} already", "Name a folder that is not there yet.")
    existing = next(path for path in output.parents if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise UsageError(f"nothing can be written into {existing}", "Name another place: --output DIR")


def _training_key(config: EncoderConfig, data: TuningData, options: TuningOptions) -> str:
    """Says which training a checkpoint is of."""
    pairs = [(pair.query, pair.passage, pair.negative, sorted(pair.groups)) for pair in data.pairs]
    digest = hashlib.sha256(repr(pairs).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{config.fingerprint}-{options.recipe}-{version('torch')}-{digest}-{options.seed}"


def _keep(tuner: Tuner, report: TuningReport, data: TuningData, target: Path) -> None:
    """Puts the tuned encoder where it is to be: complete, with its card, or not at all."""
    try:
        with working_folder(target.parent, _UNFINISHED) as folder:
            tuner.save(report.weight, folder / "model")
            write_card(folder / "model", report, data.learnt_from)
            seal(folder / "model")
            (folder / "model").rename(target)
    except OSError as error:
        raise ModelError(f"cannot write {target}: {error.strerror or error}", "Name another: --output DIR") from error


def _given_pairs(
    reader: IndexReader, settings: Settings, options: TuningOptions
) -> tuple[list[TextPair], list[Skipped]]:
    """The pairs that the owner has given, and the accepted results that no passage was found for."""
    pairs = read_pair_file(options.pairs_file) if options.pairs_file else []
    accepted, skipped = read_accepted(settings.index_dir)
    numbers = {path: note_id for note_id, (path, _) in reader.folders_of_notes().items()}
    for result in accepted:
        if result.path in numbers:
            chunk = _accepted_chunk(reader.chunks_of_notes([numbers[result.path]]), result)
            pairs.append(TextPair("accepted", result.query, chunk.text, notes=(result.path,)))
        else:
            skipped.append(Skipped(result.path, f"accepted for {result.query!r}, but not in the index"))
    return pairs, skipped


def _accepted_chunk(chunks: Sequence[StoredChunk], result: Accepted) -> StoredChunk:
    """The chunk that a line is in, or the nearest one: a line may be of the front matter, or gone since."""
    return min(chunks, key=lambda chunk: max(chunk.start_line - result.line, result.line - chunk.end_line, 0))


def accepted_file(index_dir: Path) -> Path:
    """Where an index's accepted results are kept, whether there are any or not."""
    return index_dir / _ACCEPTED


def add_accepted(index_dir: Path, results: Iterable[Accepted]) -> None:
    """Adds results to those accepted before.

    Raises:
        StoreError: They cannot be written.
    """
    file = accepted_file(index_dir)
    try:
        append_jsonl(file, map(asdict, results))
    except OSError as error:
        raise StoreError(f"cannot write {file}: {error.strerror or error}", "Is the disk full?") from error


def read_accepted(index_dir: Path) -> tuple[list[Accepted], list[Skipped]]:
    """Reads the accepted results, each once, and the lines that hold none.

    Raises:
        StoreError: They cannot be read.
    """
    file = accepted_file(index_dir)
    try:
        lines = read_own_jsonl(file)
    except OSError as error:
        raise StoreError(f"cannot read {file}: {error.strerror or error}", "May you read it?") from error
    found: dict[Accepted, None] = {}
    skipped = []
    for number, record in lines:
        values = [record.get(name) for name in ("query", "path", "line")]
        if [type(value) for value in values] == [str, str, int]:
            found[Accepted(*values)] = None  # type: ignore[arg-type]
        else:
            skipped.append(Skipped(f"{file}, line {number}", "not an accepted result"))
    return list(found), skipped
