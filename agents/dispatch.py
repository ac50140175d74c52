"""Who should do the work now: slots shared by priority, and the least loaded agent."""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stretto.agents.registry import RegisteredAgent
from stretto.errors import ConfigurationError

Rank = tuple[Any, ...]
"""Orders waiting work, the smallest first: priority of the run, boost, then place in the run."""


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


@dataclass(slots=True)
class Request:
    """Work that waits for a slot."""

    rank: Callable[[], Rank]
    granted: asyncio.Future[Slot]
    number: int


@dataclass(slots=True)
class Lane:
    """All the waiting work that needs the same slots."""

    run: Gate
    agents: tuple[RegisteredAgent, ...]
    waiting: list[tuple[Rank, int, Request]] = field(
        default_factory=list[tuple[Rank, int, Request]]
    )


class Dispatcher:
    """Hands the slots of agents and runs to the most urgent work.

    Work that needs the same agents for the same run waits in one lane, so that giving a slot back
    looks at the head of each lane and not at all that waits.
    """

    def __init__(self, limit: int | None = None) -> None:
        """Share ``limit`` slots among everything; None sets no limit beside the agents' own.

        Raises:
            ConfigurationError: the limit would let nothing run.

        """
        if limit is not None and limit < 1:
            raise ConfigurationError(f"a limit of {limit} would let nothing run; give at least 1")
        self._gate = Gate(limit)
        self._agents: dict[str, Gate] = {}
        self._lanes: dict[tuple[int, tuple[str, ...]], Lane] = {}
        self._numbers = itertools.count()

    async def acquire(
        self, agents: tuple[RegisteredAgent, ...], run: Gate, rank: Callable[[], Rank]
    ) -> Slot:
        """Wait for a slot; whoever holds one gives it back with ``release``.

        Args:
            agents: who could do it; empty for work that no agent does.
            run: the slots of the run.
            rank: how urgent it is; asked again whenever the order may have changed.

        Returns:
            The slot, with the agent chosen: the least loaded of those that could.

        """
        held = None if self._lanes else self._claim(agents, run)
        return await self._wait(agents, run, rank) if held is None else held

    def release(self, slot: Slot) -> None:
        """Give a slot back, to the most urgent of those that wait."""
        self._gate.used -= 1
        slot.run.used -= 1
        if slot.agent is not None:
            self._gate_of(slot.agent).used -= 1
        if self._lanes:
            self._share_out()

    def load(self) -> dict[str, int]:
        """Count the calls running now, by agent."""
        return {name: gate.used for name, gate in self._agents.items()}

    def waiting(self) -> int:
        """Count the work that waits for a slot."""
        every = (request for lane in self._lanes.values() for _, _, request in lane.waiting)
        return sum(not request.granted.done() for request in every)

    def reorder(self) -> None:
        """Ask every waiting request for its rank again, after something changed it."""
        for lane in self._lanes.values():
            lane.waiting = [(r.rank(), n, r) for _, n, r in lane.waiting]
            heapq.heapify(lane.waiting)

    def _gate_of(self, agent: RegisteredAgent) -> Gate:
        gate = self._agents.get(agent.name)
        if gate is None:
            gate = self._agents[agent.name] = Gate(agent.max_concurrent_tasks)
        return gate

    def _claim(self, agents: tuple[RegisteredAgent, ...], run: Gate) -> Slot | None:
        """Take every slot that the work needs, or none."""
        if not (self._gate.free and run.free):
            return None
        chosen = None
        if agents:
            free = [a for a in agents if self._gate_of(a).free]
            if not free:
                return None
            chosen = min(free, key=lambda a: self._gate_of(a).load)
            self._gate_of(chosen).used += 1
        self._gate.used += 1
        run.used += 1
        return Slot(run, chosen)

    async def _wait(
        self, agents: tuple[RegisteredAgent, ...], run: Gate, rank: Callable[[], Rank]
    ) -> Slot:
        granted: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        request = Request(rank, granted, next(self._numbers))
        key = (id(run), tuple(a.name for a in agents))
        lane = self._lanes.setdefault(key, Lane(run, agents))
        heapq.heappush(lane.waiting, (rank(), request.number, request))
        self._share_out()
        try:
            return await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self.release(granted.result())
            raise

    def _share_out(self) -> None:
        """Give free slots to the most urgent heads of lanes until nothing more fits."""
        stuck: set[int] = set()
        while lane := self._most_urgent(stuck):
            slot = self._claim(lane.agents, lane.run)
            if slot is None:
                stuck.add(id(lane))
                continue
            _, _, request = heapq.heappop(lane.waiting)
            request.granted.set_result(slot)

    def _most_urgent(self, stuck: set[int]) -> Lane | None:
        """Find the lane with the most urgent head; lanes where nobody waits any more go."""
        best: Lane | None = None
        for key, lane in tuple(self._lanes.items()):
            while lane.waiting and lane.waiting[0][2].granted.done():
                heapq.heappop(lane.waiting)
            if not lane.waiting:
                del self._lanes[key]
            elif id(lane) not in stuck and (best is None or _goes_first(lane, best)):
                best = lane
        return best


def _goes_first(lane: Lane, other: Lane) -> bool:
    """Compare two heads; places in different runs say nothing of each other, arrival does."""
    (mine, my_number, _), (theirs, their_number, _) = lane.waiting[0], other.waiting[0]
    if lane.run is other.run:
        return (mine, my_number) < (theirs, their_number)
    return (mine[:2], my_number) < (theirs[:2], their_number)
