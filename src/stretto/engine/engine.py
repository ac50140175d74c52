"""The door to runs: an engine owns agents, records and checkpoints, and every run in it."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from stretto.agents.registry import AgentRegistry
from stretto.config import Settings, load_settings
from stretto.engine.handle import RunHandle
from stretto.engine.logs import LogLine
from stretto.engine.records import RunRow, State
from stretto.engine.reentry import chosen, new_row
from stretto.engine.registration import Registration
from stretto.engine.result import RunResult
from stretto.engine.room import EngineRoom, Setup, open_room, opener_of, registry_of
from stretto.engine.status import RunStatus
from stretto.engine.sync import run_to_end
from stretto.errors import ConfigurationError
from stretto.events import RunEvent
from stretto.graphs.library import shipped
from stretto.graphs.runtime import AdaptationRule
from stretto.graphs.spec import Workflow

if TYPE_CHECKING:
    from stretto.memory.recollection import Memory


class Engine(Registration):
    """Runs workflows: starts them, follows them, and goes on with them after whatever happened.

    Use it as an async context manager; leaving it cancels what still runs, resumably. Methods
    about one run raise RunNotFound when there is none of that id. ConfigurationError is raised
    when the engine is not open, its files cannot be used, or an agent's name is taken.
    """

    def __init__(
        self,
        agents: Iterable[Any] | AgentRegistry | None = None,
        *,
        home: str | Path | None = None,
        database: str | None = None,
        memory: "Memory | Literal[False] | None" = None,
        remember_runs: bool | None = None,
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
            memory: what agents find as ``task.memory``: one of yours, which stays yours to close;
                False for none; None for one as the settings say, opened when it is first used.
            remember_runs: whether each ended run is remembered; from the settings if None.
            model: chat model of the shipped agents by name; from the settings if None.
            max_concurrent_workflows: how many runs are active at once; others wait by priority.
            adaptation_rules: functions ``(workflow, ready_steps)`` that boost ready steps.
            settings: what else is set; read from the environment if None.

        """
        self.settings = settings or load_settings()
        self.home = Path(home) if home is not None else self.settings.home
        self.agents = registry_of(agents, self.settings, model)
        self._library = shipped()
        self._setup = Setup(
            home=self.home,
            database=database or self.settings.database_url,
            agents=self.agents,
            rules=tuple(adaptation_rules),
            limit=max_concurrent_workflows,
            library=self._library,
            settings=self.settings,
            open_model=opener_of(self.settings, model),
            memory=memory,
            remember_runs=self.settings.remember_runs if remember_runs is None else remember_runs,
        )
        self._stack = AsyncExitStack()
        self._room: EngineRoom | None = None

    async def __aenter__(self) -> Self:
        """Open records and checkpoints."""
        if self._room is not None:
            raise ConfigurationError("this engine is open already; use it, or make another one")
        self._room = await self._stack.enter_async_context(open_room(self._setup))
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Cancel what still runs and close everything."""
        self._room = None
        await self._stack.aclose()

    @property
    def memory(self) -> "Memory | None":
        """What outlives the runs; None where there is none."""
        return self._opened().launcher.services.memory

    async def run(self, workflow: Workflow | str, input: Any = None, **options: Any) -> RunResult:
        """Run a workflow and wait for it; the options are those of ``start``."""
        handle = await self.start(workflow, input, **options)
        return await handle.result()

    def run_sync(self, workflow: Workflow | str, input: Any = None, **options: Any) -> RunResult:
        """Run a workflow from plain code, also inside a notebook's running loop."""
        if self._room is not None:
            raise ConfigurationError("this engine is open; use 'await engine.run(...)'")

        async def once() -> RunResult:
            async with self:
                return await self.run(workflow, input, **options)

        return run_to_end(once())

    async def stream(
        self, workflow: Workflow | str, input: Any = None, **options: Any
    ) -> AsyncIterator[RunEvent]:
        """Run a workflow and give its events as they happen; the options are those of ``start``."""
        handle = await self.start(workflow, input, **options)
        async for event in handle.events():
            yield event

    async def start(
        self, workflow: Workflow | str, input: Mapping[str, Any] | None = None, **options: Any
    ) -> RunHandle:
        """Start a run in the background; nothing is started when one of the errors is raised.

        Args:
            workflow: a workflow, or the name of a shipped one.
            input: what the workflow declares as inputs.
            **options: ``context``, merged over the workflow's own; ``session_id`` of the
                conversation; ``priority`` in place of the workflow's; ``run_id``, an id of your
                own: starting it again gives the same run and starts nothing.

        Raises:
            WorkflowInvalid: the workflow has faults.
            InputInvalid: the input or an option does not fit, or the workflow is none.
            RunConflict: a run of this id exists for another workflow or input.

        """
        desk = self._opened().desk
        flow = chosen(workflow, self._library)
        row = new_row(flow, input, self.settings.workflows.get(flow.id), **options)
        await desk.start(flow, row)
        return RunHandle(self, row.run_id)

    async def get(self, run_id: str) -> RunHandle:
        """Hold a run that exists."""
        await self._opened().launcher.archive.row(run_id)
        return RunHandle(self, run_id)

    async def resume(self, run_id: str, answer: Any = None) -> RunHandle:
        """Go on with a run after a crash, a cancellation, or a question.

        Args:
            run_id: the run.
            answer: what a person answers; for several open questions a mapping by step.

        Raises:
            RunConflict: it has ended, it runs, or it waits for an answer and none is given.
            InputInvalid: the answer cannot be taken; the message says what can.

        """
        await self._opened().desk.resume(run_id, answer)
        return RunHandle(self, run_id)

    async def retry(self, run_id: str, from_step: str | None = None) -> RunHandle:
        """Run the failed steps of an ended run again, and what depends on them.

        Args:
            run_id: the run.
            from_step: a step that is run again although it completed, with what depends on it.

        Raises:
            RunConflict: it has not ended, or there is nothing to run again.
            InputInvalid: the workflow has no such step.

        """
        await self._opened().desk.retry(run_id, from_step)
        return RunHandle(self, run_id)

    async def recover(self) -> list[RunHandle]:
        """Go on with every run whose process died, and with those whose questions have expired.

        From now on this engine also answers the questions of all waiting runs at their deadline.
        """
        return [RunHandle(self, run_id) for run_id in await self._opened().desk.recover()]

    async def cancel(self, run_id: str) -> None:
        """Stop a run; what has finished is kept, and it can be resumed.

        Another process that works on it is asked to stop, and does within a second. RunConflict
        is raised when it has ended.
        """
        await self._opened().desk.cancel(run_id)

    async def status(self, run_id: str) -> RunStatus:
        """Tell where a run stands."""
        return await self._opened().reader.status(run_id)

    def events(self, run_id: str, after: int = 0) -> AsyncIterator[RunEvent]:
        """Read a run's events after the ``seq`` of one; those of a run at work as they happen."""
        return self._opened().reader.events(run_id, after)

    async def result(self, run_id: str) -> RunResult:
        """Wait until a run has ended or waits for a person, and tell how.

        RunConflict is raised when its process died, so that nobody works on it.
        """
        return await self._opened().reader.result(run_id)

    async def runs(
        self, workflow: str | None = None, state: State | None = None, limit: int = 50
    ) -> list[RunRow]:
        """List the newest runs: all, or those of a workflow by its id, or those in a state."""
        records = self._opened().launcher.resources.records
        return await records.list_runs(workflow, None if state is None else (state,), limit)

    async def logs(self, run_id: str) -> list[LogLine]:
        """Give the log of a run."""
        return await self._opened().reader.logs(run_id)

    def metrics(self) -> dict[str, Any]:
        """Give figures of this engine: active runs, load and health of agents, waiting work."""
        return self._opened().launcher.metrics()

    def _changed(self) -> None:
        if self._room is not None:
            self._room.launcher.readiness.forget()

    def _opened(self) -> EngineRoom:
        if self._room is None:
            raise ConfigurationError("open the engine first: 'async with Engine(...) as engine:'")
        return self._room
