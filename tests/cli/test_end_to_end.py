"""Commands from outside, as a shell runs them, with the real model over the sample notes."""

import json
import os
import shlex
import signal
import stat
import subprocess
import sys
import time

import pytest

from .sample_index import SAMPLE_NOTES, SampleIndex


def hits_of(sample: SampleIndex, *arguments: str) -> list[dict]:
    done = sample.run("search", "--json", *arguments)
    assert done.stderr == ""
    return json.loads(done.stdout)


def below_sample_notes(hit: dict) -> str:
    return os.path.relpath(hit["path"], SAMPLE_NOTES)


def test_a_question_finds_the_note_that_answers_it_in_other_words(sample):
    hits = hits_of(sample, "how to trade off consistency vs partition tolerance")
    assert len(hits) == 10
    assert "distributed-systems/cap-theorem.md" in [below_sample_notes(hit) for hit in hits[:5]]


def test_the_lines_of_a_hit_are_lines_of_its_file(sample):
    for hit in hits_of(sample, "what to cook with turmeric", "--limit", "5"):
        with open(hit["path"], encoding="utf-8") as file:  # noqa: PTH123
            lines = file.read().split("\n")
        shown = " ".join(" ".join(lines[hit["start_line"] - 1 : hit["end_line"]]).split())
        assert hit["snippet"].strip("…") in shown


def test_the_default_output_fits_a_pipe(sample):
    done = sample.run("search", "麻婆豆腐 豆瓣酱")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith(" 1. 麻婆豆腐")
    assert "\x1b" not in done.stdout


def test_a_reader_that_goes_away_is_no_error(sample):
    search = f"{shlex.quote(sys.executable)} -m notesearch search raft --limit 100 --format jsonl"
    script = f"set -o pipefail; {search} | head -c 1 | wc -c"
    for _ in range(2):
        done = subprocess.run(["bash", "-c", script], env=sample.environment, capture_output=True, encoding="utf-8")
        assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "1", "")


def test_a_reader_that_was_never_there_is_no_error(sample):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "notesearch", "search", "raft", "--json"]
    done = subprocess.run(command, env=sample.environment, stdout=writing, stderr=subprocess.PIPE, encoding="utf-8")
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_terminal_without_unicode_gets_escapes_and_no_traceback(sample):
    environment = {**sample.environment, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "notesearch", "search", "麻婆豆腐", "-n", "1"]
    done = subprocess.run(command, env=environment, capture_output=True, encoding="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u9ebb\\u5a46" in done.stdout


# A sentence, and words to put into it.
SCRIPTS = {
    "amharic": ("ዛሬ በመንደሩ {} አየሁ እና ብዙ ተነጋገርን", "ድመት ውሻ ወፍ ፈረስ ላም"),
    "armenian": ("Այսօր գյուղում տեսա {} և երկար խոսեցինք", "կատու շուն թռչուն ձի կով"),
    "georgian": ("დღეს სოფელში ვნახე {} და დიდხანს ვისაუბრეთ", "კატა ძაღლი ჩიტი ცხენი ძროხა"),
    "hebrew": ("היום בכפר ראיתי {} ודיברנו הרבה", "חתול כלב ציפור סוס פרה"),
    "khmer": ("ថ្ងៃនេះនៅភូមិយើងនិយាយអំពី {} យូរណាស់", "ឆ្មា ឆ្កែ បក្សី សេះ គោ"),
    "korean": ("오늘 마을에서 {}에 대해 이야기했다", "고양이 강아지 까마귀 망아지 송아지"),
    "tamil": ("இன்று கிராமத்தில் {} பார்த்தேன், நீண்ட நேரம் பேசினோம்", "பூனை நாய் பறவை குதிரை பசு"),
    "thai": ("วันนี้ที่หมู่บ้านเราพูดถึง{}กันนานมาก", "แมว สุนัข นกยูง ม้า วัว"),
}


def test_the_note_that_holds_a_word_is_first_in_scripts_that_the_model_cannot_read(sample, tmp_path):
    queries = []
    for script, (sentence, words) in SCRIPTS.items():
        for number, word in enumerate(words.split()):
            note = tmp_path / "notes" / script / f"{number}.md"
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(sentence.format(word), encoding="utf-8")
            queries.append(json.dumps({"_id": os.fspath(note), "text": word}))
    index = ("--index-dir", os.fspath(tmp_path / "index"))
    assert sample.run("index", os.fspath(tmp_path / "notes"), "--quiet", *index).returncode == 0
    done = sample.run("search", "--queries", "-", "--jsonl", "-n", "1", *index, input="\n".join(queries))
    hits = list(map(json.loads, done.stdout.splitlines()))
    assert len(hits) == len(queries)
    assert [hit["path"] for hit in hits] == [hit["query_id"] for hit in hits]
    # What the model read of other scripts is no evidence.
    assert all(
        item["query_token"] == item["matched"] for hit in hits for item in hit["evidence"] if "amharic" in hit["path"]
    )


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs terminals")
def test_a_terminal_gets_colours_and_no_color_takes_them_away(sample):
    assert "\x1b[1m" in on_a_terminal({**sample.environment, "TERM": "xterm"})
    assert "\x1b" not in on_a_terminal({**sample.environment, "TERM": "xterm", "NO_COLOR": "1"})


def on_a_terminal(environment: dict[str, str]) -> str:
    leader, follower = os.openpty()
    command = [sys.executable, "-m", "notesearch", "search", "raft leader election", "-n", "1"]
    subprocess.run(command, env=environment, stdout=follower, stderr=follower, check=True)
    os.close(follower)
    shown = b""
    try:
        while data := os.read(leader, 65536):
            shown += data
    except OSError:  # how Linux tells the end of it
        pass
    os.close(leader)
    return shown.decode()


def test_ctrl_c_ends_a_command_with_130_and_no_traceback(sample):
    read, written = os.pipe()
    command = [sys.executable, "-m", "notesearch", "search", "--queries", f"/dev/fd/{read}", "--jsonl"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "pass_fds": [read]}
    with (
        subprocess.Popen(command, env=sample.environment, encoding="utf-8", preexec_fn=heed_ctrl_c, **pipes) as process,
        os.fdopen(written, "wb") as queries,
    ):
        os.close(read)
        queries.write(b"\n" * (1 << 20))  # more than a pipe holds: it is being read when this is over
        while process.poll() is None:  # Python overlooks one that comes between two reads
            process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err


def heed_ctrl_c() -> None:
    """A shell's background jobs, and what they start, ignore it; the tests may be one."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_nothing_is_written_into_the_notes_and_the_index_is_private(sample, tmp_path):
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.md").write_text("# Tulips\n\nThey flower in spring.")
    index = tmp_path / "index"
    before = sorted(path.name for path in notes.rglob("*"))
    done = sample.run("index", str(notes), "--index-dir", str(index), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["added"] == 1
    assert hits_of(sample, "flowers that bloom in april", "--index-dir", str(index))[0]["title"] == "Tulips"
    assert sorted(path.name for path in notes.rglob("*")) == before
    assert stat.S_IMODE(index.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in index.rglob("*"))


def test_search_finds_its_index_from_any_folder(sample, tmp_path):
    assert sample.run("search", "raft", "--files", cwd=tmp_path).returncode == 0
