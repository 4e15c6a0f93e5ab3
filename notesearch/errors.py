"""Every error that notesearch raises on purpose.

NotesearchError               message, hint, exit code; printed in one place, `cli.main`
├── UsageError                a request that makes no sense: an empty query, a bad date
│   └── TooFewTags            too few notes have tags to learn from
├── SettingsError             the settings file is wrong
├── NoteUnreadable            one note could not be read; the run goes on without it
├── NoteNotWritable           tags could not be written into one note; the run goes on without it
├── FolderUnreadable          a folder to index is missing, is no folder, or may not be read
├── ModelError                a model is unknown, damaged, unsafe or not fetched yet
└── StoreError                the index directory cannot be used
    ├── IndexMissing          nothing has been indexed there
    ├── OtherIndexVersion     made by another version of notesearch
    ├── IndexMismatch         made with another model or other settings
    ├── IndexBusy             another process is writing
    └── IndexDamaged          SQLite says that the file is not sound
"""

from __future__ import annotations

# Exit statuses, with 0 for done or found, 130 for Ctrl-C and 143 for SIGTERM.
NOTHING_FOUND = 1  # or, of a check: something is wrong
ERROR = 2
NOTES_UNREAD = 3  # `index` is done, but some notes could not be read
BUSY = 4


class NotesearchError(Exception):
    """Base of all errors shown to a user.

    Attributes:
        message: One line that says what is wrong.
        hint: One line that says what to do; may be empty.
        exit_code: Exit status of the command.
    """

    exit_code = ERROR

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = shortened(message)
        self.hint = shortened(hint)

    def __str__(self) -> str:
        return self.message


# Nobody reads more; a path of some depth fits.
_MOST_MESSAGE_CHARS = 1_000
_SHOWN_CHARS = 300


def shortened(message: str) -> str:
    """A message that may quote what somebody typed, however long that is, at a length that can be read."""
    if len(message) <= _MOST_MESSAGE_CHARS:
        return message
    return f"{message[:_SHOWN_CHARS]} … {message[-_SHOWN_CHARS:]}"


def require_type(what: str, value: object, *kinds: type) -> None:
    """Checks an argument of a function that other programs call.

    Raises:
        UsageError: It is of another type.
    """
    if not isinstance(value, kinds):
        wanted = " or ".join("None" if kind is type(None) else kind.__name__ for kind in kinds)
        raise UsageError(f"{what} should be of type {wanted}, not {type(value).__name__}")


class UsageError(NotesearchError):
    """A request that makes no sense."""


class TooFewTags(UsageError):
    """Too few notes have tags to learn from."""


class SettingsError(NotesearchError):
    """The settings file is wrong."""


class NoteUnreadable(NotesearchError):
    """One note could not be read.

    Attributes:
        for_now: Whether it may be readable another time.
        by_rule: Whether nothing is wrong with it: it is encrypted, say. See `Skipped`.
    """

    def __init__(self, message: str, hint: str = "", *, for_now: bool = False, by_rule: bool = False) -> None:
        super().__init__(message, hint)
        self.for_now = for_now
        self.by_rule = by_rule


class NoteNotWritable(NotesearchError):
    """Tags could not be written into one note."""


class FolderUnreadable(NotesearchError):
    """A folder to index is missing, is no folder, or may not be read."""


class ModelError(NotesearchError):
    """A model is unknown, damaged, unsafe or not fetched yet."""


class StoreError(NotesearchError):
    """The index directory cannot be used."""


class IndexMissing(StoreError):
    """Nothing has been indexed there."""


class OtherIndexVersion(StoreError):
    """The index was made by another version of notesearch; `notesearch index` makes it anew."""


class IndexMismatch(StoreError):
    """The index was made with another model or other settings."""


class IndexBusy(StoreError):
    """Another process is writing to the index."""

    exit_code = BUSY


class IndexDamaged(StoreError):
    """The database file is not sound."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "Make it anew from the notes: notesearch doctor --repair")
