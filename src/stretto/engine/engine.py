"""The door to runs: an engine owns agents, records and checkpoints, and every run in it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

from stretto.agents.registry import AgentRegistry, RegisteredAgent
from stretto.config import Settings, load_settings
from stretto.engine.handle import RunHandle
from stretto.engine.launcher import Launcher
from stretto.engine.lease import Lease
from stretto.engine.logs import LogLine, log_lines
from stretto.engine.records import RunRow, State
from stretto.engine.reentry import (
    RESUMABLE,
    RETRYABLE,
    Reentry,
    check_same,
    check_state,
    first_entry,
    new_run_id,
)
from stretto.engine.resources import open_resources
from stretto.engine.result import RunResult
from stretto.engine.status import RunStatus
from stretto.errors import ConfigurationError, RunConflict
from stretto.events import RunEvent
from stretto.graphs.inputs import check_input
from stretto.graphs.library import shipped
from stretto.graphs.runtime import AdaptationRule
from stretto.graphs.spec import Priority, Workflow


class Engine:
    """Runs workflows: starts them, follows them, and goes on with them after whatever happened.

    Use it as an async context manager; leaving it cancels what still runs, resumably.
    """

    def __init__(
        self,
        agents: Iterable[Any] | AgentRegistry | None = None,
        *,
        home: str | Path | None = None,
        database: str | None = None,
        model: str | None = None,
        max_concurrent_workflows: int = 10,
        adaptation_rules: Sequence[AdaptationRule] = (),
        settings: Settings | None = None,
    ) -> None:
        """Set the engine up; nothing is opened yet.

        Args:
            agents: who does the work; the shipped agents if None.
            home: the folder of all that is kept; from the settings if None.
            database: URL of the records; from the settings if None.
            model: chat model of the shipped agents by name; from the settings if None.
            max_concurrent_workflows: how many runs are active at once; others wait by priority.
            adaptation_rules: functions ``(workflow, ready_steps)`` that boost ready steps.
            settings: what else is set; read from the environment if None.

        """
        self.settings = settings or load_settings()
        self.home = Path(home) if home is not None else self.settings.home
        self._database = database or self.settings.database_url
        if agents is None:
            from stretto.agents.shipped import shipped_agents

            agents = shipped_agents(model or self.settings.model)
        self.agents = agents if isinstance(agents, AgentRegistry) else AgentRegistry(agents)
        self._rules = tuple(adaptation_rules)
        self._limit = max_concurrent_workflows
        self._library = shipped()
        self._stack = AsyncExitStack()
        self._launcher: Launcher | None = None

    async def __aenter__(self) -> Self:
        """Open records and checkpoints.

        Raises:
            ConfigurationError: they cannot be used.

        """
        resources = await self._stack.enter_async_context(open_resources(self.home, self._database))
        self._launcher = Launcher(
            resources, self.agents, self._rules, self._limit, self._library.get
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Cancel what still runs and close everything."""
        if self._launcher is not None:
            await self._launcher.close()
            self._launcher = None
        await self._stack.aclose()

    def register(self, agent: Any) -> RegisteredAgent:
        """Add an agent: an instance, a class, or a function of a task.

        Raises:
            ConfigurationError: the name is taken, or it is no agent.

        """
        return self._registered(self.agents.register(agent))

    def register_agent(
        self,
        agent_id: str,
        agent_type: Any,
        capabilities: Iterable[str] = (),
        max_concurrent_tasks: int = 5,
        config: Mapping[str, Any] | None = None,
    ) -> RegisteredAgent:
        """Add an agent under a name of your choice.

        Args:
            agent_id: how steps call it.
            agent_type: its class, called with ``config``; or an instance or function.
            capabilities: what it can do.
            max_concurrent_tasks: how many calls may run at once.
            config: keyword arguments of the class.

        Raises:
            ConfigurationError: the name is taken, or it is no agent.

        """
        target = agent_type(**(config or {})) if isinstance(agent_type, type) else agent_type
        return self._registered(
            self.agents.register(
                target,
                name=agent_id,
                capabilities=capabilities,
                max_concurrent_tasks=max_concurrent_tasks,
            )
        )

    def _registered(self, agent: RegisteredAgent) -> RegisteredAgent:
        if self._launcher is not None:
            self._launcher.forget_graphs()
        return agent

    async def run(self, workflow: Workflow | str, input: Any = None, **options: Any) -> RunResult:
        """Run a workflow and wait for it; the options are those of ``start``."""
        handle = await self.start(workflow, input, **options)
        return await handle.result()

    async def stream(
        self, workflow: Workflow | str, input: Any = None, **options: Any
    ) -> AsyncIterator[RunEvent]:
        """Run a workflow and give its events as they happen; the options are those of ``start``."""
        handle = await self.start(workflow, input, **options)
        async for event in handle.events():
            yield event

    async def start(
        self,
        workflow: Workflow | str,
        input: Mapping[str, Any] | None = None,
        *,
        context: Mapping[str, Any] | None = None,
        session_id: str | None = None,
        run_id: str | None = None,
        priority: Priority | None = None,
    ) -> RunHandle:
        """Start a run in the background.

        Args:
            workflow: a workflow, or the name of a shipped one.
            input: what the workflow declares as inputs.
            context: merged over the workflow's own context.
            session_id: the conversation that the run belongs to.
            run_id: an id of your own; starting it again gives the same run and starts nothing.
            priority: instead of the workflow's own.

        Raises:
            WorkflowInvalid: the workflow has faults; nothing was started.
            InputInvalid: the input does not fit; nothing was started.
            RunConflict: a run of this id exists for another workflow or input.

        """
        launcher = self._opened()
        flow = workflow if isinstance(workflow, Workflow) else self._library.get(workflow)
        launcher.graph(flow)
        checked = check_input(flow, dict(input or {}))
        row = RunRow(
            run_id=run_id or new_run_id(),
            workflow_id=flow.id,
            workflow_name=flow.name,
            version=flow.version,
            digest=flow.digest,
            created_at=time.time(),
            priority=priority or flow.priority,
            input=checked,
            context=dict(context or {}),
            session_id=session_id,
        )
        await launcher.archive.keep(flow)
        lease = Lease(launcher.resources.leases, row.run_id)
        if row.run_id in launcher.active or not await self._accept(row, lease):
            existing = await launcher.archive.row(row.run_id)
            check_same(row, existing)
            if existing.state in ("queued", "running") and not lease.held_elsewhere():
                return await self.resume(row.run_id)  # the process that had it died
            return RunHandle(self, row.run_id)
        await launcher.launch(row, flow, lease, first_entry(row))
        return RunHandle(self, row.run_id)

    async def _accept(self, row: RunRow, lease: Lease) -> bool:
        """Record a new run and take its lease; False when there is a run of this id already."""
        records = self._opened().resources.records
        lease.take()
        try:
            accepted = await records.create_run(row)
        except BaseException:
            lease.give_back()
            raise
        if not accepted:
            lease.give_back()
        return accepted

    async def get(self, run_id: str) -> RunHandle:
        """Hold a run that exists.

        Raises:
            RunNotFound: no run has this id.

        """
        return RunHandle(self, (await self._opened().archive.row(run_id)).run_id)

    async def resume(self, run_id: str, answer: Any = None) -> RunHandle:
        """Go on with a run after a crash, a cancellation, or a question.

        Args:
            run_id: the run.
            answer: what a person answers; for several open questions a mapping by step.

        Raises:
            RunNotFound: no run has this id.
            RunConflict: it has ended, it runs, or it waits for an answer and none is given.
            InputInvalid: the answer is none of the options.

        """
        return await self._reenter(run_id, RESUMABLE, lambda again: again.resumed(answer))

    async def retry(self, run_id: str, from_step: str | None = None) -> RunHandle:
        """Run the failed steps of an ended run again, and what depends on them.

        Args:
            run_id: the run.
            from_step: a step that is run again although it completed, with what depends on it.

        Raises:
            RunNotFound: no run has this id.
            RunConflict: it has not ended, or there is nothing to run again.
            InputInvalid: the workflow has no such step.

        """
        return await self._reenter(run_id, RETRYABLE, lambda again: again.retried(from_step))

    async def _reenter(
        self, run_id: str, states: frozenset[str], entry_of: Callable[[Reentry], Any]
    ) -> RunHandle:
        launcher = self._opened()
        if run_id in launcher.active:
            raise RunConflict(f"run {run_id} is running; wait for it or cancel it first")
        lease = Lease(launcher.resources.leases, run_id)
        row = await launcher.archive.row(run_id)
        lease.take()
        try:
            check_state(row, states)
            workflow = await launcher.archive.pinned(row)
            snapshot = await launcher.archive.snapshot(run_id)
            entry = entry_of(Reentry(row, workflow, snapshot))
        except BaseException:
            lease.give_back()
            raise
        await launcher.launch(row, workflow, lease, entry, resumed=True)
        return RunHandle(self, run_id)

    async def cancel(self, run_id: str) -> None:
        """Stop a run, here or in another process; what has finished is kept.

        Raises:
            RunNotFound: no run has this id.
            RunConflict: it has ended.

        """
        launcher = self._opened()
        if await launcher.stop(run_id):
            return
        row = await launcher.archive.row(run_id)
        if row.state in ("completed", "failed", "cancelled"):
            raise RunConflict(f"run {run_id} has ended: {row.state}")
        lease = Lease(launcher.resources.leases, run_id)
        if lease.held_elsewhere():
            lease.ask_to_stop()
        else:
            await launcher.resources.records.update_run(
                run_id, state="cancelled", ended_at=time.time()
            )

    async def status(self, run_id: str) -> RunStatus:
        """Tell where a run stands.

        Raises:
            RunNotFound: no run has this id.

        """
        await self._flush(run_id)
        return await self._opened().archive.status(run_id)

    async def events(self, run_id: str, after: int = 0) -> AsyncIterator[RunEvent]:
        """Read a run's events after a point; those of an active run as they happen.

        Args:
            run_id: the run.
            after: the ``seq`` of the last event already known.

        Raises:
            RunNotFound: no run has this id.

        """
        log = self._opened().logs.get(run_id)
        if log is not None:
            async for event in log.read(after):
                yield event
            return
        for event in await self._opened().archive.events(run_id, after):
            yield event

    async def result(self, run_id: str) -> RunResult:
        """Wait until a run has ended or waits for a person, and tell how.

        Raises:
            RunNotFound: no run has this id.

        """
        task = self._opened().active.get(run_id)
        if task is not None:
            await asyncio.wait([task])
            if not task.cancelled() and task.exception() is None:
                return task.result()
        return await self._opened().archive.result(run_id)

    async def runs(
        self, workflow: str | None = None, state: State | None = None, limit: int = 50
    ) -> list[RunRow]:
        """List runs, newest first.

        Args:
            workflow: only runs of the workflow with this id.
            state: only runs in this state.
            limit: at most so many.

        """
        states = None if state is None else (state,)
        return await self._opened().resources.records.list_runs(workflow, states, limit)

    async def logs(self, run_id: str) -> list[LogLine]:
        """Give the log of a run.

        Raises:
            RunNotFound: no run has this id.

        """
        await self._flush(run_id)
        return log_lines(await self._opened().archive.events(run_id))

    async def recover(self) -> list[RunHandle]:
        """Go on with every run whose process died; those that run elsewhere are left alone."""
        launcher = self._opened()
        recovered: list[RunHandle] = []
        for row in await launcher.resources.records.unfinished_runs():
            if row.run_id in launcher.active:
                continue
            try:
                recovered.append(await self.resume(row.run_id))
            except RunConflict:
                continue
        return recovered

    async def _flush(self, run_id: str) -> None:
        if (log := self._opened().logs.get(run_id)) is not None:
            await log.flush()

    def _opened(self) -> Launcher:
        if self._launcher is None:
            raise ConfigurationError("open the engine first: 'async with Engine(...) as engine:'")
        return self._launcher

    def add_workflow(self, workflow: Workflow) -> None:
        """Let runs and steps use a workflow by its name, beside the shipped ones."""
        self._library.add(workflow)

    def metrics(self) -> dict[str, Any]:
        """Give figures of this engine: active runs, load and health of agents, waiting work."""
        launcher = self._opened()
        services = launcher.services
        return {
            "active_workflows": len(launcher.active) - launcher.admission.waiting(),
            "queued_workflows": launcher.admission.waiting(),
            "ended_workflows": dict(launcher.ended),
            "agent_load": {a.name: services.dispatcher.load().get(a.name, 0) for a in self.agents},
            "waiting_tasks": services.dispatcher.waiting(),
            "breakers": {a.name: services.breakers.state(a.name) for a in self.agents},
        }

    def run_sync(self, workflow: Workflow | str, input: Any = None, **options: Any) -> RunResult:
        """Run a workflow from plain code, also inside a notebook's running loop.

        Raises:
            ConfigurationError: the engine is open already; use ``await engine.run(...)`` there.

        """
        from stretto.engine.sync import run_to_end

        if self._launcher is not None:
            raise ConfigurationError("this engine is open; use 'await engine.run(...)'")

        async def once() -> RunResult:
            async with self:
                return await self.run(workflow, input, **options)

        return run_to_end(once())
