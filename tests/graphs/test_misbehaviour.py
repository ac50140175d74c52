"""An agent that misbehaves hurts its own run at most."""

import asyncio
import math
from typing import Any

import pytest
from langgraph.errors import NodeCancelledError
from pydantic import BaseModel

from stretto.agents.agent import FunctionAgent, Task
from stretto.graphs.spec import Workflow
from tests.graphs.running import Cast, Saver, Stage, open_activations, perform


class Number(BaseModel):
    n: int


def one(agent: str = "counting", **policy: Any) -> list[dict[str, Any]]:
    return [{"id": "a", "agent": agent, **policy}]


def circle() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


@pytest.mark.parametrize(
    "value",
    [object(), math.nan, math.inf, {"deep": [math.nan]}, 2**64, [-(2**63) - 1], circle(), b"\xff"],
    ids=lambda v: type(v).__name__,
)
async def test_what_is_no_json_fails_its_step(value: Any) -> None:
    async def odd(task: Task) -> Any:
        return value

    ran = await perform(one("odd"), [FunctionAgent(odd)])
    assert ran.errors == [("a", "not_json")]


async def test_what_has_a_json_form_is_turned_into_it() -> None:
    async def rich(task: Task) -> Any:
        return {"model": Number(n=1), "set": {2}, "tuple": (3, None), "big": 2**63, 5: "key"}

    ran = await perform(one("rich"), [FunctionAgent(rich)])
    assert ran.output == {
        "model": {"n": 1},
        "set": [2],
        "tuple": [3, None],
        "big": 2**63,
        "5": "key",
    }


def stop_iteration(task: Task) -> Any:
    return next(iter([]))


async def cancel_itself(task: Task) -> None:
    current = asyncio.current_task()
    assert current is not None
    current.cancel()
    await asyncio.sleep(0)


async def raise_cancelled(task: Task) -> None:
    raise asyncio.CancelledError


def end_the_process(task: Task) -> None:
    raise SystemExit(3)


async def end_the_process_slowly(task: Task) -> None:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("agent", "code"),
    [
        (stop_iteration, "agent_failed"),
        (raise_cancelled, "step_failed"),
        (end_the_process, "step_failed"),
        (end_the_process_slowly, "step_failed"),
    ],
)
async def test_an_agent_that_tries_to_end_more_than_its_call_fails_alone(
    agent: Any, code: str
) -> None:
    steps = [
        {"id": "bad", "agent": agent.__name__, "on_error": "continue"},
        {"id": "good", "agent": "gated"},
        {"id": "after", "agent": "open", "depends_on": ["bad"], "join": "done"},
    ]
    cast = Cast()

    async def release(task: Task) -> None:
        cast.gate("good").set()

    agents = [*cast, FunctionAgent(agent), FunctionAgent(release, name="open")]
    ran = await perform(steps, agents)
    assert ran.statuses == {"after": "completed", "bad": "failed", "good": "completed"}
    assert ran.errors == [("bad", code)]


async def test_an_agent_that_cancels_the_task_it_runs_in_ends_its_run_and_no_other() -> None:
    async def maybe_cancel(task: Task) -> str:
        if task.input["cancel"]:
            await cancel_itself(task)
        await gate.wait()
        return "fine"

    gate = asyncio.Event()
    stage = Stage([{"id": "a", "agent": "maybe"}], [FunctionAgent(maybe_cancel, name="maybe")])
    other = asyncio.create_task(stage.run({"cancel": False}, "other"))
    with pytest.raises(NodeCancelledError):
        await stage.run({"cancel": True}, "one")
    gate.set()
    assert (await other).output == "fine"
    assert open_activations() == 0


async def test_another_run_does_not_notice_an_agent_that_hangs() -> None:
    stage = Stage([{"id": "a", "agent": "maybe"}], [FunctionAgent(maybe_hang, name="maybe")])
    hanging = asyncio.create_task(stage.run({"hang": True}, "one"))
    ran = await stage.run({"hang": False}, "two")
    assert (ran.output, hanging.done()) == ("fine", False)
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging


async def maybe_hang(task: Task) -> str:
    if task.input["hang"]:
        await asyncio.Event().wait()
    return "fine"


async def test_fifty_thousand_tokens_pass_in_order() -> None:
    async def flood(task: Task) -> Any:
        for number in range(50_000):
            yield f"{number} "

    agent = FunctionAgent(flood, name="flood")
    ran, events = await Stage(one("flood"), [agent]).narrate()
    tokens = [e.data["content"] for e in events if e.event == "agent_stream"]
    assert tokens == [f"{number} " for number in range(50_000)]
    assert ran.output == "".join(tokens)


HUGE, SUM = 2**64, {"aggregate": "sum"}
INNER = Workflow.model_validate(
    {"name": "inner", "steps": [{"id": "x", "agent": "ok"}], "output": {"n": HUGE}}
)


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (
            {"agent": "ok", "params": {"value": [1e308, 1e308]}, "transform": [SUM]},
            ("not_json", "the transforms give the number inf, which cannot be kept"),
        ),
        (
            {"agent": "ok", "params": {"value": [HUGE - 1, 1]}, "transform": [SUM]},
            (
                "not_json",
                "the transforms give an integer of more than 64 bits, which cannot be kept",
            ),
        ),
        (
            {"input": [HUGE], "transform": [{"filter": "true"}]},
            (
                "not_json",
                "the transforms give an integer of more than 64 bits, which cannot be kept",
            ),
        ),
        (
            {"agent": "boom", "on_error": {"fallback": {"n": HUGE}}},
            ("not_json", "the fallback has an integer of more than 64 bits"),
        ),
        (
            {"workflow": "inner", "input": {}},
            (
                "expression_failed",
                "output: it has an integer of more than 64 bits, which cannot be kept",
            ),
        ),
    ],
    ids=["infinite", "sum", "input", "fallback", "nested"],
)
async def test_numbers_that_cannot_be_kept_fail_their_step(
    step: dict[str, Any], error: tuple[str, str], saver: Saver
) -> None:
    stage = Stage([{"id": "s", **step}], Cast(), saver=saver, others=[INNER])
    (found,) = (await stage.run()).summary.errors
    assert (found.code, found.message) == error
