"""A damaged index: every command ends with a message, and `doctor --repair` leads back to a sound one.

`NOTESEARCH_DAMAGES=500` tries so many damages in the place of the usual ones; see benchmarks/damage.py.
"""

import faulthandler
import functools
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer.main
from cli.conftest import run, terminals  # noqa: F401 - fixtures
from indexing.vault import Vault, contents
from outcome import Outcome

DAMAGES = int(os.environ.get("NOTESEARCH_DAMAGES", "42"))
PAGE = 16384
pytestmark = pytest.mark.usefixtures("own_folders")
# The longest that a case may take before it counts as hanging.
_PATIENCE_S = 60

NOTES = {
    "notes/cap.md": "---\ntags: [databases, theory]\ndate: 2024-02-10\n---\n# CAP theorem\n\nConsistency or [[dal]].",
    "notes/cooking/dal.md": "---\ntags: cooking\n---\n# Dal\n\nLentils, turmeric, salt.\n\n## Tadka\n\nCumin in ghee.",
    "notes/cooking/bread.md": "# Bread\n\n"
    + "".join(f"## Step {n}\n\n{'Flour, water, salt. ' * 30}\n\n" for n in range(9)),
    "notes/坐禅メモ.md": "# 坐禅\n\n只管打坐。Übergänge, naïve café.",
    "notes/empty.md": "",
    "more/sourdough.md": "# Sourdough\n\nFeed the starter, see [bread](../notes/cooking/bread.md).",
    "more/broken.md": "\0\1\2binary\0",
}


@dataclass(frozen=True)
class Soundness:
    """An index as it was before it was damaged."""

    index_dir: Path
    folders: tuple[Path, ...]
    contents: dict[str, Any]


Run = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    """SQLite in a loop would not be stopped by anything else."""
    faulthandler.dump_traceback_later(_PATIENCE_S, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def commands_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """typer makes all commands anew for each call, which takes longer than most of them."""
    monkeypatch.setattr("typer.main.get_command", functools.cache(typer.main.get_command))


@pytest.fixture
def sound(fake_models: object, run: Run, tmp_path: Path) -> Soundness:  # noqa: F811
    vault = Vault(tmp_path / "vault")
    for name, text in NOTES.items():
        vault.write(name, text)
    folders = (vault.root / "more", vault.root / "notes")
    assert run("index", *folders, "--quiet").code == 3, "broken.md cannot be read"
    index_dir = tmp_path / "data" / "notesearch"
    return Soundness(index_dir, folders, contents(index_dir))


def damage(path: Path, number: int) -> str:
    """Damages a file in a way that depends on a number alone; says how."""
    chance = random.Random(number)
    data = bytearray(path.read_bytes())
    page = min(PAGE, len(data) // 4)
    written = [at for at, byte in enumerate(data) if byte]
    kind = ("bit", "bytes", "zeroed page", "other page", "cut off", "header", "log")[number % 7]
    if kind == "bit":
        at = chance.choice(written)
        data[at] ^= 1 << chance.randrange(8)
    elif kind == "bytes":
        at = chance.choice(written)
        data[at : at + 64] = chance.randbytes(min(64, len(data) - at))
    elif kind == "zeroed page":
        at = chance.randrange(len(data) // page) * page
        data[at : at + page] = bytes(page)
    elif kind == "other page":
        at, other = (chance.randrange(1, len(data) // page) * page for _ in range(2))
        data[at : at + page] = data[other : other + page]
    elif kind == "cut off":
        at = chance.choice([0, 1, 100, page, len(data) // 2, len(data) - page, chance.randrange(len(data))])
        del data[at:]
    elif kind == "header":
        at = chance.randrange(100)
        data[at] ^= 1 << chance.randrange(8)
    else:
        at = 0
        path.with_name(path.name + "-wal").write_bytes(chance.randbytes(5000))
    path.write_bytes(data)
    return f"{kind} at {at}"


def well_ended(outcome: Outcome) -> Outcome:
    """Makes sure that a command said what was the matter where it did not do as it was told."""
    assert outcome.code in (0, 1, 2, 3), outcome
    assert "Traceback" not in outcome.err
    assert outcome.code < 2 or outcome.err.strip(), "it says nothing"
    return outcome


def come_back(run: Run, sound: Soundness) -> None:  # noqa: F811
    """Makes sure that a repair leads back to the index as it was."""
    repaired = run("doctor", "--repair", "--json")
    assert repaired.code == 0, repaired.out
    assert run("index").code == 3
    assert contents(sound.index_dir) == sound.contents


@pytest.mark.parametrize("number", range(DAMAGES))
def test_damage_of_the_database(
    sound: Soundness,
    run: Run,  # noqa: F811
    tmp_path: Path,
    number: int,
    record_property: Callable[[str, object], None],
) -> None:
    kind = damage(sound.index_dir / "notes.db", number)
    for command in (
        ["search", "dal with turmeric", "--explain"],
        ["search", "salt", "--mode", "lexical", "--json", "--limit", "100"],
        ["search", "salt", "--mode", "dense", "--json", "--tag", "cooking"],
        ["status"],
        ["status", "--json"],
        ["status", "--why", str(sound.folders[1] / "cap.md")],
        ["doctor"],
    ):
        well_ended(run(*command))
    noticed = run("doctor", "--json").code != 0
    shutil.copytree(sound.index_dir, tmp_path / "copy")
    well_ended(run("index", "--index-dir", tmp_path / "copy", "--quiet"))
    # A value may have become another one that might have been written: nothing can tell then.
    silent = not noticed and contents(sound.index_dir) != sound.contents
    record_property("damage", "noticed" if noticed else "silent" if silent else "harmless")
    if silent:
        assert kind.startswith(("bit", "bytes"))
        assert run("index", "--rebuild").code == 3
    come_back(run, sound)


@pytest.mark.parametrize("number", range(min(DAMAGES, 8)))
def test_damage_of_the_vector_file(
    sound: Soundness,
    run: Run,  # noqa: F811
    number: int,
) -> None:
    assert run("index").code == 3
    path = sound.index_dir / "vectors.hnsw"
    whole = path.read_bytes()
    question = ("search", "salt", "--mode", "dense", "--json")
    answer = run(*question)
    damage(path, number)
    assert run(*question) == answer
    if path.read_bytes() == whole:  # it was its log that was damaged, which it does not have
        return
    assert "vectors.hnsw" in run("doctor", "--quiet").out
    well_ended(run("status"))
    if number % 2:
        assert run("index").code == 3
    else:
        assert run("doctor", "--repair").code == 0
    assert run("doctor").code == 0
    assert run(*question) == answer
    assert contents(sound.index_dir) == sound.contents
