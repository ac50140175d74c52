"""Circuit breakers: whatever keeps failing is left alone for a while."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from stretto.agents.circuit import Circuit, Outcome, Ticket, loop_time
from stretto.errors import CircuitOpen

T = TypeVar("T")
THRESHOLD = 5
RESET_AFTER = 13.0
"""A minute's outage then costs 5 failures and 4 trials, and ends at most 13 s after the repair."""


class Shared(Protocol):
    """Where the state of circuits is kept for several processes."""

    async def admit(self, circuit: Circuit) -> Ticket | None:
        """Do what ``Circuit.admit`` does, for all processes."""
        ...

    async def report(self, circuit: Circuit, ticket: Ticket, outcome: Outcome) -> None:
        """Do what ``Circuit.report`` does, for all processes."""
        ...


class Breakers:
    """The circuit breakers of one engine, by whatever they guard."""

    def __init__(
        self,
        counts: Callable[[BaseException], bool],
        *,
        threshold: int = THRESHOLD,
        reset_after: float = RESET_AFTER,
        shared: Shared | None = None,
        clock: Callable[[], float] = loop_time,
    ) -> None:
        """Set up breakers that start closed.

        Args:
            counts: tells whether an exception is the fault of whom was called.
            threshold: failures in a row after which calls are refused.
            reset_after: seconds until one call is let through to see whether it works again.
            shared: where their state is shared with other processes, if it is.
            clock: gives the time in seconds.

        """
        self._counts = counts
        self._threshold = threshold
        self._reset_after = reset_after
        self._shared = shared
        self._clock = clock
        self._circuits: dict[str, Circuit] = {}

    async def run(self, key: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call unless it is refused now, and count how it ends.

        An error that does not count is neither a failure nor a success, and neither is a
        cancellation: a trial that ends so makes room for the next one.

        Args:
            key: what is guarded: an agent by name, or ``agent|model|endpoint``.
            call: makes the call.

        Raises:
            CircuitOpen: it failed too often lately.

        """
        circuit = self._circuit(key)
        shared = self._shared
        ticket = circuit.admit() if shared is None else await shared.admit(circuit)
        if ticket is None:
            raise _refusal(circuit)
        try:
            result = await call()
        except GeneratorExit:  # nothing can be awaited any more
            circuit.report(ticket, "neither")
            raise
        except BaseException as error:
            await self._report(circuit, ticket, "failed" if self._counts(error) else "neither")
            raise
        if circuit.failures or shared is not None:
            await self._report(circuit, ticket, "succeeded")
        return result

    def refuses(self, key: str) -> bool:
        """Tell whether a call would be refused now, as far as this process knows."""
        circuit = self._circuits.get(key)
        return circuit is not None and circuit.wait > 0

    def state(self, key: str) -> str:
        """Tell whether a breaker is ``closed``, ``opened`` or ``half-opened``."""
        circuit = self._circuits.get(key)
        return circuit.state if circuit else "closed"

    def states(self) -> dict[str, str]:
        """Tell the state of every breaker that was used here."""
        return {key: circuit.state for key, circuit in self._circuits.items()}

    def _circuit(self, key: str) -> Circuit:
        circuit = self._circuits.get(key)
        if circuit is None:
            circuit = Circuit(key, self._threshold, self._reset_after, self._clock)
            self._circuits[key] = circuit
        return circuit

    async def _report(self, circuit: Circuit, ticket: Ticket, outcome: Outcome) -> None:
        if self._shared is None:
            circuit.report(ticket, outcome)
        else:
            await self._shared.report(circuit, ticket, outcome)


def _refusal(circuit: Circuit) -> CircuitOpen:
    agent, *rest = circuit.key.split("|")
    whom = f"agent '{agent}'" + (f" with {' at '.join(rest)}" if rest else "")
    return CircuitOpen(
        f"{whom} failed too often lately and is not called for {circuit.wait:.0f} s",
        retryable=True,
        retry_after=circuit.wait,
    )
