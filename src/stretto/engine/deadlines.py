"""Questions that nobody answered in time: each is answered by what its step says."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from stretto.engine.archive import Archive
from stretto.engine.ending import deadline_of, first_deadline
from stretto.engine.result import RunResult
from stretto.errors import StrettoError

EXPIRED = {"expired": True}
"""The answer that makes a step fail because it has no other for its deadline."""
logger = logging.getLogger(__name__)


class Deadlines:
    """One timer of the event loop for each waiting run, set to its first deadline."""

    def __init__(
        self, archive: Archive, resume: Callable[[str, Mapping[str, Any]], Awaitable[Any]]
    ) -> None:
        """Read questions from ``archive``, and answer them by ``resume(run_id, answers)``."""
        self._archive = archive
        self._resume = resume
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._answering: set[asyncio.Task[bool]] = set()

    def watch(self, result: RunResult) -> None:
        """Set the timer of a run that came to wait."""
        at = first_deadline(result)
        if result.status == "waiting" and at is not None:
            self.set(result.run_id, at)

    def set(self, run_id: str, at: float) -> None:
        """Answer the expired questions of a run at a time in seconds since the epoch."""
        if (timer := self._timers.pop(run_id, None)) is not None:
            timer.cancel()
        loop = asyncio.get_running_loop()
        self._timers[run_id] = loop.call_later(max(at - time.time(), 0.0), self._begin, run_id)

    def _begin(self, run_id: str) -> None:
        self._timers.pop(run_id, None)
        task = asyncio.create_task(self.answer(run_id), name=f"stretto deadline {run_id}")
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def answer(self, run_id: str) -> bool:
        """Answer the questions of a run that have expired; False when it does not go on."""
        try:
            return await self._answer(run_id)
        except StrettoError as error:  # answered meanwhile, or not to be carried on by this engine
            logger.warning("run %s waits on past its deadline: %s", run_id, error)
            return False

    async def _answer(self, run_id: str) -> bool:
        if (await self._archive.row(run_id)).state != "waiting":
            return False
        snapshot = await self._archive.snapshot(run_id)
        dated = [
            (q, at) for q in (snapshot.interrupts if snapshot else ()) if (at := deadline_of(q))
        ]
        now = time.time()
        expired = {q["id"]: _default(q) for q, at in dated if at <= now}
        if not expired:
            if dated:  # the clock was set back since the timer was
                self.set(run_id, min(at for _, at in dated))
            return False
        await self._resume(run_id, expired)
        return True

    async def close(self) -> None:
        """Forget all timers; whoever goes on with the runs later sets them again."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._answering:
            await asyncio.wait(self._answering)


def _default(question: Mapping[str, Any]) -> Any:
    chosen = question["value"].get("on_deadline")
    return EXPIRED if chosen is None else chosen
