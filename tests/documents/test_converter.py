import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from document_files import flate_stream, make_docx, make_epub, make_pdf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notesearch.documents.converter import Converter, Limits
from notesearch.documents.document import Document
from notesearch.errors import NoteUnreadable

PAGE = b"<p>Some text"
SLOW = make_pdf([["x"]], contents={0: flate_stream(b"BT /F1 12 Tf (hello there) Tj ET\n" * 1_000_000)})


@pytest.fixture
def converter():
    converter = Converter()
    yield converter
    converter.close()


def pid(converter: Converter) -> int:
    assert converter._process
    return converter._process.pid


def test_one_process_reads_many_documents(converter: Converter) -> None:
    ballast = b"x" * 500_000_000  # the memory of this process does not count
    assert converter.convert("a.html", PAGE).text == "Some text" and ballast
    first = pid(converter)
    with pytest.raises(NoteUnreadable):
        converter.convert("b.pdf", b"no PDF")
    assert converter.convert("c.html", PAGE).text == "Some text"
    assert pid(converter) == first


@pytest.mark.parametrize(
    ("limits", "name", "data", "reason"),
    [
        (Limits(seconds=1), "a.pdf", SLOW, "too complicated: not read within 1 s"),
        (Limits(memory_bytes=300_000_000), "a.html", b"<p>" + b"<b>a</b>" * 2_000_000, "memory|damaged"),
    ],
    ids=["time", "memory"],
)
def test_a_document_that_takes_too_much_ends_and_the_next_is_read(
    limits: Limits, name: str, data: bytes, reason: str
) -> None:
    converter = Converter(limits)
    with pytest.raises(NoteUnreadable, match=reason):
        converter.convert(name, data)
    assert converter.convert("b.html", PAGE).text == "Some text"
    converter.close()


def test_a_long_pdf_is_read_for_half_the_time() -> None:
    pages = [["Some lines of text on a page."] * 40] * 3000
    converter = Converter(Limits(seconds=2))
    document = converter.convert("a.pdf", make_pdf(pages))
    converter.close()
    (problem,) = document.problems
    assert problem.startswith("only its beginning was read, ") and problem.endswith(" of 3,000 pages")
    assert 0 < len(document.page_starts) < 3000


def test_a_process_that_is_killed_costs_one_document_at_most(converter: Converter) -> None:
    converter.convert("a.html", PAGE)
    os.kill(pid(converter), signal.SIGKILL)
    with pytest.raises(NoteUnreadable, match="gave up"):
        converter.convert("b.html", PAGE)
    assert converter.convert("b.html", PAGE).text == "Some text"


def test_a_process_that_ended_by_itself_is_started_again(converter: Converter) -> None:
    converter.convert("a.html", PAGE)
    process = converter._process
    assert process and process.stdin
    process.stdin.close()
    process.wait()
    process.stdin = Path(os.devnull).open("wb")  # noqa: SIM115 - closed by the converter
    assert converter.convert("b.html", PAGE).text == "Some text"


def test_nothing_is_imported_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, converter: Converter
) -> None:
    (tmp_path / "lxml.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    assert converter.convert("a.html", PAGE).text == "Some text"


def test_the_process_ends_with_the_one_that_started_it() -> None:
    script = (
        "import os, signal; from notesearch.documents import converter\n"
        "converter.convert('a.html', b'<p>text'); print(converter._converter._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    worker = Path(f"/proc/{int(done.stdout)}/stat")
    deadline = time.monotonic() + 20
    while worker.exists() and ") Z " not in worker.read_text():
        assert time.monotonic() < deadline, "the process is still there"
        time.sleep(0.01)


def test_reading_needs_neither_the_network_nor_programs() -> None:
    script = (
        "import sys; from notesearch.documents import worker\n"
        "sys.addaudithook(worker._forbid)\n"
        "import socket, subprocess\n"
        "for act in (lambda: socket.create_connection(('127.0.0.1', 9)), lambda: subprocess.run(['true'])):\n"
        "    try: act()\n"
        "    except PermissionError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert len(done.stdout.splitlines()) == 2, done.stderr


WHOLE = {
    "a.pdf": make_pdf([["One line.", "Another."], ["More."]], outline=[("More.", 1)]),
    "a.docx": make_docx("<w:p><w:r><w:t>text</w:t></w:r></w:p>"),
    "a.epub": make_epub({"a.xhtml": "<h1>A</h1><p>text</p>"}),
    "a.html": b"<html><body><ul><li>a<td>b</ul><a href='x.md'>c</a><pre>d</pre>",
}
_shared = Converter()


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.sampled_from(sorted(WHOLE)),
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), max_size=6),
    st.floats(0, 1),
)
def test_a_damaged_document_is_read_or_unreadable(name: str, changes: list[tuple[float, bytes]], kept: float) -> None:
    data = WHOLE[name]
    for place, new in changes:
        start = int(place * len(data))
        data = data[:start] + new + data[start + len(new) :]
    for damaged in (data, data[: int(kept * len(data))], b"".join(new for _, new in changes)):
        try:
            document = _shared.convert(name, damaged)
        except NoteUnreadable as error:
            assert error.message
        else:
            assert isinstance(document, Document) and document.text.strip()
            assert list(document.page_starts) == sorted(document.page_starts)
