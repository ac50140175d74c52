"""How a step ended, and what that writes to the state."""

from dataclasses import dataclass, field
from typing import Any, Literal

from stretto.graphs.state import Record

Status = Literal["completed", "failed", "skipped", "not_run"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a step ended."""

    record: Record
    output: Any = None
    reason: str | None = None
    """Why it was skipped or not run."""
    partial: Any = None
    """What a failed container had finished inside."""
    undo: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    @property
    def status(self) -> str:
        """completed, failed, skipped or not_run."""
        return self.record.get("status", "not_run")

    @property
    def completed(self) -> bool:
        """Whether there is an output to go on with."""
        return self.status == "completed"

    def update(self, step: str) -> dict[str, Any]:
        """Give what this outcome writes to the state, by channel."""
        writes: dict[str, Any] = {}
        if self.completed:
            writes["outputs"] = {step: self.output}
        elif self.status == "failed":
            writes["failures"] = {
                step: {
                    "code": self.record.get("code"),
                    "message": self.record.get("error"),
                    "attempts": self.record.get("attempts", 1),
                }
            }
        else:
            writes["skipped"] = {step: self.reason or self.status}
        writes["records"] = {step: self.record}
        if self.partial is not None:
            writes["partial"] = {step: {**self.partial, "in_round": self.record.get("round", 0)}}
        if self.undo:
            writes["undo"] = self.undo
        return writes
