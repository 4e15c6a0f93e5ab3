import numpy as np
import pytest

from notesearch.errors import IndexDamaged
from notesearch.retrieval import passage_matching
from notesearch.retrieval.passage_matching import AllPassages, mutually_closest
from notesearch.storage import IndexReader
from notesearch.storage.database import database_file, open_for_writing

NOTES = {
    "tea.md": "Green tea, black tea.",
    "long.md": "\n\n".join(f"# Part {number}\n\n" + f"filler{number} sand " * 120 for number in range(4)),
    "sand.md": "Sand and filler1.",
    "empty.md": "",
}


def plainly(reader, own):
    """Similarity, note by note and passage by passage."""
    ids = reader.note_ids()
    chunks = reader.chunk_ids_of_notes(ids)
    vectors = reader.vectors_of_chunks(list(chunks))
    mean = np.mean(list(vectors.values()), axis=0)
    result = {}
    for note_id in ids:
        others = [vectors[chunk] for chunk, note in chunks.items() if note == note_id]
        table = np.array([[a @ b - b @ mean / 2 for b in others] for a in own])
        result[note_id] = (table.max(axis=1).mean() + table.max(axis=0).mean()) / 2
    return result


@pytest.mark.parametrize("block", [1, 3, 64])
def test_similarity_is_that_of_a_plain_computation(make_reader, monkeypatch, block):
    monkeypatch.setattr(passage_matching, "_BLOCK_PASSAGES", block)
    reader = make_reader(NOTES)
    note_id = next(note.id for note in reader.notes(reader.note_ids()).values() if note.path.endswith("long.md"))
    chunks = [chunk.id for chunk in reader.chunks_of_notes([note_id])]
    assert len(chunks) > 3
    own = np.stack([reader.vectors_of_chunks(chunks)[chunk] for chunk in chunks])
    passages = AllPassages.read(reader)
    found = dict(zip(passages.note_ids.tolist(), passages.similarity(own).tolist(), strict=True))
    assert found == pytest.approx(plainly(reader, own), abs=1e-5)


def test_the_passages_of_a_note_are_found_in_order(make_reader):
    reader = make_reader(NOTES)
    passages = AllPassages.read(reader)
    for row, note_id in enumerate(passages.note_ids.tolist()):
        expected = [chunk.id for chunk in reader.chunks_of_notes([note_id])]
        assert passages.chunk_ids[passages.of(row)].tolist() == expected


def test_notes_that_are_gone_take_no_part(make_reader, tmp_path):
    # With a vector file, which still holds what is gone.
    make_reader(NOTES | {"more.md": NOTES["long.md"] + " more"})
    (tmp_path / "notes" / "tea.md").unlink()
    reader = make_reader({"sand.md": "Sand, nothing but sand."})
    assert len(reader.dead_chunks())
    passages = AllPassages.read(reader)
    assert sorted(passages.note_ids.tolist()) == sorted(reader.note_ids())
    own = np.stack(list(reader.vectors_of_chunks(passages.chunk_ids.tolist()[:1]).values()))
    found = dict(zip(passages.note_ids.tolist(), passages.similarity(own).tolist(), strict=True))
    assert found == pytest.approx(plainly(reader, own), abs=1e-5)


def test_a_passage_without_an_embedding_is_damage(make_reader, tmp_path):
    make_reader(NOTES)
    connection = open_for_writing(database_file(tmp_path / "index"))
    connection.execute("DELETE FROM embeddings WHERE chunk_id = (SELECT max(chunk_id) FROM embeddings)")
    connection.commit()
    connection.close()
    (tmp_path / "index" / "vectors.hnsw").unlink()
    with IndexReader(tmp_path / "index") as reader, pytest.raises(IndexDamaged) as caught:
        AllPassages.read(reader)
    assert "doctor" in caught.value.hint


def test_pairs_are_mutual_and_the_closest_come_first():
    cosines = np.array([[0.2, 0.9, 0.1], [0.8, 0.85, 0.1], [0.1, 0.2, 0.3]], dtype=np.float32)
    none = np.zeros(3, dtype=np.float32)
    assert mutually_closest(cosines, none, 3) == [(0, 1), (2, 2)]
    assert mutually_closest(cosines, none, 1) == [(0, 1)]
    hub = np.array([0, 0.5, 0], dtype=np.float32)
    assert mutually_closest(cosines, hub, 3) == [(1, 0), (0, 1), (2, 2)]
