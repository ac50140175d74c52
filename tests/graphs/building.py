"""Steps as a document has them, in few words."""

from typing import Any

from stretto.graphs.spec import Workflow

Steps = list[dict[str, Any]]


def loop(steps: Steps, until: str = "false", rounds: int = 3, **step: Any) -> dict[str, Any]:
    body = {"steps": steps, "until": until, "max_iterations": rounds}
    return {"id": "l", "loop": body, **step}


def branch(cases: dict[str, Steps], default: Steps | None = None, **step: Any) -> dict[str, Any]:
    declared: dict[str, Any] = {
        "on": "input.kind",
        "cases": {name: {"steps": steps} for name, steps in cases.items()},
    }
    if default is not None:
        declared["default"] = {"steps": default}
    return {"id": "b", "branch": declared, **step}


def each(step: dict[str, Any] | None = None, **declared: Any) -> dict[str, Any]:
    return {"id": "m", "map": {"over": "input.items", **declared}, **(step or {})}


def call(step: str, agent: str = "ok", *needs: str, **params: Any) -> dict[str, Any]:
    return {"id": step, "agent": agent, "depends_on": list(needs), "params": params}


def named(name: str, steps: Steps, **declared: Any) -> Workflow:
    return Workflow.model_validate({"name": name, "steps": steps, **declared})
