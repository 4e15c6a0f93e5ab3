"""Tuning the bi-encoder of an index to its notes; the new one is kept only if it is better."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from notesearch.encoders import EncoderConfig, absolute_name, find_model, models
from notesearch.encoders.checkpoint import Checkpoint
from notesearch.encoders.pair_tuning import recipe
from notesearch.errors import IndexBusy, ModelError, UsageError
from notesearch.evaluation.collections import general_set
from notesearch.evaluation.known_items import find_known_items, read_learnt_from, read_notes
from notesearch.files import make_private_folder, seal
from notesearch.library.evaluate import Progress, files_of_index
from notesearch.records import Skipped
from notesearch.settings import Settings
from notesearch.storage import IndexReader, StoredChunk
from notesearch.tuning.accepted import Accepted, read_accepted
from notesearch.tuning.card import write_card
from notesearch.tuning.material import Material, gather
from notesearch.tuning.pair_file import read_pair_file
from notesearch.tuning.pairs import TextPair, count_sources
from notesearch.tuning.report import TuningReport
from notesearch.tuning.trainer import Trainer, choose_share
from notesearch.tuning.trial import hold_trial
from notesearch.tuning.verdict import decide

_MODELS = "models"
_CHECKPOINT = ".training.safetensors"
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
    """

    pairs_file: Path | None = None
    output: Path | None = None
    seed: int = 0


def tune(
    settings: Settings, options: TuningOptions, progress: Progress | None = None
) -> tuple[TuningReport, list[Skipped]]:
    """Tunes the encoder of an index to its notes.

    A run that was interrupted is gone on with by the next one, if notes and options are the same.

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
    source = find_model(model).directory
    config = models.prepare(model).config
    learnt_before = read_learnt_from(source)
    material = gather(notes, find_known_items(notes), given, learnt_before=learnt_before, seed=options.seed)
    folder = settings.index_dir / _MODELS
    with _only_one(folder):
        checkpoint = Checkpoint(folder / _CHECKPOINT, _training_key(config, material, options.seed))
        trainer = Trainer(source, config, material, general_set(), seed=options.seed, progress=tell)
        trainer.fit(checkpoint)
        report = _decide(settings, model, material, trainer, folder, tell)
        if report.kept:
            target = options.output or folder / f"tuned-{datetime.now():%Y%m%d-%H%M%S}"
            report = replace(report, directory=target)
            _keep(trainer, report, material, target)
        checkpoint.remove()
    return replace(report, seconds=time.monotonic() - started), [*skipped, *unreadable]


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Makes the folder, sees to it that nobody else tunes there meanwhile, and says so if it cannot be written."""
    from filelock import FileLock, Timeout

    try:
        make_private_folder(folder)
        with FileLock(folder / _LOCK, timeout=0, mode=0o600):
            for left in folder.glob(f"{_UNFINISHED}*"):  # by a run that was killed
                shutil.rmtree(left, ignore_errors=True)
            yield
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


def _decide(
    settings: Settings, model: str, material: Material, trainer: Trainer, folder: Path, tell: Progress
) -> TuningReport:
    """Chooses a share of the training, tries it out, and says whether it is to be kept.

    What it is tried out on, copies of the notes among it, lies in `folder` and is gone afterwards.
    """
    qualities = trainer.qualities()
    share = choose_share(qualities)
    trial = None
    if share:
        with tempfile.TemporaryDirectory(dir=folder, prefix=_UNFINISHED) as temporary:
            trainer.save(share, Path(temporary) / "model")
            trial = hold_trial(settings, model, Path(temporary), material, general_set(), tell)
    kept, verdict = decide(trial)
    return TuningReport(
        model=model,
        notes=len(material.notes),
        pairs=count_sources(material.pairs),
        qualities=tuple(qualities),
        share=share,
        trial=trial,
        kept=kept,
        verdict=verdict,
    )


def _training_key(config: EncoderConfig, material: Material, seed: int) -> str:
    return f"{config.fingerprint}-{recipe()}-{material.digest()}-{seed}"


def _keep(trainer: Trainer, report: TuningReport, material: Material, target: Path) -> None:
    """Puts the tuned encoder where it is to be: complete, with its card, or not at all."""
    unfinished = target.with_name(f"{_UNFINISHED}{target.name}")
    try:
        make_private_folder(target.parent)
        shutil.rmtree(unfinished, ignore_errors=True)  # by a run for the same place that was killed
        unfinished.mkdir(mode=0o700)
        try:
            trainer.save(report.share, unfinished / "model")
            write_card(unfinished / "model", report, material.learnt_from)
            seal(unfinished / "model")
            (unfinished / "model").rename(target)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
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
