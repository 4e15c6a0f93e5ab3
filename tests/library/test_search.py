import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, replace
from datetime import datetime
from pathlib import Path

import pytest

import notesearch
from notesearch import Hit, Index, open_index
from notesearch.cli import main
from notesearch.encoders import models
from notesearch.errors import FolderUnreadable, IndexMismatch, IndexMissing, StoreError, UsageError
from notesearch.indexing import chunking_for
from notesearch.library.index import forget_folder, sync_index
from notesearch.records import as_json
from notesearch.settings import Settings

NOTES = {
    "cap.md": "---\ntags: [databases]\ndate: 2024-02-10\n---\n# CAP theorem\n\nConsistency or availability.",
    "cooking/dal.md": "---\ntags: cooking\ndate: 2023-05-01\n---\n# Dal\n\nLentils, turmeric, salt.",
    "cooking/bread.md": "---\ntags: cooking\ndate: 2025-05-01\n---\n# Bread\n\nFlour, water, salt.",
}


pytestmark = pytest.mark.usefixtures("own_folders")


@pytest.fixture
def folder(tmp_path) -> Path:
    for name, text in NOTES.items():
        path = tmp_path / "notes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "notes"


@pytest.fixture
def index_dir(tmp_path, folder, fake_encoder) -> Path:
    sync_index(Settings(tmp_path / "index"), [folder])
    return tmp_path / "index"


def names(hits: list[Hit]) -> set[str]:
    return {Path(hit.path).name for hit in hits}


def test_the_package_offers_what_it_promises():
    assert set(notesearch.__all__) == {"Hit", "Index", "__version__", "open_index"}
    assert all(getattr(notesearch, name) is not None for name in notesearch.__all__)
    with pytest.raises(AttributeError, match="no_such_thing"):
        notesearch.no_such_thing


def test_hits_are_frozen(index_dir):
    with open_index(index_dir) as index:
        (hit, *_) = index.search("lentils")
    assert isinstance(hit, Hit)
    with pytest.raises(FrozenInstanceError):
        hit.rank = 7  # type: ignore[misc]


@pytest.mark.parametrize("mode", ["lexical", "dense", "hybrid"])
def test_hits_are_those_of_the_command_line(index_dir, monkeypatch, capsys, mode):
    with open_index(index_dir) as index:
        hits = index.search("salt and consistency", mode=mode, limit=2)
    arguments = ["search", "salt and consistency", "--json", "--all", "--index-dir", str(index_dir)]
    monkeypatch.setattr(sys, "argv", ["notesearch", *arguments, "--mode", mode, "--limit", "2"])
    with pytest.raises(SystemExit):
        main()
    printed = json.loads(capsys.readouterr().out)
    assert len(hits) == 2
    assert [exact_but_for_rounding(hit) for hit in printed] == [
        exact_but_for_rounding(json.loads(json.dumps(as_json(hit, decimals=9)))) for hit in hits
    ]


def exact_but_for_rounding(value: object) -> object:
    if isinstance(value, dict):
        return {key: exact_but_for_rounding(part) for key, part in value.items()}
    if isinstance(value, list):
        return [exact_but_for_rounding(part) for part in value]
    return pytest.approx(value, abs=1e-4) if isinstance(value, float) else value


def test_filters(index_dir):
    with open_index(index_dir) as index:
        assert names(index.search("salt", tags=["cooking"])) == {"dal.md", "bread.md"}
        assert names(index.search("salt", not_tags=["cooking"])) == {"cap.md"}
        assert names(index.search("salt", path="*/dal.md")) == {"dal.md"}
        assert names(index.search("salt", since=datetime(2024, 1, 1))) == {"cap.md", "bread.md"}
        assert names(index.search("salt", until=datetime(2024, 1, 1))) == {"dal.md"}
        day = datetime(2024, 2, 10)
        assert names(index.search("salt", since=day, until=day)) == {"cap.md"}
        assert index.search("salt", tags=["cooking", "databases"]) == []


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(index_dir, limit):
    with open_index(index_dir) as index, pytest.raises(UsageError, match="limit"):
        index.search("salt", limit=limit)


def test_an_empty_query_is_refused(index_dir):
    with open_index(index_dir) as index, pytest.raises(UsageError, match="empty"):
        index.search(" ")


def test_a_missing_index(tmp_path):
    with pytest.raises(IndexMissing, match="no index") as caught:
        open_index(tmp_path / "nothing")
    assert isinstance(caught.value, StoreError)
    assert not (tmp_path / "nothing").exists()


def test_the_index_is_by_default_that_of_the_command_line(index_dir, tmp_path, monkeypatch):
    with pytest.raises(IndexMissing):
        open_index()
    monkeypatch.setenv("NOTESEARCH_INDEX_DIR", str(index_dir))
    with open_index() as index:
        assert isinstance(index, Index)
        assert index.search("lentils")[0].title == "Dal"
    with open_index(str(index_dir)) as index:
        assert index.search("lentils")[0].title == "Dal"


def test_an_open_index_sees_one_state(index_dir, folder):
    with open_index(index_dir) as before:
        assert names(before.search("tulips", mode="lexical")) == set()
        (folder / "new.md").write_text("Tulips in spring")
        (folder / "cap.md").unlink()
        sync_index(Settings(index_dir), [])
        assert names(before.search("tulips", mode="lexical")) == set()
        assert "cap.md" in names(before.search("consistency"))
        with open_index(index_dir) as after:
            assert names(after.search("tulips", mode="lexical")) == {"new.md"}
            assert "cap.md" not in names(after.search("consistency"))


def test_a_model_that_has_changed_under_its_name_is_noticed(index_dir, fake_models, other_model):
    fake_models.files["all-MiniLM-L6-v2"] = other_model
    with open_index(index_dir) as index:
        assert index.search("lentils", mode="lexical")
        with pytest.raises(IndexMismatch, match="no longer") as caught:
            index.search("lentils")
    assert "--rebuild" in caught.value.hint


def test_a_folder_that_is_not_covered_cannot_be_forgotten(index_dir, folder, tmp_path):
    settings = Settings(index_dir)
    with pytest.raises(UsageError, match="not a folder of this index") as caught:
        forget_folder(settings, tmp_path)
    assert str(folder) in caught.value.hint
    assert forget_folder(settings, folder) == 3
    with open_index(index_dir) as index:
        assert index.search("salt") == []


def test_an_index_goes_on_with_the_model_it_was_made_with(tmp_path, folder, monkeypatch, fake_encoder, fake_model):
    named = replace(fake_model, config=replace(fake_model.config, name="/models/mine"))
    asked = []
    monkeypatch.setattr(models, "prepare", lambda name: asked.append(name) or named)
    sync_index(Settings(tmp_path / "own", model="/models/mine"), [folder])
    sync_index(Settings(tmp_path / "own"), [])
    assert asked == ["/models/mine", "/models/mine"]


def test_a_mode_that_is_none_is_refused(index_dir):
    with open_index(index_dir) as index, pytest.raises(UsageError, match="there is no mode 'psychic'"):
        index.search("tea", mode="psychic")


def test_filters_that_no_note_can_match(index_dir):
    with open_index(index_dir) as index:
        assert index.search("tea", tags=["caf\udce9"]) == []
        assert index.search("tea", path="caf\udce9") == []


def test_forgetting_makes_no_index(tmp_path):
    with pytest.raises(IndexMissing):
        forget_folder(Settings(tmp_path / "none"), tmp_path)
    assert not (tmp_path / "none").exists()


def test_a_missing_folder_makes_no_index(tmp_path):
    with pytest.raises(FolderUnreadable):
        sync_index(Settings(tmp_path / "none"), [tmp_path / "absent"])
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(("max_tokens", "budget"), [(512, 192), (256, 192), (128, 64), (32, 16)])
def test_chunks_leave_room_for_the_title_in_what_the_model_reads(max_tokens, budget):
    assert chunking_for(max_tokens).budget_tokens == budget


@pytest.mark.parametrize(
    ("query", "options"),
    [
        (None, {}),
        (["salt"], {}),
        ("salt", {"since": "2024"}),
        ("salt", {"until": 2024}),
        ("salt", {"tags": "cooking"}),
        ("salt", {"not_tags": [1]}),
        ("salt", {"path": Path("/notes")}),
        ("salt", {"limit": "10"}),
        ("salt", {"limit": None}),
    ],
)
def test_arguments_of_another_type_are_refused(index_dir, query, options):
    with open_index(index_dir) as index, pytest.raises(UsageError, match="should be of type"):
        index.search(query, **options)


def test_an_index_belongs_to_the_thread_that_opened_it(index_dir):
    with open_index(index_dir) as index, ThreadPoolExecutor(1) as thread:
        with pytest.raises(UsageError, match="another thread"):
            thread.submit(index.search, "salt").result()
        assert index.search("salt")


def test_what_was_typed_is_quoted_at_a_length_that_can_be_read(index_dir):
    with open_index(index_dir) as index, pytest.raises(UsageError) as caught:
        index.search("salt", mode="x" * 20_000)
    assert len(str(caught.value)) < 1_000 and "there is no mode" in str(caught.value)
