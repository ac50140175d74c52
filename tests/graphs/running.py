"""Workflows run on a plain LangGraph host, with agents that write down what they did."""

import asyncio
import gc
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.types import Command

from stretto.agents.agent import Agent, FunctionAgent, Task
from stretto.errors import StepFailed
from stretto.graphs.compile import compile_workflow
from stretto.graphs.frames import make_scope
from stretto.graphs.given import Given, roots_of
from stretto.graphs.limits import Limits
from stretto.graphs.outcome import Summary, summarize
from stretto.graphs.plaindata import is_dict
from stretto.graphs.region import Region
from stretto.graphs.runtime import RunScope, Services
from stretto.graphs.spec import Workflow

Saver = BaseCheckpointSaver[Any]
Steps = list[dict[str, Any]]
PATIENCE = 20
"""Seconds after which a run counts as hanging."""


@dataclass
class Ran:
    """How a run stands."""

    state: Mapping[str, Any]
    summary: Summary

    @property
    def statuses(self) -> dict[str, str]:
        records: dict[str, Any] = self.state.get("records") or {}
        return {step: record["status"] for step, record in sorted(records.items())}

    @property
    def errors(self) -> list[tuple[str, str]]:
        return [(error.step, error.code) for error in self.summary.errors]

    @property
    def output(self) -> Any:
        return self.summary.output

    @property
    def success(self) -> bool:
        return self.summary.success

    @property
    def questions(self) -> dict[str, Any]:
        """What is asked, by interrupt id."""
        return {q.id: q.value for q in self.state.get("__interrupt__") or ()}


@dataclass
class Event:
    """One published event."""

    event: str
    step: str | None
    data: dict[str, Any]


class Stage:
    """A compiled workflow and the threads it runs on."""

    def __init__(
        self,
        steps: Sequence[Any],
        agents: Iterable[Any],
        *,
        saver: "BaseCheckpointSaver[Any] | None" = None,
        services: Services | None = None,
        others: Iterable[Workflow] = (),
        limits: Limits | None = None,
        **declared: Any,
    ) -> None:
        self.workflow = flow(steps, **declared)
        self.given: dict[str, Given] = {}
        """What each thread was started with last."""
        self.durability = "sync" if saver else None  # LangGraph warns of it without a saver
        known = {other.id: other for other in others}
        self.graph: Any = compile_workflow(
            self.workflow,
            list(agents),
            checkpointer=saver,
            services=services,
            find=known.__getitem__ if known else None,
            limits=limits,
        )

    def config(self, thread: str) -> dict[str, Any]:
        return {"configurable": {"thread_id": thread}}

    async def enter(self, entry: Any, thread: str = "t", context: Any = None) -> Ran:
        if is_dict(entry):
            self.given[thread] = Given(entry.get("input") or {}, entry.get("context") or {})
        async with asyncio.timeout(PATIENCE):
            state = await self.graph.ainvoke(
                entry, self.config(thread), context=context, durability=self.durability
            )
        roots = roots_of(self.workflow, self.given.get(thread, Given({}, {})), {})
        return Ran(state, summarize(self.workflow, state, roots))

    async def run(self, input: Any = None, thread: str = "t", **more: Any) -> Ran:
        return await self.enter({"input": input or {}, **more}, thread)

    async def answer(self, answer: Any, thread: str = "t") -> Ran:
        return await self.enter(Command(resume=answer), thread)

    async def go_on(self, thread: str = "t") -> Ran:
        return await self.enter(None, thread)

    async def narrate(self, input: Any = None, thread: str = "t") -> tuple[Ran, list[Event]]:
        """Run and collect the events."""
        events: list[Event] = []
        scope = self.scope(events)
        return await self.enter({"input": input or {}}, thread, scope), events

    def scope(self, events: list[Event], run_id: str = "r") -> RunScope:
        run = {"id": run_id, "started_at": 0.0, "attempt": 1, "errors": 0}
        return make_scope(self.workflow, run, lambda e, s, d: events.append(Event(e, s, d)))


def flow(steps: Sequence[Any], **declared: Any) -> Workflow:
    return Workflow.model_validate({"name": "w", "steps": steps, **declared})


async def perform(steps: Sequence[Any], agents: Iterable[Any], **more: Any) -> Ran:
    """Compile and run once, without a checkpointer."""
    given = more.pop("input", None)
    return await Stage(steps, agents, **more).run(given)


@dataclass
class Cast:
    """Agents that share one log of what was called."""

    log: list[str] = field(default_factory=list[str])
    """Step ids in the order of their calls."""
    ended: list[str] = field(default_factory=list[str])
    seen: dict[str, Task] = field(default_factory=dict[str, Task])
    """The last task by step id."""
    gates: dict[str, asyncio.Event] = field(default_factory=dict[str, asyncio.Event])
    """What ``gated`` waits for, by step id."""
    running: int = 0
    most: int = 0
    """How many calls ran at once."""

    def __iter__(self) -> Any:
        plays = [self.ok, self.boom, self.echo, self.gated, self.yielding, self.undo]
        return iter([FunctionAgent(play, name=play.__name__) for play in plays])

    def note(self, task: Task) -> None:
        self.log.append(task.step_id)
        self.seen[task.step_id] = task

    async def ok(self, task: Task) -> Any:
        """Give ``value``, or the step's id."""
        self.note(task)
        self.ended.append(task.step_id)
        return task.params.get("value", task.step_id)

    async def boom(self, task: Task) -> Any:
        self.note(task)
        self.ended.append(task.step_id)
        raise StepFailed("boom", code=task.params.get("code", "boom"))

    async def echo(self, task: Task) -> Any:
        self.note(task)
        return task.input

    async def gated(self, task: Task) -> Any:
        """End once the step's gate is opened."""
        self.note(task)
        await self.gate(task.step_id).wait()
        self.ended.append(task.step_id)
        return task.params.get("value", task.step_id)

    async def yielding(self, task: Task) -> Any:
        """Let the others run for a few turns, and count who is at work."""
        self.note(task)
        self.running += 1
        self.most = max(self.most, self.running)
        for _ in range(task.params.get("turns", 3)):
            await asyncio.sleep(0)
        self.running -= 1
        self.ended.append(task.step_id)
        if task.params.get("fails"):
            raise StepFailed("boom", code="boom")
        return task.params.get("value", task.step_id)

    async def undo(self, task: Task) -> Any:
        self.note(task)
        self.log[-1] = f"undo {task.params.get('of', task.step_id)}"
        if task.params.get("fails"):
            raise StepFailed("cannot undo")
        return None

    def gate(self, step: str) -> asyncio.Event:
        return self.gates.setdefault(step, asyncio.Event())


class Counting(Agent):
    """An agent that fails so often before it succeeds."""

    name = "counting"

    def __init__(self, failures: list[BaseException]) -> None:
        self.failures = failures
        self.calls: list[int] = []

    async def run(self, task: Task) -> str:
        self.calls.append(task.attempt)
        if len(self.calls) <= len(self.failures):
            raise self.failures[len(self.calls) - 1]
        return "done"


def open_activations() -> int:
    """Count the activations that regions still hold, of all graphs there are."""
    gc.collect()
    regions = [found for found in gc.get_objects() if isinstance(found, Region)]
    return sum(len(region._open) for region in regions)  # pyright: ignore[reportPrivateUsage]


async def stopped(work: "asyncio.Task[Any]") -> None:
    """Cancel a task and wait for its end."""
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work


def ok(step: str, *needs: str, **more: Any) -> dict[str, Any]:
    return {"id": step, "agent": "ok", "depends_on": list(needs), **more}


def gated(step: str, *needs: str) -> dict[str, Any]:
    return {"id": step, "agent": "gated", "depends_on": list(needs)}


async def called(cast: Cast, *steps: str) -> None:
    while not set(steps) <= set(cast.log):
        await asyncio.sleep(0)


def done(step: str, *needs: str, agent: str = "ok", **more: Any) -> dict[str, Any]:
    """A step that is undone by saying its id and output."""
    undo = {"agent": "undo", "params": {"of": f"{step}=${{{step}}}"}}
    return {"id": step, "agent": agent, "depends_on": list(needs), "compensate": undo, **more}


def bad(*needs: str, step: str = "bad") -> dict[str, Any]:
    return {"id": step, "agent": "boom", "depends_on": list(needs)}


def undone(cast: Cast) -> list[str]:
    return [entry.removeprefix("undo ") for entry in cast.log if entry.startswith("undo")]
