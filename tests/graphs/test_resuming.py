"""A run that was stopped goes on where it was: what had ended is saved and never repeated."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from stretto.agents.agent import FunctionAgent, Task
from stretto.graphs.spec import Workflow
from tests.graphs.running import (
    Cast,
    Event,
    Saver,
    Stage,
    Steps,
    called,
    gated,
    ok,
    open_activations,
    stopped,
)

BODY: Steps = [ok("x"), gated("y", "x"), ok("z", "y")]
INNER = Workflow.model_validate({"name": "inner", "steps": BODY})
KINDS: dict[str, Steps] = {
    "plain": BODY,
    "loop": [{"id": "c", "loop": {"steps": BODY, "until": "true", "max_iterations": 2}}],
    "branch": [{"id": "c", "branch": {"on": "'k'", "cases": {"k": {"steps": BODY}}}}],
    "map": [{"id": "c", "map": {"over": "[1]", "steps": BODY}}],
    "workflow": [{"id": "c", "workflow": "inner", "input": {}}],
    "nested": [
        {
            "id": "m",
            "map": {
                "over": "[1]",
                "steps": [
                    {"id": "c", "loop": {"steps": BODY, "until": "true", "max_iterations": 2}}
                ],
            },
        }
    ],
}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_run_that_was_stopped_goes_on_and_repeats_nothing(saver: Saver, kind: str) -> None:
    cast = Cast()
    steps = [*KINDS[kind], ok("beside")]
    stage = Stage(steps, cast, saver=saver, others=[INNER])
    first = asyncio.create_task(stage.run())
    await called(cast, "x", "y", "beside")
    await stopped(first)
    assert open_activations() == 0
    cast.gate("y").set()
    ran = await stage.go_on()
    assert ran.success
    assert {step: cast.log.count(step) for step in ("x", "y", "z", "beside")} == {
        "x": 1,
        "y": 2,
        "z": 1,
        "beside": 1,
    }
    assert open_activations() == 0


async def test_a_map_that_was_stopped_repeats_no_finished_item(saver: Saver) -> None:
    cast = Cast()

    async def work(task: Task) -> Any:
        cast.log.append(str(task.input))
        if task.input == 3:
            await cast.gate("3").wait()
        return task.input * 10

    agent = FunctionAgent(work, name="work", max_concurrent_tasks=9)
    stage = Stage(
        [{"id": "m", "map": {"over": "input.items", "agent": "work"}}], [agent], saver=saver
    )
    events: list[Event] = []
    entry = {"input": {"items": [1, 2, 3, 4]}}
    first = asyncio.create_task(stage.enter(entry, context=stage.scope(events)))
    while [event.event for event in events].count("agent_completed") < 3:
        await asyncio.sleep(0)
    await stopped(first)
    cast.gate("3").set()
    ran = await stage.go_on()
    assert ran.output == [10, 20, 30, 40]
    assert sorted(cast.log) == ["1", "2", "3", "3", "4"]


@settings(max_examples=12)
@given(st.integers(1, 12))
async def test_a_run_stopped_anywhere_repeats_no_finished_step(
    tmp_path_factory: pytest.TempPathFactory, stop_after: int
) -> None:
    cast = Cast()
    path: Path = tmp_path_factory.mktemp("stopped") / "runs.db"
    reached, hold = asyncio.Event(), asyncio.Event()

    async def work(task: Task) -> str:
        cast.log.append(task.step_id)
        if len(cast.log) == stop_after:
            reached.set()
        if len(cast.log) >= stop_after and not hold.is_set():
            await hold.wait()
        cast.ended.append(task.step_id)
        return task.step_id

    steps = [
        {"id": f"s{n}", "agent": "work", "depends_on": [f"s{n // 2}"] if n > 1 else []}
        for n in range(1, 13)
    ]
    async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
        stage = Stage(steps, [FunctionAgent(work, max_concurrent_tasks=2)], saver=saver)
        first = asyncio.create_task(stage.run())
        await reached.wait()
        while len(await pending(saver)) < len(cast.ended):
            await asyncio.sleep(0)
        await stopped(first)
        finished = list(cast.ended)
        hold.set()
        ran = await stage.go_on()
    assert ran.success
    assert sorted(cast.ended) == sorted(f"s{n}" for n in range(1, 13))
    assert all(cast.log.count(step) == 1 for step in finished)


async def pending(saver: Saver) -> set[str]:
    """Give the steps whose end is saved."""
    saved = await saver.aget_tuple({"configurable": {"thread_id": "t", "checkpoint_ns": ""}})
    writes = saved.pending_writes or [] if saved else []
    return {step for _, channel, value in writes if channel == "records" for step in value}


async def test_a_step_is_saved_before_anything_that_needs_it_starts(saver: Saver) -> None:
    seen: list[set[str]] = []

    async def look(task: Task) -> None:
        seen.append(await pending(saver))

    steps = [ok("a"), ok("b", "a"), {"id": "c", "agent": "look", "depends_on": ["b"]}]
    await Stage(steps, [*Cast(), FunctionAgent(look)], saver=saver).run()
    assert seen == [{"a", "b"}]


async def test_going_on_with_a_run_that_ended_calls_nobody(saver: Saver) -> None:
    cast = Cast()
    stage = Stage([ok("a")], cast, saver=saver)
    await stage.run()
    ran = await stage.go_on()
    assert (ran.output, cast.log) == ("a", ["a"])


async def test_a_used_thread_starts_anew_with_new_input(saver: Saver) -> None:
    cast = Cast()
    undo = {"agent": "undo", "params": {"of": "${input.n}"}}
    steps = [
        {"id": "a", "agent": "echo", "compensate": undo},
        {"id": "b", "agent": "boom", "depends_on": ["a"], "when": "input.n == 2"},
    ]
    stage = Stage(steps, cast, saver=saver)
    first = await stage.run({"n": 1})
    assert (first.success, first.statuses) == (True, {"a": "completed", "b": "skipped"})
    second = await stage.run({"n": 2})
    assert second.statuses == {"a": "completed", "b": "failed"}
    third = await stage.run({"n": 3})
    assert (third.output, third.errors) == ({}, [])
    assert third.summary.outputs == {"a": {"n": 3}}
    assert cast.log == ["a", "a", "b", "undo 2", "a"]


# What is saved


async def rows(path: Path, durable: Callable[[Stage], None]) -> list[tuple[Any, ...]]:
    """Run a workflow on a fresh database and give what was written, without what differs."""
    async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
        stage = Stage(
            [ok("a"), ok("b", "a"), ok("c", "a", when="!has(input.x)")], Cast(), saver=saver
        )
        durable(stage)
        await stage.run()
    with closing(sqlite3.connect(path)) as database:
        return database.execute(
            "select checkpoint_ns, task_id, idx, channel, type, length(value) from writes"
        ).fetchall()


async def test_saving_a_step_at_once_writes_the_rows_that_langgraph_writes(tmp_path: Path) -> None:
    def leave(stage: Stage) -> None:
        pass

    def silence(stage: Stage) -> None:
        stage.durability = "exit"  # nothing is written while the superstep runs

    at_once = await rows(tmp_path / "one.db", leave)
    assert len({row[:3] for row in at_once}) == len(at_once)
    by_task: dict[str, list[str]] = {}
    for _, task, _, channel, *_ in sorted(at_once, key=lambda row: (row[1], row[2])):
        if channel != "input" and not channel.startswith("branch:"):
            by_task.setdefault(task, []).append(channel)
    assert sorted(by_task.values()) == [["outputs", "records"]] * 3
    assert await rows(tmp_path / "two.db", silence) == []


async def test_the_rows_are_those_of_a_graph_that_saves_only_by_langgraph(tmp_path: Path) -> None:
    class State(TypedDict, total=False):
        outputs: dict[str, Any]
        records: dict[str, Any]

    async def plain(state: State) -> State:
        return {"outputs": {"a": "a"}, "records": {"a": {"status": "completed"}}}

    builder: Any = StateGraph(State)
    builder.add_node("a", plain)
    builder.add_edge(START, "a")
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "plain.db")) as saver:
        graph = builder.compile(checkpointer=saver)
        config: Any = {"configurable": {"thread_id": "t"}}
        await graph.ainvoke({}, config, durability="sync")
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "ours.db")) as saver:
        await Stage([ok("a")], Cast(), saver=saver).run()

    def shape(name: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(tmp_path / name)) as database:
            return database.execute(
                "select checkpoint_ns, idx, channel, type from writes where channel in "
                "('outputs', 'records') order by idx"
            ).fetchall()

    assert shape("ours.db") == shape("plain.db") != []


@pytest.mark.parametrize("kind", KINDS)
async def test_no_activation_outlives_its_run(kind: str) -> None:
    cast = Cast()
    cast.gate("y").set()
    await Stage(KINDS[kind], cast, others=[INNER]).run()
    assert open_activations() == 0


async def test_no_activation_outlives_a_run_that_failed_and_was_cleaned_up() -> None:
    steps = [ok("a", compensate={"agent": "undo"}), {"id": "bad", "agent": "boom"}]
    await Stage(steps, Cast(), on_failure=[ok("clean")]).run()
    assert open_activations() == 0
