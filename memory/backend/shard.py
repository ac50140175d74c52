"""One shard of the embedded Qdrant engine, called by one thread at a time.

The engine never lets go of the interpreter's lock while it works, so every call is cut into pieces
short enough that an event loop beside it does not stall.
"""

import ctypes
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import qdrant_edge as qe

from stretto.errors import MemoryFault
from stretto.memory.backend import schema, translate
from stretto.memory.backend.checks import check_payload, check_points
from stretto.memory.backend.faults import check_room, fault, named
from stretto.memory.backend.pieces import READ_PIECE, pieces
from stretto.memory.backend.reading import ShardReader, numbered
from stretto.memory.backend.types import Filter, Point, Record

T = TypeVar("T")
WRITE_PIECE = 64
"""Points per call of the engine: 2.5 ms at 384 dimensions."""

INDEXING_THRESHOLD = 10_000_000
"""Kilobytes below which no HNSW index is built, which would stall the process for minutes."""
DATATYPE = qe.VectorStorageDatatype.Turbo16
"""How dense vectors are kept: in half the room, and found in half the time; cosines differ from
those of whole floats by some 0.00001."""
EXISTS = "already exists"
"""What the engine says of vectors that are there and are not as asked for."""
SEARCH_THREADS = 1
"""There is one segment, so more would share nothing; to wake them takes longer than a search."""


class Shard(ShardReader):
    """The calls of ``Engine``, on files."""

    def __init__(self, raw: qe.EdgeShard, path: Path, dims: int | None) -> None:
        """Use ``create`` or ``load``."""
        super().__init__(raw, path, dims)
        self.unflushed = 0
        """Points written since the last flush: what the log replays when it is opened again."""
        self.deleted = 0
        # Another handle on the same log would find it locked by this one.
        self._log = os.stat(path / "wal")

    @classmethod
    def create(cls, path: Path, dims: int | None) -> "Shard":
        """Make a new shard in a folder that does not exist yet.

        Args:
            path: the folder.
            dims: numbers per dense vector; None for none.

        Raises:
            MemoryFault: the disk is full or may not be written.

        """
        check_room(path.parent)
        dense = {schema.DENSE: _dense(dims)} if dims else {}
        idf = qe.EdgeSparseVectorParams(modifier=qe.Modifier.Idf)
        config = qe.EdgeConfig(
            vectors=dense or None,
            sparse_vectors=dict.fromkeys(schema.SPARSE, idf),
            optimizers=qe.EdgeOptimizersConfig(indexing_threshold=INDEXING_THRESHOLD),
            max_search_threads=SEARCH_THREADS,
            wal_enabled=True,
        )
        with named(path.parent):
            path.mkdir()
            shard = cls(qe.EdgeShard.create(str(path), config), path, dims)
            shard._index()
        return shard

    @classmethod
    def load(cls, path: Path, dims: int | None) -> "Shard":
        """Open a shard, and give it dense vectors of ``dims`` numbers if it has none yet.

        Raises:
            MemoryFault: it cannot be opened; nothing was changed.

        """
        check_room(path.parent)
        if not path.is_dir():
            raise fault("memory_corrupt", path.parent, f"{path.name} is missing")
        with named(path.parent, otherwise="memory_corrupt"):
            shard = cls(qe.EdgeShard.load(str(path)), path, dims)
            shard.add_dense(dims)
        return shard

    def add_dense(self, dims: int | None) -> None:
        """Let points have dense vectors of ``dims`` numbers; nothing when they have them."""
        self.dims = dims
        if dims:
            asked = schema.DENSE, dims, qe.Distance.Cosine
            try:
                self._update(qe.UpdateOperation.create_dense_vector(*asked, datatype=DATATYPE))
            except MemoryFault as found:
                if EXISTS not in str(found):
                    raise
                # They are there as whole floats, from an earlier version.
                self._update(qe.UpdateOperation.create_dense_vector(*asked))

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points, each in place of the one with its id."""
        self.upsert_ready(self.ready(points))

    def ready(self, points: Sequence[Point]) -> list[qe.Point]:
        """Check points and give them in the engine's form.

        Raises:
            MemoryFault: one of them cannot be stored.

        """
        check_points(points, self.dims)
        try:
            return [translate.to_point(p) for p in points]
        except Exception as error:  # The engine raises nothing more precise.
            raise MemoryFault(
                f"A point has a payload that is not JSON: {error}", code="point_invalid"
            ) from error

    def upsert_ready(self, points: Sequence[qe.Point]) -> None:
        """Write points that ``ready`` gave."""
        for piece in pieces(points, WRITE_PIECE):
            ids: list[Any] = [point.id for point in piece]
            said = {
                id.int: Record(str(id), point.payload or {})
                for id, point in zip(ids, piece, strict=True)
            }
            self.records.drop(said)
            check_room(self.path)
            self._update(qe.UpdateOperation.upsert_points(list(piece)), len(piece))
            for number, record in said.items():
                self.records.hold(number, record)

    def delete(self, which: Sequence[str] | Filter) -> int:
        """Delete points by id or filter and say how many there were."""
        if isinstance(which, Filter):
            records, _ = self.scroll(which, sys.maxsize)
            gone = numbered(record.id for record in records)
        else:
            gone = self.existing(which)
        self.records.drop(gone)
        for piece in pieces([*gone.values()], READ_PIECE):
            self._update(qe.UpdateOperation.delete_points(list(piece)), len(piece))
        self.deleted += len(gone)
        return len(gone)

    def set_payload(self, ids: Sequence[str], payload: Mapping[str, Any]) -> None:
        """Set these fields, or drop those that are None, on the points that exist."""
        check_payload(payload)
        # The engine refuses all of them when one does not exist.
        which = self.existing(ids)
        self.records.drop(which)
        for piece in pieces([*which.values()], WRITE_PIECE):
            check_room(self.path)
            self._update(qe.UpdateOperation.set_payload(list(piece), dict(payload)), len(piece))

    def optimize(self) -> None:
        """Give the space of deleted points back."""
        with named(self.path):
            self._raw.optimize()
        self.deleted = 0

    def flush(self) -> None:
        """Write what is in memory to the files; stalls the process for some 40 ms."""
        with named(self.path):
            self._raw.flush()
        self.unflushed = 0

    def sync(self) -> None:
        """Make what was written outlive a power cut, without stalling other threads."""
        with named(self.path):
            for log in (self.path / "wal").glob("open-*"):
                _fsync(log)

    def close(self) -> None:
        """Flush, and let go of the files."""
        try:
            self.flush()
        finally:
            self._raw.close()

    def abandon(self) -> None:
        """In a forked child: keep the parent's handle from ever being closed here, or locked.

        To close it would write the parent's files; to keep its log open would keep that locked
        for as long as the child lives.
        """
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._raw))
        for descriptor in map(int, os.listdir("/dev/fd")):
            with suppress(OSError):
                if os.path.samestat(os.fstat(descriptor), self._log):
                    os.close(descriptor)

    def _index(self) -> None:
        for field in schema.KEYWORDS:
            params: Any = qe.PayloadSchemaType.Keyword
            if field == schema.TENANT:
                params = qe.KeywordIndexParams(is_tenant=True)
            self._update(qe.UpdateOperation.create_field_index(field, params))
        for field in schema.FLOATS:
            kind = qe.PayloadSchemaType.Float
            self._update(qe.UpdateOperation.create_field_index(field, kind))

    def _update(self, operation: qe.UpdateOperation, points: int = 0) -> None:
        with named(self.path):
            self._raw.update(operation)
        self.unflushed += points


def _dense(dims: int) -> qe.EdgeVectorParams:
    return qe.EdgeVectorParams(dims, qe.Distance.Cosine, datatype=DATATYPE)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
