"""Runs in this process: each in a task of its own, admitted by priority, one at a time per id."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stretto.agents.agent import OpenModel
from stretto.agents.dispatch import Dispatcher, Gate
from stretto.engine.archive import Archive
from stretto.engine.execution import Execution
from stretto.engine.figures import agent_figures
from stretto.engine.lease import Lease
from stretto.engine.log import EventLog
from stretto.engine.pins import Pin
from stretto.engine.readiness import Readiness
from stretto.engine.records import RunRow
from stretto.engine.resources import Resources
from stretto.engine.result import RunResult
from stretto.errors import ConfigurationError
from stretto.graphs.runtime import PRIORITIES, Services
from stretto.graphs.spec import Workflow

STOP_CHECK_SECONDS = 0.5


@dataclass(slots=True, eq=False)
class Active:
    """A run that is active in this process: waiting to be admitted, or at work."""

    execution: Execution
    lease: Lease
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the task handles its own cancellation."""
    cancelled: bool = False
    task: "asyncio.Task[RunResult]" = field(init=False)

    @property
    def closing(self) -> bool:
        """Whether the work is over and only its end is being recorded."""
        return self.execution.closing

    def cancel(self) -> None:
        """Cancel the run, unless that was done already or its work is over."""
        if not (self.cancelled or self.closing):
            self.cancelled = self.task.cancel()

    async def ended(self) -> None:
        """Wait until the run has ended and that is recorded."""
        await asyncio.wait([self.task])


class Launcher:
    """Starts executions, knows those that are active, and compiles what they run."""

    def __init__(
        self,
        resources: Resources,
        services: Services,
        limit: int,
        find: Callable[[str], Workflow],
        open_model: OpenModel | None = None,
    ) -> None:
        """Work with what is open.

        Args:
            resources: records and checkpoints.
            services: who does the work, and what every run shares.
            limit: how many runs may be active at once.
            find: finds workflows that are used as steps.
            open_model: opens chat models by name.

        """
        self.resources = resources
        self.services = services
        self.admission = Dispatcher(limit)
        self.archive = Archive(resources.records, resources.saver)
        self.ended: Counter[str] = Counter()
        self.active: dict[str, Active] = {}
        self.on_end: Callable[[RunRow, RunResult], None] = lambda row, result: None
        """Called with every run and its result, before others can act on the run."""
        self.readiness = Readiness(resources.saver, services, find, open_model)
        self._closed = False

    def lease(self, run_id: str) -> Lease:
        """Prepare the lease on a run."""
        return Lease(self.resources.leases, run_id)

    async def launch(self, row: RunRow, pin: Pin, lease: Lease, entry: Any) -> None:
        """Start one entry into a run; the lease is held and is given back at its end.

        Raises:
            WorkflowInvalid: the workflow has faults, with the agents there are now.
            ConfigurationError: the engine is being closed, or an agent cannot open its model.

        """
        try:
            graph = self.readiness.graph(pin)
            # In a process that goes on with a run, nobody has yet.
            await self.readiness.prepare(pin)
            last = await self.resources.records.last_seq(row.run_id)
            if self._closed:
                raise ConfigurationError("the engine is being closed; it starts no more runs")
        except BaseException:
            lease.give_back()
            raise
        log = EventLog(row.run_id, self.resources.records, last)
        health = self.services.health
        execution = Execution(row, pin.workflow, graph, self.resources, log, health, entry)
        active = Active(execution, lease)
        active.task = asyncio.create_task(self._own(active), name=f"stretto run {row.run_id}")
        self.active[row.run_id] = active
        # A cancelled or failed owner has recorded how it ended; nobody has to await it.
        active.task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _own(self, active: Active) -> RunResult:
        execution, run_id = active.execution, active.execution.row.run_id
        stopper = asyncio.create_task(_stop_when_asked(active))
        active.begun.set()
        try:
            result = await self._admitted(execution)
            self.ended[result.status] += 1
            self.on_end(execution.row, result)
            return result
        except asyncio.CancelledError:
            await execution.record_cancelled()
            self.ended["cancelled"] += 1
            raise
        finally:
            stopper.cancel()
            await execution.log.close()
            active.lease.give_back()
            del self.active[run_id]

    async def _admitted(self, execution: Execution) -> RunResult:
        priority = PRIORITIES.index(execution.row.priority)
        slot = await self.admission.acquire((), Gate(), lambda: (priority,))
        try:
            return await execution.run()
        finally:
            self.admission.release(slot)

    async def stop(self, run_id: str) -> bool:
        """Cancel a run that is active here and wait until that is recorded.

        Returns:
            False when it is not active here, or had just come to an end of its own.

        """
        active = self.active.get(run_id)
        if active is None:
            return False
        # A task that is cancelled before it began would never come to record that.
        await active.begun.wait()
        active.cancel()
        await active.ended()
        return active.task.cancelled()

    def metrics(self) -> dict[str, Any]:
        """Give figures: active runs, load and health of agents, waiting work."""
        figures, states = agent_figures(self.services), self.services.breakers.states()
        at_work = sum(active.execution.started is not None for active in self.active.values())
        return {
            "active_workflows": at_work,
            "queued_workflows": len(self.active) - at_work,
            "ended_workflows": dict(self.ended),
            "agents": figures,
            "agent_load": {name: agent["load"] for name, agent in figures.items()},
            "waiting_tasks": self.services.dispatcher.waiting(),
            "breakers": dict.fromkeys(figures, "closed") | states,
        }

    async def close(self) -> None:
        """Cancel every active run; each can be resumed."""
        self._closed = True
        await asyncio.gather(*(self.stop(run_id) for run_id in tuple(self.active)))
        self.services.agents.close()
        with contextlib.suppress(ConfigurationError), self.services.health.taken() as rows:
            await self.resources.records.learn("", {}, rows)  # of runs that were cancelled, too


async def _stop_when_asked(active: Active) -> None:
    while not active.lease.asked_to_stop:
        await asyncio.sleep(STOP_CHECK_SECONDS)
    active.cancel()
