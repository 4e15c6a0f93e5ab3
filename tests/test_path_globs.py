from pathlib import Path

import pytest

from notesearch.path_globs import path_meanings


@pytest.mark.parametrize(
    ("written", "meanings"),
    [
        ("work", ["{base}/work", "work"]),
        ("work/", ["{base}/work", "work"]),
        ("./work", ["{base}/work"]),
        ("../x", ["{parent}/x"]),
        (".", ["{base}", "."]),
        ("/a//b/../c", ["/a/c"]),
        ("/", [""]),
        ("a.md:12-14", ["{base}/a.md:12-14", "a.md:12-14", "{base}/a.md", "a.md"]),
        ("w [1]", ["{base}/w [[]1]", "w [[]1]", "{base}/w [1]", "w [1]"]),
        ("/v/*.md", ["/v/[*].md", "/v/*.md"]),
        ("/\0", []),
    ],
)
def test_what_a_path_may_stand_for(tmp_path: Path, written: str, meanings: list[str]) -> None:
    base = (tmp_path / "base").resolve()
    base.mkdir()
    places = {"base": base, "parent": base.parent}
    assert list(path_meanings(written, base)) == [meaning.format(**places) for meaning in meanings]


def test_without_a_working_directory_relative_paths_are_below_indexed_folders() -> None:
    assert path_meanings("work/*", None) == ("work/[*]", "work/*")


def test_a_path_through_a_link_is_known_by_both_names(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert path_meanings("link/a.md", tmp_path)[:2] == (f"{tmp_path}/link/a.md", f"{tmp_path.resolve()}/real/a.md")


def test_a_folder_of_just_this_name_is_meant_before_wildcards(tmp_path: Path) -> None:
    (tmp_path / "work [2024]").mkdir()
    assert f"{tmp_path}/work [[]2024]/[ab]*" in path_meanings("work [2024]/[ab]*", tmp_path)
