"""Where one step of a run stands, and what each event changes about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from stretto.errors import StepError
from stretto.events import RunEvent

StepState = Literal["pending", "running", "waiting", "completed", "failed", "skipped", "not_run"]
SETTLED: frozenset[StepState] = frozenset({"completed", "failed", "skipped"})
FALLBACK = "fallback"
AFTERMATH = frozenset({"on_failure", FALLBACK})
"""What the paths of steps begin with that run because the run failed."""


@dataclass(frozen=True, slots=True)
class StepStatus:
    """Where one step stands."""

    id: str
    """The id of a step of the workflow, or the path of one inside a container."""
    state: StepState = "pending"
    attempts: int = 0
    started_at: float | None = None
    """Seconds since the epoch."""
    execution_time: float | None = None
    """Seconds from the first attempt to the end, or so far; None before it started."""
    agent: str | None = None
    error: StepError | None = None
    """Why it failed, or why its last attempt did."""


def so_far(step: StepStatus, until: float) -> StepStatus:
    """Count the time of a running step up to ``until``, in seconds since the epoch."""
    if step.state != "running" or step.started_at is None:
        return step
    return replace(step, execution_time=max(until - step.started_at, 0.0))


def _start(step: StepStatus, event: RunEvent) -> StepStatus:
    first = step.started_at if step.state == "running" else None
    return replace(
        step,
        state="running",
        attempts=event.data.get("attempt", 1),
        started_at=event.at if first is None else first,
        execution_time=None,
        error=step.error if first is not None else None,
    )


def _retry(step: StepStatus, event: RunEvent) -> StepStatus:
    return replace(step, state="running", error=_error(step, event))


def _complete(step: StepStatus, event: RunEvent) -> StepStatus:
    return replace(_end(step, event), state="completed", error=None)


def _fail(step: StepStatus, event: RunEvent) -> StepStatus:
    return replace(_end(step, event), state="failed", error=_error(step, event))


def _skip(step: StepStatus, event: RunEvent) -> StepStatus:
    not_run = event.data.get("state") == "not_run"
    return replace(step, state="not_run" if not_run else "skipped")


def _end(step: StepStatus, event: RunEvent) -> StepStatus:
    duration = event.data.get("duration")
    if duration is None and step.started_at is not None:
        duration = max(event.at - step.started_at, 0.0)
    attempts = event.data.get("attempts", event.data.get("attempt", step.attempts))
    return replace(step, attempts=attempts, execution_time=duration)


def _error(step: StepStatus, event: RunEvent) -> StepError:
    data = event.data
    message = data.get("message") or data.get("error_message") or data.get("error") or ""
    attempts = data.get("attempts", data.get("attempt", step.attempts))
    return StepError(step.id, data.get("code") or "step_failed", str(message), attempts)


CHANGES: Mapping[str, Callable[[StepStatus, RunEvent], StepStatus]] = {
    "agent_started": _start,
    "agent_retry": _retry,
    "agent_completed": _complete,
    "agent_error": _fail,
    "agent_skipped": _skip,
}
"""What an event of a step makes of its status, by event type."""
