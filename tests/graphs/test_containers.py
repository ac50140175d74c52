"""Workflows as steps, containers in containers, and failures inside them."""

import asyncio
from typing import Any

import pytest

from stretto.agents.agent import FunctionAgent, Task
from tests.graphs.building import Steps, branch, call, each, loop, named
from tests.graphs.running import Cast, Stage, flow, perform

# Nested workflows

DOUBLE = flow(
    [call("d", value="${input.n * 2}")], inputs={"n": "integer"}, output="${d}"
).model_copy(update={"name": "double"})


async def test_a_workflow_as_a_step_maps_input_and_output() -> None:
    steps: Steps = [
        call("a", value=21),
        {"id": "n", "workflow": "double", "depends_on": ["a"], "input": {"n": "${a.result}"}},
    ]
    ran = await perform(steps, Cast(), others=[DOUBLE])
    assert ran.summary.outputs == {"a": 21, "n": 42}


async def test_a_workflow_as_a_step_refuses_wrong_input_as_its_own_failure() -> None:
    steps: Steps = [{"id": "n", "workflow": "double", "input": {"n": "x"}, "on_error": "continue"}]
    ran = await perform([*steps, call("after")], Cast(), others=[DOUBLE])
    assert (ran.statuses, ran.errors) == (
        {"after": "completed", "n": "failed"},
        [("n", "input_invalid")],
    )


async def test_a_workflow_as_a_step_fails_with_the_failure_inside() -> None:
    inner = named("inner", [call("x", "boom")])
    steps: Steps = [{"id": "n", "workflow": "inner", "input": {}}, call("z", "ok", "n")]
    ran = await perform(steps, Cast(), others=[inner])
    assert ran.statuses == {"n": "failed", "z": "not_run"}
    assert ran.summary.errors[0].message == "step 'x' failed: boom"


async def test_a_workflow_as_a_step_fails_when_its_output_cannot_be_made() -> None:
    inner = named("inner", [call("x", value={})], output="${x.a.b.c}")
    ran = await perform([{"id": "n", "workflow": "inner", "input": {}}], Cast(), others=[inner])
    assert ran.errors == [("n", "expression_failed")]


async def test_a_workflow_as_a_step_gives_the_output_of_its_fallback() -> None:
    inner = named("inner", [call("x", "boom")], fallback_workflow="spare")
    spare = named("spare", [call("y", value="plan b")])
    steps: Steps = [{"id": "n", "workflow": "inner", "input": {}}, call("after", "echo", "n")]
    ran = await perform(steps, Cast(), others=[inner, spare])
    assert (ran.success, ran.output) == (True, {"n": "plan b"})


async def test_a_workflow_as_a_step_fills_in_declared_defaults() -> None:
    kinds = {"k": {"type": "string", "default": "preset"}}
    inner = named("inner", [call("x")], inputs=kinds, output="${input.k}")
    ran = await perform([{"id": "n", "workflow": "inner", "input": {}}], Cast(), others=[inner])
    assert ran.output == "preset"


async def test_messages_and_context_reach_the_steps_of_a_workflow_as_a_step() -> None:
    cast = Cast()
    inner = named("inner", [call("x")], context={"a": 1, "b": 1})
    stage = Stage([{"id": "n", "workflow": "inner", "input": {}}], cast, others=[inner])
    await stage.run(context={"b": 2})
    assert cast.seen["x"].context == {"a": 1, "b": 2}


WIDE: Steps = [call(f"x{n}", "yielding") for n in range(5)]


@pytest.mark.parametrize("body", [WIDE, [each(steps=WIDE)], [loop(WIDE, rounds=1)]])
async def test_a_workflow_as_a_step_runs_as_many_steps_at_once_as_it_declares(body: Steps) -> None:
    most: list[int] = []
    for declared in ({}, {"max_parallel_steps": 2}):
        cast = Cast()
        inner = named(
            "inner", body, inputs={"items": {"type": "array", "default": [1]}}, **declared
        )
        ran = await perform([{"id": "n", "workflow": "inner", "input": {}}], cast, others=[inner])
        assert (ran.success, len(cast.log)) == (True, 5)
        most.append(cast.most)
    assert most == [5, 2]


async def test_the_limit_of_a_workflow_as_a_step_does_not_bind_the_steps_around() -> None:
    cast = Cast()
    inner = named("inner", [call("x", "gated"), call("y", "gated")], max_parallel_steps=1)
    steps: Steps = [{"id": "n", "workflow": "inner", "input": {}}, call("beside", "opens")]

    async def opens(task: Task) -> None:
        while "x" not in cast.log:
            await asyncio.sleep(0)
        for step in ("x", "y"):
            cast.gate(step).set()

    ran = await perform(steps, [*cast, FunctionAgent(opens)], others=[inner])
    assert (ran.success, cast.log) == (True, ["x", "y"])


@pytest.mark.parametrize(("own", "around"), [(0.02, None), (0.02, 60), (60, 0.02)])
async def test_a_workflow_as_a_step_ends_when_its_own_time_is_used_up(
    own: float, around: float | None
) -> None:
    stopped: list[str] = []

    async def hang(task: Task) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(task.step_id)

    inner = named("inner", [call("x", "hang")], timeout=own)
    steps: Steps = [{"id": "n", "workflow": "inner", "input": {}, "timeout": around}]
    ran = await perform(steps, [FunctionAgent(hang)], others=[inner])
    assert (ran.errors, stopped) == ([("n", "step_timed_out")], ["x"])


# Containers in containers


async def test_a_loop_in_a_branch_in_a_map() -> None:
    inner = loop([call("n", value="${item.kind}${iteration}")], "iteration == item.rounds", 5)
    chosen: dict[str, Any] = {
        "id": "b",
        "branch": {
            "on": "item.kind",
            "cases": {"x": {"steps": [inner]}},
            "default": {"steps": [call("other", value="${index}")]},
        },
    }
    items = [{"kind": "x", "rounds": 2}, {"kind": "?", "rounds": 0}, {"kind": "x", "rounds": 3}]
    ran = await perform([each(steps=[chosen])], Cast(), input={"items": items})
    assert ran.output == [{"b": {"l": {"n": "x2"}}}, {"b": {"other": 1}}, {"b": {"l": {"n": "x3"}}}]


async def test_a_container_that_failed_in_one_round_begins_anew_in_the_next() -> None:
    cast = Cast()
    inner = branch({"k": [call("x"), call("y", "boom", "x")]}, on_error="continue")
    ran = await perform([loop([inner], rounds=3)], cast, input=INPUT)
    assert ran.success
    assert cast.log == ["x", "y"] * 3


async def test_the_inside_of_a_container_sees_what_it_depends_on() -> None:
    steps: Steps = [
        call("a", value="A"),
        loop([call("in", value="${a.result}-${iteration}")], rounds=1, depends_on=["a"]),
    ]
    ran = await perform(steps, Cast())
    assert ran.output == {"in": "A-1"}


# Failures inside, with each on_error of the container

CONTAINERS: dict[str, dict[str, Any]] = {
    "loop": loop([call("x", "boom")], id="c"),
    "branch": branch({"k": [call("x", "boom")]}, id="c"),
    "map": each({"id": "c"}, steps=[call("x", "boom")]),
    "workflow": {"id": "c", "workflow": "inner", "input": {}},
}
INPUT = {"kind": "k", "items": [1]}


async def fail_inside(kind: str, **policy: Any) -> Any:
    inner = named("inner", [call("x", "boom")])
    steps = [{**CONTAINERS[kind], **policy}, {**call("after", "ok", "c"), "join": "done"}]
    return await perform(steps, Cast(), others=[inner], input=INPUT)


@pytest.mark.parametrize("kind", CONTAINERS)
async def test_a_failure_inside_a_container_ends_the_run(kind: str) -> None:
    ran = await fail_inside(kind)
    assert ran.statuses == {"after": "not_run", "c": "failed"}
    assert ran.errors == [("c", "boom")]


@pytest.mark.parametrize("kind", ["loop", "branch", "workflow"])
async def test_the_run_continues_after_a_container_that_may_fail(kind: str) -> None:
    ran = await fail_inside(kind, on_error="continue")
    assert ran.statuses == {"after": "completed", "c": "failed"}
    assert ran.success


@pytest.mark.parametrize("kind", CONTAINERS)
async def test_a_fallback_stands_in_for_a_container_that_failed(kind: str) -> None:
    ran = await fail_inside(kind, on_error={"fallback": ["spare"]})
    assert ran.statuses == {"after": "completed", "c": "completed"}
    assert ran.summary.outputs["c"] == ["spare"]


async def test_another_agent_stands_in_for_a_container_that_failed() -> None:
    ran = await fail_inside("loop", on_error={"agent": "ok"})
    assert ran.summary.outputs == {"c": "c", "after": "after"}


@pytest.mark.parametrize("kind", CONTAINERS)
async def test_a_container_that_takes_too_long_fails_and_stops_what_is_inside(kind: str) -> None:
    stopped: list[str] = []

    async def hang(task: Task) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(task.step_id)

    body = [call("x", "hang")]
    inside: dict[str, dict[str, Any]] = {
        "loop": loop(body, id="c"),
        "branch": branch({"k": body}, id="c"),
        "map": each({"id": "c"}, steps=body),
        "workflow": {"id": "c", "workflow": "inner", "input": {}},
    }
    steps = [{**inside[kind], "timeout": 0.02}]
    others = [named("inner", body)]
    ran = await perform(steps, [FunctionAgent(hang)], others=others, input=INPUT)
    assert ran.errors == [("c", "step_timed_out")]
    assert stopped == ["x"]


async def test_a_map_with_steps_gives_every_item_its_own_time() -> None:
    async def some_hang(task: Task) -> Any:
        if task.params["value"] == "slow":
            await asyncio.Event().wait()
        return task.params["value"]

    mapped = each(
        steps=[call("x", "some_hang", value="${item}")],
        timeout=0.05,
        max_parallel=1,
        on_error={"fallback": "late"},
    )
    items = ["slow", "fast", "slow"]
    ran = await perform([mapped], [FunctionAgent(some_hang)], input={"items": items})
    assert (ran.success, ran.output) == (True, ["late", {"x": "fast"}, "late"])


async def test_an_item_of_a_map_with_steps_fails_when_its_time_is_used_up() -> None:
    async def hang(task: Task) -> None:
        await asyncio.Event().wait()

    mapped = each(steps=[call("x", "hang")], timeout=0.02)
    ran = await perform([mapped], [FunctionAgent(hang)], input={"items": [1]})
    assert ran.errors == [("m", "step_timed_out")]
