import os
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from notesearch.errors import StoreError
from notesearch.files import Stamp
from notesearch.records import Filters, Link, Skipped
from notesearch.storage import IndexReader, WordQuery
from notesearch.storage.rows import KeptNote, SkippedFile
from notesearch.storage.vectors import pack, unpack
from notesearch.storage.writer import IndexWriter

from .building import (
    DIM,
    FINGERPRINT,
    FOLDER,
    check_words,
    codes_of,
    encoded_note,
    found,
    live_vectors,
    note_id,
    remove,
    rows,
    vector_of,
    write,
)


def chunk_ids(index_dir: Path) -> dict[str, int]:
    return {text: chunk_id for chunk_id, text in rows(index_dir, "SELECT id, text FROM chunks")}


class TestWords:
    def test_a_note_is_found_by_its_words_and_title(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", "first chunk", "second chunk", title="Heron"), encoded_note("b.md", "else"))
        for word in ("first", "second", "heron"):
            assert found(index_dir, word) == ["a.md"]
        check_words(index_dir)

    def test_an_updated_note_is_found_by_its_new_words_only(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", "old words", "kept words", title="Former"))
        write(writer, encoded_note("a.md", "new words", "kept words", title="Latter"))
        assert [found(index_dir, word) for word in ("old", "former")] == [[], []]
        assert [found(index_dir, word) for word in ("new", "kept", "latter")] == [["a.md"]] * 3
        check_words(index_dir)

    def test_a_removed_note_is_not_found(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", "gone words"), encoded_note("b.md", "other words"))
        remove(writer, "a.md")
        assert (found(index_dir, "gone"), found(index_dir, "words")) == ([], ["b.md"])
        check_words(index_dir)

    def test_a_note_without_text_is_found_by_its_title(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("empty.md", title="Nothing yet"))
        assert found(index_dir, "nothing") == ["empty.md"]
        write(writer, encoded_note("empty.md", "text at last", title="Something"))
        assert (found(index_dir, "nothing"), found(index_dir, "last")) == ([], ["empty.md"])
        write(writer, encoded_note("empty.md", title="Nothing again"))
        assert (found(index_dir, "last"), found(index_dir, "again")) == ([], ["empty.md"])
        check_words(index_dir)

    def test_a_phrase_may_cross_two_chunks(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", "it ends with bread", "and butter it begins"))
        assert found(index_dir, WordQuery(("bread and butter",))) == ["a.md"]

    def test_tidying_changes_nothing_that_is_found(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", "some words"))
        write(writer, encoded_note("b.md", "more words"))
        writer.tidy()
        assert sorted(found(index_dir, "words")) == ["a.md", "b.md"]
        check_words(index_dir)

    texts = st.lists(
        st.sampled_from(["tea", "green tea", "分布式", "Café ärger", "tea 座禅", "running runs"]), max_size=3
    )
    notes = st.tuples(st.sampled_from("abc"), texts, st.sampled_from(["One", "Two 二", ""]))

    @settings(max_examples=20, deadline=None)
    @given(st.lists(notes | st.sampled_from("abc"), max_size=8))
    def test_no_edit_leaves_words_behind(
        self, tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[str, list[str], str] | str]
    ) -> None:
        index_dir = tmp_path_factory.mktemp("index")
        there: dict[str, str] = {}
        with IndexWriter(index_dir) as writer:
            with writer.transaction():
                writer.set_fingerprint(FINGERPRINT)
            for edit in edits:
                if isinstance(edit, tuple):
                    name, texts, title = edit
                    write(writer, encoded_note(name, *texts, title=title))
                    there[name] = " ".join([title, *texts])
                elif edit in there:
                    remove(writer, edit)
                    del there[edit]
            check_words(index_dir)
            assert sorted(found(index_dir, "tea")) == sorted(name for name in there if "tea" in there[name])


class TestChunks:
    def test_equal_chunks_keep_their_ids(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", "one", "two", "three"))
        before = chunk_ids(index_dir)
        write(writer, encoded_note("a.md", "three", "new", "one"))
        after = chunk_ids(index_dir)
        assert set(after) == {"one", "three", "new"}
        assert {text: after[text] for text in ("one", "three")} == {text: before[text] for text in ("one", "three")}
        with closing(IndexReader(index_dir)) as reader:
            chunks = reader.chunks_of_notes([note_id(writer, "a.md")])
        assert [(chunk.text, chunk.start_line) for chunk in chunks] == [("three", 1), ("new", 2), ("one", 3)]

    def test_a_chunk_that_stays_gets_its_new_place(self, writer: IndexWriter, index_dir: Path) -> None:
        note = encoded_note("a.md", "stays")
        write(writer, note)
        moved = replace(note.chunks[0].chunk, start=70, end=75, start_line=9, end_line=9, heading="New > Heading")
        write(writer, replace(note, chunks=(replace(note.chunks[0], chunk=moved),)))
        with closing(IndexReader(index_dir)) as reader:
            (chunk,) = reader.chunks_of_notes([1])
        assert (chunk.start, chunk.end, chunk.start_line, chunk.end_line) == (70, 75, 9, 9)
        assert chunk.heading == "New > Heading"

    def test_chunks_that_are_the_same_twice_are_kept_apart(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", "again", "again"))
        ids = sorted(row[0] for row in rows(index_dir, "SELECT id FROM chunks"))
        assert len(ids) == 2
        write(writer, encoded_note("a.md", "again", "again", "again"))
        assert sorted(row[0] for row in rows(index_dir, "SELECT id FROM chunks"))[:2] == ids
        write(writer, encoded_note("a.md", "again"))
        assert writer.counts() == (1, 1)

    def test_ids_are_never_used_again(self, writer: IndexWriter, index_dir: Path) -> None:
        seen: set[int] = set()
        for round_ in range(4):
            write(writer, encoded_note("a.md", f"text {round_}", f"more {round_}"))
            ids = set(chunk_ids(index_dir).values())
            assert not ids & seen
            seen |= ids
            if round_ == 1:
                remove(writer, "a.md")

    def test_vectors_come_back_as_they_were_packed(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", "one", "two"))
        ids = chunk_ids(index_dir)
        with closing(IndexReader(index_dir)) as reader:
            vectors = live_vectors(reader)
        for text in ("one", "two"):
            assert vectors[ids[text]] == tuple(unpack(pack(vector_of(text)[np.newaxis]), DIM)[0].tolist())

    def test_passages_are_found_by_hash(self, writer: IndexWriter) -> None:
        note = encoded_note("a.md", "one", "two")
        write(writer, note, encoded_note("b.md", "one"))
        one, two = (chunk.passage_hash for chunk in note.chunks)
        assert writer.known_passages([one, two, one, b"unknown"]) == {
            one: (pack(vector_of("one")[np.newaxis])[0], codes_of("one")),
            two: (pack(vector_of("two")[np.newaxis])[0], codes_of("two")),
        }
        remove(writer, "a.md")
        assert set(writer.known_passages([one, two])) == {one}

    def test_removing_a_note_leaves_nothing_of_it(self, writer: IndexWriter, index_dir: Path) -> None:
        link = Link("target", "anchor", "wiki")
        write(writer, encoded_note("a.md", "one", "two", tags=["t"], links=[link]))
        remove(writer, "a.md")
        for table in ("notes", "chunks", "embeddings", "token_codes", "tags", "links", "note_words_docsize"):
            assert rows(index_dir, f"SELECT count(*) FROM {table}") == [(0,)], table
        assert writer.counts() == (0, 0)


class TestNotes:
    def test_tags_and_links_are_replaced(self, writer: IndexWriter, index_dir: Path) -> None:
        first = [Link("x", "an x", "wiki"), Link("y.md", "a y", "relative")]
        write(writer, encoded_note("a.md", "text", tags=["B", "a/b"], links=first))
        write(writer, encoded_note("a.md", "text", tags=["Ünï", "a"], links=[Link("z", "z", "wiki")]))
        assert rows(index_dir, "SELECT position, tag, key FROM tags ORDER BY position") == [
            (0, "Ünï", "ünï"),
            (1, "a", "a"),
        ]
        assert rows(index_dir, "SELECT position, target, anchor, kind FROM links") == [(0, "z", "z", "wiki")]

    def test_an_updated_note_keeps_its_id_and_changes_the_rest(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", "text"))
        before = note_id(writer, "a.md")
        with writer.transaction():
            renamed = encoded_note("sub/b.md", "text", title="New", date=datetime(2020, 2, 29, 1, 2, 3))
            writer.write_notes([replace(renamed, replaced=before)])
        with closing(IndexReader(index_dir)) as reader:
            (note,) = reader.notes([before]).values()
            assert reader.count_notes() == 1
        assert (note.path, note.title, note.date) == ("/vault/sub/b.md", "New", "2020-02-29T01:02:03")

    def test_a_note_that_stays_gets_stamp_and_date(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", "text"))
        with writer.transaction():
            writer.keep_notes([KeptNote(note_id(writer, "a.md"), Stamp(1, 2, 3, 4), datetime(2001, 2, 3, 4, 5, 6))])
            writer.keep_notes([KeptNote(note_id(writer, "a.md"), Stamp(77, 88, 99, 2**63 - 1), None)])
        assert writer.known_notes(1)["/vault/a.md"].stamp == (77, 88, 99, 2**63 - 1)
        assert rows(index_dir, "SELECT date FROM notes") == [("2001-02-03T04:05:06",)]


class TestTransactions:
    def test_an_error_takes_back_everything(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", "before"))
        with pytest.raises(ZeroDivisionError), writer.transaction():
            writer.write_notes([encoded_note("b.md", "never")])
            writer.remove_notes([note_id(writer, "a.md")])
            raise ZeroDivisionError
        assert found(index_dir, "before never") == ["a.md"]
        check_words(index_dir)
        write(writer, encoded_note("c.md", "after"))
        assert found(index_dir, "after") == ["c.md"]

    def test_a_reader_sees_nothing_of_a_transaction_before_its_end(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", "before"))
        with writer.transaction():
            writer.write_notes([encoded_note("b.md", "unfinished")])
            assert found(index_dir, "before unfinished") == ["a.md"]
        assert found(index_dir, "unfinished") == ["b.md"]


class TestFolders:
    def test_a_folder_takes_in_the_folders_below_it(self, writer: IndexWriter, index_dir: Path) -> None:
        with writer.transaction():
            sub = writer.add_folder(FOLDER / "sub")
            writer.write_notes([replace(encoded_note("sub/a.md", "text"), folder_id=sub)])
            writer.add_folder(Path("/vault-2"))
            whole = writer.add_folder(FOLDER)
        assert [path for _, path in writer.folders()] == [FOLDER, Path("/vault-2")]
        assert list(writer.known_notes(whole)) == ["/vault/sub/a.md"]
        assert found(index_dir, "text", Filters(paths=(("sub",),))) == ["sub/a.md"]

    def test_removing_a_folder_removes_its_notes_only(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", "kept"))
        with writer.transaction():
            other = writer.add_folder(Path("/other"))
            writer.write_notes([replace(encoded_note("../other/b.md", "dropped"), folder_id=other)])
            writer.add_skipped(other, [SkippedFile(Skipped("/other/x", "binary file"))])
        with writer.transaction():
            writer.remove_folder(other)
        assert [path for _, path in writer.folders()] == [FOLDER]
        assert found(index_dir, "kept dropped") == ["a.md"]
        assert rows(index_dir, "SELECT * FROM skipped") == []
        check_words(index_dir)

    def test_what_was_skipped_is_forgotten_part_by_part(self, writer: IndexWriter, index_dir: Path) -> None:
        paths = ["/vault/sub", "/vault/sub/x", "/vault/subway", "/vault/y"]
        with writer.transaction():
            folder = writer.add_folder(FOLDER)
            writer.add_skipped(folder, [SkippedFile(Skipped(path, "binary file")) for path in paths])
            writer.forget_skipped(folder, "/vault/sub/")
        assert rows(index_dir, "SELECT path FROM skipped") == [("/vault/subway",), ("/vault/y",)]


class TestVectorFile:
    @staticmethod
    def texts(count: int, first: int = 0) -> list[str]:
        return [f"text number {number}" for number in range(first, first + count)]

    def test_every_index_with_vectors_has_one(self, writer: IndexWriter, index_dir: Path) -> None:
        writer.update_vector_file()
        assert not (index_dir / "vectors.hnsw").exists()
        write(writer, encoded_note("a.md", "a single chunk"))
        writer.update_vector_file()
        assert (index_dir / "vectors.hnsw").exists()
        remove(writer, "a.md")
        writer.update_vector_file()
        assert not (index_dir / "vectors.hnsw").exists()
        assert rows(index_dir, "SELECT * FROM dead_vectors") == []

    def test_it_is_left_alone_while_it_is_nearly_complete(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", *self.texts(40)))
        writer.update_vector_file()
        before = (index_dir / "vectors.hnsw").stat().st_mtime_ns
        write(writer, encoded_note("b.md", *self.texts(4, first=100)))
        writer.update_vector_file()
        assert (index_dir / "vectors.hnsw").stat().st_mtime_ns == before
        write(writer, encoded_note("c.md", *self.texts(1, first=200)))
        writer.update_vector_file()
        assert (index_dir / "vectors.hnsw").stat().st_mtime_ns > before

    def test_it_is_built_anew_when_many_of_its_chunks_are_dead(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", *self.texts(40)))
        writer.update_vector_file()
        write(writer, encoded_note("a.md", *self.texts(29)))
        assert len(rows(index_dir, "SELECT * FROM dead_vectors")) == 11
        writer.update_vector_file()
        assert rows(index_dir, "SELECT * FROM dead_vectors") == []
        with closing(IndexReader(index_dir)) as reader:
            assert sorted(live_vectors(reader)) == sorted(chunk_ids(index_dir).values())

    @pytest.mark.parametrize("damage", ["missing", "truncated", "garbage"])
    def test_a_damaged_one_is_built_anew(self, writer: IndexWriter, index_dir: Path, damage: str) -> None:
        write(writer, encoded_note("a.md", *self.texts(20)))
        writer.update_vector_file()
        path = index_dir / "vectors.hnsw"
        sound = path.stat().st_size
        if damage == "missing":
            path.unlink()
        elif damage == "truncated":
            path.write_bytes(path.read_bytes()[:500])
        else:
            path.write_bytes(b"\xff" * sound)
        writer.update_vector_file()
        assert path.stat().st_size == sound
        with closing(IndexReader(index_dir)) as reader:
            assert len(reader.vectors()) == 1
            assert sorted(live_vectors(reader)) == sorted(chunk_ids(index_dir).values())

    def test_one_that_cannot_be_written_leaves_a_usable_index(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", *self.texts(20)))
        (index_dir / "vectors.hnsw.new").mkdir()
        with pytest.raises(StoreError, match="cannot write"):
            writer.update_vector_file()
        with closing(IndexReader(index_dir)) as reader:
            assert len(live_vectors(reader)) == 20
        (index_dir / "vectors.hnsw.new").rmdir()
        writer.update_vector_file()
        assert (index_dir / "vectors.hnsw").exists()

    def test_a_flipped_bit_that_left_the_time_is_noticed(self, writer: IndexWriter, index_dir: Path) -> None:
        write(writer, encoded_note("a.md", *self.texts(20)))
        writer.update_vector_file(1)  # threads add vectors in any order, and make other graphs
        path = index_dir / "vectors.hnsw"
        sound, status = path.read_bytes(), path.stat()
        path.write_bytes(sound[:2000] + bytes([sound[2000] ^ 1]) + sound[2001:])
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        writer.update_vector_file(1)
        assert path.read_bytes() == sound


class TestSynced:
    def test_times_of_folders_come_back_and_go_with_their_folders(self, writer: IndexWriter, index_dir: Path) -> None:
        first = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        with writer.transaction():
            writer.add_folder(FOLDER)
            other = writer.add_folder(Path("/other"))
            writer.set_synced([FOLDER, Path("/other"), Path("/vault/part")], first)
        later = datetime(2026, 1, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=2)))
        with writer.transaction():
            writer.set_synced([FOLDER], later)
        with closing(IndexReader(index_dir)) as reader:
            assert reader.synced() == {"/other": first, str(FOLDER): datetime(2026, 1, 3, 2, 5, 6, tzinfo=UTC)}
        with writer.transaction():
            writer.remove_folder(other)
            writer.set_synced([], later)
        with closing(IndexReader(index_dir)) as reader:
            assert list(reader.synced()) == [str(FOLDER)]

    def test_an_index_that_was_never_told_knows_none(self, writer: IndexWriter, index_dir: Path) -> None:
        with closing(IndexReader(index_dir)) as reader:
            assert reader.synced() == {}
