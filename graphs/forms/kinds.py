"""Forms of what a step does: ``step_type`` and the choice of an agent by the input."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from stretto.graphs.forms.rewriting import Rewrite
from stretto.graphs.paths import join
from stretto.graphs.plaindata import is_list, is_mapping

_HTTP = {
    "url": "url",
    "endpoint": "url",
    "method": "method",
    "headers": "headers",
    "query": "query",
    "params": "query",
    "json": "json",
    "data": "json",
    "payload": "json",
    "body": "body",
}
_APPROVAL = {
    "message": "message",
    "prompt": "message",
    "options": "options",
    "deadline": "deadline",
    "timeout": "deadline",
    "on_deadline": "on_deadline",
}


def take_step_type(step: Rewrite) -> None:
    """Read ``step_type``; a word that nobody knows stays and is a fault."""
    kind = step.data.get("step_type")
    known = KINDS.get(kind.lower()) if isinstance(kind, str) else None
    if known is None:
        return
    del step.data["step_type"]
    if "agent" not in step.data and "capability" not in step.data:
        known(step)


def _agent_task(step: Rewrite) -> None:
    """An agent task is the usual step."""


def _api_call(step: Rewrite) -> None:
    if "http" in step.data:
        return
    params = step.pop_mapping("params") or {}
    request = _pick(params, _HTTP, step, "http")
    if isinstance(request.get("method"), str):
        request["method"] = request["method"].upper()
    _put(step, "http", {**request, **params})


def _transformation(step: Rewrite) -> None:
    """The parameters of a transformation name what is done, and to what."""
    params = step.data.get("params")
    if not is_mapping(params):
        return
    left = dict(params)
    for key, names in _TRANSFORMATION.items():
        for name in names:
            if name in left and key not in step.data:
                _put(step, key, left.pop(name))
    if left:
        step.data["params"] = left
    else:
        del step.data["params"]


_TRANSFORMATION = {
    "transform": ("transform", "transformations", "data_transformations"),
    "input": ("input",),
    "input_from": ("input_from",),
}


def _human_approval(step: Rewrite) -> None:
    if "approval" in step.data:
        return
    params = step.pop_mapping("params") or {}
    approval = _pick(params, _APPROVAL, step, "approval")
    if "timeout" in step.data:
        approval.setdefault("deadline", step.data.pop("timeout"))
    texts = (step.data.pop("action", None), step.data.get("description"), step.data.get("id"))
    approval.setdefault("message", next((t for t in texts if isinstance(t, str)), "Approve?"))
    _put(step, "approval", {**approval, **params})


def _sub_workflow(step: Rewrite) -> None:
    params = step.pop_mapping("params") or {}
    for key in ("workflow_id", "workflow", "name"):
        if "workflow" not in step.data and key in params:
            _put(step, "workflow", params.pop(key))
    if "workflow" not in step.data and "workflow_id" in step.data:
        step.put("workflow", step.data.pop("workflow_id"), "workflow_id")
    if "workflow" not in step.data and "action" in step.data:
        step.put("workflow", step.data.pop("action"), "action")
    given = params.pop("input", params.pop("input_data", params or None))
    if given is not None and "input" not in step.data:
        _put(step, "input", given)


KINDS: Mapping[str, Callable[[Rewrite], None]] = {
    "agent_task": _agent_task,
    "api_call": _api_call,
    "transformation": _transformation,
    "human_approval": _human_approval,
    "sub_workflow": _sub_workflow,
}
"""What ``step_type`` may be."""


def _pick(
    params: dict[str, Any], table: Mapping[str, str], step: Rewrite, key: str
) -> dict[str, Any]:
    """Take what a table knows out of the params, and note where it stood."""
    picked: dict[str, Any] = {}
    origin = step.moved.get(join(step.path, "params"), join(step.source, "params"))
    for name, known in table.items():
        if name in params and known not in picked:
            picked[known] = params.pop(name)
            step.moved[join(step.path, key, known)] = join(origin, name)
    return picked


def _put(step: Rewrite, key: str, value: Any) -> None:
    step.data[key] = value
    origin = step.moved.get(join(step.path, "params"), join(step.source, "params"))
    step.moved[join(step.path, key)] = origin


def take_dynamic_agent(step: Rewrite) -> None:
    """Read the choice of an agent by load or by the input; the step's own agent is the default."""
    choice = step.pop_mapping("dynamic_agent")
    if choice is None:
        return
    kind = choice.pop("type", "load_balanced")
    if kind not in ("load_balanced", "based_on_input") or "select" in step.data:
        step.data["dynamic_agent"] = {"type": kind, **choice}
        return
    rules, agents = choice.pop("rules", []), choice.pop("agents", [])
    default = choice.pop("default", None) or step.data.pop("agent", None)
    if not agents and default is not None:
        agents = [default]
    if is_list(rules):
        rules = [_rule(rule) for rule in rules]
    step.put("select", {"rules": rules, "agents": agents, **choice}, "dynamic_agent")


def _rule(rule: Any) -> Any:
    """Write ``{contains: API, agent: x}`` as a condition on the requirements, or on a ``field``."""
    if not is_mapping(rule) or "contains" not in rule or "when" in rule:
        return rule
    rest = {k: v for k, v in rule.items() if k not in ("contains", "field")}
    field = rule.get("field", "requirements")
    return {"when": f"input.{field}.contains({json.dumps(rule['contains'])})", **rest}
