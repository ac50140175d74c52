"""FakeAgent: canned outputs, failures, and an order that tests control."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from stretto import Engine, Step, Task, Workflow
from stretto.errors import ConfigurationError, StepFailed
from stretto.testing import FakeAgent, ScriptError, record_events


def flow(*steps: Step) -> Workflow:
    return Workflow(name="play", steps=steps)


def engine_with(home: Path, *agents: FakeAgent) -> Engine:
    return Engine(agents, home=home, database=f"sqlite:///{home / 'stretto.db'}")


async def test_every_call_gives_the_output_whatever_the_action() -> None:
    agent = FakeAgent("a", {"n": 1})
    assert await agent(Task()) == {"n": 1}
    assert await agent(Task("hold", {"x": 2})) == {"n": 1}
    assert [task.action for task in agent.calls] == [None, "hold"]
    assert agent.calls[1].params == {"x": 2}


async def test_an_action_named_like_a_method_of_the_fake_reaches_no_such_method(
    tmp_path: Path,
) -> None:
    agent = FakeAgent("a", "done")
    async with engine_with(tmp_path, agent) as engine:
        result = await engine.run(flow(Step(id="one", agent="a", action="hold")))
    assert result.output == "done"


async def test_outputs_come_one_after_the_other() -> None:
    agent = FakeAgent("a", outputs=[1, ConnectionError("down"), 3])
    assert await agent(Task()) == 1
    with pytest.raises(ConnectionError):
        await agent(Task())
    assert await agent(Task()) == 3
    with pytest.raises(ScriptError, match="agent 'a' has 3 lines, and it was asked for more"):
        await agent(Task(step_id="s"))


async def test_an_output_can_be_a_function_of_the_task() -> None:
    async def later(task: Task) -> int:
        return int(task.params["n"]) + 1

    assert await FakeAgent("a", lambda task: task.step_id)(Task(step_id="s")) == "s"
    assert await FakeAgent("a", outputs=[later])(Task(params={"n": 1})) == 2


def test_output_and_outputs_are_one_or_the_other() -> None:
    with pytest.raises(ConfigurationError, match="fake agent 'a': give output or outputs"):
        FakeAgent("a", 1, outputs=[2])


@pytest.mark.parametrize("error", [StepFailed("no", code="no"), ValueError])
async def test_it_fails_every_time(error: Any) -> None:
    agent = FakeAgent("a", raises=error)
    for _ in range(3):
        with pytest.raises(StepFailed if isinstance(error, StepFailed) else ValueError):
            await agent(Task())


async def test_an_error_that_has_to_be_made_of_something_is_given_as_one() -> None:
    with pytest.raises(ScriptError, match="StepFailed cannot be raised without arguments"):
        await FakeAgent("a", raises=StepFailed)(Task())


async def test_it_fails_so_many_times_and_then_works(tmp_path: Path) -> None:
    agent = FakeAgent("a", "fine", fails=2)
    retry = {"attempts": 3, "delay": 0.001, "jitter": False}
    steps = [{"id": "one", "agent": "a", "retry": retry}]
    async with engine_with(tmp_path, agent) as engine:
        again = Workflow.from_dict({"name": "play", "steps": steps})
        events = await record_events(engine.stream(again))
    assert events.outline() == [
        "workflow_started",
        "agent_started one",
        "agent_retry one: told_to_fail",
        "agent_started one #2",
        "agent_retry one #2: told_to_fail",
        "agent_started one #3",
        "agent_completed one #3",
        "workflow_completed",
    ]


async def test_a_held_step_waits_while_another_one_goes_on(tmp_path: Path) -> None:
    agent = FakeAgent("a", lambda task: task.step_id, capabilities={"playing"})
    steps = (Step(id="slow", agent="a"), Step(id="fast", capability="playing"))
    after = Step(id="after", agent="a", depends_on=("fast",))
    agent.hold("slow")
    async with engine_with(tmp_path, agent) as engine:
        handle = await engine.start(flow(*steps, after))
        await agent.called(3)
        assert (await handle.status()).state == "running"
        agent.release("slow")
        assert (await handle.result()).outputs["slow"] == "slow"
    assert {task.step_id for task in agent.calls[:2]} == {"slow", "fast"}
    assert agent.calls[2].step_id == "after"


async def test_the_items_of_a_map_are_held_by_its_name(tmp_path: Path) -> None:
    gave: list[str] = []
    agent = FakeAgent("a", lambda task: gave.append(task.step_id))
    agent.hold("each")
    each = Step.model_validate({"id": "each", "map": {"over": "[1, 2]", "agent": "a"}})
    after = Step(id="after", agent="a")
    async with engine_with(tmp_path, agent) as engine:
        handle = await engine.start(flow(each, after))
        await agent.called(3)
        while not gave:
            await asyncio.sleep(0)
        assert gave == ["after"]
        agent.release("each")
        await handle.result()
    assert sorted(gave[1:]) == ["each[0]", "each[1]"]


async def test_all_calls_are_held_and_released_together() -> None:
    agent = FakeAgent("a", 1)
    agent.hold()
    agent.hold("s")
    calls = [asyncio.create_task(agent(Task(step_id=step))) for step in ("r", "s")]
    await agent.called(2)
    assert not any(call.done() for call in calls)
    agent.release()
    assert await asyncio.gather(*calls) == [1, 1]


async def test_a_call_that_does_not_come_is_an_assertion_that_fails() -> None:
    agent = FakeAgent("a")
    with pytest.raises(AssertionError, match=r"'a' was called 0 times in 0.01 s, not 1"):
        await agent.called(within=0.01)


async def test_tokens_are_streamed_before_the_output(tmp_path: Path) -> None:
    agent = FakeAgent("a", "Hi", tokens=["H", "i"])
    async with engine_with(tmp_path, agent) as engine:
        step = Step(id="one", agent="a", stream="answer")
        events = await record_events(await engine.start(flow(step)))
    assert events.text == "Hi"
