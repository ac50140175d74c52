"""Work that waits for slots, and which of it goes first."""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from stretto.agents.registry import RegisteredAgent

Rank = tuple[Any, ...]
"""Orders waiting work, the smallest first: priority of the run, boost, then place in the run."""
Agents = tuple[RegisteredAgent, ...]


@dataclass(slots=True)
class Gate:
    """A number of slots that are taken and given back."""

    limit: int | None = None
    """None sets no limit."""
    used: int = 0

    @property
    def free(self) -> bool:
        """Whether a slot is left."""
        return self.limit is None or self.used < self.limit

    @property
    def load(self) -> float:
        """The share of slots in use, 0 to 1."""
        return self.used / self.limit if self.limit else 0.0


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot that is held, and the agent it was given with."""

    run: Gate
    agent: RegisteredAgent | None


@dataclass(slots=True, eq=False)
class Request:
    """Work that waits for a slot."""

    rank: Callable[[], Rank]
    granted: "asyncio.Future[Slot]"
    number: int
    """Numbers the requests as they come."""


@dataclass(slots=True, eq=False)
class Lane:
    """All the waiting work that needs the same agents for the same run."""

    agents: Agents
    run: Gate
    waiting: list[tuple[Rank, int, Request]] = field(
        default_factory=list[tuple[Rank, int, Request]]
    )
    """A heap."""
    entry: "Entry | None" = None
    """Its place among the lanes of the same agents; None while its run has no slot left."""

    @property
    def names(self) -> tuple[str, ...]:
        """The agents by name."""
        return tuple(agent.name for agent in self.agents)

    @property
    def is_stale(self) -> bool:
        """Whether the work at its head does not wait any more."""
        return bool(self.waiting) and self.waiting[0][2].granted.done()


Entry = tuple[Rank, int, int, Lane]
"""How urgent the head of a lane is among those of other runs; the second number only tells
entries apart. An entry that is not its lane's own any more means nothing."""


class WaitingRoom:
    """The lanes, by agents and by run.

    Lanes that need the same agents stand in one heap, so that a slot of an agent finds its work
    without a look at each run. A lane whose run has no slot left stands in none until it has.
    """

    def __init__(self) -> None:
        """Begin empty."""
        self._heaps: dict[tuple[str, ...], list[Entry]] = {}
        self._runs: dict[int, dict[tuple[str, ...], Lane]] = {}
        self._numbers = itertools.count()

    def __bool__(self) -> bool:
        """Tell whether somebody may be waiting."""
        return bool(self._runs)

    def requests(self) -> Iterator[tuple[Agents, Request]]:
        """Iterate over all that waits, with the agents that could do it."""
        for lane in self._lanes():
            for _, _, request in lane.waiting:
                if not request.granted.done():
                    yield lane.agents, request

    def add(
        self,
        agents: Agents,
        run: Gate,
        rank: Callable[[], Rank],
        granted: "asyncio.Future[Slot]",
    ) -> Lane:
        """Let work wait."""
        request = Request(rank, granted, next(self._numbers))
        entry = rank(), request.number, request
        names = tuple(agent.name for agent in agents)
        lanes = self._runs.setdefault(id(run), {})
        lane = lanes.get(names)
        if lane is None:
            lane = lanes[names] = Lane(agents, run)
        heapq.heappush(lane.waiting, entry)
        if lane.waiting[0][2] is request:
            self._place(lane)
        return lane

    def most_urgent(self, fits: Callable[[Agents], bool]) -> Lane | None:
        """Find the lane whose head goes first; places in a run count within it only.

        Args:
            fits: tells whether one of the agents has a slot left.

        """
        best: Lane | None = None
        for names, heap in tuple(self._heaps.items()):
            if fits(heap[0][3].agents):
                head = self._head(names, heap)
                if head is not None and (best is None or _goes_first(head, best)):
                    best = head
        if best is None:
            return None
        # Its head may have come before work of the same run that is in more of a hurry.
        lanes = self._runs[id(best.run)]
        for lane in tuple(lanes.values()) if len(lanes) > 1 else ():
            self.settle(lane)
            if lane.waiting and lane.waiting[0] < best.waiting[0] and fits(lane.agents):
                best = lane
        return best

    def pop(self, lane: Lane) -> Request:
        """Take the work at the head of a lane."""
        _, _, request = heapq.heappop(lane.waiting)
        lane.entry = None
        self._renew(lane)
        return request

    def settle(self, lane: Lane) -> None:
        """Take out the work at the head of a lane that does not wait any more."""
        if lane.is_stale:
            while lane.is_stale:
                heapq.heappop(lane.waiting)
            self._renew(lane)

    def reopen(self, run: Gate) -> None:
        """Let the work of a run compete again, because it has a slot to give."""
        for lane in self._runs.get(id(run), {}).values():
            if lane.entry is None:
                self._place(lane)

    def reorder(self) -> None:
        """Ask all that waits for its rank again."""
        self._heaps.clear()
        for lane in tuple(self._lanes()):
            lane.waiting = [(r.rank(), n, r) for _, n, r in lane.waiting if not r.granted.done()]
            heapq.heapify(lane.waiting)
            self._renew(lane)

    def _lanes(self) -> Iterator[Lane]:
        for lanes in self._runs.values():
            yield from lanes.values()

    def _renew(self, lane: Lane) -> None:
        """Put a lane where its head belongs now, or forget it when nobody waits there."""
        if lane.waiting:
            self._place(lane)
            return
        lane.entry = None
        lanes = self._runs[id(lane.run)]
        del lanes[lane.names]
        if not lanes:
            del self._runs[id(lane.run)]

    def _place(self, lane: Lane) -> None:
        rank, number, _ = lane.waiting[0]
        lane.entry = rank[:2], number, next(self._numbers), lane
        heapq.heappush(self._heaps.setdefault(lane.names, []), lane.entry)

    def _head(self, names: tuple[str, ...], heap: list[Entry]) -> Lane | None:
        """Find the most urgent of the lanes with the same agents whose run has a slot left."""
        while heap:
            lane = heap[0][3]
            if lane.entry is not heap[0]:
                heapq.heappop(heap)
            elif lane.is_stale:
                self.settle(lane)
            elif not lane.run.free:
                lane.entry = None
                heapq.heappop(heap)
            else:
                return lane
        del self._heaps[names]
        return None


def _goes_first(lane: Lane, other: Lane) -> bool:
    """Compare two heads; places in different runs say nothing of each other, arrival does."""
    (mine, my_number, _), (theirs, their_number, _) = lane.waiting[0], other.waiting[0]
    if lane.run is other.run:
        return (mine, my_number) < (theirs, their_number)
    return (mine[:2], my_number) < (theirs[:2], their_number)
