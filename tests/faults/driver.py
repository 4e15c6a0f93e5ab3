"""Running notesearch commands with a fault at their n-th change of the disk."""

import enum
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
# Far more than any command takes here; one that takes longer hangs.
_PATIENCE_S = 60.0


class Kind(enum.IntEnum):
    """What happens; the same numbers as in shim.c."""

    COUNT = 0
    KILL = 1
    KILL_HALFWAY = 2
    NO_SPACE = 3
    IO_ERROR = 4
    TERMINATE = 5
    STOP = 6


@dataclass(frozen=True)
class Fault:
    """What happens, and when.

    Attributes:
        kind: What.
        at: At which of the changes that it can happen to, from 1; 0 for none.
        for_good: Whether it happens to all changes from then on.
    """

    kind: Kind = Kind.COUNT
    at: int = 0
    for_good: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        code: Its exit status, −9 where it was killed; `None` while it is stopped.
        calls: Changes of the disk that the fault could have happened to.
        fired: Whether it happened.
        seconds_after: From the fault to the end.
        output: What it printed to stdout.
        errors: What it printed to stderr.
    """

    code: int | None
    calls: int
    fired: bool
    seconds_after: float | None
    output: str
    errors: str


class Server:
    """A process that has everything imported, and forks for each command.

    Args:
        shim: The compiled shim.
        modules: What else to import: that of some commands makes the others slow.
    """

    def __init__(self, shim: Path, *modules: str) -> None:
        environment = {**os.environ, "LD_PRELOAD": str(shim), "FAULT_SHIM": str(shim), "OMP_NUM_THREADS": "1"}
        self.environment = {name: environment[name] for name in ("PATH", "FAULT_SHIM", "OMP_NUM_THREADS")}
        self._process = subprocess.Popen(
            [sys.executable, str(_HERE / "server.py"), *modules],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """Sends a request and waits for the answer."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


class Running:
    """A command that was started."""

    def __init__(self, server: Server, pid: int, printed: tuple[Path, Path]) -> None:
        self._server = server
        self._pid = pid
        self._printed = printed

    def wait(self) -> Outcome:
        """Waits until it ends or stops itself; fails if it does neither for a long time."""
        answer = self._server.ask(do="wait", pid=self._pid, timeout_s=_PATIENCE_S)
        output, errors = (path.read_text(encoding="utf-8", errors="replace") for path in self._printed)
        assert not answer["hung"], f"hangs after {output!r} {errors!r}"
        seconds_after = answer["seconds_after"]
        return Outcome(answer["code"], answer["calls"], answer["fired"] > 0, seconds_after, output, errors)

    def go_on(self) -> None:
        """Lets it go on where it has stopped."""
        os.kill(self._pid, signal.SIGCONT)


@dataclass
class Sandbox:
    """A place with notes, an index and all else that commands write to, which can be put back to what it was.

    Attributes:
        server: Runs the commands.
        base: A folder of its own.
    """

    server: Server
    base: Path
    _started: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.root = self.base / "root"
        self.vault = self.root / "notes"
        self.index_dir = self.root / "index"
        for folder in (self.vault, self.root / "tmp", self.base / "printed"):
            folder.mkdir(parents=True)

    def start(self, *arguments: str, fault: Fault = Fault(), patches: dict[str, Any] | None = None) -> Running:
        """Starts a command."""
        self._started += 1
        printed = tuple(self.base / "printed" / f"{self._started}.{stream}" for stream in ("out", "err"))
        folders = {f"XDG_{kind}_HOME": str(self.root / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        answer = self.server.ask(
            do="start",
            arguments=[*arguments],
            folder=str(self.root),
            environment={
                **self.server.environment,
                **folders,
                "HOME": str(self.root),
                "HF_HUB_OFFLINE": "1",
                "NO_COLOR": "",
                "NOTESEARCH_INDEX_DIR": str(self.index_dir),
                "TMPDIR": str(self.root / "tmp"),
            },
            fault=asdict(fault),
            watched=str(self.root),
            patches=patches or {},
            stdout=str(printed[0]),
            stderr=str(printed[1]),
        )
        return Running(self.server, answer["pid"], (printed[0], printed[1]))

    def run(self, *arguments: str, fault: Fault = Fault(), patches: dict[str, Any] | None = None) -> Outcome:
        """Runs a command."""
        return self.start(*arguments, fault=fault, patches=patches).wait()

    def must(self, *arguments: str, patches: dict[str, Any] | None = None) -> Outcome:
        """Runs a command that has to succeed."""
        done = self.run(*arguments, patches=patches)
        assert done.code == 0, (arguments, done)
        return done

    def keep(self) -> None:
        """Remembers everything as it is now."""
        shutil.rmtree(self.base / "kept", ignore_errors=True)
        shutil.copytree(self.root, self.base / "kept", symlinks=True)

    def put_back(self) -> None:
        """Makes everything as it was when it was kept."""
        shutil.rmtree(self.root)
        shutil.copytree(self.base / "kept", self.root, symlinks=True)

    def notes(self) -> dict[str, tuple[bytes, int, int]]:
        """Content, mode and modification time of every file among the notes, hidden ones too."""
        files = (path for path in sorted(self.vault.rglob("*")) if path.is_file())
        return {
            str(path.relative_to(self.vault)): (path.read_bytes(), path.stat().st_mode, path.stat().st_mtime_ns)
            for path in files
        }

    def files(self) -> set[str]:
        """Names of everything but the notes; SQLite's files beside its database come and go."""
        found = (path.relative_to(self.root) for path in self.root.rglob("*"))
        return {str(path) for path in found if path.parts[0] != "notes" and path.suffix not in (".db-wal", ".db-shm")}


def build_shim(folder: Path) -> Path | None:
    """Compiles the shim; `None` where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    shim = folder / "shim.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(shim), str(_HERE / "shim.c"), "-ldl"]
    subprocess.run(command, check=True)
    return shim
