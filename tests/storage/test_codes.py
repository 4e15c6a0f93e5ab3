"""Token codes in an index: written and removed with their chunks, and added to an index that has none."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from notesearch.errors import StoreError
from notesearch.library.index import sync_index
from notesearch.records import IndexReport
from notesearch.settings import Settings
from notesearch.storage import IndexReader, schema
from notesearch.storage.database import database_file, make_index_dir, open_for_reading, open_for_writing
from notesearch.storage.schema import SCHEMA_VERSION, schema_version
from notesearch.storage.vectors import pack, unpack
from notesearch.storage.writer import IndexWriter

from .building import codes_of, encoded_note, remove, rows, vector_of, write


def stored_codes(index_dir: Path) -> list[tuple[str, bytes]]:
    """Text and codes of each chunk that has codes, in the order of the chunks' ids."""
    return rows(
        index_dir,
        "SELECT text, codes FROM token_codes LEFT JOIN chunks ON chunks.id = chunk_id ORDER BY chunk_id",
    )


def take_codes(index_dir: Path, *texts: str) -> None:
    """Takes the codes of the chunks with these texts away."""
    with closing(sqlite3.connect(index_dir / "notes.db")) as connection, connection:
        for text in texts:
            connection.execute(
                "DELETE FROM token_codes WHERE chunk_id IN (SELECT id FROM chunks WHERE text = ?)", [text]
            )


class TestWriting:
    def test_each_chunk_has_its_codes(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", "green tea", "a b c"), encoded_note("b.md", "coffee"))
        ids = {text: chunk_id for chunk_id, text in rows(index_dir, "SELECT id, text FROM chunks")}
        with closing(IndexReader(index_dir)) as reader:
            assert reader.token_codes([ids["a b c"], ids["coffee"], 999]) == {
                ids["a b c"]: bytes([1, 1, 1]),
                ids["coffee"]: bytes([6]),
            }
            assert reader.token_codes([]) == {}
        assert stored_codes(index_dir) == [(text, codes_of(text)) for text in ("green tea", "a b c", "coffee")]

    def test_codes_of_a_changed_chunk_are_replaced(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", "stays as it is", "old"))
        before = rows(index_dir, "SELECT chunk_id FROM token_codes ORDER BY chunk_id")
        write(writer, encoded_note("a.md", "stays as it is", "newer text"))
        assert stored_codes(index_dir) == [(text, codes_of(text)) for text in ("stays as it is", "newer text")]
        after = rows(index_dir, "SELECT chunk_id FROM token_codes ORDER BY chunk_id")
        assert after[0] == before[0]
        assert after[1] not in before

    def test_codes_go_with_their_chunks(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", "one", "two"), encoded_note("b.md", "one"))
        remove(writer, "a.md")
        assert stored_codes(index_dir) == [("one", codes_of("one"))]
        write(writer, encoded_note("b.md"))
        assert stored_codes(index_dir) == []

    def test_codes_go_with_their_folder(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", "one", "two"))
        with writer.transaction():
            writer.remove_folder(1)
        assert rows(index_dir, "SELECT * FROM token_codes") == []

    def test_a_transaction_that_fails_leaves_the_codes_as_they_were(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", "one", "two"))
        before = stored_codes(index_dir)
        with pytest.raises(ZeroDivisionError), writer.transaction():
            writer.write_note(1, encoded_note("b.md", "three"))
            writer.remove_notes([1])
            raise ZeroDivisionError
        assert stored_codes(index_dir) == before


class TestMissingCodes:
    def test_none_are_missing_in_a_new_index(self, writer: IndexWriter) -> None:
        write(writer, encoded_note("a.md", "one", "two"))
        assert writer.chunks_without_codes() == []

    def test_chunks_without_codes_tell_what_their_passage_is_made_of(
        self, writer: IndexWriter, index_dir: Path
    ) -> None:
        write(writer, encoded_note("a.md", "one", "two", title="First"), encoded_note("b.md", "three", title="Second"))
        take_codes(index_dir, "two", "three")
        missing = writer.chunks_without_codes()
        assert [(chunk.title, chunk.heading, chunk.text) for chunk in missing] == [
            ("First", "", "two"),
            ("Second", "", "three"),
        ]
        texts = dict(rows(index_dir, "SELECT id, text FROM chunks"))
        assert [texts[chunk.id] for chunk in missing] == ["two", "three"]

    def test_added_codes_are_found(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", "one", "two", "three"))
        take_codes(index_dir, "one", "two")
        first, second = writer.chunks_without_codes()
        with writer.transaction():
            writer.add_codes([(second.id, b"new")])
        assert writer.chunks_without_codes() == [first]
        with closing(IndexReader(index_dir)) as reader:
            assert reader.token_codes([first.id, second.id]) == {second.id: b"new"}

    def test_a_passage_without_codes_is_not_known(self, writer: IndexWriter, index_dir: Path) -> None:
        note = encoded_note("a.md", "one", "two")
        write(writer, note)
        one, two = (chunk.passage_hash for chunk in note.chunks)
        take_codes(index_dir, "one")
        assert writer.known_passages([one, two]) == {two: (pack(vector_of("two")[np.newaxis])[0], codes_of("two"))}

    def test_a_passage_is_known_by_the_chunk_that_has_codes(self, writer: IndexWriter, index_dir: Path) -> None:
        note = encoded_note("a.md", "one")
        write(writer, note, encoded_note("b.md", "one"))
        with closing(sqlite3.connect(index_dir / "notes.db")) as connection, connection:
            connection.execute("DELETE FROM token_codes WHERE chunk_id = 1")
        assert list(writer.known_passages([note.chunks[0].passage_hash])) == [note.chunks[0].passage_hash]


class TestTidying:
    @staticmethod
    def free_pages(writer: IndexWriter) -> int:
        return int(writer._query("PRAGMA freelist_count")[0][0])

    def test_pages_that_are_free_are_given_back(self, writer: IndexWriter, index_dir: Path) -> None:
        names = [f"{number}.md" for number in range(150)]
        write(writer, *(encoded_note(name, f"{name} text " * 400) for name in names))
        full = int(writer._query("PRAGMA page_count")[0][0])
        remove(writer, *names[1:])
        assert self.free_pages(writer) > 20
        writer.tidy()
        writer.give_back_space()
        assert self.free_pages(writer) == 0
        assert int(writer._query("PRAGMA page_count")[0][0]) < full / 3
        assert stored_codes(index_dir) == [("0.md text " * 400, codes_of("0.md text " * 400))]


NOTES = {
    "tea.md": "# Tea\n\nGreen tea and black tea",
    "copy.md": "# Tea\n\nGreen tea and black tea",
    "sub/long.md": "# Long\n\n" + "\n\n".join(f"## Part {part}\n\n{f'{part}word ' * 150}" for part in "abc"),
    "empty.md": "",
}


class TestOlderIndex:
    """An index of the first schema: vectors in float16, no token codes."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        for name, text in NOTES.items():
            (tmp_path / "notes" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "notes" / name).write_text(text)
        return tmp_path / "notes"

    @pytest.fixture
    def current_dir(self, tmp_path: Path, folder: Path, fake_encoder: Any) -> Path:
        """The same notes as they are indexed now."""
        sync_index(Settings(tmp_path / "current"), [folder])
        return tmp_path / "current"

    @pytest.fixture
    def older_dir(self, index_dir: Path, current_dir: Path, fake_encoder: Any) -> Path:
        with _first_schema():
            make_index_dir(index_dir)
            connection = open_for_writing(database_file(index_dir))
        with closing(connection):
            assert schema_version(connection) == 1
            connection.execute("ATTACH ? AS current", [str(current_dir / "notes.db")])
            for table in ("folders", "notes", "tags", "links", "chunks"):
                names = ", ".join(row[1] for row in connection.execute(f"PRAGMA main.table_info ({table})"))
                connection.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM current.{table}")
            (fingerprint,) = connection.execute("SELECT value FROM current.meta WHERE key = 'fingerprint'").fetchone()
            known_then = {"model", "encoder", "dim", "budget_tokens", "overlap_sentences", "passages"}
            values = {key: value for key, value in json.loads(fingerprint).items() if key in known_then}
            connection.execute("INSERT INTO main.meta VALUES ('fingerprint', ?)", [json.dumps(values)])
            stored = connection.execute("SELECT chunk_id, vector FROM current.embeddings").fetchall()
            for chunk_id, vector in stored:
                halves = unpack([vector], 16)[0].astype("<f2").tobytes()
                assert len(halves) == 32
                connection.execute("INSERT INTO main.embeddings VALUES (?, ?)", [chunk_id, halves])
            connection.execute(
                "INSERT INTO note_words (rowid, title, text) SELECT id, title, text FROM note_words_source"
            )
        fake_encoder.encoded.clear()
        return index_dir

    @staticmethod
    def sync(index_dir: Path, folder: Path) -> IndexReport:
        return sync_index(Settings(index_dir), [folder])

    def test_it_is_not_opened_for_reading(self, older_dir: Path) -> None:
        with pytest.raises(StoreError) as caught:
            open_for_reading(older_dir)
        assert "older format" in caught.value.message
        assert "notesearch index" in caught.value.hint

    def test_opened_for_writing_it_keeps_its_vectors_and_has_no_codes(self, older_dir: Path, current_dir: Path) -> None:
        halves = dict(rows(older_dir, "SELECT chunk_id, vector FROM embeddings"))
        with IndexWriter(older_dir) as writer:
            assert writer.counts() == (4, len(halves))
            assert sorted(chunk.id for chunk in writer.chunks_without_codes()) == sorted(halves)
            hashes = [row[0] for row in rows(older_dir, "SELECT passage_hash FROM chunks")]
            assert writer.known_passages(hashes) == {}
        assert rows(older_dir, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
        with closing(IndexReader(older_dir)) as reader, closing(IndexReader(current_dir)) as current:
            vectors = reader.vectors_of_chunks(list(halves))
            assert reader.token_codes(list(halves)) == {}
            expected = current.vectors_of_chunks(list(halves))
        assert vectors.keys() == halves.keys()
        for chunk_id, vector in vectors.items():
            np.testing.assert_allclose(vector, np.frombuffer(halves[chunk_id], dtype="<f2"), atol=0.005)
            np.testing.assert_allclose(vector, expected[chunk_id], atol=0.005)

    def test_the_next_run_adds_the_codes_and_the_one_after_it_has_nothing_to_do(
        self, older_dir: Path, current_dir: Path, folder: Path, fake_encoder: Any
    ) -> None:
        report = self.sync(older_dir, folder)
        assert (report.unchanged, report.added, report.updated) == (4, 0, 0)
        assert report.encoded == report.coded == report.chunks == len(fake_encoder.encoded) > 5
        codes = "SELECT chunk_id, codes FROM token_codes ORDER BY chunk_id"
        assert rows(older_dir, codes) == rows(current_dir, codes)
        fake_encoder.encoded.clear()
        report = self.sync(older_dir, folder)
        assert (report.unchanged, report.encoded, report.coded, fake_encoder.encoded) == (4, 0, 0, [])

    def test_a_run_that_breaks_off_is_gone_on_with(
        self,
        older_dir: Path,
        current_dir: Path,
        folder: Path,
        fake_encoder: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("notesearch.indexing.batches.BATCH_CHUNKS", 2)
        fake_encoder.passages_left = 5
        with pytest.raises(KeyboardInterrupt):
            self.sync(older_dir, folder)
        assert len(rows(older_dir, "SELECT * FROM token_codes")) == 4
        fake_encoder.passages_left = None
        fake_encoder.encoded.clear()
        report = self.sync(older_dir, folder)
        assert report.encoded == len(fake_encoder.encoded) == report.chunks - 4
        codes = "SELECT chunk_id, codes FROM token_codes ORDER BY chunk_id"
        assert rows(older_dir, codes) == rows(current_dir, codes)

    def test_changes_made_meanwhile_are_taken_in(self, older_dir: Path, folder: Path, fake_encoder: Any) -> None:
        (folder / "tea.md").write_text("# Tea\n\nOolong")
        (folder / "copy.md").unlink()
        (folder / "new.md").write_text("# New\n\nGreen tea and black tea")
        report = self.sync(older_dir, folder)
        assert (report.updated, report.removed, report.added, report.unchanged) == (1, 1, 1, 2)
        assert rows(older_dir, "SELECT count(*) FROM chunks WHERE id NOT IN (SELECT chunk_id FROM token_codes)") == [
            (0,)
        ]
        assert rows(older_dir, "SELECT count(*) FROM token_codes WHERE chunk_id NOT IN (SELECT id FROM chunks)") == [
            (0,)
        ]
        assert len(fake_encoder.encoded) == len(set(fake_encoder.encoded)) == report.chunks

    def test_what_stays_of_a_changed_note_is_encoded_once(
        self, older_dir: Path, folder: Path, fake_encoder: Any
    ) -> None:
        (folder / "sub/long.md").write_text(NOTES["sub/long.md"] + "\n\n## Part d\n\nthe end")
        report = self.sync(older_dir, folder)
        parts = [passage for passage in fake_encoder.encoded if "aword" in passage]
        assert report.updated == 1
        assert len(parts) == 1

    def test_rebuilding_gives_it_codes(self, older_dir: Path, folder: Path, fake_encoder: Any) -> None:
        report = sync_index(Settings(older_dir), [folder], rebuild=True)
        assert report.added == 4
        assert len(rows(older_dir, "SELECT * FROM token_codes")) == report.chunks
        assert len(fake_encoder.encoded) == len(set(fake_encoder.encoded)) < report.chunks

    def test_a_migration_that_breaks_off_leaves_the_older_index(
        self, older_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        copy = shutil.copytree(older_dir, older_dir.with_name("copy"))
        before = rows(copy, "SELECT * FROM embeddings ORDER BY chunk_id")

        def fail(vectors: Any) -> Any:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(schema, "pack", fail)
            with pytest.raises(KeyboardInterrupt):
                open_for_writing(database_file(copy))
        assert rows(copy, "PRAGMA user_version") == [(1,)]
        assert rows(copy, "SELECT * FROM embeddings ORDER BY chunk_id") == before
        open_for_writing(database_file(copy)).close()
        assert rows(copy, "PRAGMA user_version") == [(SCHEMA_VERSION,)]


@contextmanager
def _first_schema() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "_STEPS", schema._STEPS[:1])
        patch.setattr(schema, "SCHEMA_VERSION", 1)
        yield
