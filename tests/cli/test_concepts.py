import json
import tomllib
from pathlib import Path

import pytest

NOTES = {
    "anicca.md": "# Impermanence\n\nSee [[stores]] and [[violin]].",
    "stores.md": "# Eventual consistency\n\nText.",
    "violin.md": '# Playing the "violin"\n\nText.',
}


@pytest.fixture
def linked(fake_encoder, run, write_notes) -> None:
    """Three notes with links, indexed with the fake encoder."""
    assert run("index", write_notes(NOTES), "--quiet").code == 0


@pytest.fixture
def concepts_file(tmp_path) -> Path:
    """Where commands look by default."""
    path = tmp_path / "config" / "notesearch" / "concepts.toml"
    path.parent.mkdir(parents=True)
    return path


def test_list_says_what_is_in_force_from_which_file_and_what_no_note_mentions(run, linked, concepts_file):
    concepts_file.write_text(
        '[concepts]\nimpermanence = ["eventual consistency"]\n"CAP \\u200e" = {impermanence = 0.3}'
    )
    done = run("concepts", "list")
    assert (done.code, done.err) == (0, "")
    path, *lines = done.out.splitlines()
    assert path.endswith("config/notesearch/concepts.toml")
    assert lines == [
        "  impermanence ~ eventual consistency (0.50)",
        "  CAP \ufffd ~ impermanence (0.30), no note mentions CAP \ufffd",
    ]


def test_list_exits_with_1_where_there_are_none(run, linked, concepts_file):
    done = run("concepts", "list")
    assert (done.code, done.out) == (1, "")
    assert done.err == f"No concepts in {concepts_file}.\n"
    concepts_file.write_text("weight = 0.2")
    assert run("concepts", "list").code == 1
    assert run("concepts", "list", "--quiet").err == ""


def test_a_named_file_that_is_missing_is_an_error(run, linked, tmp_path):
    for command in (["concepts", "list"], ["concepts", "suggest"], ["search", "salt"]):
        done = run(*command, "--concepts", tmp_path / "missing.toml")
        assert (done.code, done.out) == (2, "")
        assert "missing.toml" in done.err


def test_suggest_prints_a_file_of_concepts_and_writes_none(run, linked, concepts_file):
    done = run("concepts", "suggest")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("[concepts]\n")
    assert "# linked: anicca.md → stores.md\n" in done.out
    assert tomllib.loads(done.out) == {"concepts": {"Impermanence": ['Playing the "violin"', "Eventual consistency"]}}
    assert not concepts_file.exists()


def test_what_suggest_prints_can_be_put_at_the_end_of_the_file(run, linked, concepts_file):
    concepts_file.write_text("")
    first = run("concepts", "suggest", "--limit", 1).out
    concepts_file.write_text(first)
    second = run("concepts", "suggest").out
    assert "[concepts]" not in second
    concepts_file.write_text(first + second)
    assert len(run("concepts", "list").out.splitlines()) == 3
    done = run("concepts", "suggest")
    assert (done.code, done.out, done.err) == (1, "", "Nothing to propose.\n")
    assert run("concepts", "suggest", "--quiet").err == ""


@pytest.mark.parametrize(
    "text",
    [
        '[concepts]\n"Impermanence" = ["x"]',
        "[concepts.Impermanence]\nx = 0.5\n",
        'concepts = { "Impermanence" = ["x"] }',
        'concepts."Impermanence" = ["x"]\n',
        '[concepts]\n"Impermanence" = ["x"]\n"Eventual consistency" = ["y"]',
        "weight = 0.2",
        "",
    ],
)
def test_what_suggest_prints_never_breaks_the_file(run, linked, concepts_file, text):
    concepts_file.write_text(text)
    before = tomllib.loads(text).get("concepts", {})
    out = run("concepts", "suggest").out
    assert out
    concepts_file.write_text(text + out)
    assert run("concepts", "list").code == 0 or not before
    after = tomllib.loads(text + out)["concepts"]
    assert {idea: after[idea] for idea in before} == before
    if after == before:
        assert "# Not at the end of this file: " in out


def test_a_link_between_two_ideas_that_have_lines_already_is_a_comment(run, linked, concepts_file):
    concepts_file.write_text('[concepts]\n"Impermanence" = ["x"]\n"Eventual consistency" = ["y"]\n')
    out = run("concepts", "suggest").out
    assert '# "Eventual consistency" = ["Impermanence"]\n' in out
    assert tomllib.loads(out) == {'Playing the "violin"': ["Impermanence"]}


def test_suggest_for_programs(run, linked):
    values = json.loads(run("concepts", "suggest", "--json").out)
    assert [value.keys() for value in values] == [{"idea", "linked", "why", "similarity"}] * 2


def test_nothing_to_suggest_is_an_empty_list_for_programs(run, fake_encoder, write_notes):
    run("index", write_notes({"a.md": "Text."}), "--quiet")
    done = run("concepts", "suggest", "--json")
    assert (done.code, done.out, done.err) == (1, "[]\n", "")


def test_suggest_needs_an_index(run):
    assert run("concepts", "suggest").code == 2


class TestSearch:
    """What concepts do to `notesearch search`."""

    @pytest.fixture(autouse=True)
    def with_concepts(self, linked, concepts_file):
        concepts_file.write_text('weight = 0.9\n[concepts]\nimpermanence = ["eventual consistency"]')

    def test_hits_and_explanation_tell_what_was_linked(self, run):
        done = run("search", "impermanence", "--explain")
        assert done.out.startswith("linked: impermanence ~ eventual consistency (0.90)\n\n 1. Impermanence\n")
        assert " concepts\n" in done.out
        hits = {hit["title"]: hit for hit in json.loads(run("search", "impermanence", "--json").out)}
        assert hits["Eventual consistency"]["scores"]["concepts"] > 0
        assert hits["Eventual consistency"]["contributions"]["concepts"] > 0
        assert "concepts" not in hits["Impermanence"]["scores"]

    def test_they_can_be_switched_off_or_taken_from_another_file(self, run, tmp_path):
        other = tmp_path / "other.toml"
        other.write_text('[concepts]\nimpermanence = ["violin"]')
        assert "linked:" not in run("search", "impermanence", "--explain", "--no-concepts").out
        assert "linked: impermanence ~ violin" in run("search", "impermanence", "--explain", "--concepts", other).out
        assert "linked:" not in run("search", "impermanence").out
        both = run("search", "impermanence", "--no-concepts", "--concepts", other)
        assert (both.code, both.out) == (2, "")

    def test_a_file_that_is_wrong_is_named(self, run, concepts_file):
        concepts_file.write_text("[concepts]\nimpermanence = 5")
        done = run("search", "impermanence")
        assert (done.code, done.out) == (2, "")
        assert f"{concepts_file}: 'impermanence' should have" in done.err
        assert run("search", "impermanence", "--no-concepts").code == 0
