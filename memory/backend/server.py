"""Memory on a Qdrant server, with the calls of ``Backend``.

All calls run on one event loop in a thread of its own, so callers with and without a loop share
them. Writes of one process keep their order; while the server is away they wait in a file.
"""

import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import urlsplit

from anyio import CancelScope, to_thread
from pydantic import SecretStr

from stretto.errors import ConfigurationError
from stretto.memory.backend.connection import Connection
from stretto.memory.backend.line import Line
from stretto.memory.backend.protocol import Engine, Page, Transform
from stretto.memory.backend.remote import Remote
from stretto.memory.backend.schema import COLLECTION
from stretto.memory.backend.session import Session
from stretto.memory.backend.spool import LIMIT_BYTES, Spool
from stretto.memory.backend.thread import closed
from stretto.memory.backend.twin import Twin
from stretto.memory.backend.types import Filter, Order, Point, Query, Record, Stats

T = TypeVar("T")
PAUSE_SECONDS = 1.0


class ServerBackend:
    """The calls of ``Backend`` on a server; connects at the first call of each process."""

    def __init__(
        self,
        folder: Path,
        url: str,
        api_key: SecretStr | None = None,
        dims: int | None = None,
        on_degraded: Callable[[str], None] | None = None,
        *,
        collection: str = COLLECTION,
        pause: float = PAUSE_SECONDS,
        spool_limit: int = LIMIT_BYTES,
    ) -> None:
        """Name the server.

        Args:
            folder: where writes wait while the server is away.
            url: its address.
            api_key: what it asks for.
            dims: numbers per dense vector, for a memory that has none yet; None for none.
            on_degraded: told once per outage, from another thread.
            collection: the alias under which the server keeps it.
            pause: seconds to leave the server alone after it was not reached.
            spool_limit: bytes of writes that may wait.

        Raises:
            ConfigurationError: the address is none.

        """
        _check_url(url)
        self.url = url
        self._folder = folder.expanduser().absolute()
        self._api_key = api_key
        self._dims = dims
        self._on_degraded = on_degraded
        self._collection = collection
        self._pause = pause
        self._spool_limit = spool_limit
        self._lock = Lock()
        self._pid = os.getpid()
        self._connection: Connection | None = None
        self._closed = False

    def upsert(self, points: Sequence[Point]) -> Future[None]:
        """Write points, each in place of the one with its id, or keep them for the server."""
        return self._write(lambda s: s.upsert(points))

    def retrieve(self, ids: Sequence[str], with_vectors: bool = False) -> Future[list[Record]]:
        """Give the points that exist, in the order of ``ids``."""
        return self._read(lambda r: r.retrieve(ids, with_vectors))

    def query(self, queries: Sequence[Query]) -> Future[list[list[Record]]]:
        """Answer several queries at once, each with its nearest points first."""
        return self._read(lambda r: r.query(queries))

    def scroll(
        self,
        filter: Filter | None,
        limit: int,
        cursor: str | None = None,
        order: Order | None = None,
        with_vectors: bool = False,
    ) -> Future[Page]:
        """Give one page and the cursor of the next one, None after the last."""
        return self._read(lambda r: r.scroll(filter, limit, cursor, order, with_vectors))

    def count(self, filter: Filter | None) -> Future[int]:
        """Count exactly."""
        return self._read(lambda r: r.count(filter))

    def facet(self, field: str, filter: Filter | None, limit: int) -> Future[list[tuple[str, int]]]:
        """Give the values of an indexed keyword field and how many points have each."""
        return self._read(lambda r: r.facet(field, filter, limit))

    def delete(self, which: Sequence[str] | Filter) -> Future[int]:
        """Delete points and say how many; 0 when the server will hear of it later."""
        return self._write(lambda s: s.delete(which))

    def set_payload(self, ids: Sequence[str], payload: Mapping[str, Any]) -> Future[None]:
        """Set these fields, or drop those that are None, on the points that exist."""
        return self._write(lambda s: s.set_payload(ids, payload))

    def atomic(self, work: Callable[[Engine], T]) -> Future[T]:
        """Do several calls with no other write of this process between them."""

        async def run(session: Session) -> T:
            await session.reach()
            return await to_thread.run_sync(work, Twin(session))

        return self._write(run)

    def compact(self) -> Future[None]:
        """Do nothing: a server gives space back by itself."""
        return self._read(lambda r: r.collection.ensure())

    def rebuild(
        self,
        transform: Transform | None = None,
        dims: int | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Future[None]:
        """Write everything anew to a new collection; no other process may write meanwhile."""
        return self._write(lambda s: s.rebuild(transform, dims, metadata))

    def stats(self) -> Future[Stats]:
        """Say how much is kept, and where."""
        return self._submit(lambda s: s.stats(self.url))

    def metadata(self) -> Future[dict[str, Any]]:
        """Give what is known of the memory as a whole."""
        return self._submit(lambda s: s.metadata())

    def set_metadata(self, values: Mapping[str, Any]) -> Future[None]:
        """Set these keys, durably; the others stay."""
        return self._write(lambda s: s.remote.collection.set_values(dict(values)))

    def close(self) -> None:
        """Finish what was asked for, and hang up."""
        with self._lock:
            connection, self._connection, self._closed = self._connection, None, True
        if connection is not None and self._pid == os.getpid():
            connection.close()

    def _read(self, call: Callable[[Remote], Awaitable[T]]) -> Future[T]:
        async def run(session: Session) -> T:
            answer = await call(session.remote)
            session.catch_up_soon()
            return answer

        return self._submit(run)

    def _write(self, call: Callable[[Session], Awaitable[T]]) -> Future[T]:
        async def run(session: Session) -> T:
            # Once begun it comes to its end, as in a folder: half of it would be wrong.
            async with session.lock:
                with CancelScope(shield=True):
                    return await call(session)
            raise AssertionError("a shield lets through what is raised")

        return self._submit(run)

    def _submit(self, call: Callable[[Session], Coroutine[Any, Any, T]]) -> Future[T]:
        if self._pid != os.getpid():
            self._lock, self._connection, self._pid = Lock(), None, os.getpid()
        with self._lock:
            if self._closed:
                refused: Future[T] = Future()
                refused.set_exception(closed())
                return refused
            if self._connection is None:
                self._connection = Connection(self._open)
            return self._connection.submit(call)

    def _open(self) -> Session:
        line = Line(self.url, self._api_key, self._on_degraded, self._pause)
        return Session(
            Remote(line, self._collection, self._dims), Spool(self._folder, self._spool_limit)
        )


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        # The client would drop a name and a password, and they would be told in messages.
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.username is None
        _ = parts.port
    except ValueError:
        fits = False
    if not fits:
        raise ConfigurationError(
            "QDRANT_URL is no address of a Qdrant server; give it as http://host:6333 or "
            "https://host:6333, and the key as QDRANT_API_KEY."
        )
