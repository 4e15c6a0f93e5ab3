"""The checks that `doctor` makes: each looks at one thing that an index needs, and says what it has found."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np

from notesearch import __version__
from notesearch.encoders import PreparedModel, models
from notesearch.encoders.forward import available_cores, cpu_flags
from notesearch.encoders.preparing import prepared_directory
from notesearch.errors import IndexBusy, ModelError, OtherIndexVersion, StoreError
from notesearch.files import is_locked
from notesearch.library.status import unfinished
from notesearch.library.tag import journal_dir
from notesearch.library.tune import accepted_file, read_accepted
from notesearch.settings import DEFAULT_MODEL, Settings, cache_dir
from notesearch.storage import Fingerprint, IndexReader
from notesearch.storage.check import IndexCheck, full_text_fits
from notesearch.storage.database import database_file, writer_is_at_work
from notesearch.storage.folders import Coverage, read_coverage
from notesearch.tagging.classifier import classifiers_dir, load_classifier
from notesearch.writeback.journal import read_journal

# What the libraries raise that damaged files go through.
BY_DAMAGE = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)
_REPAIR = "Repair it: notesearch doctor --repair"
# All that notesearch keeps in an index directory. What else is there is not its business.
_OWN = "notes.db* rebuilt.db* folders.json* vectors.hnsw* *.lock *.jsonl tag-journals classifiers models"
# What only a process makes that holds the writer's lock, until it is done.
_OF_WRITER = ("folders.json.new", "vectors.hnsw.new", "rebuilt.db*")
_SPARE_BYTES = 50_000_000
_SAMPLE_CHUNKS = 5
# Int8 and bf16 give vectors of one text whose cosine is seldom below 0.98; another model gives anything.
_LEAST_COSINE = 0.9
_FAST_ARITHMETIC = {"avx512_vnni", "avx_vnni", "amx_bf16", "avx512_bf16"}


@dataclass(frozen=True, slots=True)
class Check:
    """What a check has found.

    Attributes:
        check: What was checked.
        state: `wrong` where something does not work as it should, `warning` where it may soon not.
        message: One line on what is the matter.
        hint: One line on what to do; empty where there is nothing to do.
    """

    check: str
    state: Literal["ok", "warning", "wrong"]
    message: str
    hint: str = ""


def _is_well(check: str, fault: str, all_well: str, hint: str = _REPAIR) -> Check:
    return Check(check, "wrong", fault, hint) if fault else Check(check, "ok", all_well)


def _check_directory(settings: Settings) -> Iterator[Check]:
    """Whether the directory can be read and written, has room for a rebuild, and is private to its owner."""
    index_dir = settings.index_dir
    if not os.access(index_dir, os.R_OK | os.X_OK):
        yield Check("directory", "wrong", f"may not read {index_dir}", "Mend its permissions.")
        return
    if os.access(index_dir, os.W_OK) and not os.statvfs(index_dir).f_flag & os.ST_RDONLY:
        yield Check("directory", "ok", str(index_dir))
    else:
        hint = "Searches work; to index, mend its permissions, or choose another one with --index-dir."
        yield Check("directory", "warning", f"may not write {index_dir}", hint)
    free = shutil.disk_usage(index_dir).free
    needed = 2 * sum(path.stat().st_size for path in index_dir.glob("notes.db*")) + _SPARE_BYTES
    if free < needed:
        what = f"{free / 1e6:,.0f} MB free; indexing may need {needed / 1e6:,.0f} MB"
        yield Check("space", "warning", what, "Free some space: an index that cannot grow stays as it is.")
    else:
        yield Check("space", "ok", f"{free / 1e9:,.1f} GB free")
    public = public_paths(index_dir)
    if files := [path for path in public if not path.is_dir()]:
        yield Check("permissions", "wrong", f"other users may read {_first_of(files)}", _REPAIR)
    elif public:
        yield Check("permissions", "warning", f"other users may look into {public[0]}", _REPAIR)
    else:
        yield Check("permissions", "ok", "private to their owner")


def public_paths(index_dir: Path) -> list[Path]:
    """The folders and files of an index that are not private to their owner."""
    own = [path for pattern in _OWN.split() for path in index_dir.glob(pattern)]
    below = [path for folder in own if folder.is_dir() and not folder.is_symlink() for path in folder.rglob("*")]
    # A directory that holds other things too is left as its owner wants it.
    alone = [index_dir] if set(index_dir.iterdir()) <= set(own) else []
    found = (path for path in (*alone, *own, *below) if not path.is_symlink())
    return [path for path in found if stat.S_IMODE(path.stat().st_mode) & 0o077]


def _check_database(settings: Settings) -> Iterator[Check]:
    """Whether `notes.db` is sound, its tables fit together, and what is derived from them fits them."""
    index_dir = settings.index_dir
    try:
        with IndexCheck(index_dir) as index:
            broken = index.damage()
            faults = [] if broken else index.faults()
            vector_file_fault = index.vector_file_fault()
    except OtherIndexVersion:
        raise
    except StoreError as error:
        broken = error.message
    yield _is_well("database", broken, "notes.db is sound")
    if broken:
        return
    yield _is_well("rows", "; ".join(faults), "notes, chunks, vectors and token codes fit together")
    yield _is_well("vector file", vector_file_fault, "as written, or not needed")
    try:
        fault = "" if full_text_fits(index_dir) else "the full-text index does not fit the notes"
        yield _is_well("words", fault, "the full-text index fits the notes")
    except StoreError as error:
        # Where the file may be written, it is by what it reads there that SQLite cannot.
        damaged = all(os.access(path, os.W_OK) for path in (index_dir, database_file(index_dir)))
        fault = f"not checked: {error.message}"
        if damaged and not isinstance(error, IndexBusy):
            yield Check("words", "wrong", fault, _REPAIR)
        else:
            yield Check("words", "warning", fault)


def coverage_of(index_dir: Path) -> Coverage:
    """What an index covers, by `notes.db` where that can be read, else by the list beside it."""
    with suppress(StoreError, *BY_DAMAGE), IndexReader(index_dir) as index:
        return Coverage(tuple(Path(folder) for folder in index.folders()), index.fingerprint)
    return read_coverage(index_dir)


def _check_folders(settings: Settings) -> Iterator[Check]:
    """Whether the folders that the index covers are listed beside it, can be read, and are those that are wanted."""
    covered = coverage_of(settings.index_dir)
    listed = read_coverage(settings.index_dir).folders
    if not set(covered.folders) <= set(listed):
        yield Check("folder list", "warning", "folders.json does not list all folders of the index", _REPAIR)
    for folder in _outside(listed, covered.folders):
        hint = f"Index it: notesearch index {folder}, or take it out: notesearch index --forget {folder}"
        yield Check("folders", "warning", f"folders.json lists {folder}, but the index does not cover it", hint)
    missing = [folder for folder in covered.folders if not is_readable(folder)]
    for folder in missing:
        hint = f"Is its disk mounted? If it is gone for good: notesearch index --forget {folder}"
        yield Check("folders", "warning", f"cannot read {folder}; its notes are kept", hint)
    named = [Path(os.path.realpath(folder)) for folder in settings.folders or ()]
    for folder in _outside(named, covered.folders):
        what = f"the settings name {folder}, but the index does not cover it"
        yield Check("folders", "warning", what, "Index it, with -c as here: notesearch index")
    for folder in _outside(covered.folders, named) if named else ():
        what = f"the index covers {folder}, but the settings do not name it"
        yield Check("folders", "warning", what, "Take it out, with -c as here: notesearch index --forget")
    if found := unfinished(settings):
        yield Check("folders", "warning", f"the first run is not finished, {found}", "Go on with it: notesearch index")
    if not covered.folders:
        yield Check("folders", "warning", "the index covers no folder", "Name one: notesearch index FOLDER")
    elif len(missing) < len(covered.folders):
        some = f"{len(covered.folders) - len(missing)} can be read"
        yield Check("folders", "ok", some if len(covered.folders) > 1 else str(covered.folders[0]))


def _outside(folders: Iterable[Path], others: Sequence[Path]) -> list[Path]:
    return [folder for folder in folders if not any(folder.is_relative_to(other) for other in others)]


def is_readable(folder: Path) -> bool:
    """Whether a folder is there, and we may look into it."""
    return folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)


def _check_model(settings: Settings) -> Iterator[Check]:
    """Whether the model of an index is there, as it was, and gives the vectors that the index holds."""
    made_with = coverage_of(settings.index_dir).fingerprint
    if made_with is None:
        return
    try:
        other = _other_model(made_with)
        fault = f"{other} is no longer the one that this index was made with" if other else ""
    except ModelError as error:
        fault = error.message
    prepared = models.find_prepared(made_with.encoder, thoroughly=True)
    is_damaged = prepared is None and prepared_directory("bi-encoder", made_with.encoder).exists()
    about = f"{made_with.model}, {prepared.precision if prepared else 'to be prepared by the next command'}"
    hint = f"Make the index anew, with a model of your choice: notesearch index --rebuild --model {DEFAULT_MODEL}"
    yield _is_well("model", fault, about, hint)
    if fault or (prepared is None and not is_damaged):
        return
    if prepared is None:
        fault = f"what was prepared of the model {made_with.model} is damaged"
    elif (cosine := _agreement(settings.index_dir, prepared)) < _LEAST_COSINE:
        fault = f"the model {made_with.model} gives other vectors than those of the index (cosine {cosine:.2f})"
    hint = f"{_REPAIR}; if that does not help: notesearch index --rebuild"
    yield _is_well("prepared model", fault, "gives the vectors of the index", hint)


def _other_model(made_with: Fingerprint) -> str:
    """The model whose files are not those that the index was made with any more; empty where there is none.

    The files of a model of the hub are not looked for: that might fetch them.

    Raises:
        ModelError: The files are gone or damaged.
    """
    name, token_model = made_with.model, made_with.token_model
    at_hand = name == DEFAULT_MODEL or Path(name).is_absolute()
    if at_hand and models.fingerprint_of(name) != made_with.encoder:
        return f"the model {name}"
    token_encoder = made_with.token_encoder
    if Path(token_model).is_absolute() and models.fingerprint_of(token_model, "multi-vector") != token_encoder:
        return f"the token model {token_model}"
    return ""


def _agreement(index_dir: Path, prepared: PreparedModel) -> float:
    """The median cosine between what the index holds of some chunks and what the model makes of them now."""
    with suppress(StoreError), IndexCheck(index_dir) as index:  # a damaged index says nothing of the model
        passages, vectors = index.sample_passages(_SAMPLE_CHUNKS)
        if passages:
            now = models.open_encoder(prepared).encode_passages(passages).vectors
            return float(np.nan_to_num(np.median((now * vectors).sum(axis=1)), nan=0.0))
    return 1.0


def _check_trained(settings: Settings) -> Iterator[Check]:
    """Whether all trained classifiers and tuned models can be loaded."""
    yield from _check_each("classifiers", classifiers_dir(settings.index_dir), load_classifier, "")
    yield from _check_each("tuned models", settings.index_dir / "models", _read_tuned, "Tune again: notesearch tune")


def _check_each(name: str, parent: Path, load: Callable[[Path], object], hint: str) -> Iterator[Check]:
    sound = []
    for directory in sorted(parent.glob("[!.]*/")):
        try:
            load(directory)
            sound.append(directory.name)
        except ModelError as error:
            yield Check(name, "wrong", error.message, error.hint or hint)
    if sound:
        yield Check(name, "ok", ", ".join(sound))


def _read_tuned(directory: Path) -> None:
    from safetensors import SafetensorError, safe_open

    models.fingerprint_of(str(directory))
    try:
        with safe_open(directory / "model.safetensors", framework="numpy"):
            pass
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{directory}: {error}") from error


def _check_journals(settings: Settings) -> Iterator[Check]:
    """Whether what was written into notes can be undone."""
    sound = 0
    for path in sorted(journal_dir(settings).glob("*.jsonl")):
        try:
            entries = read_journal(path)
            complete = path.read_bytes().endswith(b"\n")
        except StoreError as error:
            busy = isinstance(error, IndexBusy)
            yield _is_well("tag journals", "" if busy else error.message, "tags are being written now", error.hint)
            continue
        sound += complete
        if not complete:
            what = f"{path.name} ends in the middle of a line: that run was killed after {len(entries)} notes"
            yield Check("tag journals", "warning", what, "To take back what it did: notesearch tag --undo")
    if sound:
        yield Check("tag journals", "ok", f"{sound} run{'' if sound == 1 else 's'} that can be undone")


def _check_accepted(settings: Settings) -> Iterator[Check]:
    """Whether the accepted results can be read."""
    accepted, skipped = read_accepted(settings.index_dir)
    if skipped:
        what = f"{skipped[0].path}: {skipped[0].reason}; {len(skipped)} in all"
        yield Check("accepted", "warning", what, f"Those lines count for nothing: {accepted_file(settings.index_dir)}")
    elif accepted:
        yield Check("accepted", "ok", f"{len(accepted)} results")


def _check_processes(settings: Settings) -> Iterator[Check]:
    """Whether a process is writing, and what processes that were killed have left behind."""
    busy = writer_is_at_work(settings.index_dir)
    yield Check("writer", "ok", f"{'a process' if busy else 'nobody'} is writing to the index now")
    if left := leftovers(settings, of_writer=not busy):
        yield Check("leftovers", "warning", f"of runs that were killed: {_first_of(left)}", _REPAIR)
    else:
        yield Check("leftovers", "ok", "none")


def leftovers(settings: Settings, *, of_writer: bool) -> list[Path]:
    """Files and folders of processes that are no more.

    Args:
        settings: Which index.
        of_writer: Whether no writer can be at work, so that what only writers make is left over too.
    """
    index_dir, cache = settings.index_dir, cache_dir()
    found = [path for pattern in _OF_WRITER for path in sorted(index_dir.glob(pattern))] if of_writer else []
    # Made by `private.working_folder`, and locked as long as they are used.
    working = [*index_dir.glob("classifiers/.writing-*"), *index_dir.glob("models/.tuned-*"), *cache.glob(".eval-*")]
    working += cache.glob("*/.preparing-*")
    return [*found, *(path for path in working if not _is_used(path))]


def _is_used(path: Path) -> bool:
    try:
        return path.is_symlink() or is_locked(path)
    except OSError:  # gone meanwhile, or not ours to look into
        return True


def _check_machine(settings: Settings) -> Iterator[Check]:
    """What of this machine decides how fast and how exactly models run."""
    flags = cpu_flags()
    about = [platform.machine(), f"{available_cores()} cores", *sorted(_FAST_ARITHMETIC & flags)]
    if flags and not {"avx512_vnni", "avx_vnni"} & flags:
        about.append("no VNNI: models may run in float32, which takes twice as long")
    yield Check("machine", "ok", ", ".join(about))


def versions() -> dict[str, str]:
    """Versions of what decides what notesearch does."""
    packages = {name: version(name) for name in ("numpy", "onnxruntime", "hnswlib", "tokenizers")}
    own = {"notesearch": __version__, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    return own | packages


def _first_of(paths: list[Path]) -> str:
    return f"{paths[0]} and {len(paths) - 1} more" if len(paths) > 1 else str(paths[0])


# By the name that a finding has where a check could not be made.
CHECKS: dict[str, Callable[[Settings], Iterator[Check]]] = {
    "directory": _check_directory,
    "database": _check_database,
    "folders": _check_folders,
    "model": _check_model,
    "classifiers": _check_trained,
    "tag journals": _check_journals,
    "accepted": _check_accepted,
    "leftovers": _check_processes,
    "machine": _check_machine,
}
