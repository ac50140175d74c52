"""The limits of a model hold for everything that shares them."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from stretto.agents.models.limits import ModelLimits
from stretto.config import ModelSettings, Settings


def limits(**models: ModelSettings) -> ModelLimits:
    return ModelLimits(Settings(models=models).model_settings)


class Clock(asyncio.SelectorEventLoop):
    """An event loop whose time can be moved on."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


def run(coroutine: Coroutine[Any, Any, None], clock: Clock) -> None:
    with asyncio.Runner(loop_factory=lambda: clock) as runner:
        runner.run(coroutine)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("names", "most"), [(["tiny"] * 6, 2), (["tiny", "other"] * 3, 4)])
async def test_no_more_calls_than_allowed_run_at_once_and_each_model_counts_alone(
    names: list[str], most: int
) -> None:
    shared = limits(**{"*": ModelSettings(max_concurrent_calls=2)})
    inside, widest, opened = 0, 0, asyncio.Event()

    async def call(name: str) -> None:
        nonlocal inside, widest
        async with shared.turn(name):
            inside += 1
            widest = max(widest, inside)
            await opened.wait()
            inside -= 1

    calls = [asyncio.create_task(call(name)) for name in names]
    await settle()
    assert inside == most
    opened.set()
    await asyncio.gather(*calls)
    assert widest == most


async def test_a_place_is_free_again_after_a_failure_and_a_cancelled_wait() -> None:
    shared = limits(tiny=ModelSettings(max_concurrent_calls=1))

    async def call(failing: bool) -> str:
        async with shared.turn("tiny"):
            await settle()
            if failing:
                raise ValueError("broken")
            return "done"

    first, second, third = (asyncio.create_task(call(failing)) for failing in (True, True, False))
    await asyncio.sleep(0)
    second.cancel()
    ended = await asyncio.gather(first, second, third, return_exceptions=True)
    assert [type(end) for end in ended] == [ValueError, asyncio.CancelledError, str]


def test_what_is_above_the_rate_waits_for_its_share_of_the_minute() -> None:
    clock = Clock()
    shared = limits(tiny=ModelSettings(requests_per_minute=2))
    through: list[int] = []

    async def call(number: int) -> None:
        async with shared.turn("tiny"):
            through.append(number)

    async def watched() -> None:
        calls = [asyncio.create_task(call(number)) for number in range(4)]
        for passed in (2, 3, 4):
            await settle()
            assert through == list(range(passed))
            clock.ahead += 30.5
        await asyncio.gather(*calls)

    run(watched(), clock)


def test_a_call_without_a_place_uses_up_no_rate() -> None:
    clock = Clock()
    shared = limits(tiny=ModelSettings(requests_per_minute=2, max_concurrent_calls=1))

    async def watched() -> None:
        async with shared.turn("tiny"):
            waiting = asyncio.ensure_future(shared.turn("tiny").__aenter__())
            await settle()
            waiting.cancel()
        async with shared.turn("tiny"):  # the second of this minute
            pass

    run(asyncio.wait_for(watched(), 5), clock)


def test_limits_outlive_an_event_loop() -> None:
    shared = limits(tiny=ModelSettings(requests_per_minute=1, max_concurrent_calls=1))

    async def once() -> None:
        async with shared.turn("tiny"):
            waiting = asyncio.ensure_future(shared.turn("tiny").__aenter__())
            await settle()
            waiting.cancel()

    for _ in range(3):
        asyncio.run(asyncio.wait_for(once(), 5))


async def test_a_model_without_limits_never_waits() -> None:
    shared = limits(other=ModelSettings(max_concurrent_calls=1))

    async def nested(depth: int) -> int:
        async with shared.turn("tiny"):
            return await nested(depth - 1) if depth else 7

    assert await asyncio.wait_for(nested(50), 5) == 7
