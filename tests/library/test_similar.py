import os
from pathlib import Path

import pytest

from notesearch.errors import IndexMismatch, IndexMissing, NoteUnreadable, UsageError
from notesearch.library.index import sync_index
from notesearch.library.similar import find_similar
from notesearch.settings import Settings

NOTES = {
    "cap.md": "---\ntags: [databases]\n---\n# CAP\n\nConsistency, partition, availability.",
    "raft.md": "---\ntags: [databases]\n---\n# Raft\n\nConsistency, partition, availability, leader.",
    "dal.md": "# Dal\n\nLentils, turmeric, salt. See [[bread]].",
    "bread.md": "# Bread\n\nFlour, water, salt, patience.",
    "tyres.md": "# Tyres\n\nRubber, spokes, chain, grease.",
}


@pytest.fixture
def folder(tmp_path: Path, fake_encoder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Notes, and an index of them in `index` beside."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    notes = tmp_path / "notes"
    notes.mkdir()
    for name, text in NOTES.items():
        (notes / name).write_text(text)
    sync_index(Settings(tmp_path / "index"), [notes])
    fake_encoder.encoded.clear()
    return notes


def names(hits):
    return [Path(hit.path).name for hit in hits]


def find(folder, note, **options):
    return find_similar(note, index_dir=folder.parent / "index", **options)


def test_a_note_of_the_index_is_not_encoded_again(folder, fake_encoder):
    assert names(find(folder, folder / "cap.md"))[0] == "raft.md"
    assert fake_encoder.encoded == []


def test_a_note_that_has_changed_is_taken_as_it_is_now(folder, fake_encoder):
    (folder / "cap.md").write_text("# Bread again\n\nFlour, water, salt, patience. [[dal]]")
    hits = find(folder, folder / "cap.md")
    assert names(hits)[0] == "bread.md"
    assert len(fake_encoder.encoded) == 1
    assert "cap.md" not in names(hits)
    assert {Path(hit.path).name: hit.links for hit in hits}.get("dal.md", ("to",)) == ("to",)
    assert "dal.md" not in names(find(folder, folder / "cap.md", unlinked=True))


def test_a_note_that_is_in_no_index(folder):
    draft = folder.parent / "draft.txt"
    draft.write_text("Consistency, partition, availability.")
    assert {*names(find(folder, draft))[:2]} == {"cap.md", "raft.md"}


def test_a_text_that_is_in_no_file(folder):
    text = "---\ntags: databases\n---\nConsistency, partition, availability, see [[Cap]]."
    hits = find(folder, None, text=text)
    assert {*names(hits)[:2]} == {"cap.md", "raft.md"}
    links = {Path(hit.path).name: hit.links for hit in hits}
    assert (links["cap.md"], links["raft.md"]) == (("to",), ())
    assert hits[0].shared_tags == ("databases",)
    assert hits[0].meetings[0].start_line == 4


def test_links_of_the_index_are_followed_both_ways(folder):
    (hit,) = [hit for hit in find(folder, folder / "dal.md") if hit.path.endswith("bread.md")]
    assert hit.links == ("to",)
    (hit,) = [hit for hit in find(folder, folder / "bread.md") if hit.path.endswith("dal.md")]
    assert hit.links == ("from",)


def test_a_note_is_known_by_a_symlink_to_its_folder(folder, fake_encoder):
    (folder.parent / "link").symlink_to(folder)
    assert names(find(folder, folder.parent / "link" / "cap.md"))[0] == "raft.md"
    assert fake_encoder.encoded == []


def test_a_symlink_that_is_a_note_itself_is_known_by_its_own_name(folder, fake_encoder):
    (folder.parent / "elsewhere.md").write_text("Lentils, turmeric, salt, and more.")
    (folder / "linked.md").symlink_to(folder.parent / "elsewhere.md")
    sync_index(Settings(folder.parent / "index", follow_symlinks=True), [folder])
    fake_encoder.encoded.clear()
    (folder.parent / "link").symlink_to(folder)
    assert names(find(folder, folder.parent / "link" / "linked.md"))[0] == "dal.md"
    assert fake_encoder.encoded == []


@pytest.mark.parametrize("name", ["nowhere.md", "", "x" * 300, "nul\0.md", "."])
def test_what_is_no_note(folder, name):
    with pytest.raises(NoteUnreadable) as caught:
        find(folder, folder / name if name != "nul\0.md" else name)
    assert caught.value.hint
    assert "\n" not in caught.value.message


def test_a_note_that_cannot_be_read(folder):
    (folder / "binary.md").write_bytes(bytes(range(256)) * 20)
    with pytest.raises(NoteUnreadable, match=r"binary\.md.*binary"):
        find(folder, folder / "binary.md")
    (folder / "large.md").write_text("x" * 2_000_001)
    with pytest.raises(NoteUnreadable, match="larger"):
        find(folder, folder / "large.md")


def test_a_name_that_is_not_utf8(folder):
    path = os.fsdecode(os.fsencode(folder) + b"/caf\xe9.md")
    Path(path).write_text("Flour, water, salt.")
    with pytest.raises(NoteUnreadable, match="UTF-8"):
        find(folder, path)


def test_requests_that_make_no_sense(folder):
    for options in ({"limit": 0}, {"path": "x" * 10_001}):
        with pytest.raises(UsageError):
            find(folder, folder / "cap.md", **options)
    with pytest.raises(UsageError, match="empty"):
        find(folder, None, text=" \n")


def test_filters_reach_the_index(folder):
    assert names(find(folder, folder / "cap.md", tags=["databases"])) == ["raft.md"]
    assert find(folder, folder / "cap.md", tags=["\ud800"]) == []


def test_an_index_of_another_model_encodes_nothing(folder, fake_models, other_model):
    fake_models.files["all-MiniLM-L6-v2"] = other_model
    assert find(folder, folder / "cap.md")
    with pytest.raises(IndexMismatch):
        find(folder, None, text="Flour")


def test_no_index(folder):
    with pytest.raises(IndexMissing):
        find_similar(folder / "cap.md", index_dir=folder / "none")
