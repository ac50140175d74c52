"""An agent that keeps failing is left alone for a while; mistakes of the caller do not count."""

import asyncio
import traceback
from datetime import timedelta

import pytest
import time_machine

from stretto.agents.agent import FunctionAgent, Task
from stretto.agents.breaker import Breakers
from stretto.errors import CircuitOpen
from stretto.graphs.causes import counts_against_agent
from tests.graphs.running import Stage

START = "2026-01-01T00:00:00Z"


async def fail(error: BaseException | None = None) -> str:
    if error is not None:
        raise error
    return "fine"


async def call(breakers: Breakers, error: BaseException | None = None, agent: str = "a") -> str:
    return await breakers.run(agent, lambda: fail(error))


async def broken(times: int = 5) -> Breakers:
    breakers = Breakers(counts_against_agent)
    for _ in range(times):
        with pytest.raises(ConnectionError):
            await call(breakers, ConnectionError("down"))
    return breakers


async def test_five_failures_in_a_row_open_it() -> None:
    breakers = await broken(4)
    assert breakers.state("a") == "closed"
    with pytest.raises(ConnectionError):
        await call(breakers, ConnectionError("down"))
    assert breakers.state("a") == "opened"
    with pytest.raises(CircuitOpen, match="'a' failed too often") as refused:
        await call(breakers)
    assert refused.value.retryable


async def test_a_success_in_between_starts_the_count_again() -> None:
    breakers = await broken(4)
    assert await call(breakers) == "fine"
    with pytest.raises(ConnectionError):
        await call(breakers, ConnectionError("down"))
    assert breakers.state("a") == "closed"


@pytest.mark.parametrize(
    "error", [ValueError("x"), TypeError("x"), KeyError("x"), asyncio.CancelledError()]
)
async def test_what_is_not_the_agents_fault_does_not_count(error: BaseException) -> None:
    breakers = Breakers(counts_against_agent)
    for _ in range(20):
        with pytest.raises(type(error)):
            await call(breakers, error)
    assert breakers.state("a") == "closed"


async def test_other_agents_are_not_affected() -> None:
    breakers = await broken()
    assert await call(breakers, agent="b") == "fine"
    assert (breakers.state("b"), breakers.state("never called")) == ("closed", "closed")


async def test_it_is_tried_again_after_half_a_minute() -> None:
    with time_machine.travel(START, tick=False) as clock:
        breakers = await broken()
        clock.shift(timedelta(seconds=30))
        with pytest.raises(CircuitOpen):
            await call(breakers)
        clock.shift(timedelta(seconds=1))
        assert await call(breakers) == "fine"
        assert breakers.state("a") == "closed"


async def test_a_failure_of_the_trial_opens_it_for_another_half_minute() -> None:
    with time_machine.travel(START, tick=False) as clock:
        breakers = await broken()
        clock.shift(timedelta(seconds=31))
        with pytest.raises(ConnectionError):
            await call(breakers, ConnectionError("still down"))
        clock.shift(timedelta(seconds=29))
        with pytest.raises(CircuitOpen):
            await call(breakers)


async def test_refusals_do_not_pile_up() -> None:
    breakers = await broken()
    depths: list[int] = []
    for _ in range(10):
        with pytest.raises(CircuitOpen) as refused:
            await call(breakers)
        cause = refused.value.__cause__
        assert cause is not None
        depths.append(len(traceback.extract_tb(cause.__traceback__)))
    assert depths == [depths[0]] * 10


async def test_a_run_does_not_call_an_agent_that_is_left_alone() -> None:
    calls: list[str] = []

    async def down(task: Task) -> None:
        calls.append(task.step_id)
        raise ConnectionError("down")

    agent = FunctionAgent(down, max_concurrent_tasks=1)
    steps = [{"id": f"s{n}", "agent": "down", "on_error": "continue"} for n in range(8)]
    ran = await Stage(steps, [agent], mode="sequential").run()
    assert calls == [f"s{n}" for n in range(5)]
    assert [code for _, code in ran.errors] == ["agent_failed"] * 5 + ["circuit_open"] * 3
