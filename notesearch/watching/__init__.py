"""Keeping an index in step with its folders for as long as the process runs."""

from notesearch.watching.events import EventsLost, file_changes
from notesearch.watching.loop import Watch

__all__ = ["EventsLost", "Watch", "file_changes"]
