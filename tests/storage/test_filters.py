from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from notesearch.records import Filters, HeldWords
from notesearch.storage.writer import IndexWriter

from .building import encoded_note, found, write


@pytest.fixture
def tagged(writer: IndexWriter, index_dir: Path) -> Path:
    """One note for each name, which says what its tags are; all hold the word `word`."""
    tags = {
        "a": ["a"],
        "a-b": ["a/b"],
        "a-b-c": ["A/B/C"],
        "ab": ["ab"],
        "two": ["x", "Y"],
        "x": ["x"],
        "accents": ["Größe", "ÉTÉ"],
        "percent": ["50%_off"],
        "none": [],
    }
    write(writer, *(encoded_note(name, f"word {name}", tags=values) for name, values in tags.items()))
    return index_dir


@pytest.mark.parametrize(
    ("tags", "excluded", "names"),
    [
        (("a",), (), "a a-b a-b-c"),
        (("A",), (), "a a-b a-b-c"),
        (("#a",), (), "a a-b a-b-c"),
        (("a/b",), (), "a-b a-b-c"),
        (("a/",), (), "a a-b a-b-c"),
        (("ab",), (), "ab"),
        (("b",), (), ""),
        (("x", "y"), (), "two"),
        (("x",), ("y",), "x"),
        ((), ("a", "x"), "ab accents percent none"),
        ((), ("a/b",), "a ab two x accents percent none"),
        (("GRÖSSE",), (), "accents"),
        (("größe",), (), "accents"),
        (("été",), (), "accents"),
        (("50%_off",), (), "percent"),
        (("50__off",), (), ""),
        (("%",), (), ""),
        (("a' OR 1=1 --",), (), ""),
    ],
)
def test_tags(tagged: Path, tags: tuple[str, ...], excluded: tuple[str, ...], names: str) -> None:
    filters = Filters(tags=tags, excluded_tags=excluded)
    assert sorted(found(tagged, "word", filters)) == sorted(names.split())


@pytest.mark.parametrize(
    ("glob", "names"),
    [
        ("*", ["work/plan.md", "work/old plans/x.md", "workshop/x.md", "journal/2024-01-02.md", "日記/一.md", "x.md"]),
        ("work", ["work/plan.md", "work/old plans/x.md"]),
        ("**/x.md", ["work/old plans/x.md", "workshop/x.md", "x.md"]),
        ("work/**/plan.md", ["work/plan.md"]),
        ("work/old plans", ["work/old plans/x.md"]),
        ("work/*.md", ["work/plan.md", "work/old plans/x.md"]),
        ("x.md", ["x.md"]),
        ("*/x.md", ["work/old plans/x.md", "workshop/x.md", "x.md"]),  # also of the absolute path
        ("journal/2024-*", ["journal/2024-01-02.md"]),
        ("journal/2024-0[2-9]*", []),
        ("日記", ["日記/一.md"]),
        ("/vault/work", ["work/plan.md", "work/old plans/x.md"]),
        ("/vault/w*/x.md", ["work/old plans/x.md", "workshop/x.md"]),
        (
            "/vault",
            ["work/plan.md", "work/old plans/x.md", "workshop/x.md", "journal/2024-01-02.md", "日記/一.md", "x.md"],
        ),
        ("Work", []),
        ("vault", []),
        ("plan.md", []),
    ],
)
def test_path_globs(writer: IndexWriter, index_dir: Path, glob: str, names: list[str]) -> None:
    paths = ["work/plan.md", "work/old plans/x.md", "workshop/x.md", "journal/2024-01-02.md", "日記/一.md", "x.md"]
    write(writer, *(encoded_note(path, "word") for path in paths))
    assert sorted(found(index_dir, "word", Filters(paths=((glob,),)))) == sorted(names)


def test_a_path_below_the_root_directory(writer: IndexWriter, index_dir: Path) -> None:
    with writer.transaction():
        writer.write_notes([replace(encoded_note("work/x.md", "word"), folder_id=writer.add_folder(Path("/")))])
    assert found(index_dir, "word", Filters(paths=(("vault",),))) == ["work/x.md"]
    assert found(index_dir, "word", Filters(paths=(("ault",),))) == []


@pytest.mark.parametrize(
    ("since", "until", "names"),
    [
        (datetime(2024, 3, 1), None, "march.md noon.md"),
        (None, datetime(2024, 3, 1), "old.md march.md"),
        (datetime(2024, 3, 1), datetime(2024, 3, 1), "march.md"),
        (datetime(2024, 3, 1, 0, 0, 1), datetime(2024, 3, 1, 12), "noon.md"),
        (None, datetime(999, 1, 1), ""),
        (datetime(2030, 1, 1), None, ""),
        (datetime(2024, 3, 1), datetime(2024, 2, 1), ""),
    ],
)
def test_dates(
    writer: IndexWriter, index_dir: Path, since: datetime | None, until: datetime | None, names: str
) -> None:
    dates = {
        "old.md": datetime(1999, 12, 31, 23, 59, 59),
        "march.md": datetime(2024, 3, 1),
        "noon.md": datetime(2024, 3, 1, 12),
    }
    write(writer, *(encoded_note(name, "word", date=date) for name, date in dates.items()))
    assert sorted(found(index_dir, "word", Filters(since=since, until=until))) == sorted(names.split())


def test_filters_go_together(writer: IndexWriter, index_dir: Path) -> None:
    new, old = datetime(2024, 1, 1), datetime(2020, 1, 1)
    write(
        writer,
        encoded_note("work/all.md", "word", tags=["t"], date=new),
        encoded_note("work/untagged.md", "word", date=new),
        encoded_note("work/draft.md", "word", tags=["t", "draft"], date=new),
        encoded_note("work/old.md", "word", tags=["t"], date=old),
        encoded_note("home/all.md", "word", tags=["t"], date=new),
    )
    filters = Filters(("t",), ("draft",), (("work",),), since=datetime(2023, 1, 1), until=datetime(2025, 1, 1))
    assert found(index_dir, "word", filters) == ["work/all.md"]


def test_a_rare_tag_is_found_behind_any_number_of_better_matches(writer: IndexWriter, index_dir: Path) -> None:
    better = [encoded_note(f"{number}.md", "kettle kettle kettle", title="Kettle") for number in range(1000)]
    rare = encoded_note("rare.md", "a kettle somewhere " + "among many other things " * 20, tags=["rare"])
    write(writer, *better, rare)
    assert found(index_dir, "kettle", limit=10) != []
    assert "rare.md" not in found(index_dir, "kettle", limit=1000)
    assert found(index_dir, "kettle", Filters(tags=("rare",)), limit=1) == ["rare.md"]


def test_the_first_meaning_of_a_path_that_any_note_has(writer: IndexWriter, index_dir: Path) -> None:
    write(writer, *(encoded_note(path, "word") for path in ("work [2024]/a.md", "work 2/b.md", "c.md")))
    meanings = ("work [[]2024]", "work [2024]")
    assert found(index_dir, "word", Filters(paths=(meanings,))) == ["work [2024]/a.md"]
    assert found(index_dir, "word", Filters(paths=(("no", *meanings[1:]),))) == ["work 2/b.md"]
    assert sorted(found(index_dir, "word", Filters(excluded_paths=(meanings,)))) == ["c.md", "work 2/b.md"]
    assert found(index_dir, "word", Filters(paths=((),))) == []


def test_words_that_notes_hold_or_must_not(writer: IndexWriter, index_dir: Path) -> None:
    texts = {"a.md": "word of organs &amp; cats", "b.md": "word of an organ", "c.md": "word", "d.md": "word -&gt; C++"}
    write(writer, *(encoded_note(name, text, title=f"Title {name}") for name, text in texts.items()))

    def names(*held: HeldWords) -> str:
        return " ".join(sorted(name.removesuffix(".md") for name in found(index_dir, "word", Filters(held=held))))

    assert names(HeldWords("organ")) == "a b"
    assert names(HeldWords("organ", exact=True)) == "b"
    assert names(HeldWords("organ", excluded=True)) == "c d"
    assert names(HeldWords("organ", exact=True, excluded=True)) == "a c d"
    assert names(HeldWords("organs & cats", exact=True)) == "a"
    assert names(HeldWords("->", exact=True)) == "d"
    assert names(HeldWords("->", exact=True, excluded=True), HeldWords("organ", excluded=True)) == "c"
    assert names(HeldWords("c++", exact=True)) == "d"
    assert names(HeldWords("title b", in_title=True)) == "b"
    assert names(HeldWords("word", in_title=True)) == ""
    assert names(HeldWords("title a", in_title=True, exact=True, excluded=True)) == "b c d"
    assert names(HeldWords("', OR \" --", exact=True)) == ""
