from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .driver import Sandbox, Server, build_shim
from .scenario import Scenario

Open = Callable[[type[Scenario]], Scenario]


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that injects faults."""
    built = build_shim(tmp_path_factory.mktemp("shim"))
    if built is None:
        pytest.skip("faults are injected by a C library, on Linux, and there is no C compiler (cc)")
    return built


@contextmanager
def _opener(folder: Path, shim: Path, *modules: str) -> Iterator[Open]:
    scenarios: dict[type[Scenario], Scenario] = {}
    server = Server(shim, *modules)

    def open_scenario(kind: type[Scenario]) -> Scenario:
        if kind not in scenarios:
            scenarios[kind] = kind(Sandbox(server, folder / kind.__name__))
        return scenarios[kind]

    try:
        yield open_scenario
    finally:
        server.close()


@pytest.fixture(scope="session")
def opened(shim: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """Gives scenarios, each set up once."""
    with _opener(tmp_path_factory.mktemp("faults"), shim) as opener:
        yield opener


@pytest.fixture(scope="session")
def opened_with_torch(shim: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """The same for commands that train."""
    with _opener(tmp_path_factory.mktemp("faults"), shim, "safetensors.torch") as opener:
        yield opener
