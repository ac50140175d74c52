"""A run that waits for people: what is done stays done, and what needs an answer waits for it."""

import asyncio
from typing import Any

import pytest
from langgraph.types import interrupt

from stretto.agents.agent import FunctionAgent, Task
from stretto.errors import StepFailed
from tests.graphs.running import Cast, Ran, Saver, Stage, open_activations


def ask(step: str, *needs: str, **more: Any) -> dict[str, Any]:
    approval = {"message": f"Is {step} fine?", **more.pop("approval", {})}
    return {"id": step, "approval": approval, "depends_on": list(needs), **more}


def ok(step: str, *needs: str, **more: Any) -> dict[str, Any]:
    return {"id": step, "agent": "ok", "depends_on": list(needs), **more}


def asked(ran: Ran) -> list[str]:
    return sorted(value["step"] for value in ran.questions.values())


async def test_an_approval_waits_and_gives_the_choice(saver: Saver) -> None:
    cast = Cast()
    steps = [
        ok("draft"),
        ask("fine", "draft", approval={"message": "Publish ${draft}?", "options": ["yes", "no"]}),
        ok("publish", "fine", when="fine.choice == 'yes'"),
    ]
    stage = Stage(steps, cast, saver=saver)
    ran = await stage.run()
    assert list(ran.questions.values()) == [
        {"step": "fine", "message": "Publish draft?", "options": ["yes", "no"]}
    ]
    assert ran.statuses == {"draft": "completed"}
    ran = await stage.answer("yes")
    assert ran.summary.outputs["fine"] == {"choice": "yes"}
    assert cast.log == ["draft", "publish"]


async def test_an_answer_may_say_more_than_the_choice(saver: Saver) -> None:
    stage = Stage([ask("fine")], Cast(), saver=saver)
    await stage.run()
    ran = await stage.answer({"choice": "reject", "why": "typo"})
    assert ran.output == {"choice": "reject", "why": "typo"}


async def test_an_answer_that_is_no_option_is_asked_for_again(saver: Saver) -> None:
    stage = Stage([ask("fine")], Cast(), saver=saver)
    await stage.run()
    for wrong in ("perhaps", {"why": "no choice"}, 7):
        ran = await stage.answer(wrong)
        (question,) = ran.questions.values()
        assert question["error"] == f"{wrong!r} is no answer to 'fine'; choose approve, reject"
    ran = await stage.answer("approve")
    assert (ran.success, ran.output) == (True, {"choice": "approve"})


async def test_an_approval_that_expired_without_a_default_fails(saver: Saver) -> None:
    stage = Stage([ask("fine", approval={"deadline": "1h"})], Cast(), saver=saver)
    (question,) = (await stage.run()).questions.values()
    assert question["deadline_at"] > 0
    ran = await stage.answer({"expired": True})
    assert ran.errors == [("fine", "approval_expired")]


async def test_two_questions_are_answered_one_by_one(saver: Saver) -> None:
    cast = Cast()
    steps = [ok("a"), ask("one", "a"), ask("two", "a"), ok("x", "one"), ok("y", "two"), ok("free")]
    stage = Stage(steps, cast, saver=saver)
    ran = await stage.run()
    assert asked(ran) == ["one", "two"]
    first = {value["step"]: key for key, value in ran.questions.items()}
    ran = await stage.answer({first["two"]: "approve"})
    assert asked(ran) == ["one"]
    assert sorted(cast.log) == ["a", "free", "y"]
    ran = await stage.answer({first["one"]: "reject"})
    assert ran.summary.outputs["one"] == {"choice": "reject"}
    assert sorted(cast.log) == ["a", "free", "x", "y"]


async def test_two_questions_are_answered_together(saver: Saver) -> None:
    cast = Cast()
    stage = Stage([ask("one"), ask("two"), ok("end", "one", "two")], cast, saver=saver)
    ran = await stage.run()
    options = {"one": "approve", "two": "reject"}
    ran = await stage.answer({k: options[v["step"]] for k, v in ran.questions.items()})
    assert {s: out["choice"] for s, out in ran.summary.outputs.items() if s != "end"} == options
    assert cast.log == ["end"]


async def test_what_needs_an_answer_neither_runs_nor_counts_as_ended(saver: Saver) -> None:
    cast = Cast()
    steps = [
        ask("q"),
        ok("all", "q"),
        ok("done", "q", join="done"),
        ok("far", "all"),
        ok("any", "q", "free", join="any"),
        ok("free"),
    ]
    stage = Stage(steps, cast, saver=saver)
    ran = await stage.run()
    assert ran.statuses == {"any": "completed", "free": "completed"}
    assert ran.state.get("skipped", {}) == {}
    ran = await stage.answer("approve")
    assert set(ran.statuses.values()) == {"completed"}
    assert sorted(cast.log) == ["all", "any", "done", "far", "free"]


async def test_any_waits_when_nothing_else_completed(saver: Saver) -> None:
    cast = Cast()
    steps = [
        ask("q"),
        {"id": "bad", "agent": "boom", "on_error": "continue"},
        ok("any", "q", "bad", join="any"),
    ]
    stage = Stage(steps, cast, saver=saver)
    assert (await stage.run()).statuses == {"bad": "failed"}
    ran = await stage.answer("approve")
    assert ran.statuses["any"] == "completed"
    assert cast.log == ["bad", "any"]


async def test_sequential_steps_wait_behind_a_question(saver: Saver) -> None:
    cast = Cast()
    stage = Stage([ok("a"), ask("q"), ok("z")], cast, saver=saver, mode="sequential")
    await stage.run()
    assert cast.log == ["a"]
    await stage.answer("approve")
    assert cast.log == ["a", "z"]


def round_of(body: list[dict[str, Any]]) -> dict[str, Any]:
    loop = {"id": "l", "loop": {"steps": body, "until": "iteration == 2", "max_iterations": 2}}
    return {"id": "b", "branch": {"on": "input.kind", "cases": {"x": {"steps": [loop]}}}}


async def test_a_question_in_a_loop_in_a_branch(saver: Saver) -> None:
    cast = Cast()
    body = [ok("before"), ask("q", "before"), ok("after", "q")]
    stage = Stage([round_of(body), ok("end", "b"), ok("free")], cast, saver=saver)
    ran = await stage.run({"kind": "x"})
    assert asked(ran) == ["b/l#1/q"]
    ran = await stage.answer("approve")
    assert asked(ran) == ["b/l#2/q"]
    ran = await stage.answer("reject")
    assert ran.summary.outputs["b"]["l"]["q"] == {"choice": "reject"}
    assert [s for s in cast.log if s != "free"] == ["before", "after", "before", "after", "end"]
    assert cast.log.count("free") == 1


async def test_questions_in_the_items_of_a_map(saver: Saver) -> None:
    cast = Cast()
    body = [ok("before", params={"value": "${item}"}), ask("q", "before"), ok("after", "q")]
    each = {"id": "m", "map": {"over": "input.items", "steps": body}}
    stage = Stage([each, ok("end", "m")], cast, saver=saver)
    ran = await stage.run({"items": ["x", "y", "z"]})
    assert asked(ran) == ["m[0]/q", "m[1]/q", "m[2]/q"]
    middle = next(k for k, v in ran.questions.items() if v["step"] == "m[1]/q")
    ran = await stage.answer({middle: "reject"})
    assert asked(ran) == ["m[0]/q", "m[2]/q"]
    ran = await stage.answer(dict.fromkeys(ran.questions, "approve"))
    assert [item["q"]["choice"] for item in ran.summary.outputs["m"]] == [
        "approve",
        "reject",
        "approve",
    ]
    assert [item["before"] for item in ran.summary.outputs["m"]] == ["x", "y", "z"]
    assert sorted(cast.log) == ["after"] * 3 + ["before"] * 3 + ["end"]


@pytest.mark.parametrize("kind", ["async", "thread"])
async def test_an_agent_may_ask_by_itself(saver: Saver, kind: str) -> None:
    calls: list[int] = []

    async def curious(task: Task) -> str:
        return plain(task)

    def plain(task: Task) -> str:
        calls.append(task.attempt)
        first = interrupt({"name": "?"})
        second = interrupt({"age": "?"})
        return f"{first} is {second}"

    agent = FunctionAgent(curious if kind == "async" else plain, name="curious")
    steps = [{"id": "a", "agent": "curious", "retry": {"attempts": 3}}, ok("z", "a")]
    stage = Stage(steps, [*Cast(), agent], saver=saver)
    assert list((await stage.run()).questions.values()) == [{"name": "?"}]
    assert list((await stage.answer("Ada")).questions.values()) == [{"age": "?"}]
    ran = await stage.answer(36)
    assert ran.summary.outputs == {"a": "Ada is 36", "z": "z"}
    assert calls == [1, 1, 1]


async def test_a_failure_elsewhere_ends_the_run_once_it_goes_on(saver: Saver) -> None:
    cast = Cast()
    steps = [
        ask("q"),
        ok("a", compensate={"agent": "undo", "params": {"of": "a"}}),
        {"id": "bad", "agent": "fail", "depends_on": ["a"]},
        ok("z", "q"),
    ]

    async def fail_later(task: Task) -> None:
        await asyncio.sleep(0)
        raise StepFailed("boom", code="boom")

    stage = Stage(steps, [*cast, FunctionAgent(fail_later, name="fail")], saver=saver)
    ran = await stage.run()
    assert (asked(ran), ran.statuses) == (["q"], {"a": "completed", "bad": "failed"})
    ran = await stage.go_on()
    assert ran.statuses == {"a": "completed", "bad": "failed", "q": "not_run", "z": "not_run"}
    assert cast.log == ["a", "undo a"]
    assert ran.errors == [("bad", "boom")]


async def test_a_failure_elsewhere_that_may_happen_leaves_the_question(saver: Saver) -> None:
    steps = [ask("q"), {"id": "bad", "agent": "boom", "on_error": "continue"}, ok("z", "q")]
    stage = Stage(steps, Cast(), saver=saver)
    assert asked(await stage.run()) == ["q"]
    ran = await stage.answer("approve")
    assert ran.statuses == {"bad": "failed", "q": "completed", "z": "completed"}
    assert ran.success


async def test_activations_of_a_run_that_waits_are_closed(saver: Saver) -> None:
    stage = Stage([ask("q"), ok("a", "q")], Cast(), saver=saver)
    await stage.run()
    assert open_activations() == 0
    await stage.answer("approve")
    assert open_activations() == 0


async def test_a_failure_elsewhere_undoes_what_a_container_that_waits_had_done(
    saver: Saver,
) -> None:
    cast = Cast()

    async def fail_later(task: Task) -> None:
        while "in" not in cast.log:
            await asyncio.sleep(0)
        raise StepFailed("boom", code="boom")

    body = [ok("in", compensate={"agent": "undo", "params": {"of": "in"}}), ask("q", "in")]
    steps = [
        {"id": "c", "loop": {"steps": body, "until": "true", "max_iterations": 2}},
        {"id": "fails", "agent": "fail_later"},
    ]
    stage = Stage(steps, [*cast, FunctionAgent(fail_later)], saver=saver)
    assert asked(await stage.run()) == ["c#1/q"]
    ran = await stage.go_on()
    assert (ran.questions, ran.statuses) == ({}, {"c": "not_run", "fails": "failed"})
    assert cast.log == ["in", "undo in"]


async def test_new_input_while_a_question_waits_starts_anew(saver: Saver) -> None:
    cast = Cast()
    stage = Stage([{"id": "a", "agent": "echo"}, ask("q", "a")], cast, saver=saver)
    await stage.run({"n": 1})
    assert asked(await stage.run({"n": 2})) == ["q"]
    ran = await stage.answer("approve")
    assert (ran.summary.outputs["a"], cast.log) == ({"n": 2}, ["a", "a"])
