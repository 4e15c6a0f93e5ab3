"""Find your notes by meaning, offline, in a fraction of a second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from notesearch.library.search import Index, open_index
    from notesearch.records import Hit

__version__ = "0.1.0"
__all__ = ["Hit", "Index", "__version__", "open_index"]


def __getattr__(name: str) -> Any:
    # The command line imports this package too, and must not pay for what it may not use.
    if name in ("Index", "open_index"):
        from notesearch.library import search as api

        return getattr(api, name)
    if name == "Hit":
        from notesearch.records import Hit

        return Hit
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
