"""The log of a run: its events as lines that people read."""

from collections.abc import Iterable
from dataclasses import dataclass

from stretto.engine.ending import OF_THE_RUN
from stretto.events import RunEvent

_LEVELS = {
    "agent_retry": "WARNING",
    "agent_error": "ERROR",
    "memory_degraded": "WARNING",
    "workflow_failed": "ERROR",
    "workflow_cancelled": "WARNING",
}
_TEXTS = {
    "workflow_started": "started {name} {version}",
    "workflow_resumed": "resumed, entry {attempt}",
    "agent_started": "started with {agent}, attempt {attempt}",
    "agent_retry": "attempt {attempt} failed ({error_message}); next one in {delay} s",
    "agent_skipped": "{state}: {reason}",
    "agent_completed": "completed in {duration:.3f} s",
    "agent_error": "failed after {attempt} attempts: {error_message}",
    "memory_degraded": "goes on without memory: {reason}",
    "workflow_waiting": "waits for a person",
    "step_compensated": "compensated by {agent}",
    "workflow_completed": "completed",
    "workflow_failed": "failed",
    "workflow_cancelled": "cancelled",
}


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a run's log."""

    at: float
    """Seconds since the epoch."""
    level: str
    step: str | None
    message: str


def log_lines(events: Iterable[RunEvent]) -> list[LogLine]:
    """Turn events into log lines; streamed tokens are left out."""
    return [
        LogLine(event.at, _level(event), event.step, _message(event))
        for event in events
        if event.event in _TEXTS
    ]


def _level(event: RunEvent) -> str:
    fallen_short = event.event == "workflow_completed" and _own_errors(event)
    return "WARNING" if fallen_short else _LEVELS.get(event.event, "INFO")


def _own_errors(event: RunEvent) -> str:
    """Say what went wrong in a run that is the matter of none of its steps."""
    errors = event.data.get("errors") or ()
    return "; ".join(str(e.get("message")) for e in errors if e.get("step") in OF_THE_RUN)


def _message(event: RunEvent) -> str:
    if "reminder" in event.data:
        steps = ", ".join(str(q.get("step")) for q in event.data.get("interrupts") or ())
        return f"reminder {event.data['reminder']}: {steps} still waits for a person"
    try:
        text = _TEXTS[event.event].format_map(event.data)
        return f"{text}: {errors}" if (errors := _own_errors(event)) else text
    except (KeyError, ValueError, TypeError):  # an older version wrote less into the event
        return event.event
