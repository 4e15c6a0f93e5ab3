"""The server as an assistant starts it: a process, spoken to over its stdin and stdout by the official client."""

import json
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from cli.sample_index import SAMPLE_NOTES, SampleIndex, sample_index
from mcp import Client, StdioServerParameters

PATIENCE_S = 60


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleIndex:
    return sample_index(tmp_path_factory.getbasetemp())


def with_client(
    sample: SampleIndex, use: Callable[[Client], Awaitable[Any]], *arguments: str, mode: str = "auto"
) -> Any:
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "notesearch", "mcp", *arguments], env=sample.environment
    )

    async def ask() -> Any:
        with anyio.fail_after(PATIENCE_S):
            async with Client(server, mode=mode) as client:
                return await use(client)

    return anyio.run(ask)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_an_assistant_searches_and_reads(sample: SampleIndex, mode: str) -> None:
    async def use(client: Client) -> None:
        tools = await client.list_tools()
        assert {tool.name for tool in tools.tools} == {"search", "similar", "read_note", "tags", "properties", "status"}
        answer = await client.call_tool("search", {"query": "my spine hurts from sitting at a desk", "limit": 3})
        hit = answer.structured_content["hits"][0]
        assert hit["path"] == str(SAMPLE_NOTES / "health" / "back-pain.md")
        lines = {"start_line": hit["start_line"], "end_line": hit["end_line"]}
        note = await client.call_tool("read_note", {"path": hit["path"], **lines})
        assert "Monitor at eye height" in note.structured_content["text"]
        for arguments in ({"path": "../../etc/passwd"}, {"path": 5}, {}):
            assert (await client.call_tool("read_note", arguments)).is_error

    with_client(sample, use, mode=mode)


def test_hits_are_those_of_search(sample: SampleIndex) -> None:
    query = "how to trade off consistency vs partition tolerance"
    printed = json.loads(sample.run("search", query, "--json").stdout)

    async def use(client: Client) -> Any:
        return (await client.call_tool("search", {"query": query})).structured_content["hits"]

    hits = with_client(sample, use)
    assert len(hits) == 10
    for hit, expected in zip(hits, printed, strict=True):
        assert hit == {name: expected[name] for name in hit} | {"score": pytest.approx(expected["score"], abs=1e-4)}


def test_many_requests_at_once(sample: SampleIndex) -> None:
    async def use(client: Client) -> list[int]:
        found: list[int] = []

        async def search(number: int) -> None:
            answer = await client.call_tool("search", {"query": f"bread number {number}", "limit": number})
            found.append(len(answer.structured_content["hits"]) - number)

        async with anyio.create_task_group() as group:
            for number in range(1, 21):
                group.start_soon(search, number)
        return found

    assert with_client(sample, use) == [0] * 20


def test_an_index_that_is_made_while_the_server_runs(sample: SampleIndex, tmp_path: Path) -> None:
    notes, index_dir = tmp_path / "notes", tmp_path / "index"
    notes.mkdir()
    (notes / "a.md").write_text("# Kites\n\nKites fly.")

    async def use(client: Client) -> None:
        first = await client.call_tool("search", {"query": "kites"})
        assert first.is_error and "there is no index" in first.content[0].text
        for count in (1, 2):
            (notes / f"{count}.md").write_text(f"# Kites {count}\n\nKites fly.")
            done = await anyio.to_thread.run_sync(
                lambda: sample.run("index", str(notes), "--index-dir", str(index_dir))
            )
            assert done.returncode == 0
            answer = await client.call_tool("search", {"query": "kites"})
            assert len(answer.structured_content["hits"]) == count + 1

    with_client(sample, use, "--index-dir", str(index_dir))


def start(sample: SampleIndex, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "notesearch", "mcp", *arguments],
        env=sample.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}


def test_what_is_no_request_harms_nothing_and_stdout_holds_the_protocol_alone(sample: SampleIndex) -> None:
    lines = [
        "no json",
        "[]",
        '{"jsonrpc": "2.0", "id": 7, "method": "nothing/known"}',
        '{"jsonrpc": "2.0", "id": 8, "method": "tools/call", "params": {"name": 5}}',
        '{"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": "search", "arguments": [1]}}',
        '{"jsonrpc": "2.0", "id": 10, "method": "tools/call", "params": {"name": "\\ud800", "arguments": {}}}',
        "[" * 100_000,
        '{"jsonrpc": "2.0", "id": 11, "method": "tools/call", "params": {"name": "status", "arguments": {}}}',
    ]
    process = start(sample)
    assert process.stdin and process.stdout and process.stderr
    process.stdin.write(json.dumps(INITIALIZE) + "\n")
    process.stdin.write('{"jsonrpc": "2.0", "method": "notifications/initialized"}\n')
    process.stdin.write("\n".join(lines) + "\n")
    process.stdin.flush()
    answers = {}
    while 11 not in answers:
        answer = json.loads(process.stdout.readline())
        answers[answer.get("id")] = answer
    assert answers[7]["error"] and answers[8]["error"]
    assert answers[11]["result"]["structuredContent"]["notes"] > 100
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert [json.loads(line) for line in out.splitlines()] == []
    assert "Traceback" not in err


@pytest.mark.parametrize(("signalled", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_it_though_its_client_stays(sample: SampleIndex, signalled: int, code: int) -> None:
    process = start(sample)
    assert process.stdin and process.stdout and process.stderr
    process.stdin.write(json.dumps(INITIALIZE) + "\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["result"]["serverInfo"]["name"] == "notesearch"
    process.send_signal(signalled)
    try:
        assert process.wait(timeout=10) == code
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.communicate()


def test_without_the_package_it_says_what_to_install(sample: SampleIndex) -> None:
    code = "import sys; sys.modules['mcp'] = None; sys.argv = ['', 'mcp']; from notesearch.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=sample.environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'notesearch[mcp]'" in done.stderr
