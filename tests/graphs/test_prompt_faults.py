"""A prompt without a value is found before the run, not in the middle of it."""

from pathlib import Path
from typing import Any

import pytest

from stretto import AgentRegistry, Engine, Task, Workflow
from stretto.agents.llm import LLMAgent
from stretto.errors import WorkflowInvalid
from stretto.testing import FakeAgent, ScriptedModel
from tests.graphs.building import each


def faults(*steps: dict[str, Any], agent: LLMAgent | None = None) -> list[tuple[str, str]]:
    writer = agent or LLMAgent("writer", "{{text}} {{tone}} {{input}} {{context.x}}", "offline")
    registry = AgentRegistry([writer, FakeAgent("other")])
    flow = Workflow.model_validate({"name": "w", "steps": steps})
    return [(fault.path, fault.message) for fault in flow.faults(registry)]


def needs(value: str) -> str:
    return f"The prompt of agent 'writer' needs '{value}'; give it in 'params'."


def test_every_value_that_a_step_does_not_give_is_a_fault() -> None:
    step = {"id": "a", "agent": "writer", "params": {"txt": "x"}}
    assert faults(step) == [("steps[0].params", needs("text")), ("steps[0].params", needs("tone"))]
    assert faults({"id": "a", "agent": "writer", "params": {"text": "x", "tone": "dry"}}) == []


def test_the_nearest_param_is_named() -> None:
    flow = Workflow.from_dict(
        {"name": "w", "steps": [{"id": "a", "agent": "writer", "params": {"txt": "x"}}]}
    )
    (fault,) = flow.faults(AgentRegistry([LLMAgent("writer", "{{text}}", "offline")]))
    assert (fault.code, fault.nearest) == ("missing_value", "txt")


def test_calls_in_every_place_are_looked_at() -> None:
    given = {"text": "x"}
    undo = {"agent": "writer", "params": given}
    found = faults(
        each({"input_from": None}, agent="writer", params=given),
        {"id": "b", "agent": "other", "on_error": {"agent": "writer"}, "compensate": undo},
    )
    assert [path for path, _ in found if path.startswith("steps[0]")] == ["steps[0].map.params"]
    assert [path for path, _ in found if path.startswith("steps[1]")] == [
        "steps[1].compensate.params",
        "steps[1].on_error.agent",
        "steps[1].on_error.agent",
    ]


def test_a_prompt_that_is_not_there_is_a_fault() -> None:
    step = {"id": "a", "agent": "writer"}
    ((path, message),) = faults(step, agent=LLMAgent("writer", "acount_advice", "offline"))
    assert path == "steps[0].params"
    assert message.startswith("Agent 'writer' has no usable prompt: There is no prompt 'acount")


def test_an_agent_with_values_of_its_own_is_left_alone() -> None:
    class Own(LLMAgent):
        def values(self, task: Task) -> dict[str, Any]:
            return {"text": task.step_id}

    step = {"id": "a", "agent": "writer"}
    assert faults(step, agent=Own("writer", "{{text}}", "offline")) == []


async def test_a_run_does_not_start(tmp_path: Path) -> None:
    first = FakeAgent("first")
    model = ScriptedModel()
    flow = Workflow.from_dict(
        {
            "name": "w",
            "steps": [
                {"id": "a", "agent": "first"},
                {"id": "b", "agent": "writer", "depends_on": ["a"]},
            ],
        }
    )
    writer = LLMAgent("writer", "{{text}}", model)
    async with Engine([first, writer], home=tmp_path, database=f"sqlite:///{tmp_path}/db") as e:
        with pytest.raises(WorkflowInvalid, match="needs 'text'"):
            await e.run(flow)
    assert (first.calls, model.calls) == ([], [])
