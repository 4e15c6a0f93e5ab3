import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from notesearch.errors import FolderUnreadable
from notesearch.notes import NoteFile, find_notes
from notesearch.records import Skipped


def write(root: Path, *names: str, content: str = "x") -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def walk(root: Path, max_bytes: int = 1000, follow_symlinks: bool = False) -> tuple[list[str], dict[str, str]]:
    """Names of the notes found, and reasons by name of what was skipped."""
    found = list(find_notes(root, max_bytes=max_bytes, follow_symlinks=follow_symlinks))
    notes = [str(item.path.relative_to(root)) for item in found if isinstance(item, NoteFile)]
    skipped = {item.path.removeprefix(f"{root}/"): item.reason for item in found if isinstance(item, Skipped)}
    return notes, skipped


def test_notes_are_found_by_suffix_in_order_of_names(tmp_path: Path) -> None:
    write(tmp_path, "b.md", "a.TXT", "c.markdown", "d.org", "e.rst", "sub/a.md", "Sub/b.md", "f.py", "g.png", "md")
    assert walk(tmp_path) == (["a.TXT", "b.md", "c.markdown", "d.org", "e.rst", "Sub/b.md", "sub/a.md"], {})


def test_a_note_file_has_its_stamp(tmp_path: Path) -> None:
    write(tmp_path, "a.md", content="12345")
    os.utime(tmp_path / "a.md", ns=(1, 1_700_000_000_000_000_007))
    (found,) = find_notes(tmp_path, max_bytes=10)
    assert isinstance(found, NoteFile)
    status = (tmp_path / "a.md").stat()
    assert (found.path, found.stamp[:2]) == (tmp_path / "a.md", (5, 1_700_000_000_000_000_007))
    assert found.stamp[2:] == (status.st_ctime_ns, status.st_ino)


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, ".hidden.md", ".git/a.md", "a.md")
    assert walk(tmp_path) == (["a.md"], {})


def test_a_hidden_root_is_walked(tmp_path: Path) -> None:
    write(tmp_path / ".notes", "a.md")
    assert walk(tmp_path / ".notes")[0] == ["a.md"]


def test_too_large(tmp_path: Path) -> None:
    write(tmp_path, "big.md", content="x" * 1001)
    write(tmp_path, "fits.md", content="x" * 1000)
    assert walk(tmp_path) == (["fits.md"], {"big.md": "too large (1,001 bytes, the limit is 1,000)"})


def test_special_files_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    os.mkfifo(tmp_path / ".gitignore")
    bound = socket.socket(socket.AF_UNIX)
    previous = Path.cwd()
    os.chdir(tmp_path)  # the path of a socket must be short
    try:
        bound.bind("socket.txt")
    finally:
        os.chdir(previous)
        bound.close()
    assert walk(tmp_path) == ([], {"pipe.md": "special file", "socket.txt": "special file"})


def test_symlinks(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    write(outside, "a.md", "folder/b.md")
    write(root, "real.md", "folder/c.md", ".store/kept.md", ".store/more/d.md")
    (root / "out.md").symlink_to(outside / "a.md")
    (root / "out").symlink_to(outside / "folder")
    (root / "again.md").symlink_to(root / "real.md")
    (root / "in.md").symlink_to(root / ".store/kept.md")
    (root / "more").symlink_to(root / ".store/more")
    (root / "broken.md").symlink_to(root / "nowhere.md")
    (root / "broken.png").symlink_to(root / "nowhere.png")
    (root / "self.md").symlink_to("self.md")
    (root / "folder/up").symlink_to(root)
    notes, skipped = walk(root)
    assert notes == ["real.md", "folder/c.md", "in.md", "more/d.md"]
    assert skipped == {
        "out.md": "symlink out of the folder",
        "out": "symlink out of the folder",
        "again.md": "symlink to something already found",
        "broken.md": "broken symlink",
        "self.md": "symlink loop",
        "folder/up": "symlink loop",
    }
    notes, skipped = walk(root, follow_symlinks=True)
    assert notes == ["real.md", "folder/c.md", "in.md", "more/d.md", "out/b.md", "out.md"]
    assert "out.md" not in skipped and skipped["folder/up"] == "symlink loop"


def test_links_between_folders_end(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    write(root, "a.md")
    write(outside, "b.md")
    (root / "to").symlink_to(outside)
    (outside / "back").symlink_to(root)
    notes, skipped = walk(root, follow_symlinks=True)
    assert notes == ["a.md", "to/b.md"]
    assert list(skipped) == ["to/back"]


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    for name in (b"caf\xe9.md", b"caf\xe9.png"):
        Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_text("x")
    assert walk(tmp_path) == ([], {"caf\ufffd.md": "name is not valid UTF-8"})


def test_odd_names(tmp_path: Path) -> None:
    names = ["new\nline.md", "quo\"te's.md", "猫.md", " .md"]
    write(tmp_path, *names)
    assert walk(tmp_path) == (sorted(names), {})


def fail_on(name: str, error: OSError, function: Callable[..., object]) -> Callable[..., object]:
    def failing(path: object, *args: object, **kwargs: object) -> object:
        if str(path).endswith(name):
            raise error
        return function(path, *args, **kwargs)

    return failing


def test_a_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "locked/a.md", "open/b.md", "broken/c.md", "gone/d.md")
    scan = os.scandir
    for name, error in (
        ("locked", PermissionError(13, "Permission denied")),
        ("broken", OSError(5, "Input/output error")),
        ("gone", FileNotFoundError(2, "No such file or directory")),
    ):
        scan = fail_on(name, error, scan)  # type: ignore[assignment]
    monkeypatch.setattr(os, "scandir", scan)
    assert walk(tmp_path) == (["open/b.md"], {"locked": "permission denied", "broken": "input/output error"})


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "locked.md", "open.md")
    monkeypatch.setattr(os, "access", lambda path, mode: not path.endswith("locked.md"))
    assert walk(tmp_path) == (["open.md"], {"locked.md": "permission denied"})


def test_a_missing_root_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FolderUnreadable, match=r"no such folder: .*/missing") as caught:
        find_notes(tmp_path / "missing", max_bytes=1)
    assert caught.value.hint


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    write(tmp_path, "a.md")
    with pytest.raises(FolderUnreadable, match="not a folder"):
        find_notes(tmp_path / "a.md", max_bytes=1)


@pytest.mark.parametrize(
    ("error", "message"),
    [(PermissionError(13, "Permission denied"), "may not read"), (OSError(5, "Input/output error"), "cannot read")],
)
def test_a_root_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, message: str
) -> None:
    monkeypatch.setattr(os, "scandir", fail_on(tmp_path.name, error, os.scandir))
    with pytest.raises(FolderUnreadable, match=message):
        find_notes(tmp_path, max_bytes=1)


def test_a_root_with_a_nul_or_bytes_in_its_name(tmp_path: Path) -> None:
    for name in ("a\0b", "caf\udce9"):
        with pytest.raises(FolderUnreadable):
            find_notes(tmp_path / name, max_bytes=1)


def test_a_very_deep_folder(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(300):
        folder = folder / "deep"
    write(folder, "a.md")
    assert len(walk(tmp_path)[0]) == 1


def test_a_walk_imports_no_parser(tmp_path: Path) -> None:
    write(tmp_path, "a.md")
    program = (
        "import sys; from pathlib import Path; from notesearch.notes import find_notes\n"
        f"assert len(list(find_notes(Path({str(tmp_path)!r}), max_bytes=9))) == 1\n"
        "print({'yaml', 'markdown_it', 'charset_normalizer', 'tomllib'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"


def test_documents_are_notes_and_may_be_large(tmp_path: Path) -> None:
    for name in ("a.pdf", "b.HTML", "c.docx", "d.epub", "e.htm", "f.md"):
        (tmp_path / name).write_bytes(b"0123456789")
    assert [entry.path.name for entry in find_notes(tmp_path, max_bytes=5) if isinstance(entry, NoteFile)] == [
        *("a.pdf", "b.HTML", "c.docx", "d.epub", "e.htm"),
    ]
    with (tmp_path / "a.pdf").open("wb") as file:
        file.truncate(50_000_001)
    (skipped,) = [entry for entry in find_notes(tmp_path, max_bytes=10) if isinstance(entry, Skipped)]
    assert skipped.reason == "too large (50,000,001 bytes, the limit is 50,000,000)" and skipped.by_rule
    assert all(isinstance(entry, NoteFile) for entry in find_notes(tmp_path, max_bytes=60_000_000))


def test_parts_of_a_saved_page_are_no_notes(tmp_path: Path) -> None:
    for name in ("Page.html", "Page_files/frame.html", "Page_files/mine.md", "other_files/x.html", ".notesearchignore"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    names = {str(entry.path.relative_to(tmp_path)) for entry in find_notes(tmp_path, max_bytes=5)}
    assert names == {"Page.html", "Page_files/mine.md", "other_files/x.html"}
    (tmp_path / ".notesearchignore").write_text("*.html\n")
    assert [entry.path.name for entry in find_notes(tmp_path, max_bytes=5)] == ["mine.md"]
