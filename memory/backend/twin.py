"""The calls of a server as ``atomic`` work gets them, on a thread beside the event loop."""

from collections.abc import Mapping, Sequence
from typing import Any

from anyio import from_thread

from stretto.memory.backend.protocol import Page
from stretto.memory.backend.session import Session
from stretto.memory.backend.types import Filter, Order, Point, Query, Record


class Twin:
    """The calls of ``Engine``; the session's lock is held for all of them."""

    def __init__(self, session: Session) -> None:
        """Call ``session`` from a thread that its event loop started."""
        self._session = session

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points, each in place of the one with its id."""
        from_thread.run(self._session.upsert, points)

    def retrieve(self, ids: Sequence[str], with_vectors: bool = False) -> list[Record]:
        """Give the points that exist, in the order of ``ids``."""
        return from_thread.run(self._session.remote.retrieve, ids, with_vectors)

    def query(self, queries: Sequence[Query]) -> list[list[Record]]:
        """Answer several queries at once, each with its nearest points first."""
        return from_thread.run(self._session.remote.query, queries)

    def scroll(
        self,
        filter: Filter | None,
        limit: int,
        cursor: str | None = None,
        order: Order | None = None,
        with_vectors: bool = False,
    ) -> Page:
        """Give one page and the cursor of the next one, None after the last."""
        scroll = self._session.remote.scroll
        page: Page = from_thread.run(scroll, filter, limit, cursor, order, with_vectors)
        return page

    def count(self, filter: Filter | None) -> int:
        """Count exactly."""
        return from_thread.run(self._session.remote.count, filter)

    def facet(self, field: str, filter: Filter | None, limit: int) -> list[tuple[str, int]]:
        """Give the values of an indexed keyword field and how many points have each."""
        return from_thread.run(self._session.remote.facet, field, filter, limit)

    def delete(self, which: Sequence[str] | Filter) -> int:
        """Delete points by id or filter and say how many there were."""
        return from_thread.run(self._session.delete, which)

    def set_payload(self, ids: Sequence[str], payload: Mapping[str, Any]) -> None:
        """Set these fields, or drop those that are None, on the points that exist."""
        from_thread.run(self._session.set_payload, ids, payload)
