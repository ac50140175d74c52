"""What every call of a model has to pass: the run's budget, a breaker, and the model's limits."""

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from stretto.agents.breaker import Breakers
    from stretto.agents.models.limits import ModelLimits
    from stretto.config import ModelSettings

T = TypeVar("T")


def _always() -> None:
    """Allow every call."""


class ModelGate:
    """Lets calls of models pass, or refuses them."""

    def __init__(
        self,
        breakers: "Breakers | None" = None,
        limits: "ModelLimits | None" = None,
        check_budget: Callable[[], None] = _always,
    ) -> None:
        """Guard calls; by default everything passes.

        Args:
            breakers: leave models alone that keep failing.
            limits: how often and how many at once each model is called.
            check_budget: raises BudgetExceeded once the run has spent what it may.

        """
        self._breakers = breakers
        self._limits = limits
        self._check_budget = check_budget

    async def call(self, who: str, model: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call of a model.

        Args:
            who: who is asked by whom: agent, model and endpoint.
            model: the model, as ``chosen_model`` names it.
            call: makes the call.

        Raises:
            BudgetExceeded: the run has spent what it may.
            CircuitOpen: the model failed too often lately.

        """

        async def in_turn() -> T:
            async with self._limits.turn(model) if self._limits else nullcontext():
                self._check_budget()  # others may have spent it meanwhile
                return await call()

        # The breaker comes first: nobody waits for a turn only to be refused.
        self._check_budget()
        return await (in_turn() if self._breakers is None else self._breakers.run(who, in_turn))

    def settings(self, model: str) -> "ModelSettings | None":
        """Give what the deployment settles for a model, as far as it is known here."""
        return self._limits.settings(model) if self._limits else None
