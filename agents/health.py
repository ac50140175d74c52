"""How agents have been doing: calls, failures and how long they take."""

import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from stretto.agents.breaker import Breakers
from stretto.agents.dispatch import Judge
from stretto.agents.registry import RegisteredAgent

ALPHA = 0.3
"""Weight of the newest time in the mean."""
LONGEST_MESSAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRow:
    """How an agent has been doing, as it is kept; times are seconds since the epoch."""

    name: str
    calls: int = 0
    """Calls that ended; those that were cancelled or refused do not count."""
    failures: int = 0
    consecutive_failures: int = 0
    """Failures since the last success."""
    mean_seconds: float | None = None
    """Of calls that succeeded, exponentially weighted: it moves by ``ALPHA * (new - mean)``."""
    last_error: dict[str, Any] | None = None
    """``code``, ``message`` and ``at``."""
    last_used: float | None = None

    @property
    def condition(self) -> str:
        """``healthy``, or ``degraded`` when the last call failed."""
        return "degraded" if self.consecutive_failures else "healthy"


@dataclass(slots=True)
class Health:
    """How one agent has been doing."""

    calls: int = 0
    failures: int = 0
    consecutive_failures: int = 0
    mean_seconds: float | None = None
    last_error: dict[str, Any] | None = None
    last_used: float | None = None
    kept: tuple[int, int] = field(default=(0, 0))
    """How many of the calls and failures were handed out to be kept."""

    def row(self, name: str) -> AgentRow:
        """Give it as it stands."""
        return AgentRow(
            name=name,
            calls=self.calls,
            failures=self.failures,
            consecutive_failures=self.consecutive_failures,
            mean_seconds=self.mean_seconds,
            last_error=self.last_error,
            last_used=self.last_used,
        )


class HealthBook:
    """How the agents of one engine have been doing."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._agents: dict[str, Health] = {}

    def load(self, rows: Iterable[AgentRow]) -> None:
        """Go on from what was kept."""
        for row in rows:
            known = {name: getattr(row, name) for name in AgentRow.__slots__ if name != "name"}
            self._agents[row.name] = Health(**known, kept=(row.calls, row.failures))

    def succeeded(self, agent: str, seconds: float) -> None:
        """Note a call that gave an output after so long."""
        health = self._called(agent)
        health.consecutive_failures = 0
        mean = health.mean_seconds
        health.mean_seconds = seconds if mean is None else mean + ALPHA * (seconds - mean)

    def failed(self, agent: str, code: str, message: str) -> None:
        """Note a call that failed."""
        health = self._called(agent)
        health.failures += 1
        health.consecutive_failures += 1
        message = message[:LONGEST_MESSAGE]
        health.last_error = {"code": code, "message": message, "at": health.last_used}

    def of(self, agent: str) -> AgentRow:
        """Give how an agent has been doing."""
        return self._agents.get(agent, Health()).row(agent)

    def seconds(self, agent: str) -> float:
        """Give how long a call takes, 0 if that is not known."""
        health = self._agents.get(agent)
        return health.mean_seconds or 0.0 if health else 0.0

    @contextmanager
    def taken(self) -> Generator[list[AgentRow]]:
        """Hand out what is new since the last time, to be kept inside the block.

        Calls and failures are what to add. When the block fails all of it is handed out again.
        """
        rows, before = self._take()
        try:
            yield rows
        except Exception:
            for name, kept in before.items():
                self._agents[name].kept = kept
            raise

    def _take(self) -> tuple[list[AgentRow], dict[str, tuple[int, int]]]:
        rows: list[AgentRow] = []
        before: dict[str, tuple[int, int]] = {}
        # In one order everywhere, so that two processes that keep theirs never wait for each other.
        for name, health in sorted(self._agents.items()):
            calls, failures = before[name] = health.kept
            if health.calls > calls:
                health.kept = health.calls, health.failures
                row = health.row(name)
                new = replace(row, calls=row.calls - calls, failures=row.failures - failures)
                rows.append(new)
        return rows, before

    def _called(self, agent: str) -> Health:
        health = self._agents.get(agent)
        if health is None:
            health = self._agents[agent] = Health()
        health.calls += 1
        health.last_used = time.time()
        return health


def judge_by(breakers: Breakers, health: HealthBook) -> Judge:
    """Judge agents by their breakers and by how long they take."""

    def judge(agent: RegisteredAgent) -> tuple[bool, float]:
        return breakers.refuses(agent.name), health.seconds(agent.name)

    return judge


def condition(row: AgentRow, states: dict[str, str]) -> str:
    """Tell whether an agent is ``healthy``, ``degraded`` or ``open``.

    Args:
        row: how it has been doing.
        states: the breakers' states by key.

    """
    if states.get(row.name, "closed") != "closed":
        return "open"
    parts = (state for key, state in states.items() if key.startswith(f"{row.name}|"))
    return "degraded" if any(state != "closed" for state in parts) else row.condition
