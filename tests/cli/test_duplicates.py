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
    assert outcome.out.splitlines() == [
        "long.md  105 words",
        "  part.md  a part: 98% of it stands above, 56% of that here",
        "    only here, line 1: other",
        "    only above, line 1: Long",
        "    only above, line 3: word30",
        "    only above, line 5: and some more of x0 x1 x2 x3 x4 x5 x6 x7 x8 x9 x10 x11",
        "    x12 x13 x14 x15 x16 x17 x18 x19 x20 x21 x22 x23 x24 x25 x26 x27 x28 x29 x30",
        "    x31 x32 x33 x34 x35 x36 x37 x38 x39",
        "  same.md  a part: 98% of it stands above, 56% of that here",
        "    only here, line 1: other",
        "    only above, line 1: Long",
        "    only above, line 3: word30",
        "    only above, line 5: and some more of x0 x1 x2 x3 x4 x5 x6 x7 x8 x9 x10 x11",
        "    x12 x13 x14 x15 x16 x17 x18 x19 x20 x21 x22 x23 x24 x25 x26 x27 x28 x29 x30",
        "    x31 x32 x33 x34 x35 x36 x37 x38 x39",
        "",
    ]
    assert outcome.err == "Too short to be compared: 1 note.\n"


def test_passages(folder, run):
    shown = run("duplicates", "--passages", "--quiet")
    assert shown.code == 0
    assert shown.out.startswith("long.md:3  60 words\n  word0 word1 ")
    assert (
        "\n  same.md:1  a copy: 98% of it stands above, 98% of that here\n    only here, line 1: other\n" in shown.out
    )


def test_lines_of_a_terminal(folder, run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    assert "\n  part.md\n    a part: 98% of it stands above, 56%\n    of that here\n" in run("duplicates").out


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
