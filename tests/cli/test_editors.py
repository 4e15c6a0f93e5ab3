import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from notesearch.cli.editors import command_for, editor_command, obsidian_uri, open_in_editor, run
from notesearch.errors import NoteUnreadable, SettingsError
from notesearch.records import Place

NOTE = Path("/notes/a b.md")


@pytest.fixture(autouse=True)
def no_editor(monkeypatch):
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("editor", "command"),
    [
        ("vim", ["vim", "+7", "/notes/a b.md"]),
        ("nvim", ["nvim", "+7", "/notes/a b.md"]),
        ("vi", ["vi", "+7", "/notes/a b.md"]),
        ("/usr/bin/vim.basic", ["/usr/bin/vim.basic", "+7", "/notes/a b.md"]),
        ("emacs", ["emacs", "+7", "/notes/a b.md"]),
        ("emacs-29.1", ["emacs-29.1", "+7", "/notes/a b.md"]),
        ("emacsclient -nw -a ''", ["emacsclient", "-nw", "-a", "", "+7", "/notes/a b.md"]),
        ("nano", ["nano", "+7", "/notes/a b.md"]),
        ("micro", ["micro", "+7", "/notes/a b.md"]),
        ("kak", ["kak", "+7", "/notes/a b.md"]),
        ("hx", ["hx", "/notes/a b.md:7"]),
        ("helix", ["helix", "/notes/a b.md:7"]),
        ("subl --wait", ["subl", "--wait", "/notes/a b.md:7"]),
        ("zed", ["zed", "/notes/a b.md:7"]),
        ("code --wait", ["code", "--wait", "--goto", "/notes/a b.md:7"]),
        ("code-insiders", ["code-insiders", "--goto", "/notes/a b.md:7"]),
        ("codium", ["codium", "--goto", "/notes/a b.md:7"]),
        ("cursor", ["cursor", "--goto", "/notes/a b.md:7"]),
        ("'/opt/my editors/nvim' -u NONE", ["/opt/my editors/nvim", "-u", "NONE", "+7", "/notes/a b.md"]),
        ("ghostwriter", ["ghostwriter", "/notes/a b.md"]),
        ("flatpak run org.gnome.gedit", ["flatpak", "run", "org.gnome.gedit", "/notes/a b.md"]),
    ],
)
def test_the_conventions_of_editors(editor, command):
    assert editor_command(editor, Place(NOTE, 7)) == command


@pytest.mark.parametrize("editor", ["vim", "hx", "code", "ghostwriter"])
def test_without_a_line_there_is_only_the_file(editor):
    assert editor_command(editor, Place(NOTE)) == [editor, "/notes/a b.md"]


def test_a_home_directory_is_filled_in(monkeypatch):
    monkeypatch.setenv("HOME", "/home/nora")
    assert editor_command("~/bin/vim", Place(NOTE, 1))[0] == "/home/nora/bin/vim"


@pytest.mark.parametrize("editor", ["vim 'unclosed", "  "])
def test_what_is_no_command_is_refused(editor):
    with pytest.raises(SettingsError, match="is not a command"):
        editor_command(editor, Place(NOTE, 7))


def test_no_editor_is_told_with_what_to_do(tmp_path):
    note = tmp_path / "note.md"
    note.write_text("text")
    with pytest.raises(SettingsError, match="no editor was chosen") as caught:
        command_for(Place(note, 1))
    assert "VISUAL" in caught.value.hint


def test_a_note_that_is_gone_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("EDITOR", "vim")
    with pytest.raises(NoteUnreadable, match="is not there any more"):
        open_in_editor(Place(tmp_path / "gone.md", 1))


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("/notes/a b.md", "obsidian://open?path=%2Fnotes%2Fa%20b.md"),
        ("/notes/Übung & 50%.md", "obsidian://open?path=%2Fnotes%2F%C3%9Cbung%20%26%2050%25.md"),
        (os.fsdecode(b"/notes/\xff.md"), "obsidian://open?path=%2Fnotes%2F%FF.md"),
    ],
)
def test_obsidian_is_given_the_path_in_a_uri(path, uri):
    assert obsidian_uri(Path(path)) == uri


def test_an_editor_that_is_not_there_is_told():
    with pytest.raises(SettingsError, match="cannot run no-such-editor: No such file") as caught:
        run(["no-such-editor", "a"])
    assert caught.value.hint


def test_an_editor_that_fails_is_told_with_its_command():
    with pytest.raises(SettingsError, match="sh ended with status 3") as caught:
        run(["sh", "-c", "exit 3"])
    assert shlex.quote("exit 3") in caught.value.hint


def open_with(script: str, tmp_path, **options) -> int:
    """The exit status of a command that opens a note in an editor that is a shell script."""
    (tmp_path / "note.md").write_text("text")
    (tmp_path / "editor").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "editor").chmod(0o700)
    command = [sys.executable, "-m", "notesearch", "open", str(tmp_path / "note.md")]
    environment = {**os.environ, "EDITOR": str(tmp_path / "editor")}
    return subprocess.run(command, env=environment, timeout=60, **options).returncode


def test_what_an_editor_makes_has_the_modes_that_its_user_wants(tmp_path):
    """A command keeps what it makes from others; notes that an editor makes are the user's affair."""
    assert open_with(f"touch {tmp_path}/new.md", tmp_path, umask=0o027) == 0
    assert stat.S_IMODE((tmp_path / "new.md").stat().st_mode) == 0o640


def test_ctrl_c_is_for_the_editor(tmp_path):
    assert open_with("kill -INT $PPID", tmp_path) == 0
    # It begins with the usual disposition of the signal: a shell cannot be told apart that ignores it.
    assert open_with("kill -INT $$; touch ignored", tmp_path, cwd=tmp_path) == 2
    assert not (tmp_path / "ignored").exists()
