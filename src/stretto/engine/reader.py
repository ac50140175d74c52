"""What is seen of runs: those at work here, those at work in another process, and those saved."""

import asyncio
import time
from collections.abc import AsyncIterator

from stretto.engine.launcher import Launcher
from stretto.engine.logs import LogLine, log_lines
from stretto.engine.records import RunRow
from stretto.engine.result import RunResult
from stretto.engine.status import RunStatus
from stretto.errors import RunConflict
from stretto.events import RunEvent

UNFINISHED = frozenset({"queued", "running"})
ELSEWHERE_SECONDS = 0.2
"""How often a run that another process works on is looked at."""


class RunReader:
    """Reads runs wherever they are; every method raises RunNotFound when there is no such run."""

    def __init__(self, launcher: Launcher) -> None:
        """Look at what ``launcher`` has, and at what is saved."""
        self._launcher = launcher
        self._archive = launcher.archive

    async def status(self, run_id: str) -> RunStatus:
        """Tell where a run stands."""
        await self._flush(run_id)
        busy = await self._busy(run_id)
        return await self._archive.status(run_id, time.time() if busy else None)

    async def events(self, run_id: str, after: int = 0) -> AsyncIterator[RunEvent]:
        """Give the events after a point, and follow a run that is at work."""
        while (active := self._launcher.active.get(run_id)) is None:
            # Asked first: what is written between the question and the reading is seen.
            busy = await self._busy(run_id)
            for event in await self._archive.events(run_id, after):
                after = event.seq
                yield event
            if not busy:
                return
            await asyncio.sleep(ELSEWHERE_SECONDS)
        async for event in active.execution.log.read(after):
            yield event

    async def result(self, run_id: str) -> RunResult:
        """Wait until a run has ended or waits for a person, and tell how.

        Raises:
            RunConflict: nobody works on it, because its process died.
            ConfigurationError: how it went could not be recorded.

        """
        while True:
            if (active := self._launcher.active.get(run_id)) is not None:
                await active.ended()
                if not active.task.cancelled():
                    return active.task.result()
            row = await self._archive.row(run_id)
            if row.state not in UNFINISHED:
                return await self._archive.result(row)
            if await self._left_behind(row):
                raise RunConflict(f"nobody works on run {run_id}, its process died; resume it")
            await asyncio.sleep(ELSEWHERE_SECONDS)

    async def logs(self, run_id: str) -> list[LogLine]:
        """Give the log of a run."""
        await self._flush(run_id)
        return log_lines(await self._archive.events(run_id))

    async def _busy(self, run_id: str) -> bool:
        """Tell whether somebody works on a run, here or elsewhere."""
        row = await self._archive.row(run_id)
        if run_id in self._launcher.active:
            return True
        return row.state in UNFINISHED and self._launcher.lease(run_id).held_elsewhere()

    async def _left_behind(self, row: RunRow) -> bool:
        """Tell whether nobody works on a run that has not ended."""
        if row.run_id in self._launcher.active or self._launcher.lease(row.run_id).held_elsewhere():
            return False
        # Whoever worked on it may have come to an end since the row was read.
        return await self._archive.row(row.run_id) == row

    async def _flush(self, run_id: str) -> None:
        if (active := self._launcher.active.get(run_id)) is not None:
            await active.execution.log.flush()
