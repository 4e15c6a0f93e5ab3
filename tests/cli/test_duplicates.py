import json

import pytest

WORDS = [f"word{number}" for number in range(60)]


@pytest.fixture
def folder(fake_encoder, run, write_notes, monkeypatch):
    folder = write_notes(
        {
            "long.md": f"# Long\n\n{' '.join(WORDS)}\n\nand some more of {' '.join(f'x{n}' for n in range(40))}",
            "part.md": f"{' '.join(WORDS[:30])} other {' '.join(WORDS[31:])}",
            "same.md": f"**{' '.join(WORDS[:30])}** other {' '.join(WORDS[31:])}",
            "unlike.md": " ".join(f"y{n}" for n in range(60)),
            "short.md": "word1 word2",
        }
    )
    assert run("index", folder, "--quiet").code == 0
    monkeypatch.chdir(folder)
    return folder


def test_a_person_is_told_what_differs(folder, run):
    outcome = run("duplicates")
    assert outcome.code == 0
    differences = [
        "    a part:             98% of it stands above, 56% of that here",
        "    only here, line 1:  other",
        "    only above, line 1: Long",
        "    only above, line 3: word30",
        f"    only above, line 5: and some more of {' '.join(f'x{number}' for number in range(40))}",
    ]
    copies = ["  part.md", *differences, "  same.md", *differences]
    assert outcome.out.splitlines() == ["long.md  105 words", *copies, ""]
    assert outcome.err == "Too short to be compared: 1 note.\n"


def test_passages(folder, run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    shown = run("duplicates", "--passages", "--quiet")
    assert shown.code == 0
    assert shown.out.startswith("long.md:3  60 words\n  word0 word1 word2 word3 word4 word5\n  word6 ")
    assert (
        "\n  same.md:1\n"
        "    a copy:             98% of it stands\n"
        "                        above, 98% of\n"
        "                        that here\n"
        "    only here, line 1:  other\n"
    ) in shown.out


def test_json(folder, run):
    (group,) = json.loads(run("duplicates", "--json").out)
    assert (group["path"], group["start_line"], group["end_line"]) == (str(folder / "long.md"), 1, 5)
    assert [copy["path"] for copy in group["copies"]] == [str(folder / "part.md"), str(folder / "same.md")]
    copy = group["copies"][0]
    assert (copy["relation"], copy["share"]) == ("part", round(59 / 60, 4))
    assert copy["only_here"] == [{"start_line": 1, "end_line": 1, "words": 1, "text": "other"}]


def test_the_threshold(folder, run):
    found = json.loads(run("duplicates", "--json", "--threshold", "1").out)
    assert [(group["path"], len(group["copies"])) for group in found] == [(str(folder / "part.md"), 1)]
    assert found[0]["copies"][0]["relation"] == "same"
    assert run("duplicates", "--threshold", "0").code == 2


def test_the_limit_says_what_it_leaves_out(folder, run):
    text = " ".join(f"z{number}" for number in range(20))
    for name in ("z1.md", "z2.md"):
        (folder / name).write_text(text)
    run("index", "--quiet")
    outcome = run("duplicates", "--limit", 1)
    assert "z1.md" not in outcome.out
    assert "1 group more" in outcome.err
    assert "z1.md" in run("duplicates").out


def test_none(fake_encoder, run, write_notes):
    run("index", write_notes({"a.md": " ".join(WORDS), "b.md": "else"}), "--quiet")
    outcome = run("duplicates")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.splitlines()[0] == "No duplicates among 2 notes."
    outcome = run("duplicates", "--json", "--quiet")
    assert (outcome.code, outcome.out, outcome.err) == (1, "[]\n", "")


def test_templates_are_counted(fake_encoder, run, write_notes):
    run("index", write_notes({f"{day}.md": " ".join(WORDS) for day in range(30)}), "--quiet")
    outcome = run("duplicates")
    assert (outcome.code, outcome.out) == (1, "")
    assert "more than 20 notes hold: 30." in outcome.err


def test_a_terminal_is_not_sent_what_notes_hold(fake_encoder, run, write_notes):
    text = "\x1b[31m ".join(WORDS)
    run("index", write_notes({"a.md": text, "b.md": f"{text} \x1b]0;x\x07 more"}), "--quiet")
    for options in ([], ["--passages"]):
        outcome = run("duplicates", *options)
        assert "b.md" in outcome.out and "\x1b" not in outcome.out


def test_no_index(run):
    outcome = run("duplicates")
    assert outcome.code == 2
    assert "notesearch index" in outcome.err
