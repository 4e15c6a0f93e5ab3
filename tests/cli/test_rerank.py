import io
import json
import os
import sys
from pathlib import Path

import pytest

NAMES = ("cap.md", "cooking/dal.md", "cooking/white bread.md")


@pytest.fixture
def notes(fake_encoder, write_notes) -> Path:
    """Notes that no index knows; returns their folder."""
    return write_notes(
        {
            "cap.md": "# CAP theorem\n\nConsistency or availability.",
            "cooking/dal.md": "# Dal\n\nLentils, turmeric, salt.",
            "cooking/white bread.md": "# Bread\n\nFlour, water, salt.",
        }
    )


def hits_of(run, *arguments) -> list[dict]:
    done = run("rerank", *arguments, "--json")
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)


def names_of(hits: list[dict]) -> list[str]:
    return [Path(hit["path"]).name for hit in hits]


def test_candidates_come_out_best_first(run, notes):
    done = run("rerank", "turmeric", *(notes / name for name in NAMES))
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(" 1. Dal\n")
    assert sum(f"{name}:" in done.out for name in NAMES) == 3


def test_an_index_is_neither_needed_nor_made(run, notes, tmp_path):
    assert names_of(hits_of(run, "consistency", *(notes / name for name in NAMES)))[0] == "cap.md"
    assert not (tmp_path / "data").exists()
    assert run("rerank", "salt", notes / "cap.md", "--index-dir", tmp_path / "nowhere").code == 0
    assert not (tmp_path / "nowhere").exists()


def test_what_the_index_knows_is_not_encoded_again(run, indexed, fake_encoder, tmp_path):
    paths = [indexed / name for name in NAMES]
    known = len(fake_encoder.encoded)
    assert len(hits_of(run, "turmeric", *paths)) == 3
    assert len(fake_encoder.encoded) == known
    (indexed / "cap.md").write_text("# Cap\n\nA hat with turmeric on it.")
    hits = hits_of(run, "hat", *paths)
    assert hits[0]["title"] == "Cap"
    assert len(fake_encoder.encoded) == known + 1
    assert len(hits_of(run, "turmeric", *paths, "--index-dir", tmp_path / "nowhere")) == 3
    assert len(fake_encoder.encoded) == known + 4


def test_with_an_index_and_without_there_is_one_order(run, indexed, tmp_path):
    paths = [indexed / name for name in NAMES]
    assert names_of(hits_of(run, "flour dough", *paths)) == names_of(
        hits_of(run, "flour dough", *paths, "--index-dir", tmp_path / "nowhere")
    )


def test_without_files_candidates_come_from_stdin(run, notes, stdin):
    named = run("rerank", "turmeric", *(notes / name for name in NAMES))
    for end in ("\n", "\r\n", "\0"):
        stdin("".join(f"{notes / name}{end}" for name in NAMES))
        assert run("rerank", "turmeric") == named
    stdin("".join(f"{notes / name}\n" for name in NAMES))
    assert run("rerank", "turmeric", "-") == named


def test_a_dash_among_files_stands_for_stdin(run, notes, stdin):
    stdin(f"{notes}/cap.md\n")
    assert sorted(names_of(hits_of(run, "turmeric", notes / "cooking/dal.md", "-"))) == ["cap.md", "dal.md"]


def test_hits_of_search_go_through(run, indexed, stdin):
    found = run("search", "turmeric or consistency", "--jsonl", "--all").out
    stdin(found)
    hits = hits_of(run, "flour")
    assert {hit["path"] for hit in hits} == {json.loads(line)["path"] for line in found.splitlines()}
    assert hits[0]["title"] == "Bread"
    stdin(run("search", "salt", "-0", "--all").out)
    assert len(hits_of(run, "flour")) == 3
    stdin(run("search", "salt", "--vimgrep", "--all").out)
    assert len(hits_of(run, "flour")) == 3


def test_a_hit_of_its_own_goes_through_again(run, notes, stdin):
    first = run("rerank", "salt", *(notes / name for name in NAMES), "--jsonl").out
    stdin(first)
    assert run("rerank", "salt", "--jsonl").out == first


LONG = "# Long\n\n" + "\n\n".join(f"Paragraph {n} about " + "nothing in particular " * 60 for n in range(6))


def test_a_line_is_shown_with_its_number(run, notes, stdin):
    stdin(f"{notes}/cooking/dal.md:3:Lentils, turmeric, salt.\n{notes}/cap.md:1:# CAP theorem\n")
    assert [(hit["title"], hit["start_line"], hit["end_line"]) for hit in hits_of(run, "lentils")] == [
        ("Dal", 3, 3),
        ("CAP theorem", 1, 1),
    ]


def test_lines_of_one_passage_are_one_hit_and_of_two_are_two(run, fake_encoder, write_notes, stdin):
    folder = write_notes({"long.md": LONG, "short.md": "# Short\n\none\ntwo\nthree\n"})
    stdin("".join(f"{folder}/{name}:{line}:x\n" for name, line in [("short.md", 5), ("short.md", 3), ("short.md", 4)]))
    (hit,) = hits_of(run, "two")
    assert (hit["start_line"], hit["end_line"]) == (3, 5)
    stdin(f"{folder}/long.md:3:x\n{folder}/long.md:13:x\n")
    hits = hits_of(run, "paragraph")
    assert sorted(hit["start_line"] for hit in hits) == [3, 13]
    assert len({hit["path"] for hit in hits}) == 1


def test_a_note_is_one_hit_however_it_is_named(run, notes, stdin, tmp_path, monkeypatch):
    (tmp_path / "link.md").symlink_to(notes / "cap.md")
    monkeypatch.chdir(notes)
    (hit,) = hits_of(run, "salt", "cap.md", "./cap.md", "cooking/../cap.md", notes / "cap.md", tmp_path / "link.md")
    assert hit["path"] == str(notes / "cap.md")


def test_the_whole_note_counts_where_it_is_named_as_well_as_a_line(run, notes):
    (hit,) = hits_of(run, "lentils", f"{notes}/cooking/dal.md:1:# Dal", notes / "cooking/dal.md")
    assert (hit["start_line"], hit["end_line"]) == (1, 3)


def test_the_limit_is_10_or_what_was_asked_for_and_0_is_none(run, fake_encoder, write_notes):
    folder = write_notes({f"{n}.md": f"# Note {n}\n\nSalt." for n in range(12)})
    paths = sorted(folder.iterdir())
    assert len(hits_of(run, "salt", *paths)) == 10
    assert len(hits_of(run, "salt", *paths, "-n", "0")) == 12
    three = hits_of(run, "salt", *paths, "--limit", "3")
    assert three == hits_of(run, "salt", *paths, "-n", "0")[:3]


def test_by_default_meaning_and_words_in_context_count(run, notes):
    paths = [notes / name for name in NAMES]
    hits = hits_of(run, "turmeric", *paths)
    assert hits == hits_of(run, "turmeric", *paths, "--method", "maxsim")
    assert all(hit["scores"].keys() == hit["contributions"].keys() == {"dense", "late"} for hit in hits)
    assert all(hit["score"] == pytest.approx(sum(hit["contributions"].values()), abs=1e-5) for hit in hits)
    (evidence,) = hits[0]["evidence"]
    assert (evidence["query_token"], evidence["matched"], evidence["score"]) == ("turmeric", "turmeric", 1.0)
    assert (notes / "cooking/dal.md").read_text()[evidence["start"] : evidence["end"]] == "turmeric"


def test_meaning_alone_has_no_evidence(run, notes):
    hits = hits_of(run, "lentils turmeric", *(notes / name for name in NAMES), "--method", "dense")
    assert names_of(hits)[0] == "dal.md"
    assert all(hit["scores"].keys() == {"dense"} and hit["evidence"] == [] for hit in hits)


def test_a_cross_encoder_has_the_last_word(run, fake_encoder, write_notes, cross_encoder):
    folder = write_notes({"short.md": "# Salt\n\nSalt.", "long.md": "# Sea\n\nWater, and what is in the water."})
    paths = [folder / "short.md", folder / "long.md"]
    assert names_of(hits_of(run, "salt", *paths)) == ["short.md", "long.md"]
    assert cross_encoder == []
    hits = hits_of(run, "salt", *paths, "--cross-encoder", "some/model")
    assert cross_encoder == ["some/model"]
    assert names_of(hits) == ["long.md", "short.md"]
    assert all(hit["score"] == hit["scores"]["cross_encoder"] for hit in hits)
    assert hits_of(run, "salt", *paths, "--method", "cross-encoder", "--cross-encoder", "some/model") == hits


def test_a_cross_encoder_takes_no_part_where_another_method_was_asked_for(run, notes, cross_encoder):
    paths = [notes / name for name in NAMES]
    for method in ("maxsim", "dense"):
        plain = hits_of(run, "salt", *paths, "--method", method)
        assert hits_of(run, "salt", *paths, "--method", method, "--cross-encoder", "some/model") == plain
    assert cross_encoder == []


def test_without_a_cross_encoder_there_is_no_ranking_by_it(run, notes):
    done = run("rerank", "salt", notes / "cap.md", "--method", "cross-encoder")
    assert (done.code, done.out) == (2, "")
    first, second = done.err.splitlines()
    assert first == "notesearch: no cross-encoder was chosen, and none comes with notesearch"
    assert "--cross-encoder" in second


def test_an_explanation_names_the_words_that_met(run, notes):
    done = run("rerank", "turmeric lentils", notes / "cooking/dal.md", "--explain")
    assert "meaning + " in done.out and " words in context\n" in done.out
    assert "    turmeric ██████████ 1.00 turmeric\n    lentils  ██████████ 1.00 Lentils\n" in done.out
    assert "█" not in run("rerank", "turmeric lentils", notes / "cooking/dal.md").out


def test_nothing_to_rank_exits_with_1_and_says_so_on_stderr(run, fake_encoder, stdin):
    stdin("")
    done = run("rerank", "salt")
    assert (done.code, done.out, done.err) == (1, "", "Nothing to rank.\n")
    stdin("\n--\n")
    assert run("rerank", "salt").code == 1
    stdin("")
    assert run("rerank", "salt", "--quiet").err == ""


@pytest.mark.parametrize(
    ("flag", "out"),
    [("--json", "[]\n"), ("--jsonl", ""), ("--tsv", ""), ("--files", ""), ("-0", ""), ("--vimgrep", "")],
)
def test_nothing_to_rank_for_scripts(run, fake_encoder, stdin, flag, out):
    stdin("")
    done = run("rerank", "salt", flag)
    assert (done.code, done.out, done.err) == (1, out, "")


def test_what_cannot_be_read_is_named_and_counted_and_the_rest_is_ranked(run, notes, tmp_path):
    (tmp_path / "binary.md").write_bytes(bytes(range(256)) * 9)
    done = run("rerank", "salt", tmp_path / "gone.md", notes / "cap.md", notes / "cooking", tmp_path / "binary.md")
    assert (done.code, done.out.count(". CAP theorem")) == (0, 1)
    assert done.err.splitlines() == [
        f"skipped  {tmp_path}/gone.md: no such file",
        f"skipped  {notes}/cooking: a folder; name the files in it",
        f"skipped  {tmp_path}/binary.md: binary file",
        "3 of 4 candidates could not be read.",
    ]


def test_a_file_that_is_too_large_is_not_read(run, notes, tmp_path):
    (tmp_path / "config" / "notesearch").mkdir(parents=True)
    (tmp_path / "config" / "notesearch" / "config.toml").write_text("max_file_bytes = 50")
    (notes / "large.md").write_text("x" * 51)
    (notes / "small.md").write_text("x" * 50)
    done = run("rerank", "salt", notes / "large.md", notes / "small.md", "--files")
    assert (done.code, done.out) == (0, f"{notes}/small.md\n")
    assert "large.md: larger than 50 bytes" in done.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(run, notes):
    (notes / "cap.md").chmod(0)
    done = run("rerank", "salt", notes / "cap.md", notes / "cooking/dal.md", "--files")
    assert (done.code, done.out) == (0, f"{notes}/cooking/dal.md\n")
    assert f"skipped  {notes}/cap.md: permission denied" in done.err


@pytest.mark.parametrize(("flag", "out"), [("--format=human", ""), ("--json", "[]\n"), ("--files", "")])
def test_where_nothing_could_be_read_it_is_an_error(run, fake_encoder, tmp_path, flag, out):
    done = run("rerank", "salt", tmp_path / "gone.md", flag)
    assert (done.code, done.out) == (2, out)
    assert done.err == f"skipped  {tmp_path}/gone.md: no such file\n1 of 1 candidates could not be read.\n"


def test_names_are_harmless_to_people_and_exact_to_programs(run, fake_encoder, write_notes):
    folder = write_notes({"e\x1b[2Jvil.md": "# Evil\x1b[8m\n\nSalt."})
    path = folder / "e\x1b[2Jvil.md"
    done = run("rerank", "salt", path, "gone\x1b[2J.md", "--explain")
    assert "e\ufffd[2Jvil.md" in done.out and "gone\ufffd[2J.md" in done.err
    assert "\x1b" not in done.out + done.err
    assert run("rerank", "salt", path, "-0").out == f"{path}\0"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_without_candidates_at_a_terminal_it_says_how_to_give_some(run, fake_encoder, monkeypatch, arguments):
    monkeypatch.setattr(sys, "stdin", Terminal())
    done = run("rerank", "salt", *arguments)
    assert (done.code, done.out) == (2, "")
    first, second = done.err.splitlines()
    assert first == "notesearch: no candidates were given"
    assert "rg -l rent | notesearch rerank" in second


def test_a_terminal_is_not_asked_where_files_are_named(run, notes, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert run("rerank", "salt", notes / "cap.md").code == 0


def test_an_empty_query_is_refused(run, notes):
    done = run("rerank", " ", notes / "cap.md")
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines()[0] == "notesearch: the query is empty" and len(done.err.splitlines()) == 2


def test_a_damaged_index_is_an_error(run, notes, tmp_path):
    (tmp_path / "notes.db").write_text("this is no database at all, but long enough to look like one" * 10)
    done = run("rerank", "salt", notes / "cap.md", "--index-dir", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "damaged" in done.err and len(done.err.splitlines()) == 2


def test_ctrl_c_exits_with_130_without_a_traceback(run, notes, fake_encoder):
    fake_encoder.passages_left = 1
    done = run("rerank", "salt", *(notes / name for name in NAMES))
    assert (done.code, done.out) == (130, "")
    assert "Traceback" not in done.err


def test_progress_is_shown_on_a_terminal_unless_it_is_to_be_quiet(run, notes, terminals):
    terminals.add("stderr")
    assert "Reading passages" in run("rerank", "salt", notes / "cap.md").err
    assert run("rerank", "salt", notes / "cap.md", "--quiet").err == ""


def test_a_stdin_that_was_closed_is_an_error_or_empty(run, fake_encoder, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    done = run("rerank", "salt")
    assert done.code in (1, 2) and done.err


def test_a_name_that_is_not_utf8_is_skipped_as_index_skips_it(run, indexed):
    odd = Path(os.fsdecode(os.fsencode(indexed) + b"/caf\xe9.md"))
    odd.write_text("salt")
    done = run("rerank", "salt", odd, indexed / "cap.md", "--files")
    assert (done.code, done.out) == (0, f"{indexed}/cap.md\n")
    assert "name is not valid UTF-8" in done.err


def test_every_line_of_a_file_that_cannot_be_read_counts(run, fake_encoder, tmp_path):
    (tmp_path / "binary.md").write_bytes(bytes(range(256)) * 9)
    done = run("rerank", "salt", f"{tmp_path}/binary.md:1:x", f"{tmp_path}/binary.md:2:y")
    assert done.err.splitlines()[-1] == "2 of 2 candidates could not be read."


def test_a_line_beyond_the_end_is_not_shown(run, notes):
    (hit,) = hits_of(run, "salt", f"{notes}/cap.md:99:x")
    assert hit["end_line"] <= 3


def test_quiet_says_nothing_of_what_was_skipped(run, notes):
    assert run("rerank", "salt", notes / "cap.md", "gone.md", "--quiet").err == ""
