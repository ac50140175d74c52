"""What is asked of a shard of the embedded engine, in pieces that are short."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import qdrant_edge as qe

from stretto.memory.backend import paging, translate
from stretto.memory.backend.checks import check_id, check_page, check_query
from stretto.memory.backend.faults import named
from stretto.memory.backend.pieces import READ_PIECE, pieces
from stretto.memory.backend.protocol import Page
from stretto.memory.backend.records import RecordCache, Records, answered, others, told
from stretto.memory.backend.types import Filter, Order, Point, Query, Record


class ShardReader:
    """The reading calls of ``Engine``, on files."""

    def __init__(self, raw: qe.EdgeShard, path: Path, dims: int | None) -> None:
        """Read the opened shard in the folder ``path``; ``dims`` is None without dense vectors."""
        self._raw = raw
        self.path = path
        self.dims = dims
        self.records = RecordCache()

    def retrieve(self, ids: Sequence[str], with_vectors: bool = False) -> list[Record]:
        """Give the points that exist, in the order of ``ids``."""
        wanted = numbered(ids)
        found = self._records(wanted, with_vectors)
        return [found[number] for number in wanted if number in found]

    def query(self, queries: Sequence[Query]) -> list[list[Record]]:
        """Answer several queries at once, each with its nearest points first."""
        for query in queries:
            check_query(query, self.dims)
        scored = [self._scored(query) for query in queries]
        found = told(queries, scored)
        for query, points in zip(queries, scored, strict=True):
            if (more := others(query, points, found)) is not None:
                points += self._scored(more)
        read = self._records(found, any(query.with_vectors for query in queries))
        return [answered(*each, read) for each in zip(queries, scored, strict=True)]

    def _scored(self, query: Query) -> list[tuple[UUID, float]]:
        # Not as one batch, which takes the engine half as long again.
        with named(self.path):
            found: list[Any] = self._raw.query(translate.to_query(query))
        return [(point.id, point.score) for point in found]

    def scroll(
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
            found, cursor = self._page(filter, piece, cursor, order, with_vectors)
            page += found
            if cursor is None or len(page) >= limit:
                return page, cursor

    def count(self, filter: Filter | None) -> int:
        """Count exactly."""
        with named(self.path):
            return self._raw.count(qe.CountRequest(True, translate.to_filter(filter)))

    def facet(self, field: str, filter: Filter | None, limit: int) -> list[tuple[str, int]]:
        """Give the values of an indexed keyword field and how many points have each."""
        check_page(limit)
        with named(self.path):
            request = qe.FacetRequest(field, limit, True, translate.to_filter(filter))
            hits = [(str(h.value), h.count) for h in self._raw.facet(request).hits]
        return sorted(hits, key=lambda hit: (-hit[1], hit[0]))

    def points(self) -> Iterator[Point]:
        """Give every point with its vectors."""
        cursor = None
        while True:
            found, cursor = self._page(None, READ_PIECE, cursor, None, True)
            for record in found:
                yield record.to_point()
            if cursor is None:
                return

    def _page(
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
            return self._ask(paging.Ask(filter, limit, cursor), with_vectors)
        steps = paging.ordered(filter, limit, cursor, order)
        try:
            ask = next(steps)
            while True:
                ask = steps.send(self._ask(ask, with_vectors))
        except StopIteration as done:
            page: Page = done.value
            return page

    def _ask(self, ask: paging.Ask, with_vectors: bool) -> Page:
        order = None
        if ask.order is not None:
            down = ask.order.descending
            order = qe.OrderBy(ask.order.field, qe.Direction.Desc if down else qe.Direction.Asc)
        request = qe.ScrollRequest(
            offset=ask.offset,
            limit=ask.limit,
            filter=translate.to_filter(ask.filter),
            with_payload=True,
            with_vector=with_vectors,
            order_by=order,
        )
        with named(self.path):
            found, next_id = self._raw.scroll(request)
        page = [translate.from_record(r, with_vectors) for r in found]
        return page, None if next_id is None else str(next_id)

    def existing(self, ids: Sequence[str]) -> dict[int, UUID]:
        """Give those of ``ids`` that there are points of, in this order; see ``numbered``."""
        wanted = numbered(ids)
        found = self._read([*wanted.values()], payload=False)
        return {number: id for number, id in wanted.items() if number in found}

    def _records(self, ids: Mapping[int, UUID], with_vectors: bool) -> Mapping[int, Record]:
        if with_vectors:
            return self._read([*ids.values()], vectors=True)
        return self.records.of(ids, self._read)

    def _read(self, ids: Sequence[UUID], payload: bool = True, vectors: bool = False) -> Records:
        found: Records = {}
        for piece in pieces(ids, READ_PIECE):
            with named(self.path):
                read: list[Any] = self._raw.retrieve(list(piece), payload, vectors)
            found |= {r.id.int: translate.from_record(r, vectors) for r in read}
        return found


def numbered(ids: Iterable[str]) -> dict[int, UUID]:
    """Give ids in the engine's form, each once, with the numbers that they are."""
    return {id.int: id for id in map(check_id, ids)}
