"""How embeddings are stored: in SQLite, which holds the truth, and in `vectors.hnsw`, which searches read.

A row in SQLite holds a byte a component, and what the largest one stands for. The file is derived from SQLite and can
be deleted at any time. It holds the vectors of every chunk up to an id; since ids are never used again and a chunk's
vector never changes, an old file stays true: what it lacks is read from SQLite, and chunks that are gone, but that it
still holds, are listed in `dead_vectors`.

hnswlib's own format is described by its first 96 bytes (hierarchical NSW, Malkov and Yashunin, 2016; file layout of
hnswlib 0.8 `HierarchicalNSW::saveIndex`): each element is its links, its vector and its label, all of one size. So the
vectors are a strided matrix, and a one-shot command scans it through the page cache without loading a graph.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import numpy as np

from notesearch.errors import StoreError
from notesearch.files import Stamp, replacing

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Links to each element, and candidates looked at while linking: recall@10 ≥ 0.99 at 10,000 notes.
_LINKS = 16
_EF_CONSTRUCTION = 200
# offset of level 0, capacity, count, bytes an element, offset of its label, offset of its vector
_HEADER = struct.Struct("<6Q")
_HEADER_BYTES = 96
_CRC_BLOCK_BYTES = 1 << 24
_ALL_CORES = -1
# Of a component in SQLite.
_LARGEST = 127


def pack(vectors: NDArray[np.float32]) -> list[bytes]:
    """Turns float32 vectors `(n, dim)` of length 1 into what is stored of each; a cosine is off by about 0.0005."""
    scales = np.maximum(np.abs(vectors).max(axis=1, initial=0), np.float32(1e-12)) / np.float32(_LARGEST)
    rows = np.empty(len(vectors), dtype=_row(vectors.shape[1]))
    rows["scale"] = scales
    rows["components"] = np.rint(vectors / scales[:, np.newaxis])
    return [row.tobytes() for row in rows]


def unpack(stored: Sequence[bytes], dim: int) -> NDArray[np.float32]:
    """Turns what `pack` made back into float32 vectors `(len(stored), dim)`."""
    rows = np.frombuffer(b"".join(stored), dtype=_row(dim))
    vectors = rows["components"].astype(np.float32)
    vectors *= rows["scale"][:, np.newaxis]
    return vectors


def _row(dim: int) -> np.dtype[np.void]:
    return np.dtype([("scale", "<f4"), ("components", "i1", (dim,))])


@dataclass(frozen=True, slots=True)
class VectorFileRecord:
    """What SQLite knows of the vector file it goes with.

    Attributes:
        crc32: Of the file's bytes.
        stamp: Of the file; while it holds, the checksum is not computed again.
        last_chunk_id: The file holds every chunk up to this id that was alive when it was written.
        count: Vectors in it.
    """

    crc32: int
    stamp: Stamp
    last_chunk_id: int
    count: int

    @classmethod
    def of_json(cls, stamp: Sequence[int], **others: int) -> Self:
        """Makes a record of what JSON makes of it."""
        return cls(stamp=Stamp(*stamp), **others)


def vector_file(index_dir: Path) -> Path:
    """The vector file of an index directory."""
    return index_dir / "vectors.hnsw"


def build_vector_file(
    path: Path, ids: NDArray[np.int64], vectors: NDArray[np.float32], threads: int | None = None
) -> VectorFileRecord:
    """Writes a new vector file in the place of any that is there.

    Args:
        path: The file.
        ids: Chunk ids, int64 `(n,)`, ascending, n ≥ 1.
        vectors: float32 `(n, dim)`, rows of length 1.
        threads: The most cores to take; `None` for all.

    Raises:
        StoreError: The file cannot be written; what was there before is still there.
    """
    import hnswlib

    graph = hnswlib.Index(space="ip", dim=vectors.shape[1])
    graph.init_index(max_elements=len(ids), M=_LINKS, ef_construction=_EF_CONSTRUCTION, random_seed=1)
    graph.add_items(vectors, ids, num_threads=threads or _ALL_CORES)
    return _save(graph, path, int(ids[-1]))


def extend_vector_file(
    path: Path,
    record: VectorFileRecord,
    ids: NDArray[np.int64],
    vectors: NDArray[np.float32],
    threads: int | None = None,
) -> VectorFileRecord:
    """Writes the vector file anew with more vectors in it; arguments and errors as of `build_vector_file`."""
    import hnswlib

    graph = hnswlib.Index(space="ip", dim=vectors.shape[1])
    graph.load_index(str(path), max_elements=record.count + len(ids))
    graph.add_items(vectors, ids, num_threads=threads or _ALL_CORES)
    return _save(graph, path, int(ids[-1]))


def is_sound(path: Path, record: VectorFileRecord) -> bool:
    """Says by its checksum whether the file is the one that SQLite's record describes."""
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_size == record.stamp.size and _crc32(file) == record.crc32
    except OSError:
        return False


def map_vectors(
    path: Path, record: VectorFileRecord, dim: int, *, verify: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.float32]] | None:
    """Maps the vector file into memory, or reads it, if it is the one that SQLite's record describes.

    Args:
        path: The file.
        record: What SQLite knows of it.
        dim: Length of a vector.
        verify: Whether to read it and compute the checksum in any case: what happens to the file later then changes
            nothing, while one that is mapped and cut off ends the process. Else the checksum is computed only where
            the file's stamp differs (a restored backup): it would cost a single search as much as the scan.

    Returns:
        Chunk ids, int64 `(n,)`, and vectors, float32 `(n, dim)`: strided. `None` where
        the file is missing, damaged, of another generation, or not laid out as hnswlib 0.8 does it.
    """
    try:
        # Opened once: what was checked is what is mapped, also where another file takes its place meanwhile.
        with path.open("rb") as file:
            data: NDArray[np.uint8]
            if verify:
                content = file.read()
                if len(content) < _HEADER_BYTES or zlib.crc32(content) != record.crc32:
                    return None
                data = np.frombuffer(content, dtype=np.uint8)
            elif _is_recorded(file, os.fstat(file.fileno()), record, verify=False):
                data = np.memmap(file, dtype=np.uint8, mode="r")
            else:
                return None
    except OSError:
        return None
    _, _, count, element_bytes, label_offset, vector_offset = _HEADER.unpack(bytes(data[: _HEADER.size]))
    end_of_elements = _HEADER_BYTES + count * element_bytes
    if label_offset != vector_offset + 4 * dim or element_bytes != label_offset + 8 or end_of_elements > len(data):
        return None
    layout = np.dtype(
        {
            "names": ["vector", "label"],
            "formats": [(np.float32, (dim,)), np.uint64],
            "offsets": [vector_offset, label_offset],
            "itemsize": element_bytes,
        }
    )
    elements = np.frombuffer(data, dtype=layout, count=count, offset=_HEADER_BYTES)
    return elements["label"].astype(np.int64), elements["vector"]


def load_graph(path: Path, record: VectorFileRecord, dim: int, dead: NDArray[np.int64]) -> Any:
    """Loads the vector file, if by its checksum it is the one that SQLite's record describes.

    hnswlib follows links wherever they lead: one wrong bit may end the process.

    Args:
        path: The file.
        record: What SQLite knows of it.
        dim: Length of a vector.
        dead: Ids of chunks that are gone, and are not to be found; all of them are in the file.

    Returns:
        An `hnswlib.Index`; `None` where there is no such file.
    """
    import hnswlib

    graph = hnswlib.Index(space="ip", dim=dim)
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not _is_recorded(file, status, record, verify=True):
                return None
            graph.load_index(str(path))
            # It was loaded by its name, which may stand for another file since.
            if not os.path.samestat(status, path.stat()):
                return None
        for chunk_id in dead.tolist():
            graph.mark_deleted(chunk_id)
    except (OSError, RuntimeError):  # RuntimeError: hnswlib's word for anything wrong
        return None
    return graph


def _is_recorded(file: IO[bytes], status: os.stat_result, record: VectorFileRecord, *, verify: bool) -> bool:
    if status.st_size != record.stamp.size or status.st_size < _HEADER_BYTES:
        return False
    is_as_recorded = Stamp.of(status) == record.stamp and not verify
    return is_as_recorded or _crc32(file) == record.crc32


def _save(graph: Any, path: Path, last_chunk_id: int) -> VectorFileRecord:
    try:
        with replacing(path) as temporary:
            graph.save_index(str(temporary))
            # hnswlib does not look whether its writes succeed.
            if temporary.stat().st_size != graph.index_file_size():
                raise OSError("the file could not be written in full")
    except (OSError, RuntimeError) as error:
        raise StoreError(
            f"cannot write {path}: {error}", "Is the disk full? Search works without this file."
        ) from error
    with path.open("rb") as file:
        stamp = Stamp.of(os.fstat(file.fileno()))
        crc32 = _crc32(file)
    return VectorFileRecord(
        crc32=crc32,
        stamp=stamp,
        last_chunk_id=last_chunk_id,
        count=graph.get_current_count(),
    )


def _crc32(file: IO[bytes]) -> int:
    checksum = 0
    file.seek(0)
    while block := file.read(_CRC_BLOCK_BYTES):
        checksum = zlib.crc32(block, checksum)
    return checksum
