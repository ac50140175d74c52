"""How a run ended, with everything that did finish."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from stretto.errors import StepError

ResultStatus = Literal["completed", "failed", "cancelled", "waiting"]


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended, or what it waits for."""

    run_id: str
    workflow: str
    version: str
    status: ResultStatus
    output: Any = None
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """By step id and by ``output_to``; there also when the run failed."""
    errors: tuple[StepError, ...] = ()
    interrupts: tuple[Mapping[str, Any], ...] = ()
    """What the run waits for: ``id``, ``step`` and ``value`` of each question."""
    duration_seconds: float = 0.0
    """Seconds that the run was active, without the time it waited."""
    usage: Mapping[str, float] = field(default_factory=dict[str, float])
    """Tokens, calls and usd of its model calls."""

    @property
    def success(self) -> bool:
        """Whether the run completed."""
        return self.status == "completed"

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form."""
        return {
            "run_id": self.run_id,
            "workflow": self.workflow,
            "version": self.version,
            "success": self.success,
            "status": self.status,
            "output": self.output,
            "outputs": dict(self.outputs),
            "errors": [error.to_dict() for error in self.errors],
            "interrupts": [dict(interrupt) for interrupt in self.interrupts],
            "duration_seconds": self.duration_seconds,
            "usage": dict(self.usage),
        }
