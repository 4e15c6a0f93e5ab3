"""notesearch as a library: find out what is wrong with an index and all that it needs, and put it right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from notesearch.doctor_api.checks import Check, guarded
from notesearch.doctor_api.database import DatabaseState, checks_of, look_at_database
from notesearch.doctor_api.models import check_classifiers, check_model, check_tuned_models
from notesearch.doctor_api.place import (
    check_directory,
    check_leftovers,
    check_permissions,
    check_writer,
    damaged_databases,
)
from notesearch.doctor_api.repairs import repair
from notesearch.doctor_api.surroundings import (
    check_accepted,
    check_folders,
    check_journals,
    check_machine,
    versions,
)
from notesearch.errors import IndexMissing, StoreError
from notesearch.settings import Settings
from notesearch.storage.database import HOW_TO_INDEX, database_file
from notesearch.storage.survey import IndexSurvey

__all__ = ["Check", "Examination", "examine", "repair"]


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found out about an index.

    Attributes:
        checks: All checks that could be made, in an order to read them in.
        versions: Of notesearch and of what it stands on, by name.
    """

    checks: tuple[Check, ...]
    versions: dict[str, str]

    @property
    def all_well(self) -> bool:
        """Whether nothing is wrong; there may be warnings."""
        return all(check.state != "wrong" for check in self.checks)


def examine(settings: Settings) -> Examination:
    """Checks an index and all that it needs; changes nothing.

    Raises:
        IndexMissing: Nothing has been indexed there.
        StoreError: The index directory cannot be looked into.
    """
    _require_index(settings.index_dir)
    return Examination(tuple(_checks(settings)), versions())


def _require_index(index_dir: Path) -> None:
    try:
        there = database_file(index_dir).exists()
    except OSError as error:
        raise StoreError(
            f"cannot look into {index_dir}: {error.strerror}", "Mend its permissions, or name another: --index-dir."
        ) from error
    if not there and not damaged_databases(index_dir):
        raise IndexMissing(f"there is no index in {index_dir}", HOW_TO_INDEX)


def _checks(settings: Settings) -> Iterator[Check]:
    index_dir = settings.index_dir
    yield from guarded("directory", partial(check_directory, index_dir))
    yield from guarded("permissions", partial(check_permissions, index_dir))
    yield from guarded("database", partial(_check_database, settings))
    yield from guarded("classifiers", partial(check_classifiers, index_dir))
    yield from guarded("tuned models", partial(check_tuned_models, index_dir))
    yield from guarded("tag journals", partial(check_journals, settings))
    yield from guarded("accepted", partial(check_accepted, index_dir))
    yield from guarded("writer", partial(check_writer, index_dir))
    yield from guarded("leftovers", partial(check_leftovers, settings))
    yield from guarded("machine", check_machine)


def _check_database(settings: Settings) -> Iterator[Check]:
    index_dir = settings.index_dir
    if not database_file(index_dir).exists():
        what = "there is no index any more: it was damaged, and put aside"
        yield Check("database", "wrong", what, "Name your folders: notesearch index FOLDER")
        return
    state = look_at_database(index_dir)
    yield from checks_of(state)
    if not state.damage:
        yield from guarded("folders", partial(_check_folders, index_dir))
        yield from guarded("model", partial(_check_model, index_dir, state))


def _check_folders(index_dir: Path) -> Iterator[Check]:
    with closing(IndexSurvey(index_dir)) as survey:
        yield from check_folders(survey)


def _check_model(index_dir: Path, state: DatabaseState) -> Iterator[Check]:
    assert state.fingerprint is not None  # or it would be damaged
    yield from check_model(index_dir, state.fingerprint)
