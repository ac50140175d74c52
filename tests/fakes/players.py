"""Agents that do what a test tells them, and remember what they were asked."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from stretto import Agent, Engine, RunEvent, Task, Workflow
from stretto.errors import StepFailed


class Players(Agent):
    """One agent for every step of a test: it can be held, made to fail, and it writes a diary."""

    name, capabilities, max_concurrent_tasks = "player", frozenset({"playing"}), 1000

    def __init__(self) -> None:
        self.calls: list[str] = []
        """The paths of the steps that were carried out, in the order in which they began."""
        self.undone: list[str] = []
        self.failing: dict[str, int] = {}
        """How many times a step still fails."""
        self.held: dict[str, asyncio.Event] = {}
        """Steps that wait for their event before they go on."""
        self.tasks: list[Task] = []
        self._entered: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def hold(self, *paths: str) -> asyncio.Event:
        """Make steps wait for the event that is given back."""
        event = asyncio.Event()
        self.held.update(dict.fromkeys(paths, event))
        return event

    def forget(self) -> None:
        """Begin a new page of the diary."""
        self.calls.clear()
        self._entered.clear()

    async def entered(self, path: str) -> None:
        """Wait until a step has begun."""
        async with asyncio.timeout(10):
            await self._entered[path].wait()

    async def run(self, task: Task) -> dict[str, Any]:
        path = task.idempotency_key.removeprefix(f"{task.run_id}/")
        self.calls.append(path)
        self.tasks.append(task)
        self._entered[path].set()
        if path in self.held:
            await self.held[path].wait()
        if self.failing.get(path, 0) > 0:
            self.failing[path] -= 1
            raise StepFailed(f"{path} was told to fail", code="told")
        for text in task.params.get("tokens", ()):
            await task.emit(text)
        if calls := task.params.get("costs"):
            task.usage.calls += calls
            task.usage.input_tokens += 10 * calls
        return {"path": path, "call": self.calls.count(path), **task.params.get("gives", {})}

    async def undo(self, task: Task) -> None:
        self.undone.append(task.params["of"])


def step(id: str, *needs: str, **rest: Any) -> dict[str, Any]:
    return {"id": id, "agent": "player", "depends_on": list(needs), **rest}


def flow(*steps: Mapping[str, Any], **rest: Any) -> Workflow:
    return Workflow.from_dict({"name": "play", "steps": [dict(s) for s in steps], **rest})


CHAIN = flow(step("a"), step("b", "a"), step("c", "b"))


@asynccontextmanager
async def on_stage(players: Players, home: Path, **options: Any) -> AsyncGenerator[Engine]:
    database = f"sqlite:///{home / 'stretto.db'}"
    async with asyncio.timeout(30):
        async with Engine([players], home=home, database=database, **options) as engine:
            yield engine


async def collect(events: AsyncIterator[RunEvent]) -> list[RunEvent]:
    return [event async for event in events]


def told(events: list[RunEvent]) -> list[tuple[str, str | None]]:
    return [(event.event, event.step) for event in events]
