"""Loops, branches, maps and nested workflows: one step from outside, whatever happens inside."""

import asyncio
from typing import Any

import pytest

from stretto.agents.agent import FunctionAgent, Task
from stretto.errors import StepFailed
from stretto.graphs.spec import Workflow
from tests.graphs.running import Cast, Stage, flow, perform

Steps = list[dict[str, Any]]


def loop(steps: Steps, until: str = "false", rounds: int = 3, **step: Any) -> dict[str, Any]:
    body = {"steps": steps, "until": until, "max_iterations": rounds}
    return {"id": "l", "loop": body, **step}


def branch(cases: dict[str, Steps], default: Steps | None = None, **step: Any) -> dict[str, Any]:
    declared: dict[str, Any] = {
        "on": "input.kind",
        "cases": {name: {"steps": steps} for name, steps in cases.items()},
    }
    if default is not None:
        declared["default"] = {"steps": default}
    return {"id": "b", "branch": declared, **step}


def each(step: dict[str, Any] | None = None, **declared: Any) -> dict[str, Any]:
    return {"id": "m", "map": {"over": "input.items", **declared}, **(step or {})}


def call(step: str, agent: str = "ok", *needs: str, **params: Any) -> dict[str, Any]:
    return {"id": step, "agent": agent, "depends_on": list(needs), "params": params}


# Loops


async def test_a_loop_ends_when_its_condition_holds_and_gives_the_last_round() -> None:
    cast = Cast()
    body = [call("n", value="${iteration * 10}"), call("text", "ok", "n", value="is ${n.result}")]
    ran = await perform([loop(body, "n.result >= 20", 9)], cast)
    assert ran.output == {"n": 20, "text": "is 20"}
    assert cast.log == ["n", "text"] * 2


async def test_a_loop_ends_after_its_last_round_though_the_condition_never_holds() -> None:
    ran = await perform([loop([call("n", value="${iteration}")], "n.result > 9", 4)], Cast())
    assert (ran.success, ran.output) == (True, {"n": 4})


async def test_a_round_sees_what_the_one_before_gave_until_the_step_has_ended_again() -> None:
    async def add(task: Task) -> int:
        before = task.params["before"]
        return (before if isinstance(before, int) else 0) + 1

    body: Steps = [
        {"id": "sum", "agent": "add", "params": {"before": "${sum}"}, "depends_on": []},
    ]
    ran = await perform([loop(body, "sum.result == 5", 9)], [FunctionAgent(add, name="add")])
    assert ran.output == {"sum": 5}


async def test_the_first_step_of_a_round_sees_what_the_last_step_of_the_one_before_gave() -> None:
    cast = Cast()
    said = "${steps['critique'].status}:${has(critique.text) ? critique.text : 'nothing'}"
    body = [
        call("draft", value="${iteration}", advice=said),
        call("critique", "ok", "draft", value={"text": "round ${iteration}"}),
    ]
    advice: list[str] = []

    async def draft(task: Task) -> Any:
        advice.append(task.params["advice"])
        return await cast.ok(task)

    body[0]["agent"] = "draft"
    ran = await perform([loop(body)], [*cast, FunctionAgent(draft)])
    assert ran.success
    assert advice == ["pending:nothing", "completed:round 1", "completed:round 2"]


async def test_a_step_that_was_skipped_in_the_last_round_is_not_in_the_output() -> None:
    body = [call("always"), {**call("once"), "when": "iteration == 1"}]
    ran = await perform([loop(body, rounds=2)], Cast())
    assert ran.output == {"always": "always"}


async def test_a_loop_goes_many_rounds() -> None:
    cast = Cast()
    ran = await perform([loop([call("a")], "iteration == 300", 1000)], cast)
    assert (ran.success, len(cast.log)) == (True, 300)


async def test_a_loop_whose_condition_cannot_be_evaluated_fails_and_says_why() -> None:
    ran = await perform([loop([call("a", value={})], "a.nothing.at_all > 1", 3)], Cast())
    assert ran.errors == [("l", "expression_failed")]


# Branches


@pytest.mark.parametrize(
    ("kind", "output"), [("x", {"s": "of x"}), ("y", {"s": "of y"}), ("z", {"d": "other"})]
)
async def test_a_branch_takes_the_case_of_its_value_or_the_default(
    kind: Any, output: dict[str, Any]
) -> None:
    cases = {"x": [call("s", value="of x")], "y": [call("s", value="of y")]}
    ran = await perform([branch(cases, [call("d", value="other")])], Cast(), input={"kind": kind})
    assert ran.output == output


@pytest.mark.parametrize(("kind", "case"), [(True, "true"), (3, "3")])
async def test_a_branch_takes_cases_by_the_text_of_booleans_and_numbers(
    kind: Any, case: str
) -> None:
    ran = await perform([branch({case: [call("s")]})], Cast(), input={"kind": kind})
    assert ran.output == {"s": "s"}


async def test_a_branch_without_a_case_is_skipped_with_what_needs_it() -> None:
    steps = [branch({"x": [call("s")]}), call("after", "ok", "b"), call("free")]
    ran = await perform(steps, Cast(), input={"kind": "?"})
    assert ran.statuses == {"after": "skipped", "b": "skipped", "free": "completed"}
    assert ran.state["skipped"]["b"] == "there is no case for '?'"


async def test_only_the_steps_of_the_case_taken_are_called() -> None:
    cast = Cast()
    cases = {"x": [call("s"), call("t", "ok", "s")], "y": [call("s", "boom")]}
    ran = await perform([branch(cases)], cast, input={"kind": "x"})
    assert (ran.success, cast.log) == (True, ["s", "t"])


# Maps


async def test_a_map_keeps_the_order_whatever_ends_first() -> None:
    async def late(task: Task) -> Any:
        for _ in range(10 - task.input):
            await asyncio.sleep(0)
        ended.append(task.input)
        return task.input * 2

    ended: list[int] = []
    agent = FunctionAgent(late, name="late", max_concurrent_tasks=9)
    ran = await perform([each(agent="late")], [agent], input={"items": [0, 4, 9]})
    assert (ran.output, ended) == ([0, 8, 18], [9, 4, 0])


async def test_a_map_names_its_item_and_index() -> None:
    params = {"value": "${index}:${lead.name}"}
    ran = await perform(
        [each(None, **{"agent": "ok", "as": "lead", "params": params})],
        Cast(),
        input={"items": [{"name": "a"}, {"name": "b"}]},
    )
    assert ran.output == ["0:a", "1:b"]


async def test_a_map_of_steps_gives_the_outputs_of_every_item() -> None:
    body = [call("one", value="${item}"), call("two", "ok", "one", value="${one.result}!")]
    ran = await perform([each(steps=body)], Cast(), input={"items": ["a", "b"]})
    assert ran.output == [{"one": "a", "two": "a!"}, {"one": "b", "two": "b!"}]


async def test_a_map_over_nothing_gives_an_empty_list() -> None:
    cast = Cast()
    ran = await perform([each(agent="ok"), call("after", "echo", "m")], cast, input={"items": []})
    assert ran.output == {"m": []}
    assert cast.log == ["after"]


@pytest.mark.parametrize("kind", ["agent", "steps"])
async def test_a_map_works_on_at_most_so_many_items_at_once(kind: str) -> None:
    cast = Cast()
    what: dict[str, Any] = {"agent": "yielding"}
    if kind == "steps":
        what = {"steps": [call("s", "yielding")]}
    agent = FunctionAgent(cast.yielding, name="yielding", max_concurrent_tasks=9)
    stage = Stage([each(max_parallel=3, **what)], [agent])
    ran = await stage.run({"items": list(range(8))})
    assert (ran.success, cast.most) == (True, 3)


async def test_an_item_that_fails_is_null_with_continue() -> None:
    def odd(task: Task) -> int:
        if task.input % 2:
            raise StepFailed("odd")
        return int(task.input)

    ran = await perform(
        [each(agent="odd", on_error="continue")], [FunctionAgent(odd)], input={"items": [0, 1, 2]}
    )
    assert (ran.success, ran.output) == (True, [0, None, 2])


async def test_an_item_that_fails_has_the_fallback_of_the_map() -> None:
    ran = await perform(
        [each(agent="boom", on_error={"fallback": "${index}"})], Cast(), input={"items": [7, 8]}
    )
    assert (ran.success, ran.output) == (True, [0, 1])


async def test_an_item_that_fails_fails_the_map_and_says_which() -> None:
    ran = await perform([each(agent="boom")], Cast(), input={"items": [1]})
    assert ran.errors == [("m", "boom")]
    assert ran.summary.errors[0].message == "step '[0]' failed: boom"


@pytest.mark.parametrize(
    ("items", "code"),
    [({"a": 1}, "not_a_list"), ("text", "not_a_list"), (list(range(1001)), "too_many_items")],
)
async def test_a_map_refuses_what_it_cannot_go_over(items: Any, code: str) -> None:
    cast = Cast()
    ran = await perform([each(agent="ok")], cast, input={"items": items})
    assert (ran.errors, cast.log) == ([("m", code)], [])


# Nested workflows

DOUBLE = flow(
    [call("d", value="${input.n * 2}")], inputs={"n": "integer"}, output="${d}"
).model_copy(update={"name": "double"})


def named(name: str, steps: Steps, **declared: Any) -> Workflow:
    return Workflow.model_validate({"name": name, "steps": steps, **declared})


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
