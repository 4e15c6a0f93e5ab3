import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notesearch.library.watch import Relevance
from notesearch.notes import NoteFile, find_notes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "notes"
    root.mkdir()
    return root


def relevance(root: Path, *more: Path, index_dir: Path = Path("/nowhere")) -> Relevance:
    return Relevance([root, *more], index_dir)


def put(path: Path, text: str = "") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    "name", ["a.md", "deep/er/A.MD", "a.txt", "b.org", "c.rst", "d.markdown", "v1.2/x.md", "e.pdf", "f.HTML"]
)
def test_notes_matter_whether_they_are_there_or_not(root: Path, name: str) -> None:
    assert relevance(root).folder_of(str(root / name)) == root
    put(root / name)
    assert relevance(root).folder_of(str(root / name)) == root


@pytest.mark.parametrize(
    "name", [".a.md.swp", ".git/index", ".git/notes.md", "sub/.obsidian/x.md", "photo.jpg", "a.md~", "4913", ".#a.md"]
)
def test_other_files_do_not_matter(root: Path, name: str) -> None:
    assert relevance(root).folder_of(put(root / name)) is None


def test_folders_matter_and_so_does_what_may_have_been_one(root: Path) -> None:
    (root / "made.today").mkdir()
    assert relevance(root).folder_of(str(root / "made.today")) == root
    assert relevance(root).folder_of(str(root / "gone")) == root
    assert relevance(root).folder_of(str(root)) == root
    assert relevance(root).folder_of(str(root / ".gone")) is None


def test_what_is_elsewhere_does_not_matter(root: Path) -> None:
    assert relevance(root).folder_of(f"{root}-not/a.md") is None
    assert relevance(root).folder_of("/a.md") is None


def test_a_note_belongs_to_the_closest_folder(root: Path) -> None:
    inner = root / "inner"
    assert relevance(root, inner).folder_of(str(inner / "a.md")) == inner
    assert relevance(root, inner).folder_of(str(root / "a.md")) == root


def test_the_root_of_the_file_system_can_be_watched() -> None:
    assert relevance(Path("/")).folder_of("/gone/a.md") == Path("/")
    assert relevance(Path("/")).folder_of("/.gone/a.md") is None


def test_a_note_may_lie_as_deep_as_a_path_can_say(root: Path) -> None:
    put(root / ".gitignore", "x/\n")
    for inner in ("a", "x"):
        assert relevance(root).folder_of(f"{root}/{inner}{'/b' * 1_900}/note.md") == {"a": root}.get(inner)


def test_rules_that_are_kept_are_bounded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notesearch.library.watch._MOST_FOLDERS_KEPT", 5)
    put(root / ".gitignore", "x/\n")
    watched = relevance(root)
    for number in range(20):
        assert watched.folder_of(put(root / str(number) / "a.md")) == root
        assert watched.folder_of(put(root / "x" / str(number) / "a.md")) is None
        assert len(watched._rules) <= 5


def test_a_hidden_folder_above_the_watched_one_hides_nothing(tmp_path: Path) -> None:
    root = tmp_path / ".vault"
    root.mkdir()
    assert relevance(root).folder_of(str(root / "a.md")) == root


def test_the_index_itself_does_not_matter(root: Path) -> None:
    index_dir = root / "index"
    watched = relevance(root, index_dir=index_dir)
    assert watched.folder_of(str(index_dir / "notes.db-wal")) is None
    assert watched.folder_of(str(index_dir / "x.md")) is None
    assert watched.folder_of(str(root / "index.md")) == root


def test_what_is_ignored_does_not_matter(root: Path) -> None:
    put(root / ".gitignore", "node_modules/\n*.draft.md\n")
    put(root / "sub" / ".notesearchignore", "!keep.draft.md\nold/\n")
    watched = relevance(root)
    for name in ("node_modules/x/readme.md", "a.draft.md", "sub/b.draft.md", "sub/old/a.md"):
        assert watched.folder_of(put(root / name)) is None, name
    for name in ("a.md", "sub/keep.draft.md", "old/a.md"):
        assert watched.folder_of(put(root / name)) == root, name


@pytest.mark.parametrize("name", [".gitignore", ".notesearchignore", "sub/.gitignore"])
def test_ignore_files_matter_and_are_read_anew(root: Path, name: str) -> None:
    ignored = put((root / name).parent / "x.md")
    watched = relevance(root)
    assert watched.folder_of(ignored) == root
    assert watched.folder_of(put(root / name, "x.md")) == root
    assert watched.folder_of(ignored) is None
    put(root / name, "")
    watched.forget_rules()
    assert watched.folder_of(ignored) == root


NAMES = st.sampled_from(["a.md", "b.txt", ".h.md", "x.png", "sub", ".dot", "out", "c.md"])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.lists(NAMES, min_size=1, max_size=3), max_size=12),
    st.lists(st.sampled_from(["out/", "*.txt", "!b.txt", "a.md", "/sub", "sub/a.md"]), max_size=3),
)
def test_every_note_that_a_walk_finds_matters(tmp_path_factory, paths, patterns) -> None:
    root = tmp_path_factory.mktemp("vault")
    put(root / ".gitignore", "\n".join(patterns))
    for parts in paths:
        path = root.joinpath(*parts)
        if not path.exists() and not any(parent.is_file() for parent in path.parents):
            put(path) if path.suffix else path.mkdir(parents=True)
    watched = relevance(root)
    found = [entry.path for entry in find_notes(root, max_bytes=1000) if isinstance(entry, NoteFile)]
    assert [path for path in found if watched.folder_of(os.fspath(path)) != root] == []
    others = {path for path in root.rglob("*") if path.is_file() and path.name != ".gitignore"} - set(found)
    assert [path for path in others if watched.folder_of(os.fspath(path))] == []
