from pathlib import Path
from typing import Any

from stretto import Engine, Step, Task, Workflow, agent
from stretto.config import load_settings


async def test_a_deployments_defaults_of_a_workflow_stand_in_for_what_a_caller_leaves_out(
    tmp_path: Path,
) -> None:
    (tmp_path / "stretto.toml").write_text(
        '[stretto.workflows.discovery]\nsymbols = ["BTC/EUR"]\nrisk = "low"\ntimeframe = "1h"\n'
    )
    flow = Workflow(
        name="discovery",
        inputs={"symbols": {"type": "array"}, "timeframe": "string"},
        steps=(Step(id="ask", agent="tell"),),
    )

    @agent
    async def tell(task: Task) -> dict[str, Any]:
        return {"input": task.input, "risk": task.context["risk"]}

    async with Engine([tell], home=tmp_path, settings=load_settings(tmp_path)) as engine:
        result = await engine.run(flow, {"timeframe": "4h"})
        assert result.output == {
            "input": {"symbols": ["BTC/EUR"], "timeframe": "4h"},
            "risk": "low",
        }
        result = await engine.run(flow, {"timeframe": "4h"}, context={"risk": "high"})
        assert result.output["risk"] == "high"
