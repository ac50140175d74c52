"""Steps and cases that can never run, and maps over what is no list."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from stretto.errors import Fault
from stretto.graphs.expressions import ExpressionError, Names, compile_expression
from stretto.graphs.inputs import input_schema
from stretto.graphs.limits import Limits
from stretto.graphs.names import mentioned
from stretto.graphs.paths import join
from stretto.graphs.plaindata import is_list, is_mapping
from stretto.graphs.scopes import Scope, declared_names
from stretto.graphs.spec import Step, Workflow
from stretto.graphs.topology import needs_of

_INPUT = re.compile(r"input\.([A-Za-z_]\w*)")
_COMPARISON = re.compile(r"^[^?'\"\[{(]*(?:==|!=|<=|>=|<|>)[^?]*$|^!")
_UNKNOWN: Any = object()


def reach_faults(workflow: Workflow, every: list[Scope], limits: Limits) -> Iterator[Fault]:
    """Check what can be known before a run about what will run.

    Args:
        workflow: what is declared.
        every: all its scopes.
        limits: how many items a literal list may have.

    """
    properties = _properties(workflow)
    for scope in every:
        dead = _dead(scope)
        for index, step in enumerate(scope.steps):
            path = join(scope.path, index)
            if step.id in dead:
                key, message = dead[step.id]
                yield Fault(join(path, key) if key else path, "unreachable_step", message)
            if step.branch or step.map:
                names = declared_names(scope, step)
                yield from _cases(path, step, properties, names)
                yield from _map(path, step, properties, names, limits)


def _properties(workflow: Workflow) -> Mapping[str, Any]:
    try:
        schema = input_schema(workflow.inputs)
    except ValueError:
        return {}
    properties = schema.get("properties")
    return properties if is_mapping(properties) else {}


def _dead(scope: Scope) -> dict[str, tuple[str, str]]:
    """Find the steps that never run, and where and why."""
    dead: dict[str, tuple[str, str]] = {}
    for step in scope.steps:
        if isinstance(step.when, str) and constant(step.when, declared_names(scope, step)) is False:
            dead[step.id] = "when", "This is never true, so the step never runs; take the step out."
    if not dead:
        return dead
    needs = needs_of(scope.steps)
    for _ in scope.steps:
        found = {s.id: need for s in scope.steps if (need := _lost(s, needs[s.id], dead))}
        if not found:
            break
        for step_id, need in found.items():
            dead[step_id] = _follows(need)
    return dead


def _lost(step: Step, needs: tuple[str, ...], dead: Mapping[str, Any]) -> str | None:
    if step.id in dead or step.join == "done":
        return None
    gone = [need for need in needs if need in dead]
    hopeless = bool(gone) if step.join == "all" else bool(needs) and len(gone) == len(needs)
    return gone[0] if hopeless else None


def _follows(need: str) -> tuple[str, str]:
    return "", f"The step never runs, because '{need}' never does; set `join: done` or change that."


def constant(text: str, names: frozenset[str]) -> Any:
    """Give the value of an expression that uses no names; a marker when it is not known."""
    inner = bare(text)
    try:
        compiled = compile_expression(inner, mentioned(inner, names))
        return _UNKNOWN if compiled.references else compiled.evaluate(Names({}, {}, {}))
    except ExpressionError:
        return _UNKNOWN


def bare(text: str) -> str:
    """Take the ``${`` and ``}`` off an expression that may be written with them."""
    stripped = text.strip()
    whole = stripped.startswith("${") and stripped.endswith("}") and stripped.count("${") == 1
    return stripped[2:-1].strip() if whole else stripped


def _cases(
    path: str, step: Step, properties: Mapping[str, Any], names: frozenset[str]
) -> Iterator[Fault]:
    if not step.branch:
        return
    possible = _possible(step.branch.on, properties, names)
    if possible is None:
        return
    for name in step.branch.cases:
        if name not in possible:
            message = f"'{step.branch.on}' is never '{name}'; it can be {', '.join(possible)}."
            at = join(path, "branch", "cases", name)
            yield Fault(at, "unreachable_case", message, allowed=possible)
    if step.branch.default and set(possible) <= set(step.branch.cases):
        message = "The cases cover everything, so the default never runs; take it out."
        yield Fault(join(path, "branch", "default"), "unreachable_case", message)


def _possible(
    on: str, properties: Mapping[str, Any], names: frozenset[str]
) -> tuple[str, ...] | None:
    """List the values that can be known; None when they cannot."""
    value = constant(on, names)
    if value is not _UNKNOWN:
        return (case_name(value),)
    text = bare(on)
    declared = _declared(text, properties)
    if is_list(declared.get("enum")):
        return tuple(case_name(item) for item in declared["enum"])
    if declared.get("type") == "boolean" or _COMPARISON.match(text):
        return ("true", "false")
    return None


def case_name(value: Any) -> str:
    """Write a value as the case that it chooses."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def _declared(text: str, properties: Mapping[str, Any]) -> Mapping[str, Any]:
    match = _INPUT.fullmatch(text)
    declared = properties.get(match[1]) if match else None
    return declared if is_mapping(declared) else {}


def _map(
    path: str,
    step: Step,
    properties: Mapping[str, Any],
    names: frozenset[str],
    limits: Limits,
) -> Iterator[Fault]:
    if not step.map:
        return
    at = join(path, "map", "over")
    value = constant(step.map.over, names)
    if is_list(value):
        if len(value) > limits.items:
            message = f"{len(value):,} items are too many at once; at most {limits.items:,}."
            yield Fault(at, "too_many_items", message)
    elif value is not _UNKNOWN:
        yield Fault(at, "not_a_list", "A map needs a list; this is none.")
    else:
        kind = _declared(bare(step.map.over), properties).get("type")
        kinds = [kind] if isinstance(kind, str) else kind or ()
        if kinds and "array" not in kinds:
            message = f"A map needs a list; '{bare(step.map.over)}' is declared as {kind}."
            yield Fault(at, "not_a_list", message)
