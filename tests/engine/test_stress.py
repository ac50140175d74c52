"""Many runs at once, whose agents fail and whose readers leave: all end, and nothing is left."""

import asyncio
import contextlib
import gc
import random
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from stretto import Agent, Engine, Task
from stretto.errors import RunConflict, RunNotFound, StepFailed
from tests.fakes.players import flow, step

RUNS = 200
PATIENCE = 120
"""Seconds in which everything has to end."""
RETRY = {"attempts": 2, "delay": 0.001, "max_delay": 0.002}
BUSY = flow(
    step("a", retry=RETRY),
    step("b", "a", params={"tokens": 3}),
    {
        "id": "m",
        "depends_on": ["a"],
        "map": {"over": "[1, 2]", "steps": [step("x")], "on_error": {"fallback": 0}},
    },
    step("z", "b", "m", compensate={"agent": "player"}),
    step("end", "z"),
)


class Moody(Agent):
    """Fails now and then, always at the same calls, and takes a few turns of the loop."""

    name, max_concurrent_tasks = "player", 15

    async def run(self, task: Task) -> str:
        mood = random.Random(f"{task.idempotency_key}#{task.attempt}")
        for _ in range(mood.randrange(5)):
            await asyncio.sleep(0)
        for number in range(task.params.get("tokens", 0)):
            await task.emit(f"{number} ")
        if mood.random() < 0.08:
            raise StepFailed("in a bad mood", code="mood", retryable=mood.random() < 0.5)
        return task.step_id


async def read_on(engine: Engine, run_id: str, turns: int) -> None:
    events = [event async for event in engine.stream(BUSY, run_id=run_id)]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))


async def read_some(engine: Engine, run_id: str, turns: int) -> None:
    async for event in engine.stream(BUSY, run_id=run_id):
        if event.seq >= turns:
            break


async def cancel_the_run(engine: Engine, run_id: str, turns: int) -> None:
    async for event in engine.stream(BUSY, run_id=run_id):
        if event.seq == turns:
            with contextlib.suppress(RunConflict):  # it has just ended
                await engine.cancel(run_id)


async def cancel_the_reader(engine: Engine, run_id: str, turns: int) -> None:
    reading = asyncio.create_task(read_on(engine, run_id, turns))
    for _ in range(turns * turns * 20):
        await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait([reading])


FATES: tuple[Callable[[Engine, str, int], Awaitable[None]], ...] = (
    read_on,
    read_some,
    cancel_the_run,
    cancel_the_reader,
)


async def go_through(home: Path) -> tuple[Counter[str], list[Any]]:
    """Give how the runs ended, and what the event loop complained of."""
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))
    chance = random.Random(7)
    ends: Counter[str] = Counter()

    async def one(engine: Engine, run_id: str, fate: int, turns: int) -> None:
        await FATES[fate](engine, run_id, turns)
        try:
            ends[(await engine.result(run_id)).status] += 1
        except RunNotFound:  # its reader was cancelled before it was accepted
            ends["never begun"] += 1

    async with asyncio.timeout(PATIENCE):
        async with Engine([Moody], home=home, max_concurrent_workflows=25) as engine:
            draws = [(f"run{n}", n % len(FATES), chance.randint(1, 12)) for n in range(RUNS)]
            await asyncio.gather(*(one(engine, *draw) for draw in draws))
            for number in range(20):  # these are at work when the engine is closed
                await engine.start(BUSY, run_id=f"left{number}")
        gc.collect()
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    return ends, [*complaints, *left]


def test_whatever_happens_to_many_runs_all_end_and_nothing_is_left_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    ends, left = asyncio.run(go_through(tmp_path))
    assert left == []
    assert ends.total() == RUNS
    assert set(ends) <= {"completed", "failed", "cancelled", "never begun"}
    assert min(ends["completed"], ends["failed"], ends["cancelled"]) > 10
    threads = {t for t in set(threading.enumerate()) - before if "cache" not in t.name}
    for thread in threads:
        thread.join(1)
    assert [thread.name for thread in threads if thread.is_alive()] == []
