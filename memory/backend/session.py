"""What one process has of a Qdrant server: its line, its order of writes, and its spool."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from stretto.errors import MemoryFault
from stretto.memory.backend import metadata as files
from stretto.memory.backend import rest
from stretto.memory.backend.checks import check_id, check_payload, check_points
from stretto.memory.backend.pieces import READ_PIECE
from stretto.memory.backend.protocol import Transform
from stretto.memory.backend.remote import Remote
from stretto.memory.backend.spool import Spool, Write
from stretto.memory.backend.types import Filter, Point, Stats

T = TypeVar("T")
logger = logging.getLogger(__name__)


class Session:
    """Writes one after the other; what cannot reach the server waits on disk, in order."""

    def __init__(self, remote: Remote, spool: Spool) -> None:
        """Ask nothing yet."""
        self.remote = remote
        self.spool = spool
        self.lock = asyncio.Lock()
        self._catching_up: asyncio.Task[None] | None = None

    async def upsert(self, points: Sequence[Point]) -> None:
        """Write points, or keep them for the server."""
        collection = self.remote.collection
        if not self.spool.waiting():
            await self.reach()
        check_points(points, collection.dims)
        for point in points:
            check_payload(point.payload)
        if points:
            await self.write(Write(op="upsert", points=[rest.to_point(p) for p in points]))

    async def delete(self, which: Sequence[str] | Filter) -> int:
        """Delete points and say how many; 0 when the server will hear of it later."""
        if isinstance(which, Filter):
            return await self.write(Write(op="delete", filter=rest.to_filter(which)))
        for id in which:
            check_id(id)
        return await self.write(Write(op="delete", ids=list(dict.fromkeys(which))))

    async def set_payload(self, ids: Sequence[str], payload: Mapping[str, Any]) -> None:
        """Set these fields on the points that exist."""
        for id in ids:
            check_id(id)
        check_payload(payload)
        unique = list(dict.fromkeys(ids))
        await self.write(Write(op="set_payload", ids=unique, payload=dict(payload)))

    async def write(self, write: Write) -> int:
        """Do one write after those that wait; when the server is away, let it wait as well."""
        try:
            await self.replay()
            return await self.remote.perform(write)
        except MemoryFault as fault:
            if fault.code != "memory_unreachable":
                raise
        await asyncio.to_thread(self.spool.append, write)
        return 0

    async def replay(self) -> None:
        """Do the writes that wait; what the server will never take is put aside."""
        if not self.spool.waiting():
            return
        async with self.spool.lock():
            for write in self.spool.read():
                try:
                    await self.remote.perform(write)
                except MemoryFault as fault:
                    if fault.code != "memory_refused":
                        raise
                    logger.warning("a write is put aside in %s: %s", self.spool.rejected, fault)
                    self.spool.reject(write)
            self.spool.clear()

    def catch_up_soon(self) -> None:
        """Begin to do the writes that wait, now that the server answers; nobody waits for it."""
        if self.spool.waiting() and not self.lock.locked():
            self._catching_up = asyncio.create_task(self._catch_up())

    async def reach(self) -> None:
        """Look at the collection and do the writes that wait, if the server can be had."""
        try:
            await self.remote.collection.ensure()
            await self.replay()
        except MemoryFault as fault:
            if fault.code != "memory_unreachable":
                raise

    async def rebuild(
        self, transform: Transform | None, dims: int | None, values: Mapping[str, Any] | None
    ) -> None:
        """Copy the points to a new collection, lead the alias there, and delete the old one.

        What other processes write meanwhile is lost.
        """
        await self.replay()
        collection = self.remote.collection
        await collection.look_again()  # what is taken for a left-over must not be the one in use
        if transform is None and dims and collection.dims in (None, dims):
            # Vectors of meaning are added in place: a process that begins copies nothing.
            collection.wanted = dims
            await collection.set_values(values or {})
            return
        old = str(collection.name)
        head, _, number = old.rpartition("-")
        earlier, new = (f"{head}-{int(number) + step}" for step in (-1, 1))
        kept = collection.dims if dims is None else dims or None
        for left in (earlier, new):  # by a rebuild that was cut short
            await collection.drop(left)
        await collection.create(new, kept, {**collection.values, **(values or {})})
        await self._copy(new, kept, transform)
        await collection.lead_to(new)
        collection.wanted = kept
        await collection.drop(old)
        await collection.ensure()

    async def stats(self, url: str) -> Stats:
        """Say how much is kept."""
        points = await self.remote.count(None)
        return Stats(points, None, None, url, spooled=self.spool.count())

    async def metadata(self) -> dict[str, Any]:
        """Give what is known of the memory as a whole."""
        collection = self.remote.collection
        await collection.ensure()
        return {**collection.values, "schema": files.SCHEMA, "dims": collection.dims}

    async def _catch_up(self) -> None:
        async with self.lock:
            try:
                await self.replay()
            except MemoryFault as fault:
                logger.warning("writes still wait for the server: %s", fault)

    async def _copy(self, name: str, dims: int | None, transform: Transform | None) -> None:
        piece: list[Point] = []
        async for point in self.remote.points():
            kept = transform(point) if transform else point
            if kept is not None:
                piece.append(kept)
            if len(piece) == READ_PIECE:
                await self._put(name, dims, piece)
                piece = []
        await self._put(name, dims, piece)

    async def _put(self, name: str, dims: int | None, points: list[Point]) -> None:
        check_points(points, dims)
        if points:
            structs = [rest.to_point(p) for p in points]
            await self.remote.line.ask(lambda c: c.upsert(name, structs, wait=True), 5.0)
