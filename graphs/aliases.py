"""Every documented way to write a workflow, brought to the canonical one by one table."""

from collections.abc import Mapping
from typing import Any

from stretto.graphs.forms import ids, kinds, policies, wholes
from stretto.graphs.forms.rewriting import Rewrite
from stretto.graphs.paths import join
from stretto.graphs.plaindata import is_list, is_mapping

WORKFLOW = {
    "phases": "steps",
    "tasks": "steps",
    "execution_mode": "mode",
    "initial_context": "context",
}
STEP = {
    "dependencies": "depends_on",
    "needs": "depends_on",
    "agent_type": "agent",
    "agent_capability": "capability",
    "task": "action",
    "parameters": "params",
    "config": "params",
    "condition": "when",
    "data_transformations": "transform",
}
POLICY = {"timeout_seconds": "timeout"}
CALL = {"agent_type": "agent", "task": "action", "parameters": "params"}
LOOP = {"condition": "until"}
MAP = {**CALL, "agent_capability": "capability"}
APPROVAL = {"timeout": "deadline", "timeout_seconds": "deadline"}
TRIGGER = {"run_at": "at", "input_data": "input"}
RENAMED = {**WORKFLOW, **STEP, **POLICY, **LOOP, **APPROVAL, **TRIGGER}
"""Every alias that only renames a key; the other forms are in ``stretto.graphs.forms``."""
_BODIES = ("loop", "map")


def canonicalize(data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Rewrite a document to the canonical form; what is not known stays as it is.

    Args:
        data: a document in any documented form; it is not changed.

    Returns:
        The canonical document, and the source path of every canonical path that moved.

    """
    moved: dict[str, str] = {}
    top = Rewrite(data, "", "", moved)
    top.rename(WORKFLOW)
    wholes.take_name(top)
    wholes.take_error_handling(top)
    wholes.lower_words(top)
    wholes.drop_agents(top)
    top.replace("defaults", lambda value, at, to: _policy(value, at, to, moved))
    top.replace("triggers", lambda value, at, to: _triggers(value, at, to, moved))
    for key in ("steps", "on_failure"):
        top.replace(key, lambda value, at, to: _scope(value, at, to, moved))
    wholes.take_output(top)
    return top.data, moved


def workflow_defaults(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Read the defaults of workflows from a settings document.

    Args:
        document: a settings file with ``[ai.workflows.NAME]`` or ``[stretto.workflows.NAME]``.

    Returns:
        Values by workflow; ``default_symbols`` is named ``symbols``, as workflows call it.

    """
    found: dict[str, dict[str, Any]] = {}
    for room in ("ai", "stretto"):
        section = document.get(room)
        workflows = section.get("workflows") if is_mapping(section) else None
        for name, values in workflows.items() if is_mapping(workflows) else ():
            plain = values.items() if is_mapping(values) else ()
            named = {key.removeprefix("default_"): value for key, value in plain}
            found.setdefault(name, {}).update(named)
    return found


def _scope(value: Any, source: str, path: str, moved: dict[str, str]) -> Any:
    if not is_list(value):
        return value
    steps = [
        _step(step, join(source, index), join(path, index), moved)
        for index, step in enumerate(value)
    ]
    return ids.complete(steps, path, moved)


def _step(value: Any, source: str, path: str, moved: dict[str, str]) -> Any:
    if not is_mapping(value):
        return value
    step = Rewrite(value, source, path, moved)
    ids.take_id(step)
    step.rename({**STEP, **POLICY})
    kinds.take_step_type(step)
    kinds.take_dynamic_agent(step)
    policies.take_retry(step)
    policies.take_cache(step)
    policies.take_transform(step)
    for key in ("depends_on",):
        step.replace(key, lambda names, _at, _to: [names] if isinstance(names, str) else names)
    step.replace("compensate", lambda inner, at, to: _renamed(inner, at, to, moved, CALL))
    step.replace("approval", lambda inner, at, to: _renamed(inner, at, to, moved, APPROVAL))
    for key in _BODIES:
        step.replace(key, lambda inner, at, to: _body(inner, at, to, moved))
    step.replace("branch", lambda inner, at, to: _branch(inner, at, to, moved))
    return step.data


def _renamed(
    value: Any, source: str, path: str, moved: dict[str, str], table: Mapping[str, str]
) -> Any:
    if not is_mapping(value):
        return value
    inner = Rewrite(value, source, path, moved)
    inner.rename(table)
    return inner.data


def _body(value: Any, source: str, path: str, moved: dict[str, str]) -> Any:
    if not is_mapping(value):
        return value
    body = Rewrite(value, source, path, moved)
    body.rename({**WORKFLOW, **(LOOP if path.endswith("loop") else {**MAP, **POLICY})})
    if path.endswith("map"):
        policies.take_retry(body)
        policies.take_cache(body)
    body.replace("steps", lambda steps, at, to: _scope(steps, at, to, moved))
    return body.data


def _branch(value: Any, source: str, path: str, moved: dict[str, str]) -> Any:
    if not is_mapping(value):
        return value
    branch = Rewrite(value, source, path, moved)
    branch.replace("cases", lambda cases, at, to: _cases(cases, at, to, moved))
    branch.replace("default", lambda case, at, to: _case(case, at, to, moved))
    return branch.data


def _cases(value: Any, source: str, path: str, moved: dict[str, str]) -> Any:
    if not is_mapping(value):
        return value
    cases = Rewrite(value, source, path, moved, keep_none=True)
    for name in list(cases.data):
        cases.replace(name, lambda case, at, to: _case(case, at, to, moved))
    return cases.data


def _case(value: Any, source: str, path: str, moved: dict[str, str]) -> Any:
    """Take a case that is only a list of steps for its steps."""
    if is_list(value):
        moved[join(path, "steps")] = source
        return {"steps": _scope(value, source, join(path, "steps"), moved)}
    if not is_mapping(value):
        return value
    case = Rewrite(value, source, path, moved)
    case.rename(WORKFLOW)
    case.replace("steps", lambda steps, at, to: _scope(steps, at, to, moved))
    return case.data


def _policy(value: Any, source: str, path: str, moved: dict[str, str]) -> Any:
    if not is_mapping(value):
        return value
    policy = Rewrite(value, source, path, moved)
    policy.rename(POLICY)
    policies.take_retry(policy)
    policies.take_cache(policy)
    return policy.data


def _triggers(value: Any, source: str, path: str, moved: dict[str, str]) -> Any:
    if not is_list(value):
        return value
    return [
        _renamed(item, join(source, i), join(path, i), moved, TRIGGER)
        for i, item in enumerate(value)
    ]
