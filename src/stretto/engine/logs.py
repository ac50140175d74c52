"""The log of a run: its events as lines that people read."""

from collections.abc import Iterable
from dataclasses import dataclass

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
        LogLine(event.at, _LEVELS.get(event.event, "INFO"), event.step, _message(event))
        for event in events
        if event.event in _TEXTS
    ]


def _message(event: RunEvent) -> str:
    if "reminder" in event.data:
        steps = ", ".join(str(q.get("step")) for q in event.data.get("interrupts") or ())
        return f"reminder {event.data['reminder']}: {steps} still waits for a person"
    try:
        return _TEXTS[event.event].format_map(event.data)
    except (KeyError, ValueError, TypeError):  # an older version wrote less into the event
        return event.event
