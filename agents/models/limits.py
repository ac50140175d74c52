"""How often and how many at once a model is called, by everything that shares these limits."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from aiolimiter import AsyncLimiter

    from stretto.config import ModelSettings

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class _Gate:
    """The limits of one model in one event loop."""

    rate: "AsyncLimiter | None"
    places: asyncio.Semaphore | None

    @asynccontextmanager
    async def passed(self) -> AsyncGenerator[None]:
        async with self.places or nullcontext():
            # Behind the semaphore, so that a call that still waits for a place uses up no rate.
            if self.rate is not None:
                await self.rate.acquire()
            yield


class ModelLimits:
    """The limits of all models; one object is shared by all runs of an engine.

    A limit holds within one event loop: an engine that is used under one after the other begins
    anew in each.
    """

    def __init__(self, settings_of: "Callable[[str], ModelSettings]") -> None:
        """Take what gives the settings of a model by name, such as ``Settings.model_settings``."""
        self._settings_of = settings_of
        self._gates = WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Gate | None]]()

    def settings(self, model: str) -> "ModelSettings":
        """Give the settings of a model, as ``chosen_model`` names it."""
        return self._settings_of(model)

    def turn(self, model: str) -> AbstractAsyncContextManager[None]:
        """Wait for one call's turn, and keep its place for the time of the block.

        A minute's requests may come at once; from then on they are spread over the minute.

        Args:
            model: the model's name, as ``chosen_model`` gives it.

        """
        gates = self._gates.setdefault(asyncio.get_running_loop(), {})
        if model not in gates:
            gates[model] = self._gate(model)
        gate = gates[model]
        return nullcontext() if gate is None else gate.passed()

    def _gate(self, model: str) -> _Gate | None:
        settings = self.settings(model)
        rate, places = settings.requests_per_minute, settings.max_concurrent_calls
        if rate is None and places is None:
            return None
        from aiolimiter import AsyncLimiter

        return _Gate(
            AsyncLimiter(rate, MINUTE) if rate else None,
            asyncio.Semaphore(places) if places else None,
        )
