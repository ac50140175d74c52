"""What is asked of a shard of the embedded engine, in pieces that are short."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import UUID

import qdrant_edge as qe

from stretto.memory.backend import paging, translate
from stretto.memory.backend.checks import check_id, check_page, check_query
from stretto.memory.backend.faults import named
from stretto.memory.backend.payloads import Payloads
from stretto.memory.backend.pieces import READ_PIECE, pieces
from stretto.memory.backend.protocol import Page
from stretto.memory.backend.types import Filter, Order, Point, Query, Record


class ShardReader:
    """The reading calls of ``Engine``, on files."""

    def __init__(self, raw: qe.EdgeShard, path: Path, dims: int | None) -> None:
        """Read the opened shard in the folder ``path``; ``dims`` is None without dense vectors."""
        self._raw = raw
        self.path = path
        self.dims = dims
        self.payloads = Payloads()

    def retrieve(self, ids: Sequence[str], with_vectors: bool = False) -> list[Record]:
        """Give the points that exist, in the order of ``ids``."""
        return self._records(_checked(ids), with_vectors)

    def query(self, queries: Sequence[Query]) -> list[list[Record]]:
        """Answer several queries at once, each with its nearest points first."""
        for query in queries:
            check_query(query, self.dims)
        if not queries:
            return []
        with named(self.path):
            request = qe.QueryBatchRequest([translate.to_query(q) for q in queries])
            answers = self._raw.query_batch(request)
        pairs = zip(queries, answers, strict=True)
        return [
            self._told(query, [(str(p.id), p.score) for p in answer]) for query, answer in pairs
        ]

    def _told(self, query: Query, scored: list[tuple[str, float]]) -> list[Record]:
        """Give what a query found, of which only the best are read."""
        told = [id for id, _ in scored[: query.told]]
        read = {record.id: record for record in self._records(told, query.with_vectors)}
        return [
            read[id]._replace(score=score) if id in read else Record(id, {}, score)
            for id, score in scored
        ]

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

    def existing(self, ids: Sequence[str]) -> list[str]:
        """Give those of ``ids`` that there are points of, in this order, each once."""
        return [record.id for record in self._read(_checked(ids), payload=False)]

    def _records(self, ids: Sequence[str], with_vectors: bool) -> list[Record]:
        if with_vectors:
            return list(self._read(ids, vectors=True))
        payloads = self.payloads.of(ids, self._read)
        return [Record(id, payloads[id]) for id in ids if id in payloads]

    def _read(
        self, ids: Sequence[str], payload: bool = True, vectors: bool = False
    ) -> Iterator[Record]:
        for piece in pieces(ids, READ_PIECE):
            with named(self.path):
                found = self._raw.retrieve(list(piece), payload, vectors)
            by_id = {str(r.id): translate.from_record(r, vectors) for r in found}
            yield from (by_id[id] for id in piece if id in by_id)


def _checked(ids: Sequence[str]) -> list[str]:
    """Give ids in the engine's form, each once."""
    for id in ids:
        check_id(id)
    return list(dict.fromkeys(str(UUID(id)) for id in ids))
