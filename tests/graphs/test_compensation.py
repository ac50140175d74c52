"""What was done is undone in reverse order once the run has failed; then clean-up, then plan B."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import interrupt

from stretto.agents.agent import FunctionAgent, Task
from stretto.graphs.spec import Workflow
from tests.graphs.running import Cast, Stage, Steps, bad, done, perform, stopped, undone


async def test_steps_are_undone_in_reverse_order_with_their_own_output() -> None:
    cast = Cast()
    steps = [done("a"), done("b", "a"), {"id": "c", "agent": "ok", "depends_on": ["b"]}, bad("c")]
    ran = await perform(steps, cast)
    assert undone(cast) == ["b=b", "a=a"]
    assert ran.errors == [("bad", "boom")]
    assert ran.summary.outputs == {"a": "a", "b": "b", "c": "c"}


async def test_nothing_is_undone_when_the_run_succeeds() -> None:
    cast = Cast()
    steps = [done("a"), {**bad("a"), "on_error": "continue"}]
    cleaned: Steps = [{"id": "clean", "agent": "ok"}]
    ran = await perform(steps, cast, on_failure=cleaned)
    assert (ran.success, cast.log) == (True, ["a", "bad"])


async def test_what_failed_or_was_skipped_is_not_undone() -> None:
    cast = Cast()
    steps = [
        done("skipped", when="has(input.no)"),
        done("failed", agent="boom", on_error="continue"),
        done("a"),
        bad("a"),
    ]
    await perform(steps, cast)
    assert undone(cast) == ["a=a"]


@settings(max_examples=25)
@given(st.permutations(["a", "b", "c", "d"]))
async def test_parallel_branches_are_undone_in_reverse_order_of_completion(
    order: list[str],
) -> None:
    cast = Cast()

    async def conduct(task: Task) -> None:
        for step in order:
            cast.gate(step).set()
            while step not in cast.ended:
                await asyncio.sleep(0)

    steps = [done(step, agent="gated") for step in ("a", "b", "c", "d")]
    steps += [{"id": "conductor", "agent": "conduct"}, bad("a", "b", "c", "d")]
    await perform(steps, [*cast, FunctionAgent(conduct)])
    assert undone(cast) == [f"{step}={step}" for step in reversed(order)]


async def test_what_ends_after_the_failure_is_undone_too() -> None:
    cast = Cast()

    async def fail_and_open(task: Task) -> None:
        cast.gate("at_work").set()
        raise RuntimeError("boom")

    steps = [done("at_work", agent="gated"), {"id": "bad", "agent": "fail_and_open"}]
    await perform(steps, [*cast, FunctionAgent(fail_and_open)])
    assert undone(cast) == ["at_work=at_work"]


async def test_a_compensation_that_fails_does_not_stop_the_others() -> None:
    cast = Cast()
    stubborn = {"agent": "undo", "params": {"of": "b", "fails": True}}
    steps = [done("a"), {**done("b", "a"), "compensate": stubborn}, done("c", "b"), bad("c")]
    ran, events = await Stage(steps, cast).narrate()
    assert undone(cast) == ["c=c", "b", "a=a"]
    told = [(e.step, e.data["error_message"]) for e in events if e.event == "step_compensated"]
    assert told == [("c", None), ("b", "cannot undo"), ("a", None)]
    assert {path: entry["done"] for path, entry in ran.state["undo"].items()} == {
        "a": True,
        "b": False,
        "c": True,
    }


async def test_a_compensation_whose_params_cannot_be_resolved_is_told_and_the_others_follow() -> (
    None
):
    cast = Cast()
    unresolved = {"agent": "undo", "params": {"of": "${b.order.id}"}}
    steps = [done("a"), {**done("b", "a"), "compensate": unresolved}, done("c", "b"), bad("c")]
    ran, events = await Stage(steps, cast).narrate()
    assert (ran.statuses["b"], ran.errors) == ("completed", [("bad", "boom")])
    assert undone(cast) == ["c=c", "a=a"]
    told = {e.step: e.data["error_message"] for e in events if e.event == "step_compensated"}
    assert list(told) == ["c", "b", "a"]
    assert (told["c"], told["a"]) == (None, None)
    assert "b.order.id" in told["b"]
    entry = ran.state["undo"]["b"]
    assert (entry["done"], entry["error"]) == (False, told["b"])


async def test_a_compensation_whose_params_cannot_be_resolved_harms_no_run_that_succeeds() -> None:
    unresolved = {"agent": "undo", "params": {"of": "${a.order.id}"}}
    ran = await perform([{**done("a"), "compensate": unresolved}], Cast())
    assert (ran.success, ran.output, ran.errors) == (True, "a", [])


async def test_a_compensation_is_tried_as_often_as_the_defaults_say() -> None:
    tries: list[int] = []

    async def flaky(task: Task) -> None:
        tries.append(task.attempt)
        if task.attempt < 3:
            raise ConnectionError("x")

    steps = [{"id": "a", "agent": "ok", "compensate": {"agent": "flaky"}}, bad("a")]
    defaults = {"retry": {"attempts": 3, "delay": 0.001}}
    ran = await perform(steps, [*Cast(), FunctionAgent(flaky)], defaults=defaults)
    assert (tries, ran.state["undo"]["a"]["done"]) == ([1, 2, 3], True)


async def test_a_compensation_is_given_the_output_it_undoes() -> None:
    given: list[Any] = []

    async def take_back(task: Task) -> None:
        given.append((task.action, task.input, task.idempotency_key))

    steps = [
        {
            "id": "a",
            "agent": "ok",
            "params": {"value": {"order": 7}},
            "compensate": {"agent": "take_back", "action": "cancel"},
        },
        bad("a"),
    ]
    await perform(steps, [*Cast(), FunctionAgent(take_back)])
    assert len(given) == 1
    action, output, key = given[0]
    assert (action, output) == ("cancel", {"order": 7})
    assert key.endswith("/compensate/a")


async def test_a_spent_budget_does_not_keep_anything_from_being_undone() -> None:
    cast = Cast()

    async def spend(task: Task) -> str:
        task.usage.input_tokens += 9
        return "spent"

    steps = [done("a", agent="spend"), {"id": "b", "agent": "ok", "depends_on": ["a"]}]
    cleaned: Steps = [{"id": "clean", "agent": "ok"}]
    ran = await perform(
        steps, [*cast, FunctionAgent(spend)], budget={"tokens": 5}, on_failure=cleaned
    )
    assert ran.errors == [("b", "budget_exceeded")]
    assert cast.log == ["undo a=spent", "clean"]


async def test_a_run_out_of_time_is_still_undone() -> None:
    cast = Cast()
    stage = Stage([done("a"), {"id": "b", "agent": "late", "depends_on": ["a"]}], [*cast, LATE])
    scope = stage.scope([])
    scope.deadline = asyncio.get_running_loop().time() + 0.05
    ran = await stage.enter({"input": {}}, context=scope)
    assert (undone(cast), ran.success) == (["a=a"], False)


async def _late(task: Task) -> None:
    await asyncio.Event().wait()


LATE = FunctionAgent(_late, name="late")


async def test_clean_up_follows_the_compensations_and_sees_what_was_done() -> None:
    cast = Cast()
    seen: list[Any] = []

    async def report(task: Task) -> None:
        cast.note(task)
        seen.append(task.params)

    params = {
        "out": "${first}",
        "status": "${steps['bad'].status}",
        "error": "${steps['bad'].error}",
    }
    cleaned: Steps = [
        {"id": "report", "agent": "report", "params": params},
        {"id": "then", "agent": "ok", "depends_on": ["report"]},
    ]
    steps = [done("a", output_to="first"), bad("a")]
    ran = await perform(steps, [*cast, FunctionAgent(report)], on_failure=cleaned)
    assert cast.log == ["a", "bad", "undo a=a", "report", "then"]
    assert seen == [{"out": "a", "status": "failed", "error": "boom"}]
    assert (ran.success, ran.summary.outputs) == (False, {"a": "a", "first": "a"})


async def test_a_failure_of_the_clean_up_is_told_beside_the_first() -> None:
    ran = await perform([bad()], Cast(), on_failure=[bad(step="clean")])
    assert sorted(ran.errors) == [("bad", "boom"), ("on_failure/clean", "boom")]


async def test_the_fallback_workflow_gives_the_output_of_a_run_that_failed() -> None:
    cast = Cast()
    spare = Workflow.model_validate(
        {"name": "spare", "steps": [{"id": "s", "agent": "ok"}], "output": "${input.k} by ${s}"}
    )
    ran = await perform(
        [done("a"), bad("a")],
        cast,
        others=[spare],
        fallback_workflow="spare",
        on_failure=[{"id": "clean", "agent": "ok"}],
        input={"k": "plan b"},
    )
    assert (ran.success, ran.output) == (True, "plan b by s")
    assert cast.log == ["a", "bad", "undo a=a", "clean", "s"]
    assert ran.errors == [("bad", "boom")]


@pytest.mark.parametrize(
    ("steps", "inputs", "error"),
    [
        ([bad(step="worse")], {}, ("fallback/worse", "boom")),
        ([{"id": "s", "agent": "ok"}], {"n": "integer"}, ("fallback", "input_invalid")),
    ],
)
async def test_a_fallback_workflow_that_fails_too_leaves_the_run_failed(
    steps: Steps, inputs: dict[str, Any], error: tuple[str, str]
) -> None:
    spare = Workflow.model_validate({"name": "spare", "steps": steps, "inputs": inputs})
    ran = await perform([bad()], Cast(), others=[spare], fallback_workflow="spare")
    assert (ran.success, ran.output) == (False, None)
    assert sorted(ran.errors) == sorted([("bad", "boom"), error])


async def test_a_run_stopped_while_undoing_goes_on_with_the_next(tmp_path: Path) -> None:
    cast = Cast()
    blocked = {"agent": "gated_undo", "params": {"of": "b"}}
    reached = asyncio.Event()

    async def gated_undo(task: Task) -> None:
        reached.set()
        await cast.gate("b").wait()
        await cast.undo(task)

    steps = [done("a"), {**done("b", "a"), "compensate": blocked}, done("c", "b"), bad("c")]
    agents = [*cast, FunctionAgent(gated_undo)]
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "runs.db")) as saver:
        stage = Stage(steps, agents, saver=saver)
        first = asyncio.create_task(stage.run())
        await reached.wait()
        await stopped(first)
        cast.gate("b").set()
        ran = await stage.go_on()
    assert undone(cast) == ["c=c", "b", "a=a"]
    assert not ran.success


async def test_a_compensation_may_ask_a_person() -> None:
    async def ask(task: Task) -> None:
        answers.append(interrupt("may I refund?"))

    answers: list[Any] = []
    steps = [{"id": "a", "agent": "ok", "compensate": {"agent": "ask"}}, bad("a")]
    stage = Stage(steps, [*Cast(), FunctionAgent(ask)], saver=InMemorySaver())
    asked = await stage.run()
    assert list(asked.questions.values()) == ["may I refund?"]
    ran = await stage.answer("yes")
    assert (answers, ran.success) == (["yes"], False)
    assert ran.state["undo"]["a"]["done"] is True
