"""Loops, branches and maps: one step from outside, whatever happens inside."""

import asyncio
from typing import Any

import pytest

from stretto.agents.agent import FunctionAgent, Task
from stretto.errors import StepFailed
from tests.graphs.building import Steps, branch, call, each, loop
from tests.graphs.running import Cast, Stage, perform

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


@pytest.mark.parametrize(("kind", "case"), [(True, "true"), (3, "3"), ("", "")])
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
