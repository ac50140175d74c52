"""What keeps failing is left alone for a while; mistakes of the caller do not count."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from stretto.agents.agent import FunctionAgent, Task
from stretto.agents.breaker import Breakers
from stretto.agents.shared import open_shared
from stretto.errors import CircuitOpen
from stretto.graphs.causes import counts_against_agent
from tests.fakes.redis_server import running_redis
from tests.graphs.running import Stage

RESET = 13.0


@dataclass
class Place:
    """Breakers, and the time that holds for them."""

    breakers: Breakers
    now: list[float] = field(default_factory=lambda: [1000.0])
    passed: Callable[[], Awaitable[Any]] | None = None
    """Ends the waits that are kept elsewhere, once all of their time has passed."""

    async def wait(self, seconds: float) -> None:
        self.now[0] += seconds
        if self.passed is not None and seconds >= RESET:
            await self.passed()

    async def call(self, error: BaseException | None = None, key: str = "a") -> str:
        async def end() -> str:
            if error is not None:
                raise error
            return "fine"

        return await self.breakers.run(key, end)

    async def fail(self, times: int = 5) -> None:
        for _ in range(times):
            with pytest.raises(ConnectionError):
                await self.call(ConnectionError("down"))

    async def refused(self) -> CircuitOpen:
        with pytest.raises(CircuitOpen) as refused:
            await self.call()
        return refused.value

    async def held(self) -> "asyncio.Task[str]":
        """Make a call that has begun and goes on until it is cancelled."""
        begun = asyncio.Event()

        async def hang() -> str:
            begun.set()
            await asyncio.Event().wait()
            return "never"

        task = asyncio.create_task(self.breakers.run("a", hang))
        await begun.wait()
        return task


@pytest.fixture(params=["here", "in Redis"])
async def place(request: pytest.FixtureRequest) -> AsyncGenerator[Place]:
    """Give breakers of one process, and the same that share their state in a real Redis."""
    now = [1000.0]
    if request.param == "here":
        yield Place(Breakers(counts_against_agent, clock=lambda: now[0]), now)
        return
    with running_redis() as server:
        client = server.client()

        async def passed() -> None:
            await client.delete("stretto:breaker:{a}:window")

        async with open_shared(server.url) as shared, client:
            yield Place(
                Breakers(counts_against_agent, shared=shared, clock=lambda: now[0]), now, passed
            )


async def test_five_failures_in_a_row_open_it(place: Place) -> None:
    await place.fail(4)
    assert place.breakers.state("a") == "closed"
    await place.fail(1)
    assert place.breakers.state("a") == "opened"
    assert place.breakers.refuses("a")
    refusal = await place.refused()
    assert str(refusal).startswith("agent 'a' failed too often lately and is not called for 13 s")
    assert refusal.retryable
    assert refusal.retry_after == pytest.approx(RESET, abs=1.0)


async def test_a_success_in_between_starts_the_count_again(place: Place) -> None:
    await place.fail(4)
    assert await place.call() == "fine"
    await place.fail(4)
    assert place.breakers.state("a") == "closed"


MISTAKES = [ValueError("x"), TypeError("x"), KeyError("x"), asyncio.CancelledError()]


@pytest.mark.parametrize("error", MISTAKES, ids=lambda e: type(e).__name__)
async def test_what_is_not_the_agents_fault_is_neither_failure_nor_success(
    place: Place, error: BaseException
) -> None:
    await place.fail(4)
    for _ in range(20):
        with pytest.raises(type(error)):
            await place.call(error)
    assert place.breakers.state("a") == "closed"
    await place.fail(1)
    assert place.breakers.state("a") == "opened"


async def test_other_agents_are_not_affected(place: Place) -> None:
    await place.fail()
    assert await place.call(key="b") == "fine"
    assert (place.breakers.state("b"), place.breakers.state("never called")) == ("closed", "closed")
    assert place.breakers.states() == {"a": "opened", "b": "closed"}


async def test_a_trial_that_succeeds_closes_it(place: Place) -> None:
    await place.fail()
    await place.wait(RESET)
    assert place.breakers.state("a") == "half-opened"
    assert not place.breakers.refuses("a")
    assert await place.call() == "fine"
    assert place.breakers.state("a") == "closed"
    await place.fail(4)
    assert place.breakers.state("a") == "closed"


async def test_a_trial_that_fails_opens_it_for_as_long_again(place: Place) -> None:
    await place.fail()
    await place.wait(RESET)
    await place.fail(1)
    assert place.breakers.state("a") == "opened"
    await place.wait(RESET - 1)
    await place.refused()


async def test_only_one_trial_is_let_through_at_a_time(place: Place) -> None:
    await place.fail()
    await place.wait(RESET)
    trial = await place.held()
    ends = await asyncio.gather(*(place.call() for _ in range(20)), return_exceptions=True)
    assert [type(end) for end in ends] == [CircuitOpen] * 20
    trial.cancel()
    await asyncio.wait([trial])


async def test_of_many_calls_that_come_together_one_is_the_trial(place: Place) -> None:
    await place.fail()
    await place.wait(RESET)
    gate, calls = asyncio.Event(), list[int]()

    async def call(number: int) -> None:
        calls.append(number)
        await gate.wait()

    many = [asyncio.create_task(place.breakers.run("a", partial(call, n))) for n in range(20)]
    refused: set[Any] = set()
    while len(refused) < 19:
        refused, _ = await asyncio.wait(many, timeout=0.01)
    gate.set()
    await asyncio.wait(many)
    assert len(calls) == 1
    assert sum(isinstance(task.exception(), CircuitOpen) for task in many) == 19


async def test_a_cancelled_trial_makes_room_for_the_next(place: Place) -> None:
    await place.fail()
    await place.wait(RESET)
    trial = await place.held()
    trial.cancel()
    await asyncio.wait([trial])
    assert await place.call() == "fine"
    assert place.breakers.state("a") == "closed"


async def test_a_trial_that_ends_by_a_mistake_of_the_caller_makes_room_for_the_next(
    place: Place,
) -> None:
    await place.fail()
    await place.wait(RESET)
    with pytest.raises(ValueError, match="mine"):
        await place.call(ValueError("mine"))
    assert place.breakers.state("a") == "half-opened"
    assert await place.call() == "fine"


async def test_a_trial_that_hangs_does_not_keep_others_from_trying(place: Place) -> None:
    await place.fail()
    await place.wait(RESET)
    trial = await place.held()
    await place.wait(RESET)
    assert await place.call() == "fine"
    assert place.breakers.state("a") == "closed"
    trial.cancel()
    await asyncio.wait([trial])
    assert place.breakers.state("a") == "closed"


async def test_calls_from_before_it_opened_say_nothing_new(place: Place) -> None:
    begun, end = asyncio.Semaphore(0), asyncio.Event()

    async def early(error: Exception | None) -> None:
        begun.release()
        await end.wait()
        if error is not None:
            raise error

    errors = (None, ConnectionError("down"))
    calls = [asyncio.create_task(place.breakers.run("a", partial(early, e))) for e in errors]
    for _ in errors:
        await begun.acquire()
    await place.fail()
    before = place.breakers.states()
    end.set()
    await asyncio.wait(calls)
    assert (place.breakers.states(), before) == ({"a": "opened"}, {"a": "opened"})
    await place.refused()
    await place.wait(RESET)
    assert await place.call() == "fine"


async def test_an_outage_of_a_minute_costs_few_calls_and_ends_soon_after_the_repair() -> None:
    now = [0.0]
    breakers = Breakers(counts_against_agent, clock=lambda: now[0])
    calls: list[float] = []

    async def call() -> str:
        calls.append(now[0])
        if now[0] < 60:
            raise ConnectionError("down")
        return "fine"

    for request in range(20 * 80):
        now[0] = request / 20
        try:
            await breakers.run("a", call)
        except (ConnectionError, CircuitOpen):
            continue
    during = [at for at in calls if at < 60]
    assert len(during) <= 10
    assert min(at for at in calls if at >= 60) <= 75
    assert breakers.state("a") == "closed"
    assert sum(at >= 75 for at in calls) == 100


async def test_a_refusal_names_agent_model_and_endpoint() -> None:
    place = Place(Breakers(counts_against_agent, threshold=1))
    with pytest.raises(ConnectionError):
        await place.call(ConnectionError("down"), "writer|gpt|api.example.org")
    with pytest.raises(CircuitOpen, match="agent 'writer' with gpt at api.example.org failed"):
        await place.call(key="writer|gpt|api.example.org")


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


async def test_a_host_that_is_down_leaves_the_http_steps_to_other_hosts_alone() -> None:
    hosts = ["127.0.0.1:1"] * 6 + ["127.0.0.1:2"]
    steps = [
        {
            "id": f"s{n}",
            "http": {"url": f"http://{host}/", "allow_private": True},
            "on_error": "continue",
        }
        for n, host in enumerate(hosts)
    ]
    ran = await Stage(steps, [], mode="sequential").run()
    codes = [code for _, code in ran.errors]
    assert codes[5] == "circuit_open"
    assert "circuit_open" not in (*codes[:5], codes[6])
    assert "agent 'http 127.0.0.1:1' failed" in ran.summary.errors[5].message
