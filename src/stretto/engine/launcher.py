"""Runs in this process: each in a task of its own, admitted by priority, one at a time per id."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from stretto.agents.breaker import Breakers
from stretto.agents.dispatch import Dispatcher, Gate
from stretto.agents.registry import AgentRegistry
from stretto.engine.archive import Archive
from stretto.engine.execution import Execution
from stretto.engine.lease import Lease
from stretto.engine.log import EventLog
from stretto.engine.records import RunRow
from stretto.engine.resources import Resources
from stretto.engine.result import RunResult
from stretto.graphs.causes import counts_against_agent
from stretto.graphs.compile import compile_workflow
from stretto.graphs.containers.inside import Graph
from stretto.graphs.runtime import PRIORITIES, AdaptationRule, Services
from stretto.graphs.spec import Workflow


class Launcher:
    """Starts executions, knows those that are active, and compiles what they run."""

    def __init__(
        self,
        resources: Resources,
        agents: AgentRegistry,
        rules: tuple[AdaptationRule, ...],
        limit: int,
        find: Callable[[str], Workflow],
    ) -> None:
        """Work with what is open.

        Args:
            resources: records and checkpoints.
            agents: who does the work.
            rules: user functions that reorder ready steps.
            limit: how many runs may be active at once.
            find: finds workflows that are used as steps.

        """
        self.resources = resources
        self.services = Services(
            agents, Dispatcher(), Breakers(counts_against_agent), resources.cache, rules
        )
        self.admission = Dispatcher(limit)
        self.archive = Archive(resources.records, resources.saver)
        self.ended: Counter[str] = Counter()
        self.active: dict[str, asyncio.Task[RunResult]] = {}
        self.logs: dict[str, EventLog] = {}
        self._find = find
        self._graphs: dict[str, Graph] = {}

    def forget_graphs(self) -> None:
        """Compile anew from now on, because agents were added."""
        self._graphs.clear()

    def graph(self, workflow: Workflow) -> Graph:
        """Give the compiled graph of a workflow.

        Raises:
            WorkflowInvalid: the workflow has faults.

        """
        digest = workflow.digest
        if digest not in self._graphs:
            self._graphs[digest] = compile_workflow(
                workflow,
                checkpointer=self.resources.saver,
                services=self.services,
                find=self._find,
            )
        return self._graphs[digest]

    async def launch(
        self, row: RunRow, workflow: Workflow, lease: Lease, entry: Any, *, resumed: bool = False
    ) -> None:
        """Start one entry into a run; the lease is held and is given back at its end."""
        try:
            graph = self.graph(workflow)
            last = await self.resources.records.last_seq(row.run_id)
        except BaseException:
            lease.give_back()
            raise
        log = EventLog(row.run_id, self.resources.records, last)
        execution = Execution(
            row, workflow, graph, self.resources, log, lease, entry, resumed=resumed
        )
        task = asyncio.create_task(self._own(execution), name=f"stretto run {row.run_id}")
        self.active[row.run_id] = task
        self.logs[row.run_id] = log
        # A cancelled or failed owner has recorded how it ended; nobody has to await it.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _own(self, execution: Execution) -> RunResult:
        run_id, priority = execution.row.run_id, PRIORITIES.index(execution.row.priority)
        try:
            async with self.admission.slot((), Gate(), lambda: (priority,)):
                result = await execution.run()
            self.ended[result.status] += 1
            return result
        except asyncio.CancelledError:
            await execution.record_cancelled()
            self.ended["cancelled"] += 1
            raise
        finally:
            execution.lease.give_back()
            self.active.pop(run_id, None)
            self.logs.pop(run_id, None)

    async def stop(self, run_id: str) -> bool:
        """Cancel a run that is active here and wait until that is recorded; False if it is not."""
        task = self.active.get(run_id)
        if task is None:
            return False
        task.cancel()
        await asyncio.wait([task])
        return True

    async def close(self) -> None:
        """Cancel every active run; each can be resumed."""
        tasks = list(self.active.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
