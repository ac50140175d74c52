"""Who does a step may depend on the input: the first rule that holds, else one of a list."""

from typing import Any

import pytest

from stretto import Engine, Workflow
from stretto.config import Settings
from stretto.testing import FakeAgent

FLOW = Workflow.model_validate(
    {
        "name": "w",
        "inputs": {"kind": "string", "size": "integer"},
        "steps": [
            {
                "id": "a",
                "select": {
                    "rules": [
                        {"when": "input.kind == 'api'", "agent": "specialist"},
                        {"when": "input.size > 10", "agent": "senior"},
                    ],
                    "agents": ["generalist"],
                },
            }
        ],
    }
)


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ({"kind": "api", "size": 20}, "specialist"),
        ({"kind": "ui", "size": 20}, "senior"),
        ({"kind": "ui", "size": 1}, "generalist"),
    ],
)
async def test_the_first_rule_that_holds_chooses_the_agent(
    given: dict[str, Any], chosen: str, tmp_path: Any
) -> None:
    agents = [FakeAgent(name, {"by": name}) for name in ("specialist", "senior", "generalist")]
    async with Engine(agents, home=tmp_path, settings=Settings()) as engine:
        result = await engine.run(FLOW, given)
    assert result.outputs["a"] == {"by": chosen}
