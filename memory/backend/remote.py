"""The calls of ``Engine`` on a Qdrant server, for an event loop."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

from qdrant_client import AsyncQdrantClient, models

from stretto.errors import MemoryFault
from stretto.memory.backend import paging, rest
from stretto.memory.backend.checks import check_id, check_page, check_query
from stretto.memory.backend.collection import Collection
from stretto.memory.backend.line import READ_SECONDS, WRITE_SECONDS, Line
from stretto.memory.backend.pieces import READ_PIECE, pieces
from stretto.memory.backend.protocol import Page
from stretto.memory.backend.records import answered, others, told
from stretto.memory.backend.spool import Write
from stretto.memory.backend.types import Filter, Order, Point, Query, Record

T = TypeVar("T")
WRITE_PIECE = 256


class Remote:
    """What memory asks of a server."""

    def __init__(self, line: Line, alias: str, dims: int | None) -> None:
        """Ask nothing yet; ``dims`` is for a collection that has no dense vectors."""
        self.line = line
        self.alias = alias
        self.collection = Collection(line, alias, dims)

    async def retrieve(self, ids: Sequence[str], with_vectors: bool = False) -> list[Record]:
        """Give the points that exist, in the order of ``ids``."""
        found: list[Record] = []
        for piece in pieces(list(dict.fromkeys(str(check_id(id)) for id in ids)), READ_PIECE):
            found += await self._found(piece, True, with_vectors)
        return found

    async def query(self, queries: Sequence[Query]) -> list[list[Record]]:
        """Answer several queries at once, each with its nearest points first."""
        await self.collection.ensure()
        for query in queries:
            check_query(query, self.collection.dims)
        if not queries:
            return []
        vectors = any(query.with_vectors for query in queries)
        found = await self._search([replace(query, with_vectors=vectors) for query in queries])
        scored = [[(id, record.score or 0.0) for id, record in each] for each in found]
        among = told(queries, scored)
        pairs = [*zip(queries, found, strict=True)]
        read = {id.int: record for q, each in pairs if q.with_payload for id, record in each}
        more = [
            (points, left)
            for query, points in zip(queries, scored, strict=True)
            if (left := others(query, points, among)) is not None
        ]
        if more:
            answers = await self._search([left for _, left in more])
            for (points, _), each in zip(more, answers, strict=True):
                points += [(id, record.score or 0.0) for id, record in each]
        return [answered(*each, read) for each in zip(queries, scored, strict=True)]

    async def _search(self, queries: Sequence[Query]) -> list[list[tuple[UUID, Record]]]:
        requests = [rest.to_query(query) for query in queries]

        async def ask(client: AsyncQdrantClient) -> list[Any]:
            given = await client.query_batch_points(self.alias, requests)
            if len(given) != len(requests):
                raise ValueError(f"{len(given)} answers to {len(requests)} queries")
            return given

        pairs = zip(queries, await self._ask(ask), strict=True)
        found = [[rest.from_record(p, q.with_vectors) for p in each.points] for q, each in pairs]
        return [[(check_id(record.id), record) for record in each] for each in found]

    async def scroll(
        self,
        filter: Filter | None,
        limit: int,
        cursor: str | None = None,
        order: Order | None = None,
        with_vectors: bool = False,
    ) -> Page:
        """Give one page and the cursor of the next one, None after the last."""
        check_page(limit)
        page: list[Record] = []
        while True:
            piece = min(READ_PIECE, limit - len(page))
            found, cursor = await self._page(filter, piece, cursor, order, with_vectors)
            page += found
            if cursor is None or len(page) >= limit:
                return page, cursor

    async def count(self, filter: Filter | None) -> int:
        """Count exactly."""
        found = await self._ask(
            lambda c: c.count(self.alias, count_filter=rest.to_filter(filter), exact=True)
        )
        return found.count

    async def facet(self, field: str, filter: Filter | None, limit: int) -> list[tuple[str, int]]:
        """Give the values of an indexed keyword field and how many points have each."""
        check_page(limit)
        found = await self._ask(
            lambda c: c.facet(
                self.alias, field, facet_filter=rest.to_filter(filter), limit=limit, exact=True
            )
        )
        hits = [(str(hit.value), hit.count) for hit in found.hits]
        return sorted(hits, key=lambda hit: (-hit[1], hit[0]))

    async def perform(self, write: Write) -> int:
        """Do one write, and say how many points a deletion met."""
        match write.op:
            case "upsert":
                for points in pieces(write.points, WRITE_PIECE):
                    await self._upsert(list(points))
                return 0
            case "delete":
                return await self._delete(write)
            case "set_payload":
                await self._set_payload(write)
                return 0

    async def points(self) -> AsyncIterator[Point]:
        """Give every point with its vectors."""
        cursor = None
        while True:
            found, cursor = await self._page(None, READ_PIECE, cursor, None, True)
            for record in found:
                yield record.to_point()
            if cursor is None:
                return

    async def _upsert(self, points: list[models.PointStruct]) -> None:
        await self._ask(lambda c: c.upsert(self.alias, points, wait=True), WRITE_SECONDS)

    async def _delete(self, write: Write) -> int:
        if write.filter is not None:
            which = write.filter
            count = (await self._ask(lambda c: c.count(self.alias, which, exact=True))).count
            await self._drop(models.FilterSelector(filter=which))
            return count
        count = 0
        for piece in pieces(write.ids, READ_PIECE):
            count += len(await self._found(piece, False, False))
            await self._drop(models.PointIdsList(points=list(piece)))
        return count

    async def _drop(self, which: models.PointsSelector) -> None:
        await self._ask(lambda c: c.delete(self.alias, which, wait=True), WRITE_SECONDS)

    async def _set_payload(self, write: Write) -> None:
        for piece in pieces(write.ids, READ_PIECE):
            # A server refuses all of them when one does not exist.
            ids = [record.id for record in await self._found(piece, False, False)]
            if ids:
                await self._set(ids, write.payload)

    async def _set(self, ids: list[Any], payload: dict[str, Any]) -> None:
        await self._ask(
            lambda c: c.set_payload(self.alias, payload, points=ids, wait=True), WRITE_SECONDS
        )

    async def _found(self, ids: Sequence[str], payload: bool, vectors: bool) -> list[Record]:
        found = await self._ask(lambda c: c.retrieve(self.alias, list(ids), payload, vectors))
        by_id = {str(r.id): rest.from_record(r, vectors) for r in found}
        return [by_id[id] for id in ids if id in by_id]

    async def _page(
        self,
        filter: Filter | None,
        limit: int,
        cursor: str | None,
        order: Order | None,
        with_vectors: bool,
    ) -> Page:
        if order is None:
            if cursor is not None:
                check_id(cursor)
            return await self._scroll(paging.Ask(filter, limit, cursor), with_vectors)
        steps = paging.ordered(filter, limit, cursor, order)
        try:
            ask = next(steps)
            while True:
                ask = steps.send(await self._scroll(ask, with_vectors))
        except StopIteration as done:
            page: Page = done.value
            return page

    async def _scroll(self, ask: paging.Ask, with_vectors: bool) -> Page:
        found, next_id = await self._ask(
            lambda c: c.scroll(
                self.alias,
                scroll_filter=rest.to_filter(ask.filter),
                limit=ask.limit,
                order_by=rest.to_order(ask.order),
                offset=ask.offset,
                with_payload=True,
                with_vectors=with_vectors,
            )
        )
        page = [rest.from_record(r, with_vectors) for r in found]
        return page, None if next_id is None else str(next_id)

    async def _ask(
        self, call: Callable[[AsyncQdrantClient], Awaitable[T]], seconds: float = READ_SECONDS
    ) -> T:
        """Ask, and look for the collection anew when it is not where it was."""
        await self.collection.ensure()
        try:
            return await self.line.ask(call, seconds)
        except MemoryFault as fault:
            if fault.code != "memory_missing":
                raise
        await self.collection.look_again()
        return await self.line.ask(call, seconds)
