"""An attempt ends at its deadline, whatever its agent does with being cancelled."""

import asyncio
import gc
import logging
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import pytest

from stretto.agents.agent import Agent, Task
from stretto.errors import StepFailed
from tests.graphs.running import Cast, Stage, perform

LIMIT = 0.02


class Stubborn(Agent):
    """Goes on until it is let go, however often it is cancelled."""

    name, max_concurrent_tasks = "stubborn", 1

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()

    async def run(self, task: Task) -> str:
        self.begun.set()
        while not self.free.is_set():
            with suppress(asyncio.CancelledError):
                await self.free.wait()
        await task.emit("too late")
        self.ended.set()
        return await self.end()

    async def end(self) -> str:
        return "late output"


class Bitter(Stubborn):
    async def end(self) -> str:
        raise RuntimeError("late error")


@pytest.fixture(params=[Stubborn, Bitter])
async def stubborn(request: pytest.FixtureRequest) -> AsyncGenerator[Stubborn]:
    agent = request.param()
    yield agent
    agent.free.set()
    await agent.ended.wait()


def late(**more: Any) -> dict[str, Any]:
    return {"id": "a", "agent": "stubborn", "timeout": LIMIT, **more}


async def test_an_agent_that_swallows_its_cancellation_is_left_behind(
    stubborn: Stubborn, caplog: pytest.LogCaptureFixture
) -> None:
    ran = await perform([late()], [stubborn])
    assert (ran.errors, stubborn.ended.is_set()) == ([("a", "step_timed_out")], False)
    told = [r for r in caplog.records if r.name == "stretto.graphs.deadline"]
    assert [r.levelno for r in told] == [logging.WARNING]
    assert "agent 'stubborn' did not stop within 0.5 s" in told[0].getMessage()


async def test_what_it_still_streams_gives_or_raises_is_dropped(stubborn: Stubborn) -> None:
    stage = Stage([late(on_error={"fallback": "instead"})], [stubborn])
    ran, events = await stage.narrate()
    count = len(events)
    gc.collect()  # only a strong reference keeps it going
    stubborn.free.set()
    await stubborn.ended.wait()
    await asyncio.sleep(0)
    assert (ran.output, len(events)) == ("instead", count)
    assert [e.event for e in events if e.event == "agent_stream"] == []


async def test_its_slot_is_free_for_the_next(stubborn: Stubborn) -> None:
    steps = [late(on_error="continue"), late(id="b", on_error="continue", depends_on=["a"])]
    steps[1]["join"] = "done"
    ran = await perform(steps, [stubborn])
    assert ran.errors == [("a", "step_timed_out"), ("b", "step_timed_out")]


async def test_a_cancelled_run_does_not_wait_for_it(stubborn: Stubborn) -> None:
    run = asyncio.create_task(perform([late(timeout=3600)], [stubborn]))
    await stubborn.begun.wait()
    run.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await run
    assert not stubborn.ended.is_set()


@pytest.mark.parametrize("nested", [False, True])
async def test_the_deadline_of_a_container_holds_for_what_is_inside(
    stubborn: Stubborn, nested: bool
) -> None:
    inner: dict[str, Any] = {"id": "inner", "agent": "stubborn"}
    if nested:
        inner = {"id": "m", "map": {"over": "[1]", "steps": [inner]}}
    body = {"steps": [inner], "until": "true", "max_iterations": 1}
    ran = await perform([{"id": "a", "loop": body, "timeout": LIMIT}], [stubborn])
    assert (ran.errors, stubborn.ended.is_set()) == ([("a", "step_timed_out")], False)


async def test_work_that_an_agent_shields_does_not_hold_its_step(stubborn: Stubborn) -> None:
    class Shielding(Agent):
        name = "shielding"

        async def run(self, task: Task) -> str:
            return await asyncio.shield(asyncio.ensure_future(stubborn.run(task)))

    stage = Stage([late(agent="shielding", on_error="continue")], [Shielding()])
    ran, events = await stage.narrate()
    count = len(events)
    stubborn.free.set()
    await stubborn.ended.wait()
    assert (ran.errors, len(events)) == ([("a", "step_timed_out")], count)
    gc.collect()


async def test_an_agent_may_clean_up_and_is_overdue_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cleaned: list[str] = []

    async def tidy(task: Task) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            cleaned.append(task.step_id)
        return "as if nothing had been"

    ran = await perform([late(agent="tidy")], [tidy])
    assert (ran.errors, cleaned, caplog.records) == ([("a", "step_timed_out")], ["a"], [])


async def test_an_agent_in_time_streams_and_gives_as_ever() -> None:
    async def quick(task: Task) -> Any:
        yield "so "
        yield "quick"

    ran, events = await Stage([late(agent="quick", timeout=60)], [quick]).narrate()
    assert ran.output == "so quick"
    assert [e.data["content"] for e in events if e.event == "agent_stream"] == ["so ", "quick"]


async def test_an_agent_with_a_deadline_that_cancels_itself_fails_alone() -> None:
    async def suicidal(task: Task) -> None:
        current = asyncio.current_task()
        assert current is not None
        current.cancel()
        await asyncio.sleep(0)

    steps = [late(agent="suicidal", timeout=60, on_error="continue"), {"id": "b", "agent": "ok"}]
    ran = await perform(steps, [*Cast(), suicidal])
    assert (ran.errors, ran.statuses["b"]) == ([("a", "step_failed")], "completed")


async def test_an_agents_own_failure_within_its_time_is_told() -> None:
    async def failing(task: Task) -> None:
        raise StepFailed("no", code="mine")

    ran = await perform([late(agent="failing", timeout=60)], [failing])
    assert ran.errors == [("a", "mine")]
