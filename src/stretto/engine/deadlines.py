"""Questions that nobody has answered: reminded of when that is due, answered at their deadline."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from stretto.engine.archive import Archive
from stretto.engine.ending import deadline_of
from stretto.engine.reminders import Reminders, next_due
from stretto.engine.result import RunResult
from stretto.errors import RunConflict, StrettoError

EXPIRED = {"expired": True}
"""The answer at a deadline; the step says what that means."""
LOOK_AGAIN_SECONDS = 1.0
"""When a run that somebody else looks after right now is looked at again."""
logger = logging.getLogger(__name__)


class Deadlines:
    """One timer of the event loop for each waiting run, set to what is due next."""

    def __init__(
        self,
        archive: Archive,
        reminders: Reminders,
        resume: Callable[[str, Mapping[str, Any]], Awaitable[Any]],
    ) -> None:
        """Read questions from ``archive``, and answer them by ``resume(run_id, answers)``."""
        self._archive = archive
        self._reminders = reminders
        self._resume = resume
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._answering: set[asyncio.Task[bool]] = set()

    def watch(self, result: RunResult) -> None:
        """Set the timer of a run that came to wait."""
        at = next_due(result.interrupts)
        if result.status == "waiting" and at is not None:
            self.set(result.run_id, at)

    def set(self, run_id: str, at: float) -> None:
        """Look after the questions of a run at a time in seconds since the epoch."""
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
        """Answer what has expired, or remind of what is open; False when the run does not go on."""
        try:
            return await self._answer(run_id)
        except StrettoError as error:  # answered meanwhile, or not to be carried on by this engine
            logger.warning("run %s waits on past its deadline: %s", run_id, error)
            return False

    async def _answer(self, run_id: str) -> bool:
        if (await self._archive.row(run_id)).state != "waiting":
            return False
        snapshot = await self._archive.snapshot(run_id)
        questions = snapshot.interrupts if snapshot else ()
        now = time.time()
        dated = ((question["id"], deadline_of(question)) for question in questions)
        if expired := [name for name, at in dated if at is not None and at <= now]:
            await self._resume(run_id, dict.fromkeys(expired, EXPIRED))
            return True
        try:
            at = await self._reminders.give(run_id, questions)
        except RunConflict:
            at = now + LOOK_AGAIN_SECONDS
        if at is not None:
            self.set(run_id, at)
        return False

    async def close(self) -> None:
        """Forget all timers; whoever goes on with the runs later sets them again."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._answering:
            await asyncio.wait(self._answering)
