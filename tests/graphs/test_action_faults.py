"""An action that is none is found before the run, wherever a step asks for it."""

from typing import Any

import pytest

from stretto import AgentRegistry, Workflow
from stretto.agents.llm import LLMAgent
from stretto.testing import FakeAgent
from tests.graphs.building import each


@pytest.mark.parametrize(
    ("step", "path"),
    [
        ({"id": "a", "agent": "writer", "action": "answer"}, "steps[0].action"),
        (each({"input_from": None}, agent="writer", action="values"), "steps[0].map.action"),
        (
            {"id": "a", "agent": "other", "compensate": {"agent": "writer", "action": "prepare"}},
            "steps[0].compensate.action",
        ),
        (
            {"id": "a", "agent": "other", "action": "answer", "on_error": {"agent": "writer"}},
            "steps[0].action",
        ),
        (
            {"id": "a", "select": {"agents": ["other", "writer"]}, "action": "answer"},
            "steps[0].action",
        ),
        ({"id": "a", "agent": "writer", "action": "summarize"}, None),
        ({"id": "a", "agent": "other", "action": "answer"}, None),
    ],
)
def test_a_method_for_an_agents_own_work_is_a_fault(step: dict[str, Any], path: str | None) -> None:
    flow = Workflow.model_validate({"name": "w", "steps": [step]})
    registry = AgentRegistry([LLMAgent("writer", "Hi.", "offline"), FakeAgent("other")])
    found = [(fault.path, fault.code) for fault in flow.faults(registry)]
    assert [each for each in found if each[1] == "no_action"] == (
        [(path, "no_action")] if path else []
    )
