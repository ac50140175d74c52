"""Memory in a folder, on the embedded Qdrant engine.

The engine allows one opening per folder, so backends of one process on one folder share it: they
find each other by the folder's path. That is what the folder is, not a setting, and the last one
to close lets it go, so nothing outlives its users.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from stretto.memory.backend.call import Call
from stretto.memory.backend.pieces import BRIEF_WRITE, READ_PIECE
from stretto.memory.backend.protocol import Engine, Page, Transform
from stretto.memory.backend.thread import EngineThread, closed
from stretto.memory.backend.types import Filter, Order, Point, Query, Record, Stats

if TYPE_CHECKING:
    from stretto.memory.backend.folder import MemoryFolder

T = TypeVar("T")


class Engines:
    """The engine threads of this process by folder, each with the backends that use it."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = Lock()
        self._threads: dict[Path, tuple[EngineThread, set[object]]] = {}

    def acquire(self, folder: Path, dims: int | None, user: object) -> EngineThread:
        """Give the thread of a folder to ``user``, who may ask for it again and again."""
        with self._lock:
            thread, users = self._threads.get(folder, (None, set[object]()))
            if thread is not None and not users:
                thread.close()  # Its last user is about to; the folder must be let go first.
                thread = None
            if thread is None:
                thread = EngineThread(lambda: _open(folder, dims))
                self._threads[folder] = thread, users
            elif dims and user not in users:
                thread.submit(Call(lambda opened: opened.add_dense(dims)))
            users.add(user)
            return thread

    def release(self, folder: Path, user: object) -> None:
        """Close the thread of a folder when its last user is gone."""
        with self._lock:
            thread, users = self._threads.get(folder, (None, set[object]()))
            users.discard(user)
            if thread is None or users:
                return
        thread.close()
        with self._lock:
            if self._threads.get(folder, (None,))[0] is thread:
                del self._threads[folder]

    def forget(self) -> None:
        """In a forked child: let go of what is the parent's, without touching it."""
        self._lock = Lock()
        for thread, _ in self._threads.values():
            thread.abandon()
        self._threads = {}


engines = Engines()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=engines.forget)


class EdgeBackend:
    """The calls of ``Backend`` on a folder; opens it at the first call of each process."""

    def __init__(self, folder: Path, dims: int | None = None) -> None:
        """Name the folder.

        Args:
            folder: where memory is kept, or begins.
            dims: numbers per dense vector, for a memory that has none yet; None for none.

        """
        self.folder = folder.expanduser().absolute()
        self.dims = dims
        self._thread: EngineThread | None = None
        self._pid = os.getpid()
        self._closed = False

    def upsert(self, points: Sequence[Point]) -> Future[None]:
        """Write points, each in place of the one with its id; done means they outlive a kill."""
        return self._submit(Call(points=points, brief=len(points) <= BRIEF_WRITE))

    def retrieve(self, ids: Sequence[str], with_vectors: bool = False) -> Future[list[Record]]:
        """Give the points that exist, in the order of ``ids``."""
        return self._read(
            lambda engine: engine.retrieve(ids, with_vectors), brief=len(ids) <= READ_PIECE
        )

    def query(self, queries: Sequence[Query]) -> Future[list[list[Record]]]:
        """Answer several queries at once, each with its nearest points first."""
        brief = all(query.limit <= READ_PIECE for query in queries)
        return self._read(lambda engine: engine.query(queries), brief)

    def scroll(
        self,
        filter: Filter | None,
        limit: int,
        cursor: str | None = None,
        order: Order | None = None,
        with_vectors: bool = False,
    ) -> Future[Page]:
        """Give one page and the cursor of the next one, None after the last."""
        return self._read(
            lambda engine: engine.scroll(filter, limit, cursor, order, with_vectors),
            brief=limit <= READ_PIECE,
        )

    def count(self, filter: Filter | None) -> Future[int]:
        """Count exactly."""
        return self._read(lambda engine: engine.count(filter))

    def facet(self, field: str, filter: Filter | None, limit: int) -> Future[list[tuple[str, int]]]:
        """Give the values of an indexed keyword field and how many points have each."""
        return self._read(lambda engine: engine.facet(field, filter, limit))

    def delete(self, which: Sequence[str] | Filter) -> Future[int]:
        """Delete points by id or filter and say how many there were."""
        return self.atomic(lambda engine: engine.delete(which))

    def set_payload(self, ids: Sequence[str], payload: Mapping[str, Any]) -> Future[None]:
        """Set these fields, or drop those that are None, on the points that exist."""
        return self.atomic(lambda engine: engine.set_payload(ids, payload))

    def atomic(self, work: Callable[[Engine], T]) -> Future[T]:
        """Do several calls as one, on the engine's thread: nothing comes between them."""
        return self._submit(Call(lambda folder: work(folder.shard)))

    def compact(self) -> Future[None]:
        """Give the space of deleted points back; stalls the process, a second per 10,000."""
        return self._submit(Call(lambda folder: folder.shard.optimize()))

    def rebuild(
        self,
        transform: Transform | None = None,
        dims: int | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Future[None]:
        """Write everything anew, so that no byte of what was deleted stays in the folder."""
        return self._submit(Call(lambda folder: folder.rebuild(transform, dims, metadata)))

    def stats(self) -> Future[Stats]:
        """Say how much is kept, and where."""
        return self._submit(Call(lambda folder: folder.stats(), writes=False))

    def metadata(self) -> Future[dict[str, Any]]:
        """Give what is known of the memory as a whole."""
        return self._submit(Call(lambda folder: folder.metadata.to_dict(), writes=False))

    def set_metadata(self, values: Mapping[str, Any]) -> Future[None]:
        """Set these keys, durably; the others stay."""
        kept = dict(values)
        return self._submit(Call(lambda folder: folder.set_metadata(kept)))

    def close(self) -> None:
        """Finish what was asked for; the last backend on a folder lets it go."""
        self._closed = True
        engines.release(self.folder, self)

    def _read(self, work: Callable[[Engine], T], brief: bool = False) -> Future[T]:
        return self._submit(Call(lambda folder: work(folder.shard), writes=False, brief=brief))

    def _submit(self, call: Call) -> Future[Any]:
        if self._closed:
            call.future.set_exception(closed())
            return call.future
        if self._thread is None or self._pid != os.getpid():
            self._thread = engines.acquire(self.folder, self.dims, self)
            self._pid = os.getpid()
        return self._thread.submit(call)


def _open(folder: Path, dims: int | None) -> "MemoryFolder":
    from stretto.memory.backend.folder import MemoryFolder

    return MemoryFolder(folder, dims)
