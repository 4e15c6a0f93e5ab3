import hashlib
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from notesearch.records import Filters, Link
from notesearch.storage import IndexReader, WordQuery
from notesearch.storage.vectors import pack, unpack
from notesearch.storage.writer import IndexWriter

from .building import FINGERPRINT, encoded_note, found, live_vectors, note_id, remove, rows, vector_of, write


@pytest.fixture
def reader(writer: IndexWriter, index_dir: Path):  # type: ignore[no-untyped-def]
    write(
        writer,
        encoded_note("a.md", "green tea", "black tea", title="Tea", tags=["drinks", "Hot/Leaf"]),
        encoded_note("b.md", "coffee", title="Coffee"),
        encoded_note("empty.md", title="Empty"),
    )
    with closing(IndexReader(index_dir)) as opened:
        yield opened


class TestFetching:
    def test_counts(self, reader: IndexReader) -> None:
        assert reader.count_notes() == 3
        assert reader.fingerprint == FINGERPRINT

    def test_notes(self, reader: IndexReader, writer: IndexWriter) -> None:
        ids = [note_id(writer, name) for name in ("a.md", "b.md")]
        notes = reader.notes([*ids, 999])
        assert set(notes) == set(ids)
        tea, coffee = (notes[i] for i in ids)
        assert (tea.path, tea.title, tea.date) == ("/vault/a.md", "Tea", "2024-05-17T12:00:00")
        assert (tea.tags, coffee.tags) == (("drinks", "Hot/Leaf"), ())
        assert reader.notes([]) == {}

    def test_links_are_as_written(self, reader: IndexReader, writer: IndexWriter, index_dir: Path) -> None:
        assert reader.links() == []
        links = [Link("Tea", "the drink", "wiki", line=7), Link("../b.md", "b", "relative")]
        write(writer, encoded_note("c.md", "text", links=links))
        with closing(IndexReader(index_dir)) as newer:
            own = note_id(writer, "c.md")
            assert newer.links() == [(own, "Tea", "the drink", "wiki", 7), (own, "../b.md", "b", "relative", 0)]

    def test_paths_and_the_note_at_a_path(self, reader: IndexReader, writer: IndexWriter) -> None:
        ids = {name: note_id(writer, name) for name in ("a.md", "b.md", "empty.md")}
        assert reader.paths() == {own: f"/vault/{name}" for name, own in ids.items()}
        digest = hashlib.blake2b(b"green tea\nblack tea", digest_size=16).digest()
        known = reader.note_at("/vault/a.md")
        assert known is not None
        assert (known.id, known.content_hash) == (ids["a.md"], digest)
        assert reader.note_at("/vault/none.md") is None

    def test_owners_of_chunks_are_note_by_note(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", "one"), encoded_note("b.md", "two"))
        write(writer, encoded_note("a.md", "three", "four"))
        with closing(IndexReader(index_dir)) as opened:
            first, second = note_id(writer, "a.md"), note_id(writer, "b.md")
            expected = [(chunk.id, chunk.note_id) for chunk in opened.chunks_of_notes([first, second])]
            assert [note for _, note in expected] == [first, first, second]
            assert list(zip(*(column.tolist() for column in opened.owners_of_chunks()), strict=True)) == expected

    def test_chunks_of_notes_are_in_order(self, reader: IndexReader, writer: IndexWriter) -> None:
        ids = [note_id(writer, name) for name in ("b.md", "a.md", "empty.md")]
        chunks = reader.chunks_of_notes(ids)
        assert [(chunk.note_id, chunk.text) for chunk in chunks] == [
            (ids[1], "green tea"),
            (ids[1], "black tea"),
            (ids[0], "coffee"),
        ]
        assert (chunks[1].start, chunks[1].end, chunks[1].start_line, chunks[1].end_line) == (10, 19, 2, 2)

    def test_chunk_ids_and_note_ids_lead_to_each_other(self, reader: IndexReader, writer: IndexWriter) -> None:
        tea, coffee = note_id(writer, "a.md"), note_id(writer, "b.md")
        of_tea = reader.chunk_ids_of_notes([tea])
        assert len(of_tea) == 2
        assert set(of_tea.values()) == {tea}
        both = reader.chunk_ids_of_notes([tea, coffee])
        assert reader.notes_of_chunks([*both, 999]) == both

    def test_admitted_chunks(self, reader: IndexReader, writer: IndexWriter) -> None:
        assert reader.admitted_chunks(Filters()) is None
        admitted = reader.admitted_chunks(Filters(tags=("hot",)))
        assert admitted is not None
        assert admitted.dtype == np.int64
        assert admitted.tolist() == sorted(reader.chunk_ids_of_notes([note_id(writer, "a.md")]))
        nothing = reader.admitted_chunks(Filters(tags=("unknown",)))
        assert nothing is not None
        assert nothing.tolist() == []


class TestWords:
    def test_stems(self, reader: IndexReader) -> None:
        stems = reader.stems(["Meditating", "meditation", "Zürich", "座禅", "--", "well-known", "Meditating"])
        assert stems == {
            "Meditating": ("medit",),
            "meditation": ("medit",),
            "Zürich": ("zurich",),
            "座禅": ("座", "禅"),
            "--": (),
            "well-known": ("well", "known"),
        }
        assert reader.stems(["tea"]) == {"tea": ("tea",)}
        assert reader.stems([]) == {}

    def test_frequencies_count_notes(self, reader: IndexReader) -> None:
        # "tea" is in the title and both chunks of one note.
        assert reader.note_frequencies(["tea", "coffe", "unknown", "tea"]) == {"tea": 1, "coffe": 1}
        assert reader.note_frequencies([]) == {}

    def test_stems_are_the_terms_of_the_index(self, reader: IndexReader, index_dir: Path) -> None:
        (stem,) = reader.stems(["Teas"])["Teas"]
        assert found(index_dir, stem) == ["a.md"]

    def test_matches_are_scored_best_first(self, writer: IndexWriter, index_dir: Path) -> None:
        write(
            writer,
            encoded_note("often.md", "heron heron heron", title="x"),
            encoded_note("once.md", "a heron among many other words of this note", title="x"),
            encoded_note("title.md", "text about something", title="Heron"),
            *(encoded_note(f"{number}.md", "nothing of the kind", title="x") for number in range(20)),
        )
        with closing(IndexReader(index_dir)) as reader:
            matches = reader.match(WordQuery(("heron",)), 10, Filters())
            best = [note_id(writer, name) for name in ("often.md", "title.md", "once.md")]
            assert [note for note, _ in matches] == best, (
                "a word of the title counts twice, one in the text three times"
            )
            scores = [score for _, score in matches]
            assert scores == sorted(scores, reverse=True)
            assert min(scores) > 0
            assert reader.match(WordQuery(("heron",)), 2, Filters()) == matches[:2]

    def test_filters_do_not_change_a_score(self, reader: IndexReader, writer: IndexWriter) -> None:
        (match,) = reader.match(WordQuery(("tea",)), 10, Filters())
        assert reader.match(WordQuery(("tea",)), 10, Filters(tags=("drinks",))) == [match]
        assert reader.match(WordQuery(("tea",)), 10, Filters(excluded_tags=("drinks",))) == []


class TestOneState:
    def test_what_is_written_later_is_not_seen(self, reader: IndexReader, writer: IndexWriter, index_dir: Path) -> None:
        before = live_vectors(reader)
        write(writer, encoded_note("a.md", "oolong"), encoded_note("c.md", "green mate"))
        remove(writer, "b.md")
        assert reader.count_notes() == 3
        assert live_vectors(reader) == before
        assert len(reader.match(WordQuery(("green", "oolong")), 10, Filters())) == 1
        assert found(index_dir, "green oolong coffee") != ["a.md"]

    def test_a_new_vector_file_does_not_disturb_it(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", *(f"text {number}" for number in range(20))))
        writer.update_vector_file()
        with closing(IndexReader(index_dir)) as reader:
            before = live_vectors(reader)
            mapped = reader.vectors()
            write(writer, encoded_note("a.md", *(f"other {number}" for number in range(30))))
            writer.update_vector_file()
            assert live_vectors(reader) == before
            # The old file lives on for whoever has mapped it.
            assert {int(i) for ids, _ in mapped for i in ids} == set(before)
            assert all(np.isfinite(vectors).all() for _, vectors in mapped)


class TestVectors:
    """A search gets the same vectors, whatever has become of the vector file."""

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("notesearch.storage.writer._STALE_PART", 0.5)

    @pytest.fixture
    def path(self, writer: IndexWriter, index_dir: Path) -> Path:
        """The vector file of an index that has changed since it was written."""
        write(
            writer,
            encoded_note("a.md", *(f"text {number}" for number in range(20))),
            encoded_note("b.md", "one", "two", "three"),
        )
        writer.update_vector_file()
        write(writer, encoded_note("c.md", "four", "five"), encoded_note("b.md", "one", "new"))
        writer.update_vector_file()
        return index_dir / "vectors.hnsw"

    @staticmethod
    def expected(index_dir: Path) -> dict[int, tuple[float, ...]]:
        return {
            chunk_id: tuple(unpack(pack(vector_of(text)[np.newaxis]), FINGERPRINT.dim)[0].tolist())
            for chunk_id, text in rows(index_dir, "SELECT id, text FROM chunks")
        }

    def test_a_sound_file_and_what_it_lacks(self, path: Path, index_dir: Path) -> None:
        with closing(IndexReader(index_dir)) as reader:
            (mapped_ids, _), (later_ids, _) = reader.vectors()
            assert (len(mapped_ids), len(later_ids)) == (23, 3)
            assert len(reader.dead_chunks()) == 2
            assert set(reader.dead_chunks().tolist()) <= set(mapped_ids.tolist())
            assert live_vectors(reader) == self.expected(index_dir)

    def test_the_vectors_of_the_file_are_those_of_sqlite(self, path: Path, index_dir: Path) -> None:
        with closing(IndexReader(index_dir)) as reader:
            ids, vectors = reader.vectors()[0]
        expected = self.expected(index_dir)
        live = [(int(i), tuple(row.tolist())) for i, row in zip(ids, vectors, strict=True) if int(i) in expected]
        assert len(live) == 21
        assert all(expected[i] == row for i, row in live)

    @pytest.mark.parametrize(
        "damage",
        [
            Path.unlink,
            lambda path: path.write_bytes(b""),
            lambda path: path.write_bytes(path.read_bytes()[:-100]),
            lambda path: path.write_bytes(b"\xff" * path.stat().st_size),
            lambda path: path.write_bytes(path.read_bytes()[:300] + b"?" + path.read_bytes()[301:]),
            lambda path: (path.unlink(), path.mkdir()),
        ],
        ids=["missing", "empty", "truncated", "overwritten", "one byte changed", "directory"],
    )
    def test_a_damaged_file_is_passed_by(self, path: Path, index_dir: Path, damage: Callable[[Path], object]) -> None:
        modified = path.stat().st_mtime_ns
        damage(path)
        if path.exists():
            os.utime(path, ns=(modified, modified))
        with closing(IndexReader(index_dir)) as reader:
            assert len(reader.vectors()) == 1
            assert live_vectors(reader) == self.expected(index_dir)

    def test_a_file_restored_from_a_backup_is_used(self, path: Path, index_dir: Path) -> None:
        os.utime(path, ns=(0, 0))
        with closing(IndexReader(index_dir)) as reader:
            assert len(reader.vectors()) == 2
            assert live_vectors(reader) == self.expected(index_dir)

    def test_a_file_without_a_record_is_not_trusted(self, writer: IndexWriter, path: Path, index_dir: Path) -> None:
        stale = path.read_bytes()
        with writer.transaction():
            writer.set_fingerprint(FINGERPRINT)
        write(writer, encoded_note("d.md", "other"))
        assert path.read_bytes() == stale
        with closing(IndexReader(index_dir)) as reader:
            assert live_vectors(reader) == self.expected(index_dir)

    def test_chunks_that_came_and_went_between_two_files_are_no_concern(
        self, writer: IndexWriter, path: Path, index_dir: Path
    ) -> None:
        write(writer, encoded_note("passing.md", *(f"passing {number}" for number in range(5))))
        remove(writer, "passing.md")
        write(writer, encoded_note("d.md", *(f"more {number}" for number in range(12))))
        writer.update_vector_file()
        with closing(IndexReader(index_dir)) as reader:
            assert len(reader.vectors()) == 1
            assert len(reader.dead_chunks()) == 2
            assert live_vectors(reader) == self.expected(index_dir)

    def test_no_vectors_at_all(self, writer: IndexWriter, index_dir: Path) -> None:
        with closing(IndexReader(index_dir)) as reader:
            assert reader.vectors() == []
            assert reader.dead_chunks().tolist() == []
