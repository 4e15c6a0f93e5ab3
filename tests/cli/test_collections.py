"""`--collection` on every command that has it."""

import json
import os
from pathlib import Path

import pytest

COMMANDS = [
    ["index"],
    ["search", "salt"],
    ["rerank", "salt", __file__],
    ["tag", __file__],
    ["train-classifier"],
    ["eval"],
    ["tune"],
    ["concepts", "list"],
    ["concepts", "suggest"],
    ["accept", "salt", __file__],
    ["status"],
    ["doctor"],
    ["config"],
    ["similar", __file__],
    ["duplicates"],
    ["watch"],
    ["mcp"],
]


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "config" / "notesearch" / "config.toml"
    path.parent.mkdir(parents=True)

    def write(text: str) -> None:
        path.write_text(text, encoding="utf-8")

    return write


@pytest.fixture
def two(fake_encoder, settings, write_notes, tmp_path) -> Path:
    """Two collections, not indexed yet."""
    folder = write_notes(
        {
            "work/plan.md": "# Plan\n\nSalt the roads.",
            "work/draft.md": "---\ntags: [draft]\n---\n# Draft\n\nSalt.",
            "home/dal.md": "# Dal\n\nLentils, turmeric, salt.",
        }
    )
    for note in folder.rglob("*.md"):
        os.utime(note, (1e9, 1e9))  # of a file that has just changed, no index believes that it will stay so
    settings(
        f'[collections.work]\nfolders = ["{folder}/work"]\nnot_tags = ["draft"]\n'
        f'[collections.home]\nfolders = ["{folder}/home"]\n'
    )
    return folder


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_collection_that_is_not_there_is_told_by_every_command(run, two, command):
    done = run(*command, "-c", "garden")
    assert (done.code, done.out) == (2, "")
    assert "there is no collection 'garden'" in done.err and "work, home" in done.err


@pytest.mark.parametrize("command", [["status"], ["doctor"], ["search", "salt"], ["concepts", "suggest"]], ids=" ".join)
def test_the_index_of_the_collection_is_taken(run, two, tmp_path, command):
    # There is none for it, while the usual one is sound.
    run("index", two / "home")
    assert run(*command).code in (0, 1)
    done = run(*command, "--collection", "work")
    assert done.code == 2 and ("collections/work" in done.err or "collection work" in done.err)


def test_the_filters_of_a_collection_hold_for_similar_unless_others_are_given(run, two):
    for number, text in enumerate(["Tar the roads.", "Lunch with Ada.", "Invoice for May.", "Call the dentist."]):
        (two / "work" / f"{number}.md").write_text(f"# {number}\n\n{text}")
    run("index", "-c", "work")
    similar = ("similar", str(two / "work" / "plan.md"), "-c", "work", "--files")
    draft = f"{two}/work/draft.md\n"
    assert draft not in run(*similar).out
    assert draft in run(*similar, "--not-tag", "other").out


def test_duplicates_are_those_of_the_collections_index(run, two):
    words = " ".join(f"word{number}" for number in range(40))
    for name in ("work/plan.md", "home/dal.md", "home/copy.md"):
        (two / name).write_text(f"# Salt\n\n{words}")
    run("index", "-c", "work")
    run("index", "-c", "home")
    assert run("duplicates", "-c", "work").code == 1
    (group,) = json.loads(run("duplicates", "-c", "home", "--json").out)
    assert {group["path"], *(copy["path"] for copy in group["copies"])} == {
        f"{two}/home/dal.md",
        f"{two}/home/copy.md",
    }


def test_a_collection_with_filters_is_not_served_to_assistants(run, two):
    run("index", "-c", "work")
    done = run("mcp", "-c", "work")
    assert (done.code, done.out) == (2, "")
    assert "the collection work has filters" in done.err


def test_the_accepted_are_kept_beside_the_collections_index(run, two, tmp_path):
    assert run("accept", "salt", two / "home" / "dal.md", "-c", "home").code == 0
    assert (tmp_path / "data" / "notesearch" / "collections" / "home" / "accepted.jsonl").exists()


class TestIndexing:
    def test_the_folders_come_from_the_settings(self, run, two, tmp_path):
        done = run("index", "-c", "work")
        assert (done.code, done.out) == (0, "")
        assert done.err.startswith("2 notes added.")
        assert (tmp_path / "data" / "notesearch" / "collections" / "work" / "notes.db").exists()
        assert run("index", "-c", "work").err.startswith("Nothing has changed.")

    def test_what_is_done_can_be_read_by_programs(self, run, two):
        done = run("index", "-c", "work", "--json")
        assert json.loads(done.out)["added"] == 2

    def test_a_folder_can_be_named_besides(self, run, two):
        run("index", "-c", "work")
        done = run("index", two / "home", "-c", "work")
        assert done.err.splitlines() == [
            done.err.splitlines()[0],
            f"kept     {two}/home: not among the folders of work in the settings (--forget takes it out)",
        ]
        assert json.loads(run("status", "-c", "work", "--json").out)["notes"] == 3

    def test_a_folder_that_the_settings_name_no_longer_is_forgotten_when_asked(self, run, two, settings):
        settings(f'[collections.work]\nfolders = ["{two}/work", "{two}/home"]\n')
        run("index", "-c", "work")
        settings(f'[collections.work]\nfolders = ["{two}/work"]\n')
        done = run("index", "-c", "work")
        assert done.code == 0 and f"kept     {two}/home" in done.err
        assert run("index", "-c", "work", "--quiet").err == ""
        done = run("index", "-c", "work", "--forget")
        assert done.code == 0 and f"Forgot {two}/home: 1 note." in done.err
        done = run("index", "-c", "work", "--forget")
        assert done.code == 0 and "Nothing to forget" in done.err
        assert json.loads(run("status", "-c", "work", "--json").out)["notes"] == 2

    def test_one_folder_can_be_forgotten_by_name(self, run, two):
        run("index", "-c", "work")
        assert f"Forgot {two}/work" in run("index", "-c", "work", "--forget", two / "work").err

    def test_the_environments_index_is_not_the_collections(self, run, two, tmp_path, monkeypatch):
        monkeypatch.setenv("NOTESEARCH_INDEX_DIR", str(tmp_path / "other"))
        run("index", "-c", "work")
        assert not (tmp_path / "other").exists()


class TestSearching:
    @pytest.fixture(autouse=True)
    def indexed(self, run, two):
        for name in ("work", "home"):
            assert run("index", "-c", name, "--quiet").code == 0

    def test_one_collection_by_its_own_filters(self, run):
        hits = json.loads(run("search", "salt", "-c", "work", "--json").out)
        assert [(hit["title"], hit["collection"], hit["rank"]) for hit in hits] == [("Plan", "work", 1)]
        assert {
            hit["title"] for hit in json.loads(run("search", "salt", "-c", "work", "--not-tag", "x", "--json").out)
        } == {
            "Plan",
            "Draft",
        }

    def test_several_at_once(self, run):
        done = run("search", "salt", "-c", "work", "-c", "home", "--jsonl")
        hits = [json.loads(line) for line in done.out.splitlines()]
        assert {(hit["title"], hit["collection"]) for hit in hits} == {("Plan", "work"), ("Dal", "home")}

    def test_without_a_collection_hits_are_as_they_were(self, run, two):
        run("index", two)
        assert "collection" not in json.loads(run("search", "salt", "--json").out)[0]

    @pytest.mark.parametrize("format", ["--tsv", "--files", "--vimgrep", "--explain"])
    def test_the_other_formats(self, run, format):
        done = run("search", "lentils", "-c", "work", "-c", "home", format)
        assert done.code == 0 and "dal.md" in done.out

    def test_a_batch(self, run, tmp_path):
        (tmp_path / "queries.jsonl").write_text('{"_id": "1", "text": "salt"}\n{"_id": "2", "text": "lentils"}\n')
        done = run("search", "--queries", tmp_path / "queries.jsonl", "-c", "work", "-c", "home", "--jsonl")
        assert {json.loads(line)["query_id"] for line in done.out.splitlines()} == {"1", "2"}

    def test_one_index_for_two_collections_is_refused(self, run, tmp_path):
        done = run("search", "salt", "-c", "work", "-c", "home", "--index-dir", tmp_path)
        assert done.code == 2 and "one index was named for 2 collections" in done.err

    def test_a_collection_that_was_never_indexed(self, run, settings, tmp_path):
        settings(f'[collections.new]\nfolders = ["{tmp_path}"]\n')
        done = run("search", "salt", "-c", "new")
        assert done.code == 2
        assert "the collection new was not indexed yet" in done.err and "notesearch index -c new" in done.err

    def test_vectors_for_reranking_come_from_the_collections_index(self, run, two, fake_encoder):
        encoded = len(fake_encoder.encoded)
        assert run("rerank", "salt", two / "home" / "dal.md", "-c", "home").code == 0
        assert len(fake_encoder.encoded) == encoded
        assert run("rerank", "salt", two / "home" / "dal.md", "-c", "work").code == 0
        assert len(fake_encoder.encoded) > encoded
