import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from stretto import Engine, RunHandle, Task, Workflow, agent
from stretto.config import Settings
from stretto.engine.records import RunRow
from stretto.errors import (
    ConfigurationError,
    InputInvalid,
    RunConflict,
    RunNotFound,
    WorkflowInvalid,
)
from stretto.graphs.loading import load_document
from tests.fakes.openai_server import openai_server
from tests.fakes.players import CHAIN, Players, collect, flow, on_stage, step, told


def alter(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement)


async def ids(engine: Engine, **filters: Any) -> list[str]:
    return [row.run_id for row in await engine.runs(**filters)]


async def row_of(engine: Engine, run_id: str) -> RunRow:
    return next(row for row in await engine.runs() if row.run_id == run_id)


async def test_a_run_gives_its_output_and_everything_behind_it(
    engine: Engine, players: Players
) -> None:
    named = flow(step("a", output_to="first"), step("b", "a"), output={"text": "${b.path}"})
    result = await engine.run(named)
    assert (result.success, result.status, result.output) == (True, "completed", {"text": "b"})
    assert result.outputs == {
        "a": {"path": "a", "call": 1},
        "first": {"path": "a", "call": 1},
        "b": {"path": "b", "call": 1},
    }
    assert (result.workflow, result.version, result.errors) == ("play", "1.0.0", ())
    assert 0 < result.duration_seconds < 10


async def test_agents_see_the_context_of_the_workflow_with_the_callers_merged_over_it(
    engine: Engine, players: Players
) -> None:
    given = flow(step("a"), context={"x": 1, "y": 1})
    await engine.run(given, context={"y": 2}, run_id="mine", session_id="s")
    (task,) = players.tasks
    assert (dict(task.context), task.run_id) == ({"x": 1, "y": 2}, "mine")
    assert (await row_of(engine, "mine")).session_id == "s"


async def test_a_stream_tells_what_happens_in_order(engine: Engine) -> None:
    streamed = flow(step("a", params={"tokens": ["x", "y"]}), step("b", "a"))
    events = await collect(engine.stream(streamed))
    assert told(events) == [
        ("workflow_started", None),
        ("agent_started", "a"),
        ("agent_stream", "a"),
        ("agent_stream", "a"),
        ("agent_completed", "a"),
        ("agent_started", "b"),
        ("agent_completed", "b"),
        ("workflow_completed", None),
    ]
    assert [event.seq for event in events] == list(range(1, 9))
    assert events[0].data == {
        "workflow": "play",
        "name": "play",
        "version": "1.0.0",
        "attempt": 1,
    }
    assert [event.data["content"] for event in events[2:4]] == ["x", "y"]
    final = events[-1].data["final_output"]
    assert (final["success_rate"], final["output"]) == (1.0, {"path": "b", "call": 1})


async def test_the_success_rate_counts_each_step_once(engine: Engine, players: Players) -> None:
    players.failing["b"] = 1
    named = flow(step("a", output_to="again"), step("b", on_error="continue"))
    events = await collect(engine.stream(named))
    assert events[-1].data["final_output"]["success_rate"] == 0.5


async def test_a_handle_knows_its_run_at_work_and_after_it(
    engine: Engine, players: Players
) -> None:
    go_on = players.hold("b")
    handle = await engine.start(CHAIN)
    await players.entered("b")
    status = await handle.status()
    assert (status.run_id, status.state, status.current_steps) == (handle.id, "running", ("b",))
    assert [s.state for s in status.steps] == ["completed", "running", "pending"]
    assert status.total_execution_time > 0
    go_on.set()
    assert (await handle.result()).success
    after = await (await engine.get(handle.id)).status()
    assert (after.state, after.progress) == ("completed", 1.0)
    assert repr(handle) == f"RunHandle({handle.id!r})"


async def test_a_failed_run_keeps_what_did_finish(engine: Engine, players: Players) -> None:
    players.failing["b"] = 1
    result = await engine.run(CHAIN)
    assert (result.status, result.output) == ("failed", None)
    assert list(result.outputs) == ["a"]
    (error,) = result.errors
    assert (error.step, error.code, error.attempts) == ("b", "told", 1)
    assert (await row_of(engine, result.run_id)).error == error.to_dict()


async def test_a_second_engine_reads_what_the_first_one_left(
    players: Players, tmp_path: Path
) -> None:
    async with on_stage(players, tmp_path) as first:
        done = await first.run(flow(step("a", params={"costs": 2}), step("b", "a")))
        players.failing["b"] = 1
        failed = await first.run(CHAIN)
    async with on_stage(Players(), tmp_path) as second:
        for result in (done, failed):
            again = (await second.result(result.run_id)).to_dict()
            expected = result.to_dict()
            assert again.pop("duration_seconds") == pytest.approx(
                expected.pop("duration_seconds"), abs=0.25
            )
            assert again == expected
        assert await ids(second, state="failed") == [failed.run_id]


async def test_what_model_calls_cost_adds_up_over_all_entries_into_a_run(
    engine: Engine, players: Players
) -> None:
    costly = flow(step("a", params={"costs": 2}), step("b", "a", params={"costs": 3}))
    players.failing["b"] = 1
    failed = await engine.run(costly)
    assert (failed.usage["calls"], failed.usage["tokens"]) == (2, 20)
    done = await (await engine.retry(failed.run_id)).result()
    assert (done.usage["calls"], done.usage["tokens"]) == (5, 50)
    assert (await engine.result(done.run_id)).usage == done.usage


async def test_a_cancelled_run_keeps_what_it_has_cost(engine: Engine, players: Players) -> None:
    players.hold("b")
    handle = await engine.start(flow(step("a", params={"costs": 2}), step("b", "a")))
    await players.entered("b")
    await handle.cancel()
    assert (await handle.result()).usage["calls"] == 2


async def test_logs_are_lines_for_people(engine: Engine, players: Players) -> None:
    players.failing["b"] = 1
    run_id = (await engine.run(CHAIN)).run_id
    lines = [(line.level, line.step, line.message) for line in await engine.logs(run_id)]
    assert lines[0] == ("INFO", None, "started play 1.0.0")
    assert lines[1] == ("INFO", "a", "started with player, attempt 1")
    assert ("ERROR", "b", "failed after 1 attempts: b was told to fail") in lines
    assert lines[-1] == ("ERROR", None, "failed")


async def test_runs_are_listed_by_workflow_and_state(engine: Engine, players: Players) -> None:
    other = Workflow.from_dict({"name": "Other Play", "steps": [step("a")]})
    first = (await engine.run(CHAIN)).run_id
    second = (await engine.run(other)).run_id
    players.failing["a"] = 1
    third = (await engine.run(other)).run_id
    assert await ids(engine) == [third, second, first]
    assert await ids(engine, limit=1) == [third]
    assert await ids(engine, workflow="other_play") == [third, second]
    assert await ids(engine, workflow="other_play", state="completed") == [second]


async def test_metrics_count_what_runs_and_what_has_ended(players: Players, tmp_path: Path) -> None:
    async with on_stage(players, tmp_path, max_concurrent_workflows=1) as engine:
        go_on = players.hold("a")
        handles = [await engine.start(CHAIN) for _ in range(3)]
        await players.entered("a")
        metrics = engine.metrics()
        assert (metrics["active_workflows"], metrics["queued_workflows"]) == (1, 2)
        assert metrics["agent_load"] == {"player": 1}
        assert metrics["breakers"] == {"player": "closed"}
        go_on.set()
        for handle in handles:
            await handle.result()
        assert engine.metrics()["ended_workflows"] == {"completed": 3}


CALLS: dict[str, Callable[[Engine], Awaitable[Any]]] = {
    "get": lambda engine: engine.get("x"),
    "status": lambda engine: engine.status("x"),
    "result": lambda engine: engine.result("x"),
    "logs": lambda engine: engine.logs("x"),
    "cancel": lambda engine: engine.cancel("x"),
    "resume": lambda engine: engine.resume("x"),
    "retry": lambda engine: engine.retry("x"),
    "events": lambda engine: collect(engine.events("x")),
}


@pytest.mark.parametrize("name", CALLS)
async def test_an_unknown_run_is_not_found(name: str, engine: Engine) -> None:
    with pytest.raises(RunNotFound, match="no run has the id 'x'"):
        await CALLS[name](engine)


async def test_an_engine_that_is_not_open_says_so(players: Players, tmp_path: Path) -> None:
    closed = Engine([players], home=tmp_path)
    with pytest.raises(ConfigurationError, match="open the engine first"):
        await closed.run(CHAIN)
    async with on_stage(players, tmp_path) as engine:
        with pytest.raises(ConfigurationError, match="open already"):
            await engine.__aenter__()
    with pytest.raises(ConfigurationError, match="open the engine first"):
        engine.metrics()


async def test_an_engine_can_be_opened_again(players: Players, tmp_path: Path) -> None:
    engine = Engine([players], home=tmp_path, database=f"sqlite:///{tmp_path / 'stretto.db'}")
    for _ in range(2):
        async with engine:
            assert (await engine.run(CHAIN)).success
    async with engine:
        assert len(await engine.runs()) == 2


async def test_leaving_an_engine_cancels_its_runs_so_that_they_can_go_on(
    players: Players, tmp_path: Path
) -> None:
    players.hold("b")
    async with on_stage(players, tmp_path) as engine:
        handle = await engine.start(CHAIN)
        await players.entered("b")
        not_begun = await engine.start(CHAIN)
    players.held.clear()
    async with on_stage(players, tmp_path) as engine:
        assert (await engine.result(handle.id)).status == "cancelled"
        assert (await engine.result(not_begun.id)).status == "cancelled"
        players.calls.clear()
        assert (await (await engine.resume(handle.id)).result()).success
        assert players.calls == ["b", "c"]
        assert (await (await engine.resume(not_begun.id)).result()).success


async def test_the_same_id_and_input_is_the_same_run(engine: Engine, players: Players) -> None:
    first = await engine.run(CHAIN, {"x": (1, 2)}, run_id="order/7")
    second = await engine.run(CHAIN, {"x": (1, 2)}, run_id="order/7")
    assert (first.run_id, second.run_id) == ("order/7", "order/7")
    assert first.outputs == second.outputs
    assert players.calls == ["a", "b", "c"]


@pytest.mark.parametrize("given", [{"name": "x", "steps": []}, None, 5, Workflow])
async def test_what_is_no_workflow_is_refused_with_what_would_be(
    given: Any, engine: Engine
) -> None:
    with pytest.raises(InputInvalid, match=r"a Workflow or the name .* Workflow\.from_dict"):
        await engine.run(given)


@pytest.mark.parametrize(("workflow", "given"), [(CHAIN, {"x": 2}), (flow(step("a")), {"x": 1})])
async def test_the_same_id_for_something_else_is_refused(
    workflow: Workflow, given: dict[str, Any], engine: Engine
) -> None:
    await engine.run(CHAIN, {"x": 1}, run_id="mine")
    with pytest.raises(RunConflict, match="'mine' of another workflow or input"):
        await engine.start(workflow, given, run_id="mine")


async def test_twenty_starts_of_one_id_at_once_are_one_run(
    engine: Engine, players: Players
) -> None:
    handles = await asyncio.gather(*(engine.start(CHAIN, run_id="one") for _ in range(20)))
    results = await asyncio.gather(*(handle.result() for handle in handles))
    assert {r.run_id for r in results} == {"one"}
    assert all(r.success for r in results)
    assert players.calls == ["a", "b", "c"]
    assert await ids(engine) == ["one"]


async def test_two_engines_that_start_one_id_share_one_run(
    players: Players, tmp_path: Path
) -> None:
    async with on_stage(players, tmp_path) as first, on_stage(players, tmp_path) as second:
        go_on = players.hold("b")
        one = await first.start(CHAIN, run_id="one")
        await players.entered("b")
        other = await second.start(CHAIN, run_id="one")
        go_on.set()
        results = await asyncio.gather(one.result(), other.result())
        assert results[0].outputs == results[1].outputs
        assert told(await collect(one.events())) == told(await collect(other.events()))
    assert players.calls == ["a", "b", "c"]


async def test_a_run_whose_starter_is_cancelled_is_begun_or_unknown(engine: Engine) -> None:
    begun = 0
    for turns in range(60):
        starting = asyncio.create_task(engine.start(CHAIN, run_id=f"run{turns}"))
        for _ in range(turns):
            await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait([starting])
        if f"run{turns}" in await ids(engine):
            begun += starting.cancelled()
            assert (await engine.result(f"run{turns}")).success
    assert begun > 0


async def test_ids_that_look_alike_are_runs_of_their_own(engine: Engine, players: Players) -> None:
    go_on = players.hold("a")
    handles = [await engine.start(CHAIN, run_id=id) for id in ("x/1", "x_1", "X_1")]
    go_on.set()
    assert [(await handle.result()).status for handle in handles] == ["completed"] * 3


async def test_a_run_goes_on_with_the_workflow_it_began_with(
    players: Players, tmp_path: Path
) -> None:
    changed = flow(step("a"), step("z", "a"))
    players.hold("b")
    async with on_stage(players, tmp_path) as engine:
        engine.add_workflow(CHAIN)
        handle = await engine.start("play")
        await players.entered("b")
        engine.add_workflow(changed)
        assert (await engine.run("play")).outputs.keys() == {"a", "z"}
    players.held.clear()
    async with on_stage(players, tmp_path) as engine:
        engine.add_workflow(changed)
        result = await (await engine.resume(handle.id)).result()
        assert result.outputs.keys() == {"a", "b", "c"}


ASKS: dict[str, Any] = {"id": "ok", "depends_on": ["a"], "approval": {"message": "?"}}
INNERMOST = flow(step("a"), ASKS, step("b", "ok"), name="innermost")
CHANGED = {
    "step added": flow(step("a"), ASKS, step("new"), step("b", "ok", "new"), name="innermost"),
    "step removed": flow(step("a"), ASKS, name="innermost"),
    "step changed": flow(step("a"), ASKS, step("b", "ok", agent="nobody"), name="innermost"),
}


def using(reference: str, name: str, **more: Any) -> Workflow:
    steps = [{"id": "s", "workflow": reference}]
    return load_document({"name": name, "steps": steps, **more}, workflows={"inner", "innermost"})


OUTER = using("inner", "outer")


@pytest.mark.parametrize("change", [*CHANGED, "not there"])
async def test_a_run_goes_on_with_the_workflows_it_used_when_it_began(
    change: str, players: Players, tmp_path: Path
) -> None:
    async with on_stage(players, tmp_path) as engine:
        engine.add_workflow(INNERMOST)
        engine.add_workflow(using("innermost", "inner"))
        assert (await engine.run(OUTER, run_id="r")).status == "waiting"
    async with on_stage(players, tmp_path) as engine:
        if change in CHANGED:
            engine.add_workflow(CHANGED[change])
            engine.add_workflow(using("innermost", "inner"))
        result = await (await engine.resume("r", "approve")).result()
        assert (result.success, players.calls) == (True, ["s/s/a", "s/s/b"])
        assert (await engine.status("r")).state == "completed"


async def test_a_run_falls_back_on_the_workflow_there_was_when_it_began(
    players: Players, tmp_path: Path
) -> None:
    spare, changed = (flow(step(name), name="innermost") for name in ("spare", "changed"))
    ask: dict[str, Any] = {"id": "ok", "approval": {"message": "?"}}
    declared: dict[str, Any] = {"name": "outer", "steps": [ask, step("a", "ok")]}
    declared["fallback_workflow"] = "innermost"
    outer = load_document(declared, workflows={"innermost"})
    players.failing["a"] = 1
    async with on_stage(players, tmp_path) as engine:
        engine.add_workflow(spare)
        assert (await engine.run(outer, run_id="r")).status == "waiting"
        engine.add_workflow(changed)
        result = await (await engine.resume("r", "approve")).result()
    assert (result.success, players.calls) == (True, ["a", "fallback/spare"])


async def test_the_same_id_is_the_same_run_also_when_what_it_uses_has_changed(
    players: Players, tmp_path: Path
) -> None:
    async with on_stage(players, tmp_path) as engine:
        engine.add_workflow(using("innermost", "inner"))
        engine.add_workflow(INNERMOST)
        assert (await engine.run(OUTER, run_id="r")).status == "waiting"
        engine.add_workflow(CHANGED["step removed"])
        assert (await engine.run(OUTER, run_id="r")).status == "waiting"
        with pytest.raises(RunConflict):
            await engine.start(using("innermost", "outer"), run_id="r")
        assert (await engine.run(OUTER, run_id="other")).status == "waiting"
    assert players.calls == ["s/s/a", "s/s/a"]


async def test_a_run_recorded_without_the_workflows_it_uses_goes_on_with_those_there_are(
    players: Players, tmp_path: Path
) -> None:
    async with on_stage(players, tmp_path) as engine:
        engine.add_workflow(INNERMOST)
        engine.add_workflow(using("innermost", "inner"))
        assert (await engine.run(OUTER, run_id="r")).status == "waiting"
    # As it is in databases from before they were kept.
    database = tmp_path / "stretto.db"
    alter(database, f"UPDATE runs SET digest = '{OUTER.digest}'")
    alter(database, f"DELETE FROM workflows WHERE digest != '{OUTER.digest}'")
    async with on_stage(players, tmp_path) as engine:
        engine.add_workflow(INNERMOST)
        engine.add_workflow(using("innermost", "inner"))
        assert (await engine.run(OUTER, run_id="r")).status == "waiting"
        result = await (await engine.resume("r", "approve")).result()
        assert (result.success, players.calls) == (True, ["s/s/a", "s/s/b"])


@pytest.mark.parametrize(
    ("workflow", "options", "error"),
    [
        (flow(step("a", agent="nobody")), {}, WorkflowInvalid),
        ("nothing_like_it", {}, WorkflowInvalid),
        (flow(step("a"), inputs={"x": "integer"}), {"input": {"x": "no"}}, InputInvalid),
        (CHAIN, {"input": "text"}, InputInvalid),
        (CHAIN, {"input": {"x": {1, 2}}}, InputInvalid),
        (CHAIN, {"context": {"x": object()}}, InputInvalid),
        (CHAIN, {"priority": "urgent"}, InputInvalid),
        (CHAIN, {"run_id": ""}, InputInvalid),
        (CHAIN, {"run_id": "x" * 201}, InputInvalid),
        (CHAIN, {"run_id": 5}, InputInvalid),
        (CHAIN, {"run_id": "\udcff"}, InputInvalid),
        (CHAIN, {"session_id": 5}, InputInvalid),
        (CHAIN, {"session_id": "\udcff"}, InputInvalid),
    ],
)
async def test_what_is_invalid_starts_nothing(
    workflow: Workflow | str,
    options: dict[str, Any],
    error: type[Exception],
    engine: Engine,
    players: Players,
) -> None:
    with pytest.raises(error):
        await engine.start(workflow, **options)
    assert await engine.runs() == []
    assert (players.calls, engine.metrics()["active_workflows"]) == ([], 0)


async def test_waiting_runs_are_admitted_by_priority(players: Players, tmp_path: Path) -> None:
    async with on_stage(players, tmp_path, max_concurrent_workflows=1) as engine:
        go_on = players.hold("a")
        first = await engine.start(CHAIN)
        await players.entered("a")
        handles = [first]
        for priority in ("low", "background", "medium", "critical", "medium", "high"):
            run_id = f"{priority}-{len(handles)}"
            handles.append(await engine.start(CHAIN, run_id=run_id, priority=priority))
        status = await handles[-1].status()
        assert (status.state, status.run_id) == ("queued", "high-6")
        go_on.set()
        for handle in handles:
            await handle.result()
    order = list(dict.fromkeys(task.run_id for task in players.tasks))
    assert order[1:] == ["critical-4", "high-6", "medium-3", "medium-5", "low-1", "background-2"]


async def test_a_run_that_takes_too_long_fails(engine: Engine, players: Players) -> None:
    players.hold("b")
    result = await engine.run(flow(step("a"), step("b", "a"), timeout=0.5))
    assert (result.status, list(result.outputs)) == ("failed", ["a"])
    assert [(e.step, e.code) for e in result.errors] == [("b", "run_timed_out")]
    assert 0.45 < result.duration_seconds < 5


async def test_a_step_that_takes_too_long_is_told_apart_from_the_run(
    engine: Engine, players: Players
) -> None:
    players.hold("a")
    result = await engine.run(flow(step("a", timeout=0.05), timeout=60))
    assert [(e.step, e.code) for e in result.errors] == [("a", "step_timed_out")]


async def test_the_status_of_a_run_that_was_undone_lists_its_own_steps_only(
    engine: Engine, players: Players
) -> None:
    players.failing["b"] = 1
    undo = {"agent": "player", "action": "undo", "params": {"of": "a"}}
    result = await engine.run(flow(step("a", compensate=undo), step("b", "a")))
    assert players.undone == ["a"]
    status = await engine.status(result.run_id)
    assert [(s.id, s.state) for s in status.steps] == [("a", "completed"), ("b", "failed")]
    told_of = {event.step for event in await collect(engine.events(result.run_id))}
    assert told_of == {None, "a", "b"}


async def test_a_run_that_waits_has_no_errors_though_its_output_cannot_be_made_yet(
    engine: Engine,
) -> None:
    asking = flow({"id": "ask", "approval": {"message": "?"}}, output={"x": "${ask.choice}"})
    waiting = await engine.run(asking)
    for result in (waiting, await engine.result(waiting.run_id)):
        assert (result.status, result.output, result.errors) == ("waiting", None, ())
    (row,) = await engine.runs()
    assert row.error is None
    await engine.cancel(waiting.run_id)
    assert (await engine.result(waiting.run_id)).errors == ()
    await (await engine.resume(waiting.run_id)).result()
    done = await (await engine.resume(waiting.run_id, "approve")).result()
    assert done.output == {"x": "approve"}


async def test_a_cancelled_run_goes_on_where_it_was(engine: Engine, players: Players) -> None:
    players.hold("b")
    handle = await engine.start(CHAIN)
    await players.entered("b")
    await handle.cancel()
    cancelled = await handle.result()
    assert (cancelled.status, list(cancelled.outputs)) == ("cancelled", ["a"])
    status = await handle.status()
    assert (status.state, [s.state for s in status.steps]) == (
        "cancelled",
        ["completed", "not_run", "not_run"],
    )
    players.held.clear()
    result = await (await engine.resume(handle.id)).result()
    assert (result.success, players.calls) == (True, ["a", "b", "b", "c"])
    assert result.duration_seconds > cancelled.duration_seconds
    assert told(await collect(handle.events()))[4:] == [
        ("workflow_cancelled", None),
        ("workflow_resumed", None),
        ("agent_started", "b"),
        ("agent_completed", "b"),
        ("agent_started", "c"),
        ("agent_completed", "c"),
        ("workflow_completed", None),
    ]


async def test_a_run_can_be_cancelled_the_moment_it_was_started(engine: Engine) -> None:
    handle = await engine.start(CHAIN)
    await handle.cancel()
    assert (await handle.result()).status == "cancelled"
    assert told(await collect(handle.events())) == [("workflow_cancelled", None)]
    assert (await (await engine.resume(handle.id)).result()).success


async def test_a_run_that_waits_to_be_admitted_can_be_cancelled(
    players: Players, tmp_path: Path
) -> None:
    async with on_stage(players, tmp_path, max_concurrent_workflows=1) as engine:
        go_on = players.hold("a")
        first, second = await engine.start(CHAIN), await engine.start(CHAIN)
        await players.entered("a")
        await second.cancel()
        result = await second.result()
        assert (result.status, result.duration_seconds) == ("cancelled", 0.0)
        assert engine.metrics()["queued_workflows"] == 0
        go_on.set()
        assert (await first.result()).success
        assert players.calls == ["a", "b", "c"]


async def test_many_cancels_at_once_record_one_end(engine: Engine, players: Players) -> None:
    players.hold("b")
    handle = await engine.start(CHAIN)
    await players.entered("b")
    await asyncio.gather(*(handle.cancel() for _ in range(5)))
    events = told(await collect(handle.events()))
    assert events.count(("workflow_cancelled", None)) == 1
    assert (await row_of(engine, handle.id)).state == "cancelled"


async def test_a_run_that_has_ended_cannot_be_cancelled(engine: Engine) -> None:
    run_id = (await engine.run(CHAIN)).run_id
    with pytest.raises(RunConflict, match=f"{run_id} has ended: completed"):
        await engine.cancel(run_id)


async def test_a_cancel_that_comes_with_the_last_event_changes_nothing(engine: Engine) -> None:
    handle = await engine.start(CHAIN)
    async for event in handle.events():
        if event.event == "workflow_completed":
            with pytest.raises(RunConflict, match="has ended: completed"):
                await handle.cancel()
    assert (await handle.result()).success
    assert (await handle.status()).state == "completed"


async def test_a_waiting_run_can_be_cancelled_and_asks_again(
    engine: Engine, players: Players
) -> None:
    asking = flow(step("a"), {"id": "ask", "depends_on": ["a"], "approval": {"message": "?"}})
    waiting = await engine.run(asking)
    assert waiting.status == "waiting"
    await engine.cancel(waiting.run_id)
    assert (await engine.status(waiting.run_id)).state == "cancelled"
    assert (await engine.result(waiting.run_id)).status == "cancelled"
    again = await (await engine.resume(waiting.run_id)).result()
    assert (again.status, again.interrupts[0]["step"]) == ("waiting", "ask")
    done = await (await engine.resume(waiting.run_id, "approve")).result()
    assert (done.success, players.calls) == (True, ["a"])


async def test_an_answer_that_its_step_could_not_take_yet_is_not_asked_for_again(
    engine: Engine, players: Players
) -> None:
    body = [{"id": "q", "approval": {"message": "?"}}, step("v", "q")]
    one_by_one = {"over": "[1, 2]", "max_parallel": 1, "steps": body}
    waiting = await engine.run(flow({"id": "m", "map": one_by_one}))
    answers = {"m[0]/q": "approve", "m[1]/q": "reject"}
    go_on = players.hold("m[0]/v")
    for answer in (answers, None):
        handle = await engine.resume(waiting.run_id, answer)
        await players.entered("m[0]/v")
        await handle.cancel()
        assert (await handle.result()).status == "cancelled"
        players.forget()
    go_on.set()
    done = await (await engine.resume(waiting.run_id)).result()
    assert done.success
    assert [item["q"]["choice"] for item in done.outputs["m"]] == ["approve", "reject"]


@pytest.mark.parametrize("nested", [False, True], ids=["own", "nested"])
async def test_what_is_asked_after_a_failure_waits_for_its_answer(
    nested: bool, engine: Engine, players: Players
) -> None:
    ask = {"id": "tell", "approval": {"message": "Told the customer?"}}
    failing = flow(step("a"), on_failure=[ask, step("close", "tell")])
    engine.add_workflow(failing)
    outer = Workflow.model_validate({"name": "o", "steps": [{"id": "n", "workflow": "play"}]})
    prefix = "n/" if nested else ""
    players.failing[f"{prefix}a"] = 1
    waiting = await engine.run(outer if nested else failing)
    assert [q["step"] for q in waiting.interrupts] == [f"{prefix}on_failure/tell"]
    ended = await (await engine.resume(waiting.run_id, "approve")).result()
    assert (ended.status, ended.errors[0].code) == ("failed", "told")
    assert players.calls == [f"{prefix}a", f"{prefix}on_failure/close"]


async def test_a_question_can_be_answered_the_moment_it_is_seen(engine: Engine) -> None:
    asking = flow({"id": "ask", "approval": {"message": "Go?"}})
    handle = await engine.start(asking)
    async for event in handle.events():
        if event.event == "workflow_waiting":
            await engine.resume(handle.id, "approve")
    assert (await handle.result()).output == {"choice": "approve"}


async def test_answers_are_checked_before_a_run_goes_on(engine: Engine) -> None:
    asking = flow(
        {"id": "x", "approval": {"message": "X?"}},
        {"id": "y", "approval": {"message": "Y?", "options": ["red", "blue"]}},
    )
    run_id = (await engine.run(asking)).run_id
    with pytest.raises(RunConflict, match="waits for an answer to x, y"):
        await engine.resume(run_id)
    with pytest.raises(InputInvalid, match="give a mapping with x, y"):
        await engine.resume(run_id, "approve")
    with pytest.raises(InputInvalid, match="'green' is no answer to 'y'; choose red, blue"):
        await engine.resume(run_id, {"x": "approve", "y": "green"})
    with pytest.raises(RunConflict, match="is waiting; resume it instead"):
        await engine.retry(run_id)
    result = await (await engine.resume(run_id, {"x": "approve", "y": "blue"})).result()
    assert result.outputs == {"x": {"choice": "approve"}, "y": {"choice": "blue"}}
    with pytest.raises(RunConflict, match="is completed; retry it instead"):
        await engine.resume(run_id, "approve")


async def test_a_run_at_work_is_not_entered_a_second_time(engine: Engine, players: Players) -> None:
    go_on = players.hold("a")
    handle = await engine.start(CHAIN)
    await players.entered("a")
    with pytest.raises(RunConflict, match="is running"):
        await engine.resume(handle.id)
    with pytest.raises(RunConflict, match="is running"):
        await engine.retry(handle.id)
    go_on.set()
    assert (await handle.result()).success


async def test_the_shipped_agents_ask_the_model_of_the_settings_and_leave_the_environment_alone(
    tmp_path: Path,
) -> None:
    before = dict(os.environ)
    async with openai_server() as server, asyncio.timeout(30):
        found = Settings(openai_api_key=SecretStr("key-2"), openai_base_url=server.base_url)
        async with Engine(home=tmp_path, model="openai:whatever", settings=found) as engine:
            result = await engine.run("account_analysis", {"account_id": "ACC-1188"})
    assert result.errors == ()
    assert {request["model"] for request in server.requests} == {"whatever"}
    assert set(server.authorizations) == {"bearer key-2"}
    assert result.usage["calls"] == len(server.requests) > 0
    assert dict(os.environ) == before


async def test_agents_can_be_added_to_an_open_engine(engine: Engine) -> None:
    @agent
    async def singer(task: Task) -> str:
        return "la"

    class Drummer:
        def __init__(self, beat: str) -> None:
            self.beat = beat

        async def run(self, task: Task) -> str:
            return self.beat

    band = flow(step("sing", agent="singer"), step("drum", "sing", capability="drums", agent=None))
    with pytest.raises(WorkflowInvalid):
        await engine.run(band)
    engine.register(singer)
    engine.register_agent("drummer", Drummer, {"drums"}, 2, {"beat": "bum"})
    assert (await engine.run(band)).outputs == {"sing": "la", "drum": "bum"}
    with pytest.raises(ConfigurationError, match="'singer' already"):
        engine.register(singer)


def test_plain_code_runs_a_workflow(players: Players, tmp_path: Path) -> None:
    engine = Engine([players], home=tmp_path, database=f"sqlite:///{tmp_path / 'stretto.db'}")
    assert engine.run_sync(CHAIN, {"x": 1}, run_id="one").run_id == "one"
    assert engine.run_sync(CHAIN, {"x": 1}, run_id="one").success
    assert players.calls == ["a", "b", "c"]


async def test_plain_code_inside_a_running_loop_runs_a_workflow(
    players: Players, tmp_path: Path
) -> None:
    engine = Engine([players], home=tmp_path, database=f"sqlite:///{tmp_path / 'stretto.db'}")
    assert engine.run_sync(CHAIN).success  # as in a cell of a notebook
    with pytest.raises(WorkflowInvalid):
        engine.run_sync("nothing_like_it")
    async with engine:
        with pytest.raises(ConfigurationError, match="use 'await"):
            engine.run_sync(CHAIN)


async def test_adaptation_rules_put_steps_first(players: Players, tmp_path: Path) -> None:
    seen: list[set[str]] = []

    def last_first(workflow: Workflow, ready: Any) -> None:
        seen.append({item.id for item in ready})
        for item in ready:
            item.priority_boost = 10.0 if item.id == "z" else 0.0

    wide = flow(*(step(id) for id in ("v", "w", "x", "y", "z")), max_parallel_steps=1)
    async with on_stage(players, tmp_path, adaptation_rules=[last_first]) as engine:
        go_on = players.hold("v")
        handle = await engine.start(wide)
        await players.entered("v")
        await asyncio.sleep(0)
        go_on.set()
        assert (await handle.result()).success
    assert players.calls[:2] == ["v", "z"]
    assert {"w", "x", "y", "z"} in seen


async def test_recovering_goes_on_with_what_can_go_on_and_leaves_the_rest(
    players: Players, tmp_path: Path
) -> None:
    foreign = flow(step("a", agent="stranger"))
    database = tmp_path / "stretto.db"

    @agent
    async def stranger(task: Task) -> str:
        return "x"

    async with on_stage(players, tmp_path) as engine:
        engine.register(stranger)
        await engine.run(foreign, run_id="foreign")
        await engine.run(CHAIN, run_id="dead")
        await engine.run(CHAIN, run_id="done")
    # As a process leaves it that died at the end.
    alter(database, "UPDATE runs SET state='running' WHERE run_id IN ('foreign', 'dead')")
    players.calls.clear()
    async with on_stage(players, tmp_path) as engine, on_stage(players, tmp_path) as other:
        with pytest.raises(RunConflict, match="process died; resume it"):
            await engine.result("dead")
        go_on = players.hold("a")
        busy = await other.start(CHAIN)
        await players.entered("a")
        handles: list[RunHandle] = await engine.recover()
        assert [handle.id for handle in handles] == ["dead"]
        assert (await handles[0].result()).success
        assert (await row_of(engine, "foreign")).state == "running"
        go_on.set()
        assert (await busy.result()).success
    assert players.calls == ["a", "b", "c"]


BROKEN_INSIDE = flow(
    step("a"),
    {
        "id": "route",
        "depends_on": ["a"],
        "branch": {"on": "a.path", "cases": {"a": {"steps": [step("x"), step("y", "x")]}}},
    },
)


@pytest.mark.parametrize(
    ("workflow", "breaks_in", "from_step", "again"),
    [
        (CHAIN, "c", None, ["c"]),
        (CHAIN, "c", "c", ["c"]),
        (CHAIN, "c", "b", ["b", "c"]),
        (CHAIN.model_copy(update={"output": "${c.path}"}), "c", None, ["c"]),
        (BROKEN_INSIDE, "route/y", None, ["route/y"]),
    ],
)
async def test_a_run_that_something_outside_its_steps_ends_keeps_what_was_done(
    workflow: Workflow,
    breaks_in: str,
    from_step: str | None,
    again: list[str],
    players: Players,
    tmp_path: Path,
) -> None:
    go_on = players.hold(breaks_in)
    async with on_stage(players, tmp_path) as engine:
        handle = await engine.start(workflow, run_id="one")
        await players.entered(breaks_in)
        done = list(players.calls)
        alter(
            tmp_path / "checkpoints.db",
            "CREATE TRIGGER full BEFORE INSERT ON writes "
            "BEGIN SELECT RAISE(ROLLBACK, 'no room'); END",
        )
        go_on.set()
        result = await handle.result()
        alter(tmp_path / "checkpoints.db", "DROP TRIGGER full")
        assert result.status == "failed"
        assert list(result.outputs) == [path for path in done[:-1] if "/" not in path]
        (error,) = result.errors
        assert (error.step, error.code) == ("", "run_broke_off")
        assert "no room" in error.message
        assert (await engine.result("one")).errors == result.errors
        players.forget()
        retried = await (await engine.retry("one", from_step)).result()
        assert (retried.success, players.calls) == (True, again)
        assert list(retried.outputs) == [s.id for s in workflow.steps]
        assert all(players.tasks[-1].inputs.values())
