"""Every place of a workflow that holds an expression, and what it may use there."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from stretto.graphs.names import ANSWER, BASE
from stretto.graphs.paths import join
from stretto.graphs.scopes import (
    Scope,
    body_names,
    declared_names,
    extra_names,
    names_of,
)
from stretto.graphs.spec import EventTrigger, Fallback, SelectRule, Step, Workflow

Form = Literal["expression", "reference", "condition", "template"]
"""CEL; CEL or ``${...}``; CEL or a typed condition; a tree of texts with ``${...}`` in them."""


@dataclass(frozen=True, slots=True)
class Site:
    """One place that holds an expression."""

    path: str
    form: Form
    value: Any
    names: frozenset[str]
    """What may be used here."""
    later: frozenset[str] = frozenset()
    """Names that exist around here, but are not there yet at this point."""


def sites(workflow: Workflow, every: list[Scope]) -> Iterator[Site]:
    """Give every place that holds an expression, transforms aside.

    Args:
        workflow: what is declared.
        every: all its scopes.

    """
    for scope in every:
        for index, step in enumerate(scope.steps):
            yield from _step(join(scope.path, index), step, scope)
        yield from _until(scope)
    finished = BASE | names_of(workflow.steps)
    yield Site("output", "template", workflow.output, finished)
    yield Site("save_output", "template", workflow.save_output, finished)
    if isinstance(workflow.defaults.on_error, Fallback):
        value = workflow.defaults.on_error.fallback
        yield Site("defaults.on_error.fallback", "template", value, BASE)
    yield from _triggers(workflow)


def _until(scope: Scope) -> Iterator[Site]:
    container = scope.container
    if container and container.loop and scope.path.endswith("loop.steps"):
        path = scope.path.removesuffix("steps") + "until"
        yield Site(path, "expression", container.loop.until, body_names(scope))


def _step(path: str, step: Step, scope: Scope) -> Iterator[Site]:
    names = declared_names(scope, step)
    # What a step itself gives is never "later": no dependency can make it available.
    later = scope.own_names - names - {step.id, step.output_to or ""}
    for at, form, value in _places(step):
        if value is not None:
            yield Site(f"{path}.{at}", form, value, names, later)
    if step.compensate:
        own = names | names_of([step])
        at = f"{path}.compensate.params"
        yield Site(at, "template", step.compensate.params, own, later)
    if step.http and step.http.select is not None:
        yield Site(f"{path}.http.select", "expression", step.http.select, ANSWER)
    if step.map:
        inner = names | extra_names(step)
        yield Site(f"{path}.map.params", "template", step.map.params, inner, later)
        if isinstance(step.map.on_error, Fallback):
            value = step.map.on_error.fallback
            yield Site(f"{path}.map.on_error.fallback", "template", value, inner, later)


def _places(step: Step) -> Iterator[tuple[str, Form, Any]]:
    yield "when", "condition", step.when
    yield "params", "template", step.params or None
    yield "input", "template", step.input
    if step.branch:
        yield "branch.on", "reference", step.branch.on
    if step.map:
        yield "map.over", "reference", step.map.over
    if step.approval:
        yield "approval.message", "template", step.approval.message
        yield "approval.edit", "template", step.approval.edit
    if step.http:
        for key in ("url", "headers", "query", "json_", "body"):
            yield f"http.{key.strip('_')}", "template", getattr(step.http, key)
    if isinstance(step.on_error, Fallback):
        yield "on_error.fallback", "template", step.on_error.fallback
    for index, rule in enumerate(step.select.rules if step.select else ()):
        yield f"select.rules[{index}].when", "expression", _when(rule)


def _when(rule: SelectRule) -> str:
    return rule.when


def _triggers(workflow: Workflow) -> Iterator[Site]:
    for index, trigger in enumerate(workflow.triggers):
        path = join("triggers", index)
        names = frozenset({"event"} if isinstance(trigger, EventTrigger) else ())
        if isinstance(trigger, EventTrigger) and trigger.when:
            yield Site(join(path, "when"), "expression", trigger.when, names)
        yield Site(join(path, "input"), "template", trigger.input, names)
