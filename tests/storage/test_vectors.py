import os
import resource
from pathlib import Path
from typing import IO, Any

import hnswlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from notesearch.errors import StoreError
from notesearch.storage.vectors import (
    VectorFileRecord,
    build_vector_file,
    extend_vector_file,
    is_sound,
    map_vectors,
    pack,
    unpack,
)


def vectors(count: int, dim: int, seed: int = 0) -> NDArray[np.float32]:
    drawn = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def ids(count: int, first: int = 1) -> NDArray[np.int64]:
    """Ascending, with gaps as in a real index."""
    return first + 3 * np.arange(count, dtype=np.int64)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vectors.hnsw"


@pytest.fixture
def record(path: Path) -> VectorFileRecord:
    return build_vector_file(path, ids(50), vectors(50, 8))


def mapped_of(path: Path, record: VectorFileRecord, dim: int) -> tuple[Any, Any]:
    found = map_vectors(path, record, dim)
    assert found is not None
    return found


def assert_same_as_hnswlib(path: Path, record: VectorFileRecord, dim: int, count: int) -> None:
    graph = hnswlib.Index(space="ip", dim=dim)
    graph.load_index(str(path))
    mapped_ids, mapped = mapped_of(path, record, dim)
    assert sorted(mapped_ids.tolist()) == sorted(graph.get_ids_list())
    assert len(mapped_ids) == count
    assert (mapped_ids.dtype, mapped.dtype, mapped.shape) == (np.int64, np.float32, (count, dim))
    assert mapped.tobytes() == np.array(graph.get_items(mapped_ids), dtype=np.float32).tobytes()


@pytest.mark.parametrize("dim", [1, 3, 16, 384])
@pytest.mark.parametrize("count", [1, 2, 300])
def test_the_mapped_file_holds_what_hnswlib_loads(path: Path, dim: int, count: int) -> None:
    given = vectors(count, dim)
    record = build_vector_file(path, ids(count), given)
    assert_same_as_hnswlib(path, record, dim, count)
    mapped_ids, mapped = mapped_of(path, record, dim)
    assert mapped[np.argsort(mapped_ids)].tobytes() == given.tobytes()
    assert (record.count, record.last_chunk_id) == (count, ids(count)[-1])
    assert is_sound(path, record)


@pytest.mark.parametrize("dim", [1, 16, 384])
@pytest.mark.parametrize(("before", "more"), [(1, 1), (1, 200), (200, 1)])
def test_an_extended_file_holds_the_old_and_the_new(path: Path, dim: int, before: int, more: int) -> None:
    record = build_vector_file(path, ids(before), vectors(before, dim))
    new_ids = ids(more, first=10_000)
    record = extend_vector_file(path, record, new_ids, vectors(more, dim, seed=1))
    assert_same_as_hnswlib(path, record, dim, before + more)
    mapped_ids, mapped = mapped_of(path, record, dim)
    expected = np.concatenate([vectors(before, dim), vectors(more, dim, seed=1)])
    assert mapped[np.argsort(mapped_ids)].tobytes() == expected.tobytes()
    assert (record.count, record.last_chunk_id) == (before + more, new_ids[-1])
    assert is_sound(path, record)


def test_a_product_of_the_mapped_vectors_is_that_of_the_given_ones(path: Path, record: VectorFileRecord) -> None:
    mapped_ids, mapped = mapped_of(path, record, 8)
    query = vectors(1, 8, seed=5)[0]
    products = dict(zip(mapped_ids.tolist(), (mapped @ query).tolist(), strict=True))
    assert [products[i] for i in ids(50)] == pytest.approx((vectors(50, 8) @ query).tolist(), abs=1e-6)


def test_the_file_is_private_and_nothing_else_is_left(path: Path, record: VectorFileRecord) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_what_a_killed_run_left_is_in_nobodys_way(path: Path) -> None:
    path.with_name("vectors.hnsw.new").write_bytes(b"half a file" * 10_000)
    record = build_vector_file(path, ids(5), vectors(5, 8))
    assert is_sound(path, record)
    assert_same_as_hnswlib(path, record, 8, 5)
    assert list(path.parent.iterdir()) == [path]


def is_used(path: Path, record: VectorFileRecord) -> bool:
    return map_vectors(path, record, 8) is not None


class TestDamage:
    """Neither a search nor a run of `index` takes a file that is not the one that SQLite tells of."""

    def test_a_missing_file(self, path: Path, record: VectorFileRecord) -> None:
        path.unlink()
        assert not is_sound(path, record)
        assert not is_used(path, record)

    def test_a_directory_in_its_place(self, path: Path, record: VectorFileRecord) -> None:
        path.unlink()
        path.mkdir()
        assert not is_sound(path, record)
        assert not is_used(path, record)

    @pytest.mark.parametrize("kept", [0, 10, 1000, -1])
    def test_a_truncated_file(self, path: Path, record: VectorFileRecord, kept: int) -> None:
        path.write_bytes(path.read_bytes()[:kept])
        os.utime(path, ns=(record.stamp.mtime_ns, record.stamp.mtime_ns))
        assert not is_sound(path, record)
        assert not is_used(path, record)

    def test_a_file_with_more_at_its_end(self, path: Path, record: VectorFileRecord) -> None:
        path.write_bytes(path.read_bytes() + b"\0")
        os.utime(path, ns=(record.stamp.mtime_ns, record.stamp.mtime_ns))
        assert not is_sound(path, record)
        assert not is_used(path, record)

    @pytest.mark.parametrize("position", [0, 500, -1])
    def test_a_flipped_bit(self, path: Path, record: VectorFileRecord, position: int) -> None:
        data = bytearray(path.read_bytes())
        data[position] ^= 1
        path.write_bytes(data)
        os.utime(path, ns=(record.stamp.mtime_ns, record.stamp.mtime_ns))
        assert not is_used(path, record)
        assert not is_sound(path, record)

    def test_the_same_content_at_another_time(self, path: Path, record: VectorFileRecord) -> None:
        os.utime(path, ns=(0, 0))
        assert is_sound(path, record)
        assert is_used(path, record)

    def test_a_file_of_another_generation(self, path: Path, record: VectorFileRecord) -> None:
        build_vector_file(path, ids(50), vectors(50, 8, seed=9))
        assert not is_sound(path, record)
        assert not is_used(path, record)

    def test_a_file_that_is_replaced_while_it_is_read(
        self, path: Path, record: VectorFileRecord, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = path.with_name("other")
        build_vector_file(other, ids(50), vectors(50, 8, seed=9))

        def replace_it(file: IO[bytes]) -> int:
            other.replace(path)
            return record.crc32

        os.utime(path, ns=(0, 0))
        before = path.read_bytes()
        monkeypatch.setattr("notesearch.storage.vectors._crc32", replace_it)
        found_ids, found = mapped_of(path, record, 8)
        assert path.read_bytes() != before
        np.testing.assert_array_equal(found[np.argsort(found_ids)], vectors(50, 8))

    def test_a_layout_of_another_kind(self, path: Path, record: VectorFileRecord) -> None:
        assert map_vectors(path, record, 9) is None


class TestFailedWrites:
    def test_a_full_disk_leaves_the_old_file(self, path: Path, record: VectorFileRecord) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = path.read_bytes()
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, hard))
        try:
            with pytest.raises(StoreError, match="cannot write") as caught:
                build_vector_file(path, ids(500), vectors(500, 8))
            with pytest.raises(StoreError, match="cannot write"):
                extend_vector_file(path, record, ids(500, first=1000), vectors(500, 8))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert "disk full" in caught.value.hint
        assert path.read_bytes() == before
        assert list(path.parent.iterdir()) == [path]
        assert is_sound(path, record)

    def test_a_directory_that_is_gone(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="cannot write"):
            build_vector_file(tmp_path / "gone" / "vectors.hnsw", ids(5), vectors(5, 8))


def test_a_vector_by_hand() -> None:
    (stored,) = pack(np.array([[0.6, -0.8, 0.0]], dtype=np.float32))
    assert np.frombuffer(stored[:4], dtype="<f4")[0] == np.float32(0.8) / np.float32(127)
    assert np.frombuffer(stored[4:], dtype=np.int8).tolist() == [95, -127, 0]  # 0.6 / 0.8 · 127 = 95.25


def test_no_vectors() -> None:
    assert pack(np.zeros((0, 3), dtype=np.float32)) == []
    assert unpack([], 3).shape == (0, 3)


def test_a_vector_of_zeros_stays_one() -> None:
    assert unpack(pack(np.zeros((1, 4), dtype=np.float32)), 4).tolist() == [[0, 0, 0, 0]]


@given(st.integers(0, 2**32 - 1))
def test_cosines_stay_within_a_few_thousandths(seed: int) -> None:
    numbers = np.random.default_rng(seed)
    vectors = numbers.standard_normal((50, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    query = vectors[0] + vectors[1]
    query /= np.linalg.norm(query)
    stored = unpack(pack(vectors), 384)
    assert stored.dtype == np.float32
    np.testing.assert_allclose(stored @ query, vectors @ query, atol=0.003)
