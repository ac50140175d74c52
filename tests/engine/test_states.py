"""The state of agents in engines: across restarts, runs, homes, and kinds of agents."""

import asyncio
import sqlite3
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import time_machine

from stretto import Agent, Engine, Step, Task, Workflow, agent
from stretto.config import Settings, load_settings
from stretto.testing import FakeAgent
from tests.fakes.redis_server import RedisServer, running_redis


@agent(stateful=True)
async def count(task: Task) -> int:
    task.state["calls"] = task.state.get("calls", 0) + 1
    return int(task.state["calls"])


@agent
async def plain(task: Task) -> None: ...


FLOW = Workflow(name="w", steps=(Step(id="a", agent="count"),))


def engine(home: Path, *agents: Any, redis_url: str | None = None) -> Engine:
    settings = Settings(redis_url=redis_url)
    return Engine(agents or [count], home=home, settings=settings)


async def outputs(opened: Engine, times: int = 1, flow: Workflow = FLOW) -> list[Any]:
    return [(await opened.run(flow)).output for _ in range(times)]


async def test_the_state_is_there_in_the_next_engine_on_the_same_home(tmp_path: Path) -> None:
    for expected in ([1, 2], [3, 4]):
        async with engine(tmp_path / "one") as opened:
            assert await outputs(opened, 2) == expected
    async with engine(tmp_path / "two") as opened:
        assert await outputs(opened) == [1]


async def test_engines_on_one_home_at_the_same_time_share_the_state(tmp_path: Path) -> None:
    async with engine(tmp_path) as one, engine(tmp_path) as two:
        for expected in (1, 3):
            assert await outputs(one) + await outputs(two) == [expected, expected + 1]


async def test_no_state_is_looked_up_for_agents_that_declare_none(tmp_path: Path) -> None:
    async with engine(tmp_path, plain) as opened:
        result = await opened.run(Workflow(name="w", steps=(Step(id="a", agent="plain"),)))
    assert result.success
    assert not list(tmp_path.glob("states*"))


async def test_runs_at_the_same_time_keep_what_each_added(tmp_path: Path) -> None:
    fake = FakeAgent("count", lambda task: task.state.update({task.run_id: 1}), stateful=True)
    async with engine(tmp_path, fake) as opened:
        fake.hold()
        handles = [await opened.start(FLOW, run_id=f"r{n}") for n in range(5)]
        await fake.called(5)  # so that none began with what another saved
        fake.release()
        await asyncio.gather(*(handle.result() for handle in handles))
        assert (await opened.run(FLOW, run_id="last")).success
    assert sorted(fake.calls[-1].state) == ["last", "r0", "r1", "r2", "r3", "r4"]


async def test_a_cancelled_run_saves_nothing_and_counts_once_when_resumed(tmp_path: Path) -> None:
    fake = FakeAgent("count", lambda task: task.state.update({task.run_id: 1}), stateful=True)
    async with engine(tmp_path, fake) as opened:
        fake.hold()
        handle = await opened.start(FLOW, run_id="r")
        await fake.called()
        await handle.cancel()
        fake.release()
        assert (await opened.run(FLOW, run_id="other")).success
        assert list(fake.calls[-1].state) == ["other"]
        assert (await (await opened.resume("r")).result()).success
        assert sorted(fake.calls[-1].state) == ["other", "r"]


async def test_a_step_that_could_not_save_its_state_is_retried_when_the_store_is_mended(
    tmp_path: Path,
) -> None:
    async with engine(tmp_path) as opened:
        assert await outputs(opened) == [1]
        with closing(sqlite3.connect(tmp_path / "states.db")) as other:
            other.execute(
                "CREATE TRIGGER full BEFORE INSERT ON store BEGIN SELECT RAISE(ABORT, 'full'); END"
            )
            result = await opened.run(FLOW, run_id="r")
            assert [(e.code, "could not be saved" in e.message) for e in result.errors] == [
                ("state_unavailable", True)
            ]
            other.execute("DROP TRIGGER full")
        assert (await (await opened.retry("r")).result()).output == 2


# Other ways to register


class Cursor(Agent):
    """Moves on by ``step`` with each call."""

    stateful = True

    def __init__(self, step: int = 1) -> None:
        self.step = step

    def run(self, task: Task) -> int:
        task.state["at"] = task.state.get("at", 0) + self.step
        return int(task.state["at"])


async def test_a_class_under_several_names_keeps_a_state_for_each(tmp_path: Path) -> None:
    flows = [Workflow(name=n, steps=(Step(id="s", agent=n),)) for n in ("one", "two.b")]
    for turn in (1, 2):
        async with engine(tmp_path, plain) as opened:
            opened.register_agent("one", Cursor)
            opened.register_agent("two.b", Cursor, config={"step": 10})
            found = [(await opened.run(flow)).output for flow in flows]
            assert found == [turn, turn * 10]


MODULE = """
from stretto import Agent

class Follower(Agent):
    stateful = True
    async def run(self, task):
        task.state["calls"] = task.state.get("calls", 0) + 1
        return task.state["calls"]
"""
TOML = """
[[agents]]
name = "follower"
type = "declared_states:Follower"
"""


async def test_an_agent_that_a_file_declares_keeps_its_state(tmp_path: Path) -> None:
    (tmp_path / "declared_states.py").write_text(MODULE)
    (tmp_path / "stretto.toml").write_text(TOML)
    flow = Workflow(name="w", steps=(Step(id="a", agent="follower"),))
    for turn in (1, 2):
        settings = load_settings(tmp_path)
        async with Engine([plain], home=tmp_path / "home", settings=settings) as opened:
            assert (await opened.run(flow)).output == turn


async def test_items_of_a_map_share_the_state_of_their_agent(tmp_path: Path) -> None:
    each = {"over": "input.items", "agent": "count", "max_parallel": 1}
    flow = Workflow.from_dict(
        {"name": "w", "inputs": {"items": "list"}, "steps": [{"id": "m", "map": each}]}
    )
    async with engine(tmp_path) as opened:
        assert (await opened.run(flow, {"items": [0, 0, 0]})).output == [1, 2, 3]


async def test_an_agent_that_does_one_task_at_a_time_loses_no_change(tmp_path: Path) -> None:
    each = {"over": "input.items", "agent": "cursor"}
    flow = Workflow.from_dict(
        {"name": "w", "inputs": {"items": "list"}, "steps": [{"id": "m", "map": each}]}
    )
    async with engine(tmp_path, plain) as opened:
        opened.register_agent("cursor", Cursor, max_concurrent_tasks=1)
        output = (await opened.run(flow, {"items": [0] * 20})).output
    assert sorted(output) == list(range(1, 21))


async def test_an_output_that_comes_from_the_cache_changes_no_state(tmp_path: Path) -> None:
    flow = Workflow.from_dict({"name": "w", "steps": [{"id": "a", "agent": "count", "cache": {}}]})
    async with engine(tmp_path) as opened:
        assert await outputs(opened, 2, flow) == [1, 1]
        assert await outputs(opened) == [2]


def caching(ttl: Any) -> Workflow:
    steps = [{"id": "a", "agent": "count", "cache": {"ttl": ttl}}]
    return Workflow.from_dict({"name": "w", "steps": steps})


async def test_an_output_is_kept_as_long_as_it_is_said_to_the_fraction_of_a_second(
    tmp_path: Path,
) -> None:
    async with engine(tmp_path) as opened:
        assert await outputs(opened, 2, caching("1m")) == [1, 1]
        with time_machine.travel(time.time() + 61, tick=True):
            assert await outputs(opened, 1, caching("300ms")) == [2]
        with time_machine.travel(time.time() + 61.5, tick=True):
            assert await outputs(opened, 1, caching("300ms")) == [3]


async def test_an_output_that_is_kept_for_no_time_is_neither_kept_nor_looked_up(
    tmp_path: Path,
) -> None:
    async with engine(tmp_path) as opened:
        assert await outputs(opened, 2, caching(0)) == [1, 2]
        assert await outputs(opened, 1, caching("1m")) == [3]
        assert await outputs(opened, 1, caching(0)) == [4]
        assert await outputs(opened, 1, caching("1m")) == [3]


# Redis


@pytest.fixture
def server() -> Generator[RedisServer]:
    with running_redis() as running:
        yield running


async def test_over_redis_engines_with_homes_of_their_own_share_the_state(
    server: RedisServer, tmp_path: Path
) -> None:
    async with (
        engine(tmp_path / "one", redis_url=server.url) as one,
        engine(tmp_path / "two", redis_url=server.url) as two,
    ):
        assert await outputs(one) + await outputs(two) + await outputs(one) == [1, 2, 3]
    async with engine(tmp_path / "three", redis_url=server.url) as later:
        assert await outputs(later) == [4]
    assert not list(tmp_path.rglob("states*"))


async def test_a_redis_that_goes_away_fails_the_steps_that_need_it_until_it_is_back(
    server: RedisServer, tmp_path: Path
) -> None:
    async with engine(tmp_path, redis_url=server.url) as opened:
        server.stop()
        result = await opened.run(FLOW, run_id="r")
        assert [error.code for error in result.errors] == ["state_unavailable"]
        server.start()
        assert (await (await opened.retry("r")).result()).output == 1
