"""The protocol that all of memory programs against."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Protocol, TypeAlias, TypeVar

from stretto.memory.backend.types import Filter, Order, Point, Query, Record, Stats

T = TypeVar("T")
Transform: TypeAlias = Callable[[Point], Point | None]
Page: TypeAlias = tuple[list[Record], str | None]


class Engine(Protocol):
    """The calls as ``atomic`` work gets them: each returns when it is done."""

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points, each in place of the one with its id."""
        ...

    def retrieve(self, ids: Sequence[str], with_vectors: bool = False) -> list[Record]:
        """Give the points that exist, in the order of ``ids``."""
        ...

    def query(self, queries: Sequence[Query]) -> list[list[Record]]:
        """Answer several queries at once, each with its nearest points first."""
        ...

    def scroll(
        self,
        filter: Filter | None,
        limit: int,
        cursor: str | None = None,
        order: Order | None = None,
        with_vectors: bool = False,
    ) -> Page:
        """Give one page and the cursor of the next one, None after the last."""
        ...

    def count(self, filter: Filter | None) -> int:
        """Count exactly."""
        ...

    def facet(self, field: str, filter: Filter | None, limit: int) -> list[tuple[str, int]]:
        """Give the values of an indexed keyword field and how many points have each."""
        ...

    def delete(self, which: Sequence[str] | Filter) -> int:
        """Delete points by id or filter and say how many there were."""
        ...

    def set_payload(self, ids: Sequence[str], payload: Mapping[str, Any]) -> None:
        """Set these fields, or drop those that are None, on the points that exist."""
        ...


class Backend(Protocol):
    """Where memory is kept, for callers with and without an event loop.

    Every call returns at once. Its future is a ``concurrent.futures.Future``: wait for it with
    ``result()``, or ``await asyncio.wrap_future(future)``. It fails with ``MemoryFault``. Nothing
    is opened before the first call; writes of one thread take effect in their order.
    """

    def upsert(self, points: Sequence[Point]) -> Future[None]:
        """Write points, each in place of the one with its id; done means they outlive a kill.

        Fails as a whole, before anything is written, when one of the points cannot be stored.
        """
        ...

    def retrieve(self, ids: Sequence[str], with_vectors: bool = False) -> Future[list[Record]]:
        """Give the points that exist, in the order of ``ids``."""
        ...

    def query(self, queries: Sequence[Query]) -> Future[list[list[Record]]]:
        """Answer several queries at once, each with its nearest points first."""
        ...

    def scroll(
        self,
        filter: Filter | None,
        limit: int,
        cursor: str | None = None,
        order: Order | None = None,
        with_vectors: bool = False,
    ) -> Future[Page]:
        """Give one page and the cursor of the next one, None after the last.

        Args:
            filter: which points; None for all.
            limit: points per page, at least 1.
            cursor: what the page before gave, with the same filter and order.
            order: by which indexed number; by id when None.
            with_vectors: whether the records carry their vectors.

        """
        ...

    def count(self, filter: Filter | None) -> Future[int]:
        """Count exactly."""
        ...

    def facet(self, field: str, filter: Filter | None, limit: int) -> Future[list[tuple[str, int]]]:
        """Give the values of an indexed keyword field and how many points have each.

        The most frequent come first, those of one frequency by value. Counts are exact.
        """
        ...

    def delete(self, which: Sequence[str] | Filter) -> Future[int]:
        """Delete points by id or filter and say how many there were."""
        ...

    def set_payload(self, ids: Sequence[str], payload: Mapping[str, Any]) -> Future[None]:
        """Set these fields, or drop those that are None, on the points that exist."""
        ...

    def atomic(self, work: Callable[[Engine], T]) -> Future[T]:
        """Do several calls as one: nothing else of this process is written between them.

        ``work`` runs on another thread and must not wait for futures of this backend.
        """
        ...

    def compact(self) -> Future[None]:
        """Give the space of deleted points back; their bytes may stay on disk."""
        ...

    def rebuild(
        self,
        transform: Transform | None = None,
        dims: int | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Future[None]:
        """Write everything anew, so that no byte of what was deleted stays in the folder.

        Args:
            transform: gets every point with its vectors and gives what is kept of it, None to drop.
            dims: numbers per dense vector from now on; 0 for none at all, None for as before.
            metadata: what ``set_metadata`` sets, at the same instant as the points change.

        """
        ...

    def stats(self) -> Future[Stats]:
        """Say how much is kept, and where."""
        ...

    def metadata(self) -> Future[dict[str, Any]]:
        """Give what is known of the memory as a whole.

        ``schema``, ``created`` (epoch seconds) and ``dims`` (None without dense vectors) are always
        there, beside what ``set_metadata`` set.
        """
        ...

    def set_metadata(self, values: Mapping[str, Any]) -> Future[None]:
        """Set these keys, durably; the others stay."""
        ...

    def close(self) -> None:
        """Finish what was asked for, then let go of everything; blocks until then."""
        ...
