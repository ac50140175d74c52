"""Runs as episodes of memory: remembered once they have ended, never at their cost."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stretto.agents.recall.scoping import scope_of
from stretto.config import Settings
from stretto.engine.records import RunRow
from stretto.engine.result import RunResult

if TYPE_CHECKING:
    from stretto.memory.recollection import Episode, Memory

REMEMBERED = frozenset({"completed", "failed"})
"""How a run has ended that is remembered; one that was cancelled may go on."""
PATIENCE = 5.0
"""Seconds that a closing engine waits for what is still to be remembered."""
logger = logging.getLogger(__name__)


@asynccontextmanager
async def open_memory(
    given: "Memory | Literal[False] | None", settings: Settings, home: Path
) -> "AsyncGenerator[Memory | None]":
    """Give the memory of an engine; nothing is opened before it is used.

    Args:
        given: the program's own, which it closes itself; False for none; None for one in ``home``
            or on the server that the settings name.
        settings: what a deployment sets.
        home: the folder of all that is kept.

    """
    if given is not None:
        yield None if given is False else given
        return
    from stretto.memory.recollection import Memory

    memory = Memory.from_settings(settings.model_copy(update={"home": home}))
    try:
        yield memory
    finally:
        await memory.close()


async def remember_run(memory: "Memory", row: RunRow, result: RunResult) -> "Episode":
    """Remember a run that has ended; doing it again changes nothing.

    Args:
        memory: where.
        row: what is recorded of the run; its context says whose it is.
        result: how it ended.

    Raises:
        MemoryFault: memory cannot be used.

    """
    from stretto.memory.recollection import RunMemory

    run = RunMemory(
        run_id=row.run_id,
        workflow=result.workflow,
        input=row.input or {},
        outputs=dict(result.outputs),
        output=result.output,
        status=result.status,
        at=row.ended_at or time.time(),
    )
    own = scope_of(row.context or {}, workflow=row.workflow_id, thread=row.session_id)
    return await memory.remember_run(run, scope=own.within(memory.scope))


class Episodes:
    """Remembers the runs of one engine, each in a task of its own."""

    def __init__(self, memory: "Memory | None") -> None:
        """Remember in ``memory``, or nothing if None."""
        self._memory = memory
        self._tasks: set[asyncio.Task[Any]] = set()

    def keep(self, row: RunRow, result: RunResult) -> None:
        """Begin to remember a run that has ended; nobody waits for that."""
        if self._memory is None or result.status not in REMEMBERED:
            return
        task = asyncio.create_task(self._keep(self._memory, row, result))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self, memory: "Memory", row: RunRow, result: RunResult) -> None:
        try:
            await remember_run(memory, row, result)
        except Exception as error:  # the run has ended well or badly, and stays as it is
            again = f"stretto memory remember --run {row.run_id}"
            logger.warning("run %s is not remembered: %s; '%s' does it", row.run_id, error, again)

    async def close(self) -> None:
        """Wait a moment for what is still to be remembered."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=PATIENCE)
        for task in late:
            task.cancel()
        if late:
            logger.warning("%d runs are not remembered: memory took too long", len(late))
