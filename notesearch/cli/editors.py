"""Opening a note at a line, by the conventions of the user's editor."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

from notesearch.cli.process import USERS_UMASK
from notesearch.errors import NoteUnreadable, SettingsError
from notesearch.file_kinds import is_document, kind_of
from notesearch.records import Place

_PLUS_LINE = "emacs emacsclient ex gedit gvim joe kak micro mvim nano nvim pico vi view vim xemacs".split()
_GOTO = "code code-insiders code-oss codium cursor vscodium windsurf".split()
_COLON_LINE = "helix hx subl sublime_text zed zeditor".split()
# Debian's vim.basic, emacs-29.1
_VARIANT = re.compile(r"(\.[a-z]\w*|-?\d[\d.]*)$")
_HOW_TO_SET = 'Say which in VISUAL or EDITOR, or in the settings file: editor = "nvim"'


def editor_command(editor: str, place: Place) -> list[str]:
    """The command that opens a place; an editor whose conventions are unknown is given the file alone.

    Args:
        editor: The editor as a shell command, perhaps with arguments.
        place: A note, or a line of one.

    Raises:
        SettingsError: It is not a command.
    """
    try:
        program, *arguments = shlex.split(editor)
    except ValueError as error:  # a quotation mark is not closed, or there is nothing
        raise SettingsError(f"the editor {editor!r} is not a command: {error}", _HOW_TO_SET) from error
    # os.path's leaves the name of an unknown user as it is; Path's raises.
    command = [os.path.expanduser(program), *arguments]  # noqa: PTH111
    path = str(place.path)
    name = _name_of(program)
    if place.line is None:
        return [*command, path]
    if name in _PLUS_LINE:
        return [*command, f"+{place.line}", path]
    if name in _GOTO:
        return [*command, "--goto", f"{path}:{place.line}"]
    if name in _COLON_LINE:
        return [*command, f"{path}:{place.line}"]
    return [*command, path]


def open_in_editor(place: Place) -> None:
    """Opens a place in the user's editor, and waits until that ends.

    Raises:
        NoteUnreadable: The note is not there.
        SettingsError: No editor was chosen, or it cannot be run, or it fails.
    """
    run(command_for(place))


def command_for(place: Place) -> list[str]:
    """The command that opens a place in the user's editor; a PDF or other document, in the program for such files.

    Raises:
        NoteUnreadable: The note is not there.
        SettingsError: No editor was chosen, or it is not a command; or no program here opens documents.
    """
    from notesearch.settings import load_settings

    require_file(place.path)
    if is_document(place.path):
        if program := opener():
            return [program, str(place.path)]
        raise SettingsError(f"nothing here opens {kind_of(place.path)} files", "Install xdg-utils, for xdg-open.")
    editor = load_settings().editor
    if not editor or not editor.strip():
        raise SettingsError("no editor was chosen", _HOW_TO_SET)
    return editor_command(editor, place)


def require_file(path: Path) -> None:
    """Raises NoteUnreadable where a note is not there any more, or is a folder."""
    if path.is_dir():
        raise NoteUnreadable(f"{path} is a folder", "Name a note in it.")
    if not path.is_file():
        raise NoteUnreadable(f"{path} is not there any more", "If it has moved: notesearch index, then search again.")


def obsidian_uri(path: Path) -> str:
    """The URI by which Obsidian opens a note of any of its vaults."""
    return f"obsidian://open?path={quote(os.fsencode(path), safe='')}"


def opener() -> str | None:
    """The program that opens URIs and files of all kinds, if there is one."""
    return shutil.which("open" if sys.platform == "darwin" else "xdg-open")


def run(command: list[str]) -> None:
    """Runs a command in this terminal, and waits until it ends.

    Raises:
        SettingsError: It cannot be run, or it fails.
    """
    # Ctrl-C is for the editor: a handler, unlike SIG_IGN, is not what the editor begins with.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        status = subprocess.Popen(command, umask=USERS_UMASK).wait()
    except OSError as error:
        raise SettingsError(f"cannot run {command[0]}: {error.strerror}", _HOW_TO_SET) from error
    finally:
        signal.signal(signal.SIGINT, before)
    if status:
        raise SettingsError(f"{command[0]} ended with status {status}", f"The command was: {shlex.join(command)}")


def _name_of(program: str) -> str:
    name = Path(program).name.lower()
    known = {*_PLUS_LINE, *_GOTO, *_COLON_LINE}
    while name not in known and (shorter := _VARIANT.sub("", name)) != name:
        name = shorter
    return name
