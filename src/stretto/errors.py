"""What can go wrong, split by who has to act.

StrettoError
├── WorkflowInvalid      the author of the workflow: every fault at once, with paths and lines
├── InputInvalid         the caller: the input or answer does not fit what the workflow declares
├── RunNotFound          the caller: no run has this id
├── RunConflict          the caller: the run is not in a state that allows this
├── NoAgentFor           the deployment: nothing registered can do this step
├── ConfigurationError   the deployment: a setting is missing or contradicts another
├── MemoryFault          the deployment: memory cannot be used; or the caller: it cannot keep this
├── StepFailed           the agent: a step failed after all its attempts
│   ├── StepTimedOut     the agent: a step did not end within its deadline
│   └── CircuitOpen      the agent: it failed so often that it is left alone for a while
└── BudgetExceeded       the run: a limit of the whole run is used up
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a workflow, and what to do about it."""

    path: str
    """Where in the document, in the form ``steps[3].when``; empty for the whole document."""
    code: str
    """A stable word for programs, such as ``unknown_step``."""
    message: str
    """One sentence for people that says what to do."""
    line: int | None = None
    """Line in the text, counted from 1; None when the workflow did not come from text."""
    column: int | None = None
    """Column in the text, counted from 1."""
    nearest: str | None = None
    """The known name that is closest to the wrong one."""
    allowed: tuple[str, ...] = ()
    """The values that would be accepted, when they can be listed."""

    def __str__(self) -> str:
        """Render as one line: position, path, message, and the suggestion if there is one."""
        where = f"line {self.line}, column {self.column}: " if self.line is not None else ""
        path = f"{self.path}: " if self.path else ""
        hint = f" Did you mean '{self.nearest}'?" if self.nearest else ""
        return f"{where}{path}{self.message}{hint}"


class StrettoError(Exception):
    """The root of every exception that crosses a public door."""

    code = "error"

    def __init__(self, message: str) -> None:
        """Keep ``message``, one sentence that says what happened and what to do."""
        super().__init__(message)
        self.message = message


class WorkflowInvalid(StrettoError, ValueError):
    """A workflow cannot run as it is written; ``faults`` holds everything that is wrong."""

    code = "workflow_invalid"

    def __init__(self, faults: Sequence[Fault], source: str = "workflow") -> None:
        """Collect ``faults`` (at least one); ``source`` names the file or workflow."""
        self.faults = tuple(faults)
        self.source = source
        count = f"{len(self.faults)} fault" + ("s" if len(self.faults) != 1 else "")
        super().__init__("\n".join([f"{source}: {count}", *(f"  {f}" for f in self.faults)]))


class InputInvalid(StrettoError, ValueError):
    """The input or the answer given by the caller does not fit; ``faults`` lists every mismatch."""

    code = "input_invalid"

    def __init__(self, message: str, faults: Sequence[Fault] = ()) -> None:
        """Keep ``message`` and the single ``faults`` behind it."""
        super().__init__(message)
        self.faults = tuple(faults)


class RunNotFound(StrettoError, LookupError):
    """No run has the given id."""

    code = "run_not_found"


class RunConflict(StrettoError, RuntimeError):
    """The run is in a state that does not allow what was asked."""

    code = "run_conflict"


class NoAgentFor(StrettoError, LookupError):
    """Nothing that is registered can do the step."""

    code = "no_agent"


class ConfigurationError(StrettoError, RuntimeError):
    """A setting is missing, wrong, or contradicts another one."""

    code = "configuration"


class MemoryFault(StrettoError, RuntimeError):
    """Memory cannot be used, or cannot keep what it was given; ``code`` says which and why."""

    code = "memory"
    DEGRADING = frozenset(
        {
            "memory_closed",
            "memory_corrupt",
            "memory_denied",
            "memory_failed",
            "memory_foreign",
            "memory_full",
            "memory_locked",
            "memory_newer",
            "memory_refused",
            "memory_unreachable",
            "embedder_failed",
            "memory_missing",
            "server_too_old",
            "embedder_mismatch",
        }
    )
    """The codes of a memory that cannot be used now; all others are wrong input."""

    def __init__(self, message: str, *, code: str | None = None) -> None:
        """Keep ``message``; ``code`` refines the class's own code for programs."""
        super().__init__(message)
        if code is not None:
            self.code = code

    @property
    def degrades(self) -> bool:
        """Whether a run may go on without its memory, as opposed to input that is wrong."""
        return self.code in self.DEGRADING


class StepFailed(StrettoError, RuntimeError):
    """A step failed; ``retryable`` says whether the same call may succeed later."""

    code = "step_failed"

    def __init__(self, message: str, *, code: str | None = None, retryable: bool = False) -> None:
        """Keep ``message``; ``code`` refines the class's own code for programs."""
        super().__init__(message)
        self.retryable = retryable
        if code is not None:
            self.code = code


class StepTimedOut(StepFailed, TimeoutError):
    """A step did not end within its deadline."""

    code = "step_timed_out"


class CircuitOpen(StepFailed):
    """The agent failed so often lately that it is not called for a while."""

    code = "circuit_open"

    def __init__(
        self, message: str, *, retryable: bool = False, retry_after: float | None = None
    ) -> None:
        """Keep ``message``; ``retry_after`` is the seconds until a call may be let through."""
        super().__init__(message, retryable=retryable)
        self.retry_after = retry_after


class BudgetExceeded(StrettoError, RuntimeError):
    """A limit of the whole run (retries, tokens, money, calls, time) is used up."""

    code = "budget_exceeded"


@dataclass(frozen=True, slots=True)
class StepError:
    """How one step failed, as data in a result."""

    step: str
    code: str
    message: str
    attempts: int = 1

    def __str__(self) -> str:
        """Render as ``step: message``."""
        return f"{self.step}: {self.message}"

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form that state, events and HTTP answers carry."""
        return {
            "step": self.step,
            "code": self.code,
            "message": self.message,
            "attempts": self.attempts,
        }
