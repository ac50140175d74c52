"""Steps inside containers are undone like any others, also when the container was cut short."""

from typing import Any

import pytest

from stretto.graphs.spec import Workflow
from tests.graphs.running import Cast, Steps, bad, done, perform, undone


def loop(body: Steps, rounds: int = 2, **more: Any) -> dict[str, Any]:
    return {"id": "l", "loop": {"steps": body, "until": "false", "max_iterations": rounds}, **more}


def each(body: Steps, **more: Any) -> dict[str, Any]:
    return {"id": "m", "map": {"over": "input.items", "steps": body, "max_parallel": 1}, **more}


def inner(body: Steps, **more: Any) -> Workflow:
    return Workflow.model_validate({"name": "inner", "steps": body, **more})


INPUT = {"items": ["x", "y"]}


async def test_steps_inside_containers_are_undone_one_by_one() -> None:
    cast = Cast()
    rounds = done("r", params={"value": "${iteration}"})
    items = done("i", params={"value": "${item}"})
    steps: Steps = [
        loop([rounds]),
        each([items], depends_on=["l"]),
        {"id": "n", "workflow": "inner", "input": {}, "depends_on": ["m"]},
        bad("n"),
    ]
    await perform(steps, cast, others=[inner([done("w")])], input=INPUT)
    assert undone(cast) == ["w=w", "i=y", "i=x", "r=2", "r=1"]


async def test_what_a_fallback_inside_did_is_undone_when_the_run_fails_later() -> None:
    cast = Cast()
    spare = Workflow.model_validate({"name": "spare", "steps": [done("s")]})
    steps: Steps = [{"id": "n", "workflow": "inner", "input": {}}, bad("n")]
    others = [inner([bad(step="worse")], fallback_workflow="spare"), spare]
    await perform(steps, cast, others=others)
    assert undone(cast) == ["s=s"]


FAILING: dict[str, tuple[dict[str, Any], list[str]]] = {
    "loop": (loop([done("a"), bad("a")]), ["a=a"]),
    "map": (each([done("a", params={"value": "${item}"}), bad("a")]), ["a=x"]),
    "workflow": ({"id": "n", "workflow": "inner", "input": {}}, ["a=a"]),
}


@pytest.mark.parametrize("kind", FAILING)
async def test_what_was_done_inside_a_container_that_failed_is_undone_once(kind: str) -> None:
    cast = Cast()
    step, expected = FAILING[kind]
    others = [inner([done("a"), bad("a")])]
    ran = await perform(
        [done("first"), step | {"depends_on": ["first"]}], cast, others=others, input=INPUT
    )
    assert undone(cast) == [*expected, "first=first"]
    assert not ran.success


@pytest.mark.parametrize(
    "on_error", ["continue", {"fallback": 1}, {"agent": "ok"}], ids=["continue", "value", "agent"]
)
async def test_what_was_done_inside_a_container_that_was_replaced_is_undone_later(
    on_error: Any,
) -> None:
    cast = Cast()
    steps = [loop([done("a"), bad("a")], on_error=on_error), {**bad("l"), "join": "done"}]
    await perform(steps, cast)
    assert undone(cast) == ["a=a"]


async def test_what_was_done_inside_a_container_that_took_too_long_is_undone() -> None:
    cast = Cast()
    hang = {"id": "hang", "agent": "gated", "depends_on": ["a"]}
    steps = [loop([done("a"), hang], timeout=0.05)]
    ran = await perform(steps, cast)
    assert (undone(cast), ran.errors) == (["a=a"], [("l", "step_timed_out")])


async def test_a_container_inside_another_that_took_too_long_is_undone() -> None:
    cast = Cast()
    hang = {"id": "hang", "agent": "gated", "depends_on": ["a"]}
    steps = [each([loop([done("a"), hang])], timeout=0.05)]
    await perform(steps, cast, input={"items": [1]})
    assert undone(cast) == ["a=a"]


async def test_what_was_done_in_a_loop_whose_condition_failed_is_undone() -> None:
    cast = Cast()
    body = {"steps": [done("a")], "until": "a.b.c.d > 1", "max_iterations": 3}
    ran = await perform([{"id": "l", "loop": body}], cast)
    assert (undone(cast), ran.errors) == (["a=a"], [("l", "expression_failed")])
