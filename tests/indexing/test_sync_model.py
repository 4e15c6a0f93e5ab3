"""Whatever happens to a folder between runs, and whenever a run breaks off: the index is as one made from nothing."""

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from notesearch.encoders import PreparedModel

from .vault import Vault, contents, run_index

NAMES = [f"{folder}{name}" for folder in ("", "sub/", "sub/deep/") for name in ("a.md", "b b.md", "日.txt")]
PARTS = [
    "# Tea",
    "## Green #leaf",
    "the water must not boil",
    "steep it for [[two minutes|2 min]] and no longer than that, or it gets bitter and nobody will want it",
    "在分布式系统中，一致性和可用性不能兼得",
    "```\ncode goes here #nottag\n```",
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen",
]
FRONT_MATTER = ["", "---\ntitle: Set\ntags: [x, y/z]\n---\n", "---\ndate: 2020-01-01\n---\n", "---\nbroken: [\n---\n"]
BODIES = st.builds(
    lambda front, parts: front + "\n\n".join(parts),
    st.sampled_from(FRONT_MATTER),
    st.lists(st.sampled_from(PARTS), max_size=6),
)


class Folder(RuleBasedStateMachine):
    """A person works in a folder of notes, and `index` runs now and then."""

    model: PreparedModel
    encoder: Any

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.vault = Vault(self.directory / "vault")
        self.index_dir = self.directory / "index"

    def teardown(self) -> None:
        shutil.rmtree(self.directory)

    def names(self) -> list[str]:
        return sorted(str(path.relative_to(self.vault.root)) for path in self.vault.root.rglob("*") if path.is_file())

    @rule(name=st.sampled_from(NAMES), body=BODIES)
    def write(self, name: str, body: str) -> None:
        self.vault.write(name, body)

    @precondition(names)
    @rule(data=st.data(), new=st.sampled_from(NAMES))
    def rename(self, data: st.DataObject, new: str) -> None:
        self.vault.rename(data.draw(st.sampled_from(self.names())), new)

    @precondition(names)
    @rule(data=st.data(), new=st.sampled_from(NAMES))
    def copy(self, data: st.DataObject, new: str) -> None:
        self.vault.write(new, (self.vault.root / data.draw(st.sampled_from(self.names()))).read_bytes())

    @precondition(names)
    @rule(data=st.data())
    def change_places(self, data: st.DataObject) -> None:
        one, other = (data.draw(st.sampled_from(self.names())) for _ in range(2))
        self.vault.rename(one, "passing")
        self.vault.rename("passing" if one == other else other, one)
        if one != other:
            self.vault.rename("passing", other)

    @precondition(names)
    @rule(data=st.data())
    def append(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.names()))
        self.vault.write(name, (self.vault.root / name).read_bytes() + b"\n\n" + PARTS[3].encode())

    @precondition(names)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        self.vault.delete(data.draw(st.sampled_from(self.names())))

    @precondition(names)
    @rule(data=st.data())
    def touch(self, data: st.DataObject) -> None:
        self.vault.touch(data.draw(st.sampled_from(self.names())))

    @rule(folder=st.sampled_from(["sub", "sub/deep"]))
    def move_or_remove_folder(self, folder: str) -> None:
        if (self.vault.root / "moved").exists():
            shutil.rmtree(self.vault.root / "moved")
        elif (self.vault.root / folder).exists():
            self.vault.rename(folder, "moved")

    @rule(passages=st.integers(0, 12))
    def index_breaks_off(self, passages: int) -> None:
        self.encoder.passages_left = passages
        with contextlib.suppress(KeyboardInterrupt):
            run_index(self.index_dir, self.model, self.vault.root)
        self.encoder.passages_left = None

    @rule()
    def index(self) -> None:
        report = run_index(self.index_dir, self.model, self.vault.root)
        assert report.notes == len(self.names())
        fresh_dir = self.directory / "fresh"
        fresh = run_index(fresh_dir, self.model, self.vault.root)
        assert (report.notes, report.chunks) == (fresh.notes, fresh.chunks)
        assert contents(self.index_dir) == contents(fresh_dir)
        shutil.rmtree(fresh_dir)
        again = run_index(self.index_dir, self.model)
        assert (again.unchanged, again.encoded, again.removed) == (report.notes, 0, 0)


def test_any_history_ends_in_the_index_of_a_fresh_start(
    fake_model: PreparedModel, fake_encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notesearch.indexing.batches.BATCH_CHUNKS", 3)
    machine = type("Folder", (Folder,), {"model": fake_model, "encoder": fake_encoder})
    run_state_machine_as_test(machine, settings=settings(max_examples=12, stateful_step_count=15, deadline=None))
