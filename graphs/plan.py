"""What the engine knows of each step before a run: needs, policy, compiled texts, urgency."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stretto.errors import StepFailed
from stretto.graphs.expressions import (
    Expression,
    ExpressionError,
    Names,
    compile_expression,
    evaluate_condition,
    translate_condition,
)
from stretto.graphs.spec import Fallback, Mode, Policy, Step
from stretto.graphs.templates import Template, compile_template
from stretto.graphs.topology import Needs, needs_of, order, remaining_paths

ROOTS = ("input", "context", "run", "iteration", "item", "index", "event")


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step, ready to be carried out."""

    step: Step
    policy: Policy
    needs: tuple[str, ...]
    after: str | None
    """In sequential mode, the step that has to end first, whatever its outcome."""
    position: int
    remaining: float
    guard: Expression | None
    params: Template
    input: Template | None
    fallback: Template | None
    declared: frozenset[str]


def plan_steps(
    steps: Sequence[Step], defaults: Policy, mode: Mode, outer: Iterable[str] = ()
) -> tuple[StepPlan, ...]:
    """Plan the steps of one scope.

    Args:
        steps: the steps, already found valid.
        defaults: the workflow's policy for what a step does not say itself.
        mode: the workflow's mode; ``sequential`` chains the steps in topological order.
        outer: names that the containers around can see.

    """
    declared = names_in(steps, outer)
    needs = needs_of(steps)
    sequence = order(steps)
    before = dict(zip(sequence[1:], sequence, strict=False)) if mode == "sequential" else {}
    remaining = remaining_paths(steps)
    return tuple(
        StepPlan(
            step=step,
            policy=merge_policies(step, defaults),
            needs=needs[step.id],
            after=before.get(step.id),
            position=sequence.index(step.id) if mode == "sequential" else position,
            remaining=remaining[step.id],
            guard=compile_guard(step.when, declared),
            params=compile_template(step.params, declared),
            input=compile_template(step.input, declared) if step.input is not None else None,
            fallback=_fallback(step, defaults, declared),
            declared=declared,
        )
        for position, step in enumerate(steps)
    )


def with_dependants(steps: Iterable[str], needs: Needs) -> set[str]:
    """Add to some steps of a scope all that depend on them, directly or not.

    Args:
        steps: ids of steps.
        needs: what each step of the scope needs.

    """
    found = set(steps)
    while more := {s for s in needs if s not in found and found.intersection(needs[s])}:
        found |= more
    return found


def names_in(steps: Sequence[Step], outer: Iterable[str] = ()) -> frozenset[str]:
    """List every name that an expression among ``steps`` may use."""
    aliases = (step.output_to for step in steps if step.output_to)
    return frozenset([*ROOTS, *outer, *(step.id for step in steps), *aliases])


def merge_policies(policy: Policy, defaults: Policy) -> Policy:
    """Fill what a policy does not say from the defaults."""
    return Policy(
        **{
            name: value if (value := getattr(policy, name)) is not None else getattr(defaults, name)
            for name in Policy.model_fields
        }
    )


def compile_guard(
    when: str | Mapping[str, Any] | None, declared: frozenset[str]
) -> Expression | None:
    """Compile a guard, written as CEL or as one of the typed conditions."""
    if when is None:
        return None
    text = when if isinstance(when, str) else translate_condition(when)
    return compile_expression(text, declared)


def holds(guard: Expression, names: Names) -> bool:
    """Evaluate a guard.

    Raises:
        StepFailed: it cannot be evaluated, or gives something that is no boolean.

    """
    try:
        return evaluate_condition(guard, names)
    except ExpressionError as error:
        raise expression_failed(guard.text, error) from error


def render(template: Template, names: Names) -> Any:
    """Fill a template in.

    Raises:
        StepFailed: one of its references cannot be evaluated.

    """
    try:
        return template.render(names)
    except ExpressionError as error:
        raise expression_failed("a reference", error) from error


def expression_failed(text: str, error: ExpressionError) -> StepFailed:
    """Turn an error of an expression into the failure of its step."""
    return StepFailed(f"{text}: {error.message}", code="expression_failed")


def _fallback(step: Step, defaults: Policy, declared: frozenset[str]) -> Template | None:
    on_error = step.on_error if step.on_error is not None else defaults.on_error
    if not isinstance(on_error, Fallback):
        return None
    return compile_template(on_error.fallback, declared)
