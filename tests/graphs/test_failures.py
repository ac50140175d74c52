"""What follows a failure: deadlines, budget, fallbacks, and what else still starts."""

import asyncio
from typing import Any

import pytest

from stretto.agents.agent import FunctionAgent, Task
from stretto.errors import (
    StepFailed,
)
from stretto.graphs.spec import Workflow
from tests.graphs.running import Cast, perform

FAST = {"attempts": 3, "delay": 0.001, "max_delay": 0.01}


def one(agent: str = "counting", **policy: Any) -> list[dict[str, Any]]:
    return [{"id": "a", "agent": agent, **policy}]


# Deadlines


async def hang(task: Task) -> None:
    await asyncio.Event().wait()


async def test_an_agent_that_hangs_is_stopped_at_its_deadline_and_tried_again() -> None:
    starts: list[int] = []

    async def sticky(task: Task) -> str:
        starts.append(task.attempt)
        if task.attempt == 1:
            await asyncio.Event().wait()
        return "second time"

    ran = await perform(one("sticky", timeout=0.02, retry=FAST), [FunctionAgent(sticky)])
    assert (ran.output, starts) == ("second time", [1, 2])


async def test_a_deadline_is_told_apart_from_the_agents_own_timeout() -> None:
    async def own(task: Task) -> None:
        raise TimeoutError("the database was slow")

    steps = [
        {"id": "late", "agent": "hang", "timeout": 0.01, "on_error": "continue"},
        {"id": "own", "agent": "own", "timeout": 10, "on_error": "continue"},
    ]
    ran = await perform(steps, [FunctionAgent(hang), FunctionAgent(own)])
    told = {e.step: (e.code, e.message) for e in ran.summary.errors}
    assert told == {
        "late": ("step_timed_out", "agent 'hang' did not finish within 0.01 s"),
        "own": ("timed_out", "the database was slow"),
    }


@pytest.mark.parametrize(
    ("step", "run", "code"), [(None, 0.02, "run_timed_out"), (0.02, 60, "step_timed_out")]
)
async def test_a_plain_host_tells_whose_time_is_used_up(
    step: float | None, run: float, code: str
) -> None:
    ran = await perform(one("hang", timeout=step), [FunctionAgent(hang)], timeout=run)
    assert ran.errors == [("a", code)]


async def test_no_step_begins_on_a_plain_host_once_the_time_of_the_run_is_used_up() -> None:
    cast = Cast()
    steps = [
        {"id": "a", "agent": "hang", "on_error": "continue"},
        {"id": "b", "agent": "ok", "depends_on": ["a"], "join": "done"},
    ]
    ran = await perform(steps, [*cast, FunctionAgent(hang)], timeout=0.02)
    assert (ran.errors, cast.log) == ([("a", "run_timed_out"), ("b", "run_timed_out")], [])


async def test_a_thread_that_hangs_is_left_behind_at_its_deadline() -> None:
    import threading

    release = threading.Event()
    try:
        agent = FunctionAgent(lambda task: release.wait(), name="stuck", max_concurrent_tasks=50)
        steps = [
            {"id": f"s{n}", "agent": "stuck", "timeout": 0.05, "on_error": "continue"}
            for n in range(40)
        ]
        other = FunctionAgent(lambda task: "done", name="other")
        needs = [step["id"] for step in steps]
        after = {"id": "z", "agent": "other", "join": "done", "depends_on": needs}
        ran = await perform([*steps, after], [agent, other])
    finally:
        release.set()
    assert ran.statuses["z"] == "completed"
    assert {code for _, code in ran.errors} == {"step_timed_out"}


# Budget


async def test_no_call_is_made_once_the_budget_is_used() -> None:
    cast = Cast()

    async def spend(task: Task) -> str:
        task.usage.input_tokens += 6
        return "spent"

    steps = [
        {"id": "a", "agent": "spend"},
        {"id": "b", "agent": "spend", "depends_on": ["a"]},
        {"id": "c", "agent": "ok", "depends_on": ["b"]},
    ]
    ran = await perform(steps, [*cast, FunctionAgent(spend)], budget={"tokens": 10})
    assert (ran.errors, cast.log) == ([("c", "budget_exceeded")], [])
    assert ran.summary.outputs == {"a": "spent", "b": "spent"}


# What follows a failure


async def test_a_fallback_value_stands_in_and_may_use_what_is_there() -> None:
    steps = [
        {"id": "a", "agent": "ok"},
        {
            "id": "b",
            "agent": "boom",
            "depends_on": ["a"],
            "on_error": {"fallback": {"instead": "${a}"}},
        },
    ]
    ran = await perform(steps, Cast())
    assert (ran.success, ran.output) == (True, {"instead": "a"})
    assert ran.state["records"]["b"]["code"] == "boom"


async def test_a_fallback_that_cannot_be_filled_in_is_a_failure_like_any_other() -> None:
    ran = await perform(
        [*one("boom", on_error={"fallback": "${input.missing.x}"}), {"id": "b", "agent": "ok"}],
        Cast(),
    )
    assert ran.errors == [("a", "expression_failed")]


async def test_another_agent_is_asked_with_the_same_task() -> None:
    cast = Cast()
    ran = await perform(
        one("boom", on_error={"agent": "echo"}, input={"x": 1}), cast, input={"y": 2}
    )
    assert (ran.success, ran.output) == (True, {"x": 1})
    assert ran.state["records"]["a"]["agent"] == "echo"


async def test_the_other_agents_failure_is_the_one_that_is_told() -> None:
    async def worse(task: Task) -> None:
        raise StepFailed("worse", code="worse")

    ran = await perform(one("boom", on_error={"agent": "worse"}), [*Cast(), FunctionAgent(worse)])
    assert ran.errors == [("a", "worse")]


async def test_after_a_failure_steps_at_work_end_and_no_other_begins() -> None:
    cast = Cast()

    async def fail_then_open(task: Task) -> None:
        cast.gate("at_work").set()
        raise StepFailed("boom")

    steps = [
        {"id": "at_work", "agent": "gated"},
        {"id": "bad", "agent": "bad"},
        {"id": "next", "agent": "ok", "depends_on": ["at_work"]},
        {"id": "never", "agent": "ok", "depends_on": ["next"]},
    ]
    ran = await perform(steps, [*cast, FunctionAgent(fail_then_open, name="bad")])
    assert ran.statuses == {
        "at_work": "completed",
        "bad": "failed",
        "never": "not_run",
        "next": "not_run",
    }
    assert cast.log == ["at_work"]
    assert ran.summary.outputs == {"at_work": "at_work"}
    assert ran.state["skipped"]["next"] == "'bad' failed before it could start"


async def test_steps_that_wait_for_a_slot_do_not_begin_after_a_failure() -> None:
    cast = Cast()
    steps = [{"id": "a", "agent": "boom"}, *({"id": f"b{n}", "agent": "ok"} for n in range(5))]
    ran = await perform(steps, cast, max_parallel_steps=1, mode="parallel")
    assert cast.log == ["a"]
    assert [ran.statuses[f"b{n}"] for n in range(5)] == ["not_run"] * 5


async def test_a_guard_that_cannot_be_evaluated_fails_its_step() -> None:
    cast = Cast()
    ran = await perform(one("ok", when="input.x.y.z > 1"), cast)
    assert (ran.errors, cast.log) == ([("a", "expression_failed")], [])


@pytest.mark.parametrize("kind", ["loop", "map", "workflow"])
async def test_a_container_at_work_starts_nothing_more_after_a_failure(kind: str) -> None:
    cast = Cast()

    async def fail_later(task: Task) -> None:
        while len(cast.log) < 2:
            await asyncio.sleep(0)
        raise StepFailed("boom", code="boom")

    body = [{"id": "x", "agent": "yielding", "compensate": {"agent": "undo"}}]
    chain = [{**body[0], "id": f"x{n}", "depends_on": [f"x{n - 1}"] if n else []} for n in range(9)]
    containers: dict[str, dict[str, Any]] = {
        "loop": {"loop": {"steps": body, "until": "false", "max_iterations": 90}},
        "map": {"map": {"over": "input.items", "steps": body, "max_parallel": 1}},
        "workflow": {"workflow": "inner", "input": {}},
    }
    steps = [{"id": "c", **containers[kind]}, {"id": "fails", "agent": "fail_later"}]
    agents = [*cast, FunctionAgent(fail_later)]
    inner = Workflow.model_validate({"name": "inner", "steps": chain})
    ran = await perform(steps, agents, others=[inner], input={"items": list(range(90))})
    worked = [step for step in cast.log if not step.startswith("undo")]
    assert 2 <= len(worked) <= 4
    assert len(cast.log) == 2 * len(worked)  # everything that was done is undone
    assert ran.statuses == {"c": "not_run", "fails": "failed"}
    assert ran.state["skipped"]["c"] == "'fails' failed before it could end"
    assert ran.errors == [("fails", "boom")]
