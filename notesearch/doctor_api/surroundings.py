"""What an index has to do with: the folders of notes, what was written into them, and the machine."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from notesearch import __version__
from notesearch.doctor_api.checks import Check
from notesearch.encoders.models import cpu_flags
from notesearch.encoders.onnx_forward import available_cores
from notesearch.errors import StoreError
from notesearch.library.tag import journal_dir
from notesearch.library.tune import accepted_file, read_accepted
from notesearch.settings import Settings
from notesearch.storage.survey import IndexSurvey
from notesearch.writeback.journal import opened_journal

_PACKAGES = ("numpy", "onnxruntime", "hnswlib", "tokenizers")


def check_folders(survey: IndexSurvey) -> Iterator[Check]:
    """Whether the folders that the index covers can be reached."""
    folders = [Path(folder) for folder in survey.folders()]
    missing = [folder for folder in folders if not os.access(folder, os.R_OK | os.X_OK) or not folder.is_dir()]
    for folder in missing:
        hint = f"Is its disk mounted? If it is gone for good: notesearch index --forget {folder}"
        yield Check("folders", "warning", f"cannot read {folder}; its notes are kept", hint)
    if not folders:
        yield Check("folders", "warning", "the index covers no folder", "Name one: notesearch index FOLDER")
    elif len(missing) < len(folders):
        shown = str(folders[0]) if len(folders) == 1 else f"{len(folders) - len(missing)} can be read"
        yield Check("folders", "ok", shown)


def check_journals(settings: Settings) -> Iterator[Check]:
    """Whether what was written into notes can be undone."""
    sound = 0
    for path in sorted(journal_dir(settings).glob("*.jsonl")):
        try:
            with opened_journal(path) as entries:
                complete = path.read_bytes().endswith(b"\n")
        except StoreError as error:
            if isinstance(error.__cause__, BlockingIOError):
                yield Check("tag journals", "ok", "tags are being written now")
            else:
                yield Check("tag journals", "wrong", error.message, error.hint)
            continue
        if complete:
            sound += 1
        else:
            what = f"{path.name} ends in the middle of a line: that run was killed after {len(entries)} notes"
            yield Check("tag journals", "warning", what, "To take back what it did: notesearch tag --undo")
    if sound:
        yield Check("tag journals", "ok", f"{sound} run{'' if sound == 1 else 's'} that can be undone")


def check_accepted(index_dir: Path) -> Iterator[Check]:
    """Whether the accepted results can be read."""
    accepted, skipped = read_accepted(index_dir)
    if skipped:
        what = f"{skipped[0].path}: {skipped[0].reason}; {len(skipped)} in all"
        yield Check("accepted", "warning", what, f"Those lines count for nothing: {accepted_file(index_dir)}")
    elif accepted:
        yield Check("accepted", "ok", f"{len(accepted)} results")


def check_machine() -> Iterator[Check]:
    """What of this machine decides how fast and how exactly models run."""
    flags = cpu_flags()
    features = [
        name
        for name, wanted in (
            ("VNNI", {"avx512_vnni", "avx_vnni"}),
            ("bf16 by AMX", {"amx_bf16"}),
            ("bf16 by AVX-512", {"avx512_bf16"}),
        )
        if wanted & flags
    ]
    bits = 64 if sys.maxsize > 2**32 else 32
    about = ", ".join([platform.machine(), f"{bits}-bit Python", f"{available_cores()} cores", *features])
    if bits < 64:
        yield Check("machine", "warning", about, "Use a 64-bit Python: large indexes do not fit into this one.")
    elif flags and "VNNI" not in features:
        yield Check("machine", "ok", f"{about}; no VNNI: models may run in float32, which takes twice as long")
    else:
        yield Check("machine", "ok", about)


def versions() -> dict[str, str]:
    """Versions of what decides what notesearch does."""
    found = {
        "notesearch": __version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found
