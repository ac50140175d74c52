"""An engine tells how its agents have been doing, also after a restart."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from sqlalchemy import create_engine

from stretto import Engine
from stretto.agents.health import AgentRow
from stretto.engine.records import Records
from stretto.engine.tables import METADATA, VERSION_TABLE, agents
from tests.fakes.players import Players, flow, on_stage, step


async def test_metrics_tell_load_health_and_history_of_each_agent(
    engine: Engine, players: Players
) -> None:
    before = time.time()
    await engine.run(flow(step("a")))
    players.failing["b"] = 1
    await engine.run(flow(step("b")))
    figures = engine.metrics()["agents"]["player"]
    assert (figures["calls"], figures["failures"], figures["consecutive_failures"]) == (2, 1, 1)
    assert (figures["load"], figures["slots"], figures["waiting"]) == (0, 1000, 0)
    assert figures["health"] == "degraded"
    assert figures["mean_seconds"] > 0
    assert (figures["last_error"]["code"], figures["last_error"]["message"]) == (
        "told",
        "b was told to fail",
    )
    assert before <= figures["last_error"]["at"] <= figures["last_used"] <= time.time()


async def test_metrics_count_what_is_at_work_and_what_waits(
    players: Players, tmp_path: Path
) -> None:
    players.max_concurrent_tasks = 1
    async with on_stage(players, tmp_path) as engine:
        gate = players.hold("a", "b")
        handle = await engine.start(flow(step("a"), step("b")))
        while engine.metrics()["waiting_tasks"] < 1:
            await asyncio.sleep(0)
        metrics = engine.metrics()
        figures = metrics["agents"]["player"]
        assert (figures["load"], figures["slots"], figures["waiting"]) == (1, 1, 1)
        assert metrics["agent_load"] == {"player": 1}
        gate.set()
        await handle.result()


async def test_an_agent_that_is_left_alone_is_open(engine: Engine, players: Players) -> None:
    class Down(Players):
        name = "down"

        async def run(self, task: object) -> dict[str, object]:
            raise ConnectionError("down")

    engine.register(Down())
    for _ in range(5):
        await engine.run(flow({"id": "a", "agent": "down"}))
    assert engine.metrics()["agents"]["down"]["health"] == "open"
    assert engine.metrics()["agents"]["player"]["health"] == "healthy"


async def test_what_was_learned_of_agents_outlives_the_engine(
    players: Players, tmp_path: Path
) -> None:
    async with on_stage(players, tmp_path) as engine:
        await engine.run(flow(step("a"), step("b")))
        first = engine.metrics()["agents"]["player"]
    async with on_stage(players, tmp_path) as engine:
        assert engine.metrics()["agents"]["player"] == first
        await engine.run(flow(step("a")))
        assert engine.metrics()["agents"]["player"]["calls"] == 3
    (row,) = await kept(tmp_path)
    assert (row.name, row.calls, row.failures) == ("player", 3, 0)


async def kept(home: Path) -> list[AgentRow]:
    records = await Records.open(f"sqlite:///{home}/stretto.db")
    try:
        return await records.agents()
    finally:
        await records.close()


async def test_calls_of_a_cancelled_run_are_kept_when_the_engine_closes(
    players: Players, tmp_path: Path
) -> None:
    async with on_stage(players, tmp_path) as engine:
        players.hold("b")
        handle = await engine.start(flow(step("a"), step("b", "a")))
        await players.entered("b")
        await handle.cancel()
    assert [row.calls for row in await kept(tmp_path)] == [1]


async def test_two_engines_add_to_the_same_figures(players: Players, tmp_path: Path) -> None:
    async with on_stage(players, tmp_path) as one, on_stage(players, tmp_path) as two:
        for engine in (one, two, one):
            await engine.run(flow(step("a")))
    assert [row.calls for row in await kept(tmp_path)] == [3]


async def test_records_of_the_first_schema_learn_to_keep_agents(tmp_path: Path) -> None:
    path = tmp_path / "stretto.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        METADATA.create_all(connection)
        agents.drop(connection)
        connection.exec_driver_sql(
            f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
        )
        connection.exec_driver_sql(f"INSERT INTO {VERSION_TABLE} VALUES ('0001')")
    engine.dispose()
    records = await Records.open(f"sqlite:///{path}")
    row = AgentRow(name="a", calls=2, failures=1, last_error={"code": "x"}, last_used=5.0)
    await records.learn("w", {}, [row])
    await records.learn("w", {}, [AgentRow(name="a", calls=1, mean_seconds=0.5)])
    assert await records.agents() == [AgentRow(name="a", calls=3, failures=1, mean_seconds=0.5)]
    await records.close()
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute(f"SELECT * FROM {VERSION_TABLE}").fetchall() == [("0002",)]
