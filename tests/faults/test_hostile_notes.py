"""Notes whose every part tries to be obeyed: printed harmless by all commands, kept exact for programs."""

import io
import json
import os
import re
import sys
import tomllib
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from html_page import Page
from outcome import Outcome, Run

from notesearch.cli import main
from notesearch.notes import parse_note

pytest_plugins = ["tagging_fixtures"]

MARKUP = "[red]x[/] [link=file:///etc/passwd]y[/link] [/] [/z] [[u"
# CSI, OSC 8 and 52, DCS, C1, backspace, carriage return, bidirectional overrides, invisible letters.
OBEYED = (
    "\x1b[31mPWNED\x1b[0m \x1b]8;;http://evil.example\x1b\\l\x1b]8;;\x1b\\ \x1b]52;c;SGk=\x07 \x1bPq\x1b\\ \x9b2J "
    "\x90q\x9c un\x08\x08 over\rwrite \u202egpj.exe\u202c \u2066x\u2069 \x7f \u2060\ufeff"
)
HTML = "</title><script>alert(1)</script><img src=x onerror=alert(1)>"
HOSTILE = f"{OBEYED} {MARKUP} {HTML}"
# What no note and no name may bring into a stream that people read: all controls but line feeds, and what else a
# terminal would obey. Colours and progress bars of the program's own are taken out first.
OBEYABLE = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
OWN = re.compile("\x1b\\[(?:[0-9;]*m|\\?25[hl]|2K|1A)|\r(?!w)")


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def own_terminal(own_folders: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture(params=["pipe", "terminal"])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command through `main`, in this process, behind a pipe or at a terminal."""
    kind = Terminal if request.param == "terminal" else io.TextIOWrapper

    def call(*arguments: object, typed: str = "") -> Outcome:
        monkeypatch.setattr(sys, "argv", ["notesearch", *map(str, arguments)])
        streams = {name: kind(io.BytesIO(), encoding="utf-8", newline="") for name in ("stdout", "stderr")}
        for name, stream in streams.items():
            monkeypatch.setattr(sys, name, stream)
        stdin = io.TextIOWrapper(io.BytesIO(os.fsencode(typed)), encoding="utf-8", errors="surrogateescape")
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(SystemExit) as caught:
            main()
        written = []
        for stream in streams.values():
            stream.flush()
            written.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]
        code = caught.value.code
        return Outcome(code if isinstance(code, int) else int(code is not None), *written)

    return call


def front_matter(**values: object) -> str:
    return "---\n" + "".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items()) + "---\n"


# With a slash behind it, the end of some markup that never began.
NAME = f"\x1b[31mPWNED\x1b]52;c;SGk=\x07 \x9b2J\x08 over\rwrite\n\u202egpj.exe [red]x {HTML.replace('/', '-')}["


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    """A folder of notes that are hostile in every part, and some that cannot be read."""
    folder = tmp_path / f"notes{NAME[:60]}"
    tags = [HOSTILE, "soup"]
    notes = {
        f"title {NAME}.md": front_matter(title=HOSTILE, tags=tags, date=HOSTILE) + f"turmeric one\n\n{HOSTILE}\n",
        f"{NAME}/]heading.md": f"# {HOSTILE} turmeric\n\nLentils\n\n## {HOSTILE}\n\nturmeric {HOSTILE} end\n",
        "links.md": f"# Of cabbages\n[un\x08\u202e]({quote(f'title {NAME}.md')}) [[short|un\x08\x9b2J \u202egpj]] ",
        "short.md": front_matter(title="\x9bJPWNED \u202egpj\x1b]") + "Short.\n",
        "org.org": f"#+title: {HOSTILE}\n#+filetags: :{OBEYED.split()[0]}:\n* {HOSTILE} :a:\nturmeric {HOSTILE}\n",
        "rst.rst": f"{HOSTILE}\n{'=' * 300}\n\nturmeric {HOSTILE}::\n\n   {HOSTILE}\n",
        "broken.md": f"---\na: b\na: c\n{json.dumps(HOSTILE)}: [\n---\nturmeric\n",
        "twice.md": f"---\n{json.dumps(OBEYED)}: b\n{json.dumps(OBEYED)}: c\n---\nturmeric\n",
        **{f"tagged {number}.md": front_matter(tags=tags) + f"soup salt turmeric {number}\n" for number in range(6)},
        **{f"other {number}.md": front_matter(tags=[MARKUP]) + f"disk quorum btree {number}\n" for number in range(6)},
    }
    for name, text in notes.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8", newline="")
    (folder / f"binary {NAME}.md").write_bytes(b"\0")
    (folder / f"gone {NAME}.md").symlink_to("nowhere")
    (folder / os.fsdecode(b"bytes \xff\x9b2J.md")).write_text("x")
    (folder / ".gitignore").write_text(f"[{OBEYED}\n")
    return folder


@pytest.fixture
def concepts(tmp_path: Path) -> Path:
    file = tmp_path / f"concepts{NAME[:60]}.toml"
    idea = json.dumps(f"\u202egpj.exe\u2066 \u2060 {MARKUP} {HTML}")  # controls are refused
    file.write_text(f"[concepts]\nturmeric = [{idea}]\n{idea} = ['quorum']\n")
    return file


def commands(vault: Path, concepts: Path, page: Path) -> list[tuple[object, ...]]:
    """All that prints something of notes or of names, in an order in which it works."""
    note = vault / f"title {NAME}.md"
    refused = vault / f"refused {NAME}.toml"
    refused.write_text(f"[concepts]\n{json.dumps(HOSTILE)} = ['soup']\n")
    queries = vault / "queries.jsonl"
    judged = [{"_id": HOSTILE, "text": f"turmeric {HOSTILE}", "grade": HOSTILE, "relevant": [note.name]}]
    queries.write_text("".join(json.dumps(query) + "\n" for query in judged))
    return [
        ("index", vault, "--verbose"),
        ("index", "--verbose"),
        ("status", "--verbose"),
        ("status", "--why", note),
        ("status", "--why", f"{vault}/no {NAME}"),
        ("doctor",),
        ("tags",),
        ("properties",),
        ("links", note),
        ("links", vault / "links.md"),
        ("links", "--unresolved"),
        ("links", "--orphans"),
        ("search", "turmeric", "--limit", 20),
        ("search", f"turmeric {HOSTILE}", "--explain", "--concepts", concepts),
        ("search", "turmeric", "--mode", "lexical", "--tag", HOSTILE),
        ("rerank", "turmeric", note, vault / "rst.rst", f"{vault}/no {NAME}", "--explain", "--verbose"),
        ("concepts", "list", "--concepts", concepts),
        ("concepts", "suggest"),
        ("tag", vault / "links.md", vault / f"binary {NAME}.md", f"{vault}/no {NAME}", "--min-score", 0, "--verbose"),
        ("tag", "--labels", f"{HOSTILE}: turmeric, soup", note, "--min-score", 0),
        ("train-classifier", "--quick", "--method", "tf-idf", "--min-examples", 2, "--verbose"),
        ("tag", vault / "links.md", "--min-score", 0),
        ("accept", f"turmeric {HOSTILE}", note, f"{vault}/no {NAME}"),
        ("eval", vault, "--worst", 3, "--html", page),
        ("eval", "--stage", "lexical"),
        ("index", f"{vault}/no {NAME}"),
        ("index", f"{vault}/no {NAME}", "--verbose"),
        ("search", "turmeric", "--since", HOSTILE),
        ("search", "turmeric", "--concepts", f"{vault}/no {NAME}"),
        ("search", "turmeric", "--concepts", refused),
        ("search", "turmeric", "--index-dir", f"{vault}/no {NAME}"),
        ("search", "--queries", f"{vault}/no {NAME}"),
        ("search", "turmeric", "--rerank", "cross-encoder", "--cross-encoder", f"no {NAME}"),
        ("train-classifier", "--labels-from", f"{vault}/no {NAME}"),
        ("train-classifier", "--name", HOSTILE),
        ("index", "--rebuild", "--model", f"no {NAME}"),
        ("index", "--forget", f"{vault}/no {NAME}"),
        ("index", "--forget", vault),
    ]


def test_no_command_prints_what_a_terminal_would_obey(run: Run, vault: Path, concepts: Path, tagging_encoder, tmp_path):
    page = tmp_path / "page.html"
    codes = {}
    for arguments in commands(vault, concepts, page):
        done = run(*arguments)
        codes.setdefault(arguments[0], set()).add(done.code)
        for stream in (done.out, done.err):
            assert "\x1b[31mPWNED" not in stream, arguments[:2]
            in_columns = arguments[0] in ("tags", "properties", "links")
            found = OBEYABLE.search(OWN.sub("", stream.replace("\t", " ") if in_columns else stream))
            assert found is None, (arguments[:2], stream[max(0, found.start() - 80) : found.end() + 20])
            assert "Traceback" not in stream or ("--verbose" in arguments and done.code == 2)
    # Nothing failed that was not meant to: what names no file, and an evaluation by too few notes.
    assert codes == {
        **{name: {0} for name in ("rerank", "tag", "accept", "concepts", "doctor", "tags", "properties")},
        **{"index": {0, 2, 3}, "search": {0, 1, 2}, "eval": {0, 2}, "train-classifier": {0, 2}},
        **{"status": {0, 1}, "links": {0, 1}},
    }
    reports = list(tmp_path.rglob("report.html"))
    for file in (page, *reports):
        elements = {tag for tag, _ in Page(file.read_text(encoding="utf-8")).elements}
        assert not elements & {"script", "img", "link", "a", "iframe"}
    assert reports and HTML in Page(page.read_text(encoding="utf-8")).text


def test_proposals_can_be_appended_as_they_are_printed(run: Run, vault: Path, tagging_encoder):
    run("index", vault)
    printed = run("concepts", "suggest").out
    assert tomllib.loads(printed)["concepts"]["Of cabbages"] == ["\ufffdJPWNED \ufffdgpj\ufffd]"]


def test_markup_is_text_to_people(run: Run, vault: Path, tagging_encoder):
    run("index", vault)
    done = run("search", "turmeric", "--limit", 20)
    assert "[red]x[/]" in done.out and "[/z]" in done.out


def test_programs_get_paths_titles_and_tags_exactly(run: Run, vault: Path, tagging_encoder):
    run("index", vault)
    for arguments in (("--json",), ("--jsonl",), ("--explain", "--json")):
        done = run("search", "turmeric", "--limit", 50, *arguments)
        hits = json.loads(done.out) if "--json" in arguments else [json.loads(line) for line in done.out.splitlines()]
        assert {hit["path"] for hit in hits} >= {str(vault / f"title {NAME}.md"), str(vault / NAME / "]heading.md")}
        for hit in hits:
            path = Path(hit["path"])
            text = path.read_bytes().decode()
            note = parse_note(path, text, datetime(2024, 1, 2))
            assert (hit["title"], tuple(hit["tags"])) == (note.title, note.tags)
            assert hit["snippet"].strip("…") in " ".join(note.text.split())
            assert all(
                span["matched"] == text[span["start"] : span["end"]] for span in hit["evidence"] if span["start"]
            )
        # Nothing in it would be obeyed even if it were printed as it is.
        assert OBEYABLE.search(done.out) is None
    suggested = run("tag", vault / f"title {NAME}.md", "--jsonl", "--min-score", 0).out
    assert json.loads(suggested)["path"] == str(vault / f"title {NAME}.md")
    assert OBEYABLE.search(suggested) is None


@pytest.mark.parametrize("run", ["pipe"], indirect=True)
def test_lists_of_files_are_exact_behind_a_pipe(run: Run, vault: Path, tagging_encoder):
    summary = json.loads(run("index", vault, "--json").out)
    skipped = {entry["path"] for entry in summary["skipped"]}
    assert {str(vault / f"binary {NAME}.md"), str(vault / f"gone {NAME}.md")} <= skipped
    hostile = str(vault / f"title {NAME}.md")
    found = run("search", "turmeric", "--limit", 50, "-0").out.split("\0")
    assert hostile in found
    assert f"{hostile}\n" in run("search", "turmeric", "--limit", 50, "--files").out
    again = run("rerank", "turmeric", "-", "-0", typed="\0".join(found)).out.split("\0")
    assert hostile in again
    for option in ("--tsv", "--vimgrep"):  # a hit a line, whatever it holds; else as it is
        lines = run("search", "turmeric", "--limit", 50, option).out.split("\n")
        assert len(lines) == len(found) and any("\x1b[31mPWNED" in line for line in lines)


@pytest.mark.parametrize("run", ["terminal"], indirect=True)
@pytest.mark.parametrize("option", ["--files", "-0", "--tsv", "--vimgrep", "--json"])
def test_formats_for_programs_are_harmless_at_a_terminal(run: Run, vault: Path, tagging_encoder, option):
    run("index", vault)
    out = run("search", "turmeric", "--limit", 50, option).out
    assert "PWNED" in out and OBEYABLE.search(OWN.sub("", out).replace("\t", "")) is None


def test_tags_are_written_into_hostile_notes_and_taken_back(run: Run, vault: Path, tagging_encoder):
    run("index", vault)
    before = {path: path.read_bytes() for path in vault.rglob("*") if path.is_file()}
    options = ("tag", vault, "--labels", "turmeric: turmeric lentils, soup: soup salt", "--min-score", 0)
    dry = run(*options, "--dry-run")
    assert {path: path.read_bytes() for path in before} == before
    assert "turmeric" in dry.out
    done = run(*options, "--apply")
    after = {path: path.read_bytes() for path in before}
    changed = {path for path in before if after[path] != before[path]}
    assert vault / f"title {NAME}.md" in changed and vault / "rst.rst" not in changed
    assert OBEYABLE.search(OWN.sub("", done.out + done.err)) is None
    undone = run("tag", "--undo")
    assert undone.code == 0 and OBEYABLE.search(OWN.sub("", undone.out + undone.err)) is None
    assert {path: path.read_bytes() for path in before} == before
