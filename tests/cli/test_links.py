import json
from pathlib import Path

import pytest

NOTES = {
    "oil.md": "---\naliases: [fat]\n---\n# Cooking oil\n\nFor the [pan](tools/pan) and [[nothing|more]].",
    "tools/pan.md": "# Pan\n\n[[oil#smoke|Oil]] and [again][o], [[NOTHING]].\n\n[o]: ../oil.md\n",
    "wood___oil.md": "---\nup: '[[fat]]'\n---\nNo heading. [site](/about)",
    "alone.md": "# Alone\n\n[[wood/oil]] is not far.",
    "lone.md": "# Lone\n\nNeither [to](#here) nor [[lone]] nor [lost](lost.md).",
}


@pytest.fixture
def folder(fake_encoder, run, write_notes) -> Path:
    folder = write_notes(NOTES)
    assert run("index", folder, "--quiet").code == 0
    return folder


def test_a_note_is_named_by_its_path_its_title_or_as_links_name_it(folder, run, monkeypatch):
    monkeypatch.chdir(folder)
    expected = (
        f"to\t{folder}/tools/pan.md\t6\ttools/pan\tpan\nto\t\t6\tnothing\tmore\n"
        f"from\t{folder}/tools/pan.md\t3\toil\tOil\nfrom\t{folder}/tools/pan.md\t3\t../oil.md\tagain\n"
        f"from\t{folder}/wood___oil.md\t\tfat\tfat\n"
    )
    for name in ("oil.md", folder / "oil.md", "cooking OIL", "oil", "fat", "tools/../oil.md"):
        outcome = run("links", name)
        assert (outcome.code, outcome.out, outcome.err) == (0, expected, "")
    assert run("links", "wood/oil").out.splitlines()[-1] == f"from\t{folder}/alone.md\t3\twood/oil\twood/oil"


def test_a_person_sees_both_ways(folder, run, terminals, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("NO_COLOR", "1")
    terminals.add("stdout")
    assert run("links", "oil").out.splitlines() == [
        "Cooking oil",
        *("  links to", "    tools/pan.md", "        line 6: pan", "    no note: nothing", "        line 6: more"),
        *("  linked from", "    tools/pan.md:3", "        Oil", "    tools/pan.md:3", "        again"),
        *("    wood___oil.md", "        fat"),
    ]
    run("search", "neither nor")
    assert run("links", 1).out.splitlines()[0] == "Lone"


def test_links_that_lead_nowhere_and_notes_that_none_joins(folder, run):
    lost = [
        {"target": "nothing", "count": 2, "paths": [str(folder / "oil.md"), str(folder / "tools/pan.md")]},
        {"target": "lost.md", "count": 1, "paths": [str(folder / "lone.md")]},
    ]
    assert json.loads(run("links", "--unresolved", "--json").out) == lost
    assert run("links", "--unresolved").out.splitlines()[0] == f"nothing\t2\t{folder}/oil.md"
    assert run("links", "--orphans").out == f"{folder}/lone.md\n"


def test_json_of_a_note(folder, run):
    found = json.loads(run("links", folder / "alone.md", "--json").out)
    assert (found["path"], found["title"], found["backlinks"]) == (str(folder / "alone.md"), "Alone", [])
    assert found["links"] == [
        {
            "path": str(folder / "wood___oil.md"),
            "title": "wood/oil",
            "target": "wood/oil",
            "anchor": "wood/oil",
            "line": 3,
        }
    ]


def test_what_there_is_not(folder, run, write_notes):
    assert run("links").code == run("links", "oil", "--orphans").code == 2
    outcome = run("links", "zebra")
    assert (outcome.code, outcome.out) == (2, "") and "holds no note 'zebra'" in outcome.err
    (folder / "x").mkdir()
    for name in ("x/same.md", "same.md"):
        (folder / name).write_text("Nothing in here")
    run("index", "--quiet")
    assert "2 notes are called 'same'" in run("links", "same").err
    outcome = run("links", folder / "same.md")
    assert (outcome.code, outcome.out) == (1, "")
