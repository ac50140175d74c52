"""What happens in a run: one typed stream that terminals, notebooks, status and metrics read."""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

EventType = Literal[
    "workflow_started",
    "agent_started",
    "agent_stream",
    "agent_retry",
    "agent_skipped",
    "agent_completed",
    "agent_error",
    "workflow_waiting",
    "workflow_resumed",
    "step_compensated",
    "budget_warning",
    "budget_raised",
    "memory_degraded",
    "workflow_completed",
    "workflow_failed",
    "workflow_cancelled",
]
EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)
ENDINGS: frozenset[str] = frozenset(
    {"workflow_completed", "workflow_failed", "workflow_cancelled", "workflow_waiting"}
)
"""Events after which the run does nothing more until somebody acts on it."""


@dataclass(frozen=True, slots=True)
class RunEvent:
    """One thing that happened in a run."""

    event: EventType
    run_id: str
    seq: int
    """Position in the run, from 1, without gaps; readers resume after it."""
    at: float
    """When, in seconds since the epoch."""
    step: str | None = None
    """The step's path (``refine/draft``), or None for events of the whole run."""
    data: dict[str, Any] = field(default_factory=dict[str, Any])

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form: ``event`` and ``data`` first, then where and when."""
        return {
            "event": self.event,
            "data": self.data,
            "run_id": self.run_id,
            "seq": self.seq,
            "at": self.at,
            "step": self.step,
        }

    def __getitem__(self, key: str) -> Any:
        """Read like the dict form, so ``event["event"]`` and ``event["data"]`` work."""
        return self.to_dict()[key]

    def get(self, key: str, default: Any = None) -> Any:
        """Read like the dict form with a default."""
        return self.to_dict().get(key, default)
