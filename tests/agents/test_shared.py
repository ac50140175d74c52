"""Processes share their circuit breakers through a real Redis, and do without it when it fails."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from stretto import Engine, Step, Task, Workflow, agent
from stretto.agents.breaker import Breakers
from stretto.agents.shared import FORGET_SECONDS, open_shared
from stretto.config import Settings
from stretto.errors import CircuitOpen, ConfigurationError
from stretto.graphs.causes import counts_against_agent
from tests.fakes.redis_server import RedisServer, running_redis


@pytest.fixture
def server() -> Generator[RedisServer]:
    with running_redis() as running:
        yield running


async def fail() -> None:
    raise ConnectionError("down")


async def fine() -> str:
    return "fine"


async def end_of(call: Callable[[], Awaitable[Any]], breakers: Breakers) -> Any:
    """Give the type of what it raises, or what it gives."""
    try:
        return await breakers.run("a", call)
    except Exception as error:
        return type(error)


async def test_failures_seen_by_two_add_up_and_both_are_refused(server: RedisServer) -> None:
    async with open_shared(server.url) as one, open_shared(server.url) as two:
        both = [Breakers(counts_against_agent, shared=shared) for shared in (one, two)]
        ends = [await end_of(fail, both[number % 2]) for number in range(6)]
        assert ends == [ConnectionError] * 5 + [CircuitOpen]
        assert await end_of(fine, both[0]) is CircuitOpen
        assert [breakers.state("a") for breakers in both] == ["opened", "opened"]


async def test_one_trial_for_all_and_its_success_closes_it_for_all(server: RedisServer) -> None:
    client = server.client()
    async with open_shared(server.url) as one, open_shared(server.url) as two, client:
        both = [Breakers(counts_against_agent, shared=shared) for shared in (one, two)]
        for _ in range(5):
            await end_of(fail, both[0])
        await client.delete("stretto:breaker:{a}:window")  # as if its time had passed
        begun, gate = asyncio.Event(), asyncio.Event()

        async def trial() -> str:
            begun.set()
            await gate.wait()
            return "fine"

        under_way = asyncio.create_task(both[1].run("a", trial))
        await begun.wait()
        assert await end_of(fine, both[0]) is CircuitOpen
        gate.set()
        await under_way
        assert await end_of(fine, both[0]) == "fine"
        assert [breakers.state("a") for breakers in both] == ["closed", "closed"]


async def test_nothing_stays_in_redis_for_ever(server: RedisServer) -> None:
    client = server.client()
    async with open_shared(server.url) as shared, client:
        breakers = Breakers(counts_against_agent, shared=shared)
        for _ in range(6):
            await end_of(fail, breakers)
        left = {key.decode(): await client.pttl(key) for key in await client.keys("*")}
    assert set(left) == {"stretto:breaker:{a}:failures", "stretto:breaker:{a}:window"}
    assert all(0 < ms <= FORGET_SECONDS * 1000 for ms in left.values())


async def test_when_redis_goes_away_calls_go_on_with_what_is_known_and_one_warning(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_shared(server.url) as shared:
        breakers = Breakers(counts_against_agent, shared=shared, threshold=3)
        await end_of(fail, breakers)
        server.stop()
        assert [await end_of(fail, breakers) for _ in range(3)] == [
            ConnectionError,
            ConnectionError,
            CircuitOpen,  # the first failure is still known
        ]
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    assert "circuit breakers are not shared until it is back" in caplog.text


async def test_a_redis_that_hangs_holds_up_no_call_for_long(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    assert server.process is not None
    async with open_shared(server.url) as shared:
        breakers = Breakers(counts_against_agent, shared=shared)
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(10):
                assert [await end_of(fine, breakers) for _ in range(100)] == ["fine"] * 100
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://user:secret@127.0.0.1:1/0", r"Redis at redis://127\.0\.0\.1:1/0 cannot be used"),
        ("unix:///nowhere/redis.sock?password=secret", "Redis at unix:///nowhere/redis.sock"),
        ("http://:secret@example.org", "REDIS_URL is no address of a Redis"),
    ],
)
async def test_a_redis_that_cannot_be_used_is_named_without_its_password(
    url: str, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        async with open_shared(url):
            pass
    assert "secret" not in str(refused.value)


def test_a_missing_package_is_named_with_the_way_to_get_it() -> None:
    code = (
        "import asyncio, sys; sys.modules['redis'] = sys.modules['redis.asyncio'] = None\n"
        "from stretto.agents.shared import open_shared\n"
        "async def main():\n"
        "    async with open_shared('redis://h'): pass\n"
        "try: asyncio.run(main())\n"
        "except Exception as error: print(error.code, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("configuration REDIS_URL is set, but the package 'redis' is miss")
    assert "stretto[redis]" in done.stdout


@agent
async def down(task: Task) -> None:
    raise ConnectionError("down")


FLOW = Workflow(name="w", steps=(Step(id="a", agent="down"),))


def engine(server: RedisServer, home: Path, **more: Any) -> Engine:
    settings = Settings(redis_url=server.url, **more)
    return Engine([down], home=home, database=f"sqlite:///{home}/stretto.db", settings=settings)


async def test_engines_with_one_redis_share_their_breakers(
    server: RedisServer, tmp_path: Path
) -> None:
    async with (
        engine(server, tmp_path / "one", breaker_threshold=2) as one,
        engine(server, tmp_path / "two", breaker_threshold=2) as two,
    ):
        codes = [(await each.run(FLOW)).errors[0].code for each in (one, two, one, two)]
        assert codes == ["agent_failed", "agent_failed", "circuit_open", "circuit_open"]
        assert one.metrics()["breakers"] == {"down": "opened"}


async def test_an_engine_does_not_open_without_the_redis_that_is_configured(
    tmp_path: Path,
) -> None:
    settings = Settings(redis_url="redis://:secret@127.0.0.1:1/3")
    with pytest.raises(ConfigurationError, match="127.0.0.1:1/3 cannot be used"):
        async with Engine([down], home=tmp_path, settings=settings):
            pass


async def test_settings_say_when_a_breaker_opens(tmp_path: Path) -> None:
    settings = Settings(breaker_threshold=1, breaker_reset=0.001)
    async with Engine([down], home=tmp_path, settings=settings) as opened:
        await opened.run(FLOW)
        while opened.metrics()["breakers"]["down"] == "opened":
            await asyncio.sleep(0)
        result = await opened.run(FLOW)
    assert [error.code for error in result.errors] == ["agent_failed"]
