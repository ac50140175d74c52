"""How the end of an entry into a run is told: as an event, and as changes of the run's row."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from stretto.engine.result import RunResult
from stretto.errors import StepError
from stretto.events import EventType
from stretto.graphs.plaindata import is_mapping
from stretto.graphs.spec import Workflow

_OWN_STEP = re.compile(r"[^/#\[]+")
"""What a path begins with: the id of a step of the workflow itself."""
OF_THE_RUN = frozenset({"", "save_output"})
"""What errors are about that no saved step tells of."""


def ending(result: RunResult, workflow: Workflow) -> tuple[EventType, dict[str, Any]]:
    """Give the event that tells how a run ended, and its data."""
    errors = [error.to_dict() for error in result.errors]
    if result.status == "waiting":
        return "workflow_waiting", {"interrupts": [dict(i) for i in result.interrupts]}
    if result.status == "completed":
        final = final_output(result, workflow)
        return "workflow_completed", {"final_output": final, "errors": errors}
    if result.status == "cancelled":
        return "workflow_cancelled", {"errors": errors}
    return "workflow_failed", {"errors": errors}


def final_output(result: RunResult, workflow: Workflow) -> dict[str, Any]:
    """Give the summary that ends the event stream of a completed run.

    ``success_rate`` is the share of completed steps among those that completed or failed.
    """
    own = [step.id for step in workflow.steps]
    done = sum(step in result.outputs for step in own)
    failed = sum(error.step in own for error in result.errors)
    return {
        "success_rate": done / (done + failed) if done + failed else 1.0,
        "total_execution_time": result.duration_seconds,
        "output": result.output,
    }


def row_error(result: RunResult) -> dict[str, Any] | None:
    """Give the error that the run's row keeps: why it failed, or what no step's record tells."""
    errors = [e for e in result.errors if e.step in OF_THE_RUN] or list(result.errors)
    if not errors or (result.status != "failed" and errors[0].step not in OF_THE_RUN):
        return None
    return errors[0].to_dict()


def with_row_error(
    errors: tuple[StepError, ...], kept: Mapping[str, Any] | None
) -> tuple[StepError, ...]:
    """Join the errors of the steps and the one that the run's row keeps."""
    error = StepError(**kept) if kept else None
    if error is None or (errors and error.step not in OF_THE_RUN):
        return errors
    return (*errors, error)


def questions_of(state: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """List what a run waits for: ``id``, ``step`` and ``value`` of each question."""
    found = state.get("__interrupt__") or ()
    return tuple(
        {
            "id": question.id,
            "step": step_of(question.value),
            "value": question.value,
        }
        for question in found
    )


def in_order(questions: Iterable[dict[str, Any]], workflow: Workflow) -> tuple[dict[str, Any], ...]:
    """Put questions in the order in which the workflow declares their steps, and by item."""
    places = {step.id: place for place, step in enumerate(workflow.steps)}

    def place(question: Mapping[str, Any]) -> tuple[int, list[tuple[int, str]]]:
        path = question["step"] or ""
        found = _OWN_STEP.match(path)
        within = [(int(part), "") if part.isdecimal() else (0, part) for part in _parts(path)]
        return places.get(found[0], len(places)) if found else len(places), within

    return tuple(sorted(questions, key=place))


def _parts(path: str) -> list[str]:
    """Cut a path into numbers and what is between them, so that item 10 comes after item 9."""
    return re.split(r"([0-9]+)", path)


def step_of(value: Any) -> str | None:
    """Give the path of the step that asks, when the question says so."""
    step = value.get("step") if is_mapping(value) else None
    return step if isinstance(step, str) else None


def deadline_of(question: Mapping[str, Any]) -> float | None:
    """Give when a question expires, in seconds since the epoch, or None."""
    value = question["value"]
    at = value.get("deadline_at") if is_mapping(value) else None
    return float(at) if isinstance(at, int | float) else None


def asked_by_step(questions: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Give what steps ask a person, by path; a spent budget is the matter of the run."""
    own = (q for q in questions if q["step"] and "budget" not in q["value"])
    return {q["step"]: q["value"] for q in own}
