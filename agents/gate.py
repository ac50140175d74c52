"""What every call of a model has to pass: the run's budget, a breaker, and the model's pace."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from stretto.agents.breaker import Breakers

T = TypeVar("T")


def _always() -> None:
    """Allow every call."""


class ModelGate:
    """Lets calls of models pass, or refuses them."""

    def __init__(
        self, breakers: "Breakers | None" = None, check_budget: Callable[[], None] = _always
    ) -> None:
        """Guard calls; by default everything passes.

        Args:
            breakers: leave models alone that keep failing.
            check_budget: raises BudgetExceeded once the run has spent what it may.

        """
        self._breakers = breakers
        self._check_budget = check_budget

    async def call(self, key: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call of a model.

        Args:
            key: who is asked by whom: agent, model and endpoint.
            call: makes the call.

        Raises:
            BudgetExceeded: the run has spent what it may.
            CircuitOpen: the model failed too often lately.

        """
        self._check_budget()
        return await (call() if self._breakers is None else self._breakers.run(key, call))
