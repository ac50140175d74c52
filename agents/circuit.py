"""The state of one circuit breaker: how often calls failed, and who may try again."""

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["succeeded", "failed", "neither"]
"""How a call ended; neither when it says nothing of whom was called, as when it was cancelled."""
Ticket = str
"""What an admitted call reports its outcome with; empty unless it is a trial."""
ORDINARY: Ticket = ""


def loop_time() -> float:
    """Give the time of the running event loop, which tests may move; it never steps back."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:  # somebody looks from outside
        return time.monotonic()


@dataclass(slots=True)
class Circuit:
    """Counts failures in a row; from ``threshold`` on it lets one trial through at a time.

    A trial that takes longer than ``reset_after`` does not keep others from trying, so a call
    that hangs cannot hold the circuit open for ever.
    """

    key: str
    threshold: int
    """Failures in a row after which calls are refused."""
    reset_after: float
    """Seconds until the next trial."""
    clock: Callable[[], float] = loop_time
    failures: int = 0
    refuses_until: float = 0.0
    """Time of the clock of the next trial; it means nothing below the threshold."""
    trial: Ticket = ORDINARY
    """The ticket of the latest trial, while it is under way."""
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def tripped(self) -> bool:
        """Whether it failed so often that only trials are let through."""
        return self.failures >= self.threshold

    @property
    def wait(self) -> float:
        """Seconds until a call is let through, 0 when one would be now."""
        return max(self.refuses_until - self.clock(), 0.0) if self.tripped else 0.0

    @property
    def state(self) -> str:
        """``closed``, ``opened``, or ``half-opened`` when a trial is due or under way."""
        if not self.tripped:
            return "closed"
        return "opened" if self.wait and not self.trial else "half-opened"

    def admit(self) -> Ticket | None:
        """Let a call through, as a trial if it is tripped, or refuse it with None."""
        if not self.tripped:
            return ORDINARY
        if self.wait:
            return None
        self.trial = f"trial {next(self._numbers)}"
        self.refuses_until = self.clock() + self.reset_after
        return self.trial

    def report(self, ticket: Ticket, outcome: Outcome) -> None:
        """Take note of how an admitted call ended.

        Once it is tripped, what was called before then says nothing new.
        """
        if outcome == "neither":
            if ticket and ticket == self.trial:
                self.trial, self.refuses_until = ORDINARY, self.clock()
        elif not self.tripped or ticket:
            self.trial = ORDINARY
            self.failures = self.failures + 1 if outcome == "failed" else 0
            self.refuses_until = self.clock() + self.reset_after
