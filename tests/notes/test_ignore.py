import os
import random
import warnings
from pathlib import Path

import pytest

from notesearch.notes import NoteFile, find_notes
from notesearch.records import Skipped

from .ignored_by_git import found, make_tree, not_ignored


def write(root: Path, *names: str, content: str = "x") -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def walk(root: Path, within: Path | None = None) -> tuple[list[str], dict[str, str]]:
    """Names of the notes found, and reasons by name of what was skipped."""
    entries = list(find_notes(root, max_bytes=1000, within=within))
    notes = [str(entry.path.relative_to(root)) for entry in entries if isinstance(entry, NoteFile)]
    return notes, {Path(entry.path).name: entry.reason for entry in entries if isinstance(entry, Skipped)}


@pytest.mark.parametrize("seed", range(150))
def test_the_notes_are_those_that_git_does_not_ignore(tmp_path: Path, seed: int) -> None:
    make_tree(random.Random(seed), tmp_path)
    assert found(tmp_path) == not_ignored(tmp_path)


def test_ignore_files(tmp_path: Path) -> None:
    write(tmp_path, ".gitignore", content="/drafts/\n*.txt\n# comment\n\nold-*\n")
    write(tmp_path, "drafts/a.md", "b.txt", "sub/drafts/c.md", "old-d.md", "sub/old-e.md", "f.md", "keep/h.txt")
    write(tmp_path / "keep", ".notesearchignore", content="!*.txt\nsecret.md\n")
    write(tmp_path, "keep/secret.md", "secret.md")
    assert walk(tmp_path) == (["f.md", "secret.md", "keep/h.txt", "sub/drafts/c.md"], {})


def test_notesearchignore_overrules_gitignore(tmp_path: Path) -> None:
    write(tmp_path, ".gitignore", content="*.md\n")
    write(tmp_path, ".notesearchignore", content="!a.md\n")
    write(tmp_path, "a.md", "b.md")
    write(tmp_path, "sub/.gitignore", content="!*.md\n")
    write(tmp_path, "sub/a.md", "sub/c.md", "sub/secret.md")
    write(tmp_path, ".notesearchignore", content="!a.md\nsecret.md\n")
    assert walk(tmp_path)[0] == ["a.md", "sub/a.md", "sub/c.md"]


@pytest.mark.parametrize("pattern", ["!", "[a", "[[:nope:]]", "\\", "/"])
def test_a_bad_pattern_is_reported_and_the_others_hold(tmp_path: Path, pattern: str) -> None:
    write(tmp_path, ".gitignore", content=f"{pattern}\nb.md\n")
    write(tmp_path, "a.md", "b.md")
    assert walk(tmp_path) == (["a.md"], {".gitignore": f"not a valid pattern: {pattern}"})


def test_both_ignore_files_have_the_same_rules(tmp_path: Path) -> None:
    write(tmp_path, "a.md", "sub/b.md", "sub/c.txt", "d/e/f.md", "d/keep.md")
    for name in (".gitignore", ".notesearchignore"):
        write(tmp_path, name, content="*\n!*/\n!*.md\nd/**\n!d/keep.md\n")
        assert walk(tmp_path)[0] == ["a.md", "d/keep.md", "sub/b.md"]
        (tmp_path / name).unlink()


def test_a_pattern_for_folders_does_not_name_a_link(tmp_path: Path) -> None:
    write(tmp_path, ".store/a.md")
    for name in ("one", "two"):
        write(tmp_path, f".store/{name}/{name}.md")
        (tmp_path / name).symlink_to(tmp_path / ".store" / name)
    write(tmp_path, ".gitignore", content="one/\ntwo\n")
    assert walk(tmp_path)[0] == ["one/one.md"]


def test_a_gitignore_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path, "rules", content="*.md\n")
    write(tmp_path, "a.md")
    (tmp_path / ".gitignore").symlink_to("rules")
    assert walk(tmp_path)[0] == ["a.md"]
    (tmp_path / ".notesearchignore").symlink_to("rules")
    assert walk(tmp_path)[0] == []


def test_a_repository_in_a_folder_has_git_rules_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, ".gitignore", content="*.md\nleft/\n")
    write(tmp_path, ".notesearchignore", content="secret.*\n")
    write(
        tmp_path,
        "a.md",
        *(f"{repository}/{name}" for repository in ("left", "inner") for name in (".git/HEAD", "b.md")),
    )
    write(tmp_path, "inner/secret.md", "inner/mine.md", "inner/sub/c.md")
    write(tmp_path, "inner/.git/info/exclude", content="mine.md\n")
    assert walk(tmp_path)[0] == ["inner/b.md", "inner/sub/c.md"]


def test_rules_above_hold_down_from_the_top_of_the_repository(tmp_path: Path) -> None:
    write(tmp_path, ".gitignore", content="*.md\n")
    write(tmp_path, "repository/.git/info/exclude", content="sub/c.md\n")
    write(tmp_path, "repository/.gitignore", content="a.md\n!secret.md")
    write(tmp_path, "repository/.notesearchignore", content="secret.md\n")
    write(tmp_path / "repository/notes", "a.md", "b.md", "sub/a.md", "sub/c.md", "secret.md")
    assert walk(tmp_path / "repository/notes")[0] == ["b.md", "sub/c.md"]


@pytest.mark.parametrize("rules", ["*\n", "notes/\nb.md\n"])
def test_a_folder_that_git_leaves_out_is_walked_if_it_is_named(tmp_path: Path, rules: str) -> None:
    write(tmp_path, ".git/HEAD")
    write(tmp_path, ".gitignore", content=rules)
    write(tmp_path, "notes/a.md", "notes/sub/b.md", "notes/drafts/c.md")
    write(tmp_path, "notes/.gitignore", content="drafts/\n")
    notes = tmp_path / "notes"
    assert walk(notes)[0] == ["a.md", "sub/b.md"]
    assert walk(notes / "sub", within=notes)[0] == ["b.md"]
    assert walk(notes / "drafts", within=notes)[0] == []


def test_case_counts_unless_the_file_system_ignores_it(tmp_path: Path) -> None:
    write(tmp_path, ".gitignore", content="A.md\n[X-Z].MD\n")
    write(tmp_path, "a.md", "y.md", "z.txt")
    assert walk(tmp_path)[0] == ["a.md", "y.md", "z.txt"]
    os.link(tmp_path / ".gitignore", tmp_path / ".GITIGNORE")  # as it looks where both names are one
    assert walk(tmp_path)[0] == ["z.txt"]


def test_many_wildcards_take_no_time(tmp_path: Path) -> None:
    write(tmp_path, ".gitignore", content=f"{'*a' * 40}b\n{'/**/a*' * 40}b\n")
    write(tmp_path, f"{'a' * 200}.md", f"{'a/' * 60}c.md")
    assert len(walk(tmp_path)[0]) == 2


@pytest.mark.parametrize(
    "pattern", ["[[a]*", "[a--b]*", "[!a&&b]*", "[a~~b]*", "[a||b]*", "[[:a]*", "(?i)a*", "a{1", "\\d*"]
)
def test_no_pattern_makes_python_warn(tmp_path: Path, pattern: str) -> None:
    write(tmp_path, ".gitignore", content=pattern)
    write(tmp_path, "x.md")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "x.md" in walk(tmp_path)[0] or pattern.startswith("[!")
