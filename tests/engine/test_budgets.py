"""A budget that is used up lets the run wait, and a person may raise it."""

from pathlib import Path
from typing import Any

import pytest
from langgraph.types import interrupt

from stretto import Engine, Step, Task, Workflow
from stretto.agents.agent import FunctionAgent
from stretto.agents.usage import Usage
from stretto.engine.earlier import look_back
from stretto.engine.handle import RunHandle
from stretto.errors import BudgetExceeded, InputInvalid
from stretto.graphs.spec import Budget
from stretto.testing import record_events


class Spender:
    """An agent whose every call costs one call and ten tokens."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    async def __call__(self, task: Task) -> str:
        self.steps.append(task.step_id)
        task.usage.add(Usage(input_tokens=10, calls=1))
        return "done"

    def open(self, home: Path) -> Engine:
        return Engine([FunctionAgent(self, name="spend")], home=home)


def flow(count: int, *, side_by_side: bool = False, **budget: Any) -> Workflow:
    steps = tuple(
        Step(id=f"s{n}", agent="spend", depends_on=(f"s{n - 1}",) if n and not side_by_side else ())
        for n in range(count)
    )
    return Workflow(name="spending", steps=steps, budget=Budget(**budget))


async def types_of(handle: RunHandle) -> list[str]:
    return [e.event for e in await record_events(handle.events())]


async def test_the_run_waits_and_goes_on_with_what_a_person_allows(tmp_path: Path) -> None:
    spender = Spender()
    async with spender.open(tmp_path) as engine:
        waiting = await engine.run(flow(5, model_calls=2))
        assert (waiting.status, spender.steps) == ("waiting", ["s0", "s1"])
        (question,) = waiting.interrupts
        assert question["value"]["budget"] == {"model_calls": 2}
        assert question["value"]["used"] == {"model_calls": 2}
        assert "has used its budget of 2 model_calls" in question["value"]["message"]
        handle = await engine.resume(waiting.run_id, {"model_calls": 10})
        ended = await handle.result()
    assert (ended.status, ended.usage["calls"]) == ("completed", 5)
    assert spender.steps == ["s0", "s1", "s2", "s3", "s4"]


async def test_what_was_allowed_holds_after_a_restart(tmp_path: Path) -> None:
    first, second = Spender(), Spender()
    steps = flow(6, tokens=20)
    async with first.open(tmp_path) as engine:
        run_id = (await engine.run(steps)).run_id
        again = await (await engine.resume(run_id, {"tokens": 40})).result()
        assert (again.status, len(first.steps)) == ("waiting", 4)
        assert again.interrupts[0]["value"]["budget"] == {"tokens": 40}
    async with second.open(tmp_path) as engine:
        with pytest.raises(InputInvalid, match="raises no budget"):
            await engine.resume(run_id, {"token": 1000})
        ended = await (await engine.resume(run_id, {"tokens": 1000})).result()
    assert (ended.status, ended.usage["tokens"]) == ("completed", 60)
    assert second.steps == ["s4", "s5"]


async def test_one_answer_is_enough_for_all_steps_that_wait(tmp_path: Path) -> None:
    spender = Spender()
    steps = flow(1, model_calls=1)
    wide = [Step(id=f"w{n}", agent="spend", depends_on=("s0",)) for n in range(3)]
    async with spender.open(tmp_path) as engine:
        waiting = await engine.run(steps.model_copy(update={"steps": (*steps.steps, *wide)}))
        assert [q["step"] for q in waiting.interrupts] == ["w0", "w1", "w2"]
        handle = await engine.resume(waiting.run_id, {"w0": {"model_calls": 9}})
        assert (await handle.result()).status == "completed"
    assert sorted(spender.steps) == ["s0", "w0", "w1", "w2"]


async def test_a_person_may_let_the_step_fail(tmp_path: Path) -> None:
    spender = Spender()
    async with spender.open(tmp_path) as engine:
        waiting = await engine.run(flow(2, model_calls=1))
        ended = await (await engine.resume(waiting.run_id, "stop")).result()
    assert ended.status == "failed"
    assert [(e.step, e.code) for e in ended.errors] == [("s1", "budget_exceeded")]


@pytest.mark.parametrize(
    "answer", ["more", {}, {"tokens": 0}, {"tokens": None}, {"usd": "much"}, {"warn_at": 1}, 7]
)
async def test_an_answer_that_raises_nothing_is_refused_and_the_run_still_waits(
    tmp_path: Path, answer: Any
) -> None:
    spender = Spender()
    async with spender.open(tmp_path) as engine:
        waiting = await engine.run(flow(2, model_calls=1))
        with pytest.raises(InputInvalid, match="raises no budget; answer with new limits"):
            await engine.resume(waiting.run_id, answer)
        assert (await engine.status(waiting.run_id)).state == "waiting"


async def test_it_is_told_once_that_a_limit_comes_near(tmp_path: Path) -> None:
    spender = Spender()
    async with spender.open(tmp_path) as engine:
        handle = await engine.start(flow(5, model_calls=5, warn_at=0.5))
        events = await record_events(handle.events())
    (warning,) = events.of("budget_warning")
    assert warning.data == {"limit": "model_calls", "of": 5, "used": 3}


async def test_what_each_step_cost_is_told(tmp_path: Path) -> None:
    spender = Spender()
    async with spender.open(tmp_path) as engine:
        handle = await engine.start(flow(2))
        events = await record_events(handle.events())
    told = [e.data["usage"]["tokens"] for e in events.of("agent_completed")]
    assert told == [10, 10]


async def test_what_a_wait_cut_short_still_counts_after_a_later_crash(tmp_path: Path) -> None:
    async def curious(task: Task) -> Any:
        task.usage.add(Usage(input_tokens=10, calls=1))
        return interrupt({"really": "?"})

    workflow = Workflow(name="asking", steps=(Step(id="a", agent="curious"),))
    async with Engine([FunctionAgent(curious)], home=tmp_path) as engine:
        waiting = await engine.run(workflow)
        (row,) = await engine.runs()
        await (await engine.resume(waiting.run_id, "yes")).result()
        events = await record_events(engine.events(waiting.run_id))
    # A crash after the step: its end is told, and the row is as the wait left it.
    crashed = [event for event in events if event.event != "workflow_completed"]
    usage = look_back(crashed, workflow, row.usage).usage
    assert (row.usage or {})["calls"] == 1
    assert (usage.calls, usage.tokens) == (2, 20)


async def test_an_answer_that_comes_again_lowers_no_budget(tmp_path: Path) -> None:
    asked = 0

    async def greedy(task: Task) -> str:
        nonlocal asked
        asked += 1
        task.usage.add(Usage(calls=1))
        if (
            asked < 6
        ):  # twice it asks, and each time it is entered anew it asks again from the start
            raise BudgetExceeded("more")
        return "done"

    given = flow(1, model_calls=9)
    async with Engine([FunctionAgent(greedy, name="spend")], home=tmp_path) as engine:
        handle = await engine.start(given)
        await handle.result()
        for limit in (20, 30):
            handle = await engine.resume(handle.id, {"model_calls": limit})
            result = await handle.result()
        events = await record_events(handle.events())
    assert result.success
    raised = [event.data["model_calls"] for event in events.of("budget_raised")]
    assert raised == sorted(raised)
    assert raised[-1] == 30
