"""One run, as the one who started it holds it."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from stretto.engine.result import RunResult
from stretto.engine.status import RunStatus
from stretto.events import RunEvent

if TYPE_CHECKING:
    from stretto.engine.engine import Engine


class RunHandle:
    """A run that goes on in the background, whatever its holder does."""

    def __init__(self, engine: "Engine", run_id: str) -> None:
        """Hold the run ``run_id`` of an engine."""
        self._engine = engine
        self.id = run_id

    def __repr__(self) -> str:
        """Show the run's id."""
        return f"RunHandle({self.id!r})"

    async def status(self) -> RunStatus:
        """Tell where the run stands."""
        return await self._engine.status(self.id)

    def events(self, after: int = 0) -> AsyncIterator[RunEvent]:
        """Read the run's events, those that come later too.

        Args:
            after: the ``seq`` of the last event already known; 0 reads from the beginning.

        """
        return self._engine.events(self.id, after)

    async def result(self) -> RunResult:
        """Wait until the run has ended or waits for a person, and tell how."""
        return await self._engine.result(self.id)

    async def cancel(self) -> None:
        """Stop the run; what has finished is kept, and it can be resumed."""
        await self._engine.cancel(self.id)
