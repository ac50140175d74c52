"""Calls of the embedded engine, as they wait for it and as they are settled."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from stretto.memory.backend.types import Point

if TYPE_CHECKING:
    from stretto.memory.backend.folder import MemoryFolder


@dataclass(slots=True)
class Call:
    """One call that waits: work for the folder, or points to write."""

    work: "Callable[[MemoryFolder], Any] | None" = None
    points: Sequence[Point] = ()
    writes: bool = True
    brief: bool = False
    """Whether its caller may do it, when nothing comes before it."""
    future: Future[Any] = field(default_factory=Future[Any])

    def settle(self, work: "Callable[[MemoryFolder], Any]", folder: "MemoryFolder") -> None:
        """Do work for it, and tell it what came of that."""
        try:
            result = work(folder)
        except BaseException as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


def write(folder: "MemoryFolder", calls: Sequence[Call]) -> None:
    """Write the points of several calls together; one that cannot be stored fails alone."""
    ready: list[tuple[Call, list[Any]]] = []
    for call in calls:
        try:
            ready.append((call, folder.shard.ready(call.points)))
        except Exception as error:
            call.future.set_exception(error)
    try:
        folder.shard.upsert_ready([point for _, points in ready for point in points])
    except Exception:
        for call, points in ready:
            call.settle(partial(_upsert, points=points), folder)
        return
    for call, _ in ready:
        call.future.set_result(None)


def _upsert(folder: "MemoryFolder", points: list[Any]) -> None:
    folder.shard.upsert_ready(points)
