"""notesearch as a library: measure how good the search is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from notesearch.encoders import find_model, models
from notesearch.errors import UsageError
from notesearch.evaluation.collections import Collection, read_collection, read_run_for, write_corpus_as_notes
from notesearch.evaluation.known_items import choose_items, find_learnt, make_own_collection, read_notes
from notesearch.evaluation.report import Evaluation, StageScores, score_run, sum_up
from notesearch.files import Stamp, working_folder
from notesearch.library.index import sync_index
from notesearch.library.search import Index
from notesearch.notes import NoteFile, find_notes
from notesearch.records import Mode, Rerank, SearchStage, Skipped
from notesearch.settings import DEFAULT_MODEL, Settings, cache_dir
from notesearch.storage import IndexReader
from notesearch.storage.database import database_file

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""

DEFAULT_STAGES: tuple[SearchStage, ...] = ("lexical", "dense", "hybrid", "maxsim")
_SEARCHES: dict[SearchStage, tuple[str, Mode, Rerank]] = {
    "lexical": ("lexical", "lexical", "none"),
    "dense": ("dense", "dense", "none"),
    "hybrid": ("hybrid", "hybrid", "none"),
    "maxsim": ("hybrid + maxsim", "hybrid", "maxsim"),
    "cross-encoder": ("cross-encoder", "hybrid", "cross-encoder"),
}
# Notes made for an evaluation, within its work directory.
_EVALUATED_NOTES = "evaluated-notes"
_MEASURED_HITS = 100
# The most queries whose time is taken.
_MOST_TIMED = 50


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """What to measure, and on what.

    Attributes:
        directory: The documents; `None` for the notes of the index.
        qrels_file: The judgements, where they are not in the directory.
        topics_file: The queries, likewise.
        run_files: Runs of TREC to score beside the search, or instead of it where no stage is named.
        stages: The stages to score; none for the usual ones.
        max_queries: Where there are more queries, so many are taken; 0 for all (of one's own notes: 300 of a kind).
        worst: How many of the queries that a stage hurts most to show.
        work_dir: Where to keep the index (and the notes made for it) for the next time.
    """

    directory: Path | None = None
    qrels_file: Path | None = None
    topics_file: Path | None = None
    run_files: tuple[Path, ...] = ()
    stages: tuple[SearchStage, ...] = ()
    max_queries: int = 0
    worst: int = 0
    work_dir: Path | None = None


def evaluate(settings: Settings, options: EvaluationOptions, *, progress: Progress | None = None) -> Evaluation:
    """Scores stages of the search, and runs made elsewhere, on one collection.

    Without judgements, the collection is made of the notes themselves: see `evaluation.known_items`.

    Args:
        settings: The index whose notes are taken where no directory is given, with its models unless others are named;
            it is not touched. The models to use.
        options: What to measure, and on what.
        progress: Told how far it is.

    Raises:
        UsageError: The options do not go together, a file cannot be read, or the index kept is one of other notes.
        FolderUnreadable: The folder is missing, is no folder, or may not be read.
        ModelError: A model cannot be had.
        StoreError: No directory was given, and there is no index; or an index cannot be used.
    """
    judged = _has_judgements(options)
    if not judged and options.directory is None:
        settings = _with_models_of_index(settings)
    stages = _stages(settings, options)
    # What a run that was killed has left of the notes is deleted by the next.
    with working_folder(cache_dir(), ".eval-") as temporary:
        work_dir = (options.work_dir or temporary).absolute()
        collection = _read_judged(options, only_runs=not stages) if judged else _make_own(settings, options, work_dir)
        scores: list[StageScores] = []
        skipped: list[Skipped] = []
        if stages:
            missing = _missing(collection)
            scores, unindexed = score_stages(settings, collection, work_dir, stages, progress=progress)
            skipped = [*missing, *unindexed]
        for name, file in _named(options.run_files):
            run, unknown = read_run_for(collection, file)
            scores.append(score_run(name, run, collection))
            skipped += unknown
        return sum_up(collection, scores, skipped, worst=options.worst)


def score_stages(
    settings: Settings,
    collection: Collection,
    work_dir: Path,
    stages: Sequence[SearchStage],
    *,
    progress: Progress | None = None,
) -> tuple[list[StageScores], list[Skipped]]:
    """Scores stages of the search on a collection, in an index of its own.

    Args:
        settings: The models to use; the settings' own index is not touched.
        collection: What to measure on.
        work_dir: Where to keep the index, and the notes made from a corpus.
        stages: The stages, in the order wanted.
        progress: Told how far it is.

    Returns:
        The scores, and what could not be indexed.

    Raises:
        UsageError: The index kept there is one of other notes, or there are no notes.
        ModelError: A model cannot be had.
    """
    tell = progress or (lambda what, done, total: None)
    notes_dir, names = collection.notes_dir, collection.document_ids
    if collection.corpus_file:
        notes_dir = work_dir / _EVALUATED_NOTES
    assert notes_dir is not None
    _require_no_other_notes(work_dir, notes_dir)
    if collection.corpus_file:
        names = write_corpus_as_notes(collection.corpus_file, notes_dir)
    find_model(settings.model or DEFAULT_MODEL)
    no_notes = UsageError(f"there are no notes in {notes_dir}", "Give the folder that holds the documents.")
    # Both raise before an empty index is made.
    if not any(isinstance(file, NoteFile) for file in _files_below(settings, notes_dir)):
        raise no_notes
    own_settings = replace(settings, index_dir=work_dir)
    report = sync_index(own_settings, [notes_dir], progress=lambda done, total: tell("Indexing", done, total))
    if not report.notes:  # none could be read
        raise no_notes
    root = Path(os.path.realpath(notes_dir))
    skipped = [
        replace(entry, path=names.get(os.path.relpath(entry.path, root), entry.path)) for entry in report.skipped
    ]
    with Index(work_dir, settings.cross_encoder) as index:
        return [_score_stage(index, collection, stage, root, names, tell) for stage in stages], skipped


def files_of_index(index_dir: Path) -> Iterator[NoteFile | Skipped]:
    """The files of the notes that an index knows, and those that are not there any more.

    Raises:
        StoreError: There is no index, or it cannot be read.
    """
    with IndexReader(index_dir) as reader:
        paths = sorted(note.path for note in reader.notes(reader.note_ids()).values())
    for path in paths:
        try:
            status = Path(path).stat()
            yield NoteFile(Path(path), Stamp.of(status))
        except OSError as error:
            yield Skipped(path, (error.strerror or "cannot be read").lower(), for_now=True)


def _with_models_of_index(settings: Settings) -> Settings:
    """The settings with the models that their index was made with, where they name none."""
    with IndexReader(settings.index_dir) as reader:
        made_with = reader.fingerprint
    return replace(
        settings,
        model=settings.model or made_with.model,
        token_model=settings.token_model or made_with.token_model or None,
    )


def _stages(settings: Settings, options: EvaluationOptions) -> tuple[SearchStage, ...]:
    """The stages to score, in the order in which they build on each other."""
    if options.run_files and not options.stages:
        return ()
    usual = (*DEFAULT_STAGES, "cross-encoder") if settings.cross_encoder else DEFAULT_STAGES
    wanted = options.stages or usual
    if "cross-encoder" in wanted:
        if not settings.cross_encoder:
            raise UsageError(
                "no cross-encoder was chosen, and none comes with notesearch",
                "Name one with --cross-encoder: a directory, or a hub id to be fetched once.",
            )
        models.open_cross_encoder(settings.cross_encoder)  # what is wrong with it is told now, not after the indexing
    return tuple(stage for stage in _SEARCHES if stage in wanted)


def _has_judgements(options: EvaluationOptions) -> bool:
    if options.qrels_file or options.topics_file or options.run_files:
        return True
    directory = options.directory
    return directory is not None and any((directory / name).is_file() for name in ("queries.jsonl", "corpus.jsonl"))


def _read_judged(options: EvaluationOptions, *, only_runs: bool) -> Collection:
    if options.directory is None and not only_runs:
        raise UsageError("it was not said which documents to search", "Name their folder: notesearch eval DIR …")
    if options.directory is None and not options.qrels_file:
        raise UsageError("there is nothing to judge by", "Name the judgements: --qrels FILE")
    if options.directory is not None:
        next(find_notes(options.directory, max_bytes=0), None)  # raises where there is no such folder
    return read_collection(
        options.directory, qrels_file=options.qrels_file, topics_file=options.topics_file, only_runs=only_runs
    ).sampled(options.max_queries)


def _make_own(settings: Settings, options: EvaluationOptions, work_dir: Path) -> Collection:
    """A collection of the notes themselves."""
    folder = work_dir / _EVALUATED_NOTES
    _require_no_other_notes(work_dir, folder)
    # The path as it is in an index, and so in the record of a model that was tuned on it.
    root = options.directory and Path(os.path.realpath(options.directory))
    files = files_of_index(settings.index_dir) if root is None else _files_below(settings, root)
    notes, skipped = read_notes(files)
    model = find_model(settings.model or DEFAULT_MODEL).directory
    learnt = find_learnt(notes, model)
    items = choose_items(notes, options.max_queries, learnt=learnt, unreadable=skipped)
    if learnt:
        reason = f"no query asks for {len(learnt):,} of the notes: it was tuned on them"
        skipped = [Skipped(str(model), reason), *skipped]
    names = [str(note.path) if root is None else os.path.relpath(note.path, root) for note in notes]
    return replace(make_own_collection(notes, names, folder, items), skipped=tuple(skipped))


def _files_below(settings: Settings, folder: Path) -> Iterator[NoteFile | Skipped]:
    return find_notes(folder, max_bytes=settings.max_file_bytes, follow_symlinks=settings.follow_symlinks)


def _named(files: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Files by their names, or by their paths where they share a name."""
    names = [file.name for file in files]
    return ((name if names.count(name) == 1 else str(file), file) for name, file in zip(names, files, strict=True))


def _missing(collection: Collection) -> list[Skipped]:
    """Relevant documents that no search can find, since they are not there."""
    relevant = dict.fromkeys(document for gains in collection.qrels.values() for document in gains)
    missing = collection.missing_documents(relevant)
    if not missing:
        return []
    reason = f"{len(missing):,} of {len(relevant):,} relevant documents are not there, {missing[0]} for one"
    return [Skipped(str(collection.corpus_file or collection.notes_dir), reason)]


def _score_stage(
    index: Index, collection: Collection, stage: SearchStage, root: Path, names: Mapping[str, str], tell: Progress
) -> StageScores:
    name, mode, rerank = _SEARCHES[stage]
    index.search(next(iter(collection.queries.values())), mode=mode, rerank=rerank)  # opens what is opened once
    run = {}
    for number, (query_id, text) in enumerate(collection.queries.items()):
        tell(f"Searching: {name}", number, len(collection.queries))
        hits = index.search(text, limit=_MEASURED_HITS, mode=mode, rerank=rerank)
        below = (os.path.relpath(hit.path, root) for hit in hits)
        run[query_id] = [names.get(path, path) for path in below]
    timed = list(collection.queries.values())[:: -(-len(run) // _MOST_TIMED)]
    started = time.perf_counter()
    for text in timed:  # as many hits as a person asks for
        index.search(text, mode=mode, rerank=rerank)
    milliseconds = 1000 * (time.perf_counter() - started) / len(timed)
    return score_run(name, run, collection, ms_per_query=milliseconds, mode=mode, rerank=rerank)


def _require_no_other_notes(work_dir: Path, folder: Path) -> None:
    from notesearch.storage.writer import IndexWriter

    if not database_file(work_dir).exists():
        return
    with IndexWriter(work_dir) as writer:
        if {path for _, path in writer.folders()} - {Path(os.path.realpath(folder))}:
            raise UsageError(
                f"the index in {work_dir} holds other notes than {folder}", "Give eval a --work-dir of its own."
            )
