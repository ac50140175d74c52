"""Who should do the work now: slots shared by priority, and the best of the agents that could."""

import asyncio
from collections import Counter
from collections.abc import Callable

from stretto.agents.registry import RegisteredAgent
from stretto.agents.waiting import Agents, Gate, Rank, Slot, WaitingRoom
from stretto.errors import ConfigurationError

__all__ = ["Dispatcher", "Gate", "Rank", "Slot"]

Judge = Callable[[RegisteredAgent], tuple[bool, float]]
"""Tells of an agent whether it refuses calls now, and how many seconds one takes; 0 if unknown."""


def no_judgement(agent: RegisteredAgent) -> tuple[bool, float]:
    """Know nothing of an agent."""
    return False, 0.0


class Dispatcher:
    """Hands the slots of agents and runs to the most urgent work."""

    def __init__(self, limit: int | None = None, judge: Judge = no_judgement) -> None:
        """Share slots.

        Args:
            limit: slots among everything; None sets no limit beside the agents' own.
            judge: what is known of an agent beside its load.

        Raises:
            ConfigurationError: the limit would let nothing run.

        """
        if limit is not None and limit < 1:
            raise ConfigurationError(f"a limit of {limit} would let nothing run; give at least 1")
        self._gate = Gate(limit)
        self._judge = judge
        self._agents: dict[str, Gate] = {}
        self._room = WaitingRoom()

    async def acquire(self, agents: Agents, run: Gate, rank: Callable[[], Rank]) -> Slot:
        """Wait for a slot; whoever holds one gives it back with ``release``.

        Args:
            agents: who could do it; empty for work that no agent does.
            run: the slots of the run.
            rank: how urgent it is; asked again whenever the order may have changed.

        Returns:
            The slot, with the agent chosen of those that could and have one left: the least
            loaded, then the fastest, then the first in order. One that refuses calls now is
            chosen only if all do.

        """
        slot = None if self._room else self._claim(agents, run)
        if slot is None:
            slot = await self._wait(agents, run, rank)
            # Several may have been given an agent that lets only the first of them try it.
            while slot.agent is not None and self._is_outdone(slot.agent, agents):
                self.release(slot)
                slot = await self._wait(agents, run, rank)
        return slot

    def release(self, slot: Slot) -> None:
        """Give a slot back, to the most urgent of those that wait."""
        self._gate.used -= 1
        slot.run.used -= 1
        if slot.agent is not None:
            self._gate_of(slot.agent).used -= 1
        if self._room:
            self._room.reopen(slot.run)
            self._share_out()

    def load(self) -> dict[str, int]:
        """Count the calls running now, by agent."""
        return {name: gate.used for name, gate in self._agents.items()}

    def waiting(self) -> int:
        """Count the work that waits for a slot."""
        return sum(1 for _ in self._room.requests())

    def waiting_for(self) -> Counter[str]:
        """Count the work that waits, by each agent that could do it."""
        return Counter(agent.name for agents, _ in self._room.requests() for agent in agents)

    def reorder(self) -> None:
        """Ask every waiting request for its rank again, after something changed it."""
        self._room.reorder()

    def _gate_of(self, agent: RegisteredAgent) -> Gate:
        gate = self._agents.get(agent.name)
        if gate is None:
            gate = self._agents[agent.name] = Gate(agent.max_concurrent_tasks)
        return gate

    def _choose(self, agents: Agents) -> RegisteredAgent | None:
        """Give the best of the agents that have a slot left."""
        if len(agents) == 1:
            return agents[0] if self._gate_of(agents[0]).free else None
        judged = [(agent, *self._judge(agent)) for agent in agents]
        all_refuse = all(refuses for _, refuses, _ in judged)
        free = [
            (self._gate_of(agent).load, seconds, number)
            for number, (agent, refuses, seconds) in enumerate(judged)
            if refuses is all_refuse and self._gate_of(agent).free
        ]
        return agents[min(free)[-1]] if free else None

    def _is_outdone(self, chosen: RegisteredAgent, agents: Agents) -> bool:
        """Tell whether an agent refuses calls by now while another one does not."""
        if len(agents) == 1 or not self._judge(chosen)[0]:
            return False
        return not all(self._judge(agent)[0] for agent in agents)

    def _fits(self, agents: Agents) -> bool:
        return not agents or self._choose(agents) is not None

    def _claim(self, agents: Agents, run: Gate) -> Slot | None:
        """Take every slot that the work needs, or none."""
        if not (self._gate.free and run.free):
            return None
        chosen = None
        if agents:
            chosen = self._choose(agents)
            if chosen is None:
                return None
            self._gate_of(chosen).used += 1
        self._gate.used += 1
        run.used += 1
        return Slot(run, chosen)

    async def _wait(self, agents: Agents, run: Gate, rank: Callable[[], Rank]) -> Slot:
        granted: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        lane = self._room.add(agents, run, rank, granted)
        if run.free and self._fits(agents):  # else nothing has changed for anybody
            self._share_out()
        try:
            return await granted
        except asyncio.CancelledError:
            if granted.cancelled():
                self._room.settle(lane)
            elif granted.done():
                self.release(granted.result())
            raise

    def _share_out(self) -> None:
        """Give free slots to the most urgent work until nothing more fits."""
        while self._gate.free and (lane := self._room.most_urgent(self._fits)):
            slot = self._claim(lane.agents, lane.run)
            if slot is None:
                return
            self._room.pop(lane).granted.set_result(slot)
