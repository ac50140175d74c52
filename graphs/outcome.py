"""What a run came to, computed from its final state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stretto.errors import StepError
from stretto.graphs.compensation import FALLBACK, failed
from stretto.graphs.expressions import ExpressionError, Names
from stretto.graphs.jsonable import unfit
from stretto.graphs.plan import names_in
from stretto.graphs.spec import Workflow
from stretto.graphs.state import RunState
from stretto.graphs.templates import compile_template
from stretto.graphs.topology import terminal_steps


@dataclass(frozen=True, slots=True)
class Summary:
    """How a workflow ended, with everything that did finish."""

    success: bool
    output: Any
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])
    """By step id and by ``output_to``."""
    errors: tuple[StepError, ...] = ()


def summarize(workflow: Workflow, state: RunState, roots: Mapping[str, Any]) -> Summary:
    """Read the result out of a final state.

    Args:
        workflow: what was run.
        state: the state it ended in.
        roots: what expressions see as ``input``, ``context`` and ``run``.

    """
    outputs = outputs_of(workflow, state)
    fallback = (state.get("outputs") or {}).get(FALLBACK)
    errors = list(errors_of(state))
    # Where a run waits or was stopped, that its output cannot be made yet is no error.
    ended = all(step.id in (state.get("records") or {}) for step in workflow.steps)
    success = ended and not failed(state)
    output: Any = None
    if success:
        try:
            output = output_of(workflow, state, outputs, roots)
        except ExpressionError as error:
            errors.append(StepError("output", "expression_failed", error.message))
            success = False
    elif fallback is not None:
        success, output = True, fallback["output"]
    return Summary(success, output, outputs, tuple(errors))


def outputs_of(workflow: Workflow, state: RunState) -> dict[str, Any]:
    """Give the outputs of the steps that completed, by id and by ``output_to``."""
    records, outputs = state.get("records") or {}, state.get("outputs") or {}
    found: dict[str, Any] = {}
    for step in workflow.steps:
        if records.get(step.id, {}).get("status") == "completed":
            for name in (step.id, step.output_to):
                if name:
                    found[name] = outputs.get(step.id)
    return found


def errors_of(state: RunState) -> tuple[StepError, ...]:
    """List the failures of a state, in the order they happened."""
    records = state.get("records") or {}
    failures = {k: v for k, v in (state.get("failures") or {}).items() if v}
    ordered = sorted(failures, key=lambda step: records.get(step, {}).get("order", 0))
    return tuple(
        StepError(
            step,
            failures[step].get("code") or "step_failed",
            failures[step].get("message") or "",
            failures[step].get("attempts", 1),
        )
        for step in ordered
    )


def output_of(
    workflow: Workflow, state: RunState, outputs: Mapping[str, Any], roots: Mapping[str, Any]
) -> Any:
    """Build the workflow's output: what it declares, or the outputs of its last steps.

    Raises:
        ExpressionError: the declared output refers to something that is not there, or cannot be
            kept.

    """
    if workflow.output is None:
        last = [step for step in terminal_steps(workflow.steps) if step in outputs]
        return outputs[last[0]] if len(last) == 1 else {step: outputs[step] for step in last}
    template = compile_template(workflow.output, names_in(workflow.steps))
    output = template.render(Names(roots, outputs, steps_of(state)))
    if (found := unfit(output)) is not None:
        raise ExpressionError(f"it has {found}, which cannot be kept")
    return output


def steps_of(state: RunState) -> dict[str, dict[str, Any]]:
    """Give what expressions see as ``steps``: how each one went."""
    return {
        step: {
            "status": record.get("status"),
            "error": record.get("error"),
            "attempts": record.get("attempts", 0),
            "duration": record.get("duration", 0.0),
        }
        for step, record in (state.get("records") or {}).items()
    }
