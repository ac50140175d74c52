"""A circuit breaker around every agent: one that keeps failing is left alone for a while."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import ExcludeType, OpenedState
from purgatory.service._async.circuitbreaker import AsyncCircuitBreaker

from stretto.errors import CircuitOpen

T = TypeVar("T")


class Breakers:
    """The circuit breakers of one engine, by agent."""

    def __init__(
        self,
        counts: Callable[[BaseException], bool],
        *,
        threshold: int = 5,
        reset_after: float = 30.0,
    ) -> None:
        """Set up breakers that start closed.

        Args:
            counts: tells whether an exception is the agent's fault and so counts.
            threshold: failures in a row after which calls are refused.
            reset_after: seconds until one call is let through to see whether it works again.

        """

        def excluded(error: BaseException) -> bool:
            return not counts(error)

        self._exclude: ExcludeType = [(BaseException, excluded)]
        self._factory = AsyncCircuitBreakerFactory(threshold, reset_after)
        self._breakers: dict[str, AsyncCircuitBreaker] = {}

    async def run(self, agent: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call of ``agent`` unless it is left alone now, and count how it ends.

        Args:
            agent: whose breaker it is.
            call: makes the call.

        Raises:
            CircuitOpen: it failed too often lately.

        """
        breaker = self._breakers.get(agent)
        if breaker is None:
            breaker = await self._factory.get_breaker(agent, exclude=self._exclude)
            self._breakers[agent] = breaker
        try:
            async with breaker:
                return await call()
        except OpenedState as error:
            error.__traceback__ = None  # it is one and the same each time, and would only grow
            raise CircuitOpen(
                f"agent '{agent}' failed too often lately and is not called for a while",
                retryable=True,
            ) from error

    def state(self, agent: str) -> str:
        """Tell whether the breaker of an agent is ``closed``, ``opened`` or ``half-opened``."""
        breaker = self._breakers.get(agent)
        return breaker.context.state if breaker else "closed"
