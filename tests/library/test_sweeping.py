from pathlib import Path

import pytest

from notesearch.errors import UsageError
from notesearch.library.sweeping import is_sweeping, refuse_sweeping
from notesearch.settings import Settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory with a folder of notes, and two of its own files that could be taken for notes."""
    home = tmp_path / "homes" / "nora"
    (home / "notes").mkdir(parents=True)
    (home / "README.md").write_text("Of a program")
    (home / "notes/a.txt").write_text("A")
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.mark.parametrize(
    "folder", "/ /etc /etc/ssl /usr /usr/share/doc /var /var/lib /proc /root /home /home/max /Users/max".split()
)
def test_folders_of_everybody_are_sweeping(home: Path, folder: str) -> None:
    assert is_sweeping(Path(folder))


@pytest.mark.parametrize("folder", "/srv /srv/notes /mnt /home/max/notes /var/www/notes /opt/wiki /etcetera".split())
def test_other_folders_are_not(home: Path, folder: str) -> None:
    assert not is_sweeping(Path(folder))


def test_a_home_directory_and_what_is_above_it_are_sweeping(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_sweeping(home) and is_sweeping(home.parent)
    assert not is_sweeping(home / "notes")
    (tmp_path / "link").symlink_to(home)
    assert is_sweeping(tmp_path / "link")
    monkeypatch.chdir(home)
    assert is_sweeping(Path()) and is_sweeping(Path("notes/..")) and not is_sweeping(Path("notes"))


def test_notes_below_a_home_directory_are_meant_wherever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/usr/home/nora")
    assert is_sweeping(Path("/usr/home/nora")) and not is_sweeping(Path("/usr/home/nora/notes"))
    monkeypatch.setenv("HOME", "/")
    assert is_sweeping(Path("/usr/home/nora/notes"))


def test_a_system_that_is_mounted_is_sweeping(tmp_path: Path) -> None:
    for name in ("etc", "usr"):
        (tmp_path / name).mkdir()
    assert not is_sweeping(tmp_path)
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    assert is_sweeping(tmp_path)


def test_the_files_are_counted(home: Path, tmp_path: Path) -> None:
    refuse_sweeping(Settings(tmp_path / "index"), [home / "notes", home / "README.md", home / "absent"])
    with pytest.raises(UsageError, match="2 files would be taken for notes") as caught:
        refuse_sweeping(Settings(tmp_path / "index"), [home / "notes", home])
    assert "--yes" in caught.value.hint
