"""FakeClock: time that passes at once."""

import asyncio
import math
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiolimiter import AsyncLimiter

from stretto import Engine, Workflow
from stretto.errors import ConfigurationError
from stretto.testing import FakeAgent, FakeClock

DAY = 86_400


def engine_with(home: Path, *agents: FakeAgent) -> Engine:
    return Engine(agents, home=home, database=f"sqlite:///{home / 'stretto.db'}")


def flow(**step: Any) -> Workflow:
    return Workflow.from_dict({"name": "play", "steps": [{"id": "one", "agent": "a", **step}]})


async def test_both_clocks_move_and_the_monotonic_one_does_not() -> None:
    loop = asyncio.get_running_loop()
    real, looped = time.monotonic(), loop.time()
    with FakeClock("2026-01-01T00:00:00Z") as clock:
        await clock.advance(30 * DAY)
        assert datetime.now(UTC).date().isoformat() == "2026-01-31"
        assert timedelta(days=30) <= timedelta(seconds=loop.time() - looped) < timedelta(days=31)
        assert time.monotonic() - real < DAY
    assert loop.time() - looped >= 30 * DAY
    assert abs(time.time() - datetime.now(UTC).timestamp()) < DAY


async def test_timers_go_off_at_their_time_and_in_order() -> None:
    seen: list[str] = []

    async def every(seconds: int, name: str) -> None:
        while True:
            await asyncio.sleep(seconds)
            seen.append(name)

    tasks = [asyncio.create_task(every(*what)) for what in ((60, "a"), (100, "b"))]
    with FakeClock() as clock:
        await clock.advance(220)
    for task in tasks:
        task.cancel()
    assert seen == ["a", "b", "a", "a", "b"]


async def test_a_cancelled_timer_is_no_stop_on_the_way() -> None:
    loop, seen = asyncio.get_running_loop(), list[str]()
    loop.call_later(10, seen.append, "cancelled").cancel()
    timer = loop.call_later(DAY, seen.append, "later")
    with FakeClock() as clock:
        await clock.advance(60)
    timer.cancel()
    assert seen == []


async def test_two_clocks_after_each_other_share_the_time_of_the_loop() -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    for _ in range(2):
        with FakeClock() as clock:
            await clock.advance(DAY)
    assert 2 * DAY <= loop.time() - start < 3 * DAY


async def test_a_clock_that_is_not_in_use_moves_nothing() -> None:
    with pytest.raises(ConfigurationError, match="enter the clock first"):
        await FakeClock().advance(1)


@pytest.mark.parametrize("seconds", [-1, math.inf, math.nan])
async def test_time_goes_neither_back_nor_on_without_an_end(seconds: float) -> None:
    with FakeClock() as clock:
        with pytest.raises(ValueError, match=f"time goes forward, not by {seconds:g} s"):
            await clock.advance(seconds)


def test_the_loop_of_another_library_is_refused() -> None:
    other: Any = object()
    with FakeClock() as clock:
        advancing = clock.advance(1)
        asyncio._set_running_loop(other)
        try:
            with pytest.raises(ConfigurationError, match="loops of asyncio, not of"):
                advancing.send(None)
        finally:
            asyncio._set_running_loop(None)


async def test_a_step_times_out(tmp_path: Path) -> None:
    agent = FakeAgent("a")
    agent.hold()
    with FakeClock() as clock:
        async with engine_with(tmp_path, agent) as engine:
            handle = await engine.start(flow(timeout="1h"))
            await agent.called()
            await clock.advance(3600)
            (error,) = (await handle.result()).errors
    assert error.code == "step_timed_out"


async def test_a_retry_does_not_keep_the_test_waiting(tmp_path: Path) -> None:
    agent = FakeAgent("a", "fine", fails=1)
    with FakeClock() as clock:
        async with engine_with(tmp_path, agent) as engine:
            retry = {"attempts": 2, "delay": "10m", "max_delay": "1h"}
            handle = await engine.start(flow(retry=retry))
            async for event in handle.events():
                if event.event == "agent_retry":
                    break
            await clock.advance(3600)
            assert (await handle.result()).output == "fine"


async def test_an_agent_that_was_left_alone_is_called_again(tmp_path: Path) -> None:
    agent = FakeAgent("a", "fine", fails=5)
    with FakeClock() as clock:
        async with engine_with(tmp_path, agent) as engine:
            for _ in range(5):
                await engine.run(flow())
            (error,) = (await engine.run(flow())).errors
            assert (error.code, len(agent.calls)) == ("circuit_open", 5)
            await clock.advance(31)
            assert (await engine.run(flow())).output == "fine"


async def test_a_question_is_answered_at_its_deadline(tmp_path: Path) -> None:
    approval = {"message": "?", "deadline": "2d", "on_deadline": "reject"}
    ask = Workflow.from_dict({"name": "ask", "steps": [{"id": "ok", "approval": approval}]})
    with FakeClock() as clock:
        async with engine_with(tmp_path) as engine:
            waiting = await engine.run(ask)
            assert waiting.status == "waiting"
            await clock.advance(3 * DAY)
            async with asyncio.timeout(10):
                while (result := await engine.result(waiting.run_id)).status == "waiting":
                    await asyncio.sleep(0)
    assert result.outputs["ok"] == {"choice": "reject", "expired": True}


async def test_a_rate_limit_lets_the_next_one_through() -> None:
    limit = AsyncLimiter(1, 60)
    await limit.acquire()
    second = asyncio.create_task(limit.acquire())
    with FakeClock() as clock:
        await clock.advance(30)
        assert not second.done()
        await clock.advance(31)
        assert second.done()


def test_without_time_machine_the_extra_is_named() -> None:
    program = (
        "import sys; sys.modules['time_machine'] = None\n"
        "from stretto.testing import FakeClock\n"
        "try:\n    FakeClock()\nexcept Exception as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "FakeClock needs time-machine: pip install 'stretto[testing]'\n"
