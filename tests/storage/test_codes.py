"""Token codes in an index: written and removed with their chunks."""

from contextlib import closing
from pathlib import Path

import pytest

from notesearch.storage import IndexReader
from notesearch.storage.writer import IndexWriter

from .building import codes_of, encoded_note, remove, rows, write


def stored_codes(index_dir: Path) -> list[tuple[str, bytes]]:
    """Text and codes of each chunk that has codes, in the order of the chunks' ids."""
    return rows(
        index_dir,
        "SELECT text, codes FROM token_codes LEFT JOIN chunks ON chunks.id = chunk_id ORDER BY chunk_id",
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
            writer.write_notes([encoded_note("b.md", "three")])
            writer.remove_notes([1])
            raise ZeroDivisionError
        assert stored_codes(index_dir) == before


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
