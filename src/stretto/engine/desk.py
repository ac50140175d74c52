"""Where runs are started, gone on with and stopped: one worker per run, whatever happens."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

from stretto.engine.deadlines import Deadlines
from stretto.engine.episodes import Episodes
from stretto.engine.launcher import Launcher
from stretto.engine.lease import Lease
from stretto.engine.log import EventLog
from stretto.engine.pins import Pin
from stretto.engine.records import RunRow, State
from stretto.engine.reentry import (
    FIRST_ENTRY,
    RESUMABLE,
    RETRYABLE,
    Reentry,
    check_same,
    check_state,
)
from stretto.engine.reminders import Reminders
from stretto.engine.result import RunResult
from stretto.errors import ConfigurationError, RunConflict, RunNotFound, WorkflowInvalid
from stretto.graphs.spec import Workflow
from stretto.memory.calls import finished

ENDED = frozenset({"completed", "failed", "cancelled"})
UNFINISHED = frozenset({"queued", "running"})
PAGE = 200
TAKE_TRIES, TAKE_SECONDS = 10, 0.02
"""Somebody who only looks holds a lease for an instant, and so does a run that just ended."""
logger = logging.getLogger(__name__)


class RunDesk:
    """Starts runs, and goes on with them after whatever happened."""

    def __init__(self, launcher: Launcher, episodes: Episodes) -> None:
        """Work through ``launcher``, and let ``episodes`` remember what has ended."""
        self._launcher = launcher
        self._archive = launcher.archive
        self._records = launcher.resources.records
        reminders = Reminders(launcher.archive, self._records, launcher.lease)
        self._deadlines = Deadlines(launcher.archive, reminders, self.resume)
        self._episodes = episodes
        launcher.on_end = self._ended

    def _ended(self, row: RunRow, result: RunResult) -> None:
        self._deadlines.watch(result)
        self._episodes.keep(row, result)

    async def start(self, workflow: Workflow, row: RunRow) -> None:
        """Record a new run and start it; a run of this id that exists already is left to go on.

        Raises:
            WorkflowInvalid: the workflow has faults; nothing was started.
            RunConflict: a run of this id exists for another workflow or input.
            ConfigurationError: an agent that is needed cannot open its model or prompt, or reach
                its model's endpoint.

        """
        launcher, run_id = self._launcher, row.run_id
        pin = launcher.readiness.pin(workflow)
        launcher.readiness.graph(pin)
        await launcher.readiness.prepare(pin)
        await launcher.readiness.reach(pin)
        await self._archive.keep(pin)
        if await self._recorded(pin, replace(row, digest=pin.digest)):
            return
        existing = await self._archive.row(run_id)
        # It is the same run also where a workflow that it uses has changed since it began.
        same = existing.digest == pin.digest
        begun = workflow if same else await self._archive.pinned(existing)
        check_same(row, replace(existing, digest=begun.digest))
        if existing.state not in UNFINISHED or run_id in launcher.active:
            return
        if not launcher.lease(run_id).held_elsewhere():
            with contextlib.suppress(RunConflict):
                await self.resume(run_id)  # the process that had it died

    @finished
    async def _recorded(self, pin: Pin, row: RunRow) -> bool:
        """Record a run and start it, also when cancelled in between; tell whether it is new."""
        if not await self._records.create_run(row):
            return False
        lease = self._launcher.lease(row.run_id)
        with contextlib.suppress(RunConflict):  # somebody who recovers runs was faster
            lease.take()
            await self._launcher.launch(row, pin, lease, FIRST_ENTRY)
        return True

    async def resume(self, run_id: str, answer: Any = None) -> None:
        """Go on with a run after a crash, a cancellation, or a question."""
        await self._reenter(run_id, RESUMABLE, lambda again: again.resumed(answer))

    async def retry(self, run_id: str, from_step: str | None = None) -> None:
        """Run the failed steps of an ended run again, and what depends on them."""
        await self._reenter(run_id, RETRYABLE, lambda again: again.retried(from_step))

    async def _reenter(
        self, run_id: str, states: frozenset[str], entry_of: Callable[[Reentry], Any]
    ) -> None:
        launcher = self._launcher
        if (active := launcher.active.get(run_id)) is not None:
            if not active.closing:
                raise RunConflict(f"run {run_id} is running; wait for it or cancel it first")
            await active.ended()
        await self._archive.row(run_id)
        lease = await self._taken(run_id)
        try:
            row = await self._archive.row(run_id)  # as whoever had the lease left it
            check_state(row, states)
            pin = await self._pin(row)
            entry = entry_of(Reentry(row, pin.workflow, await self._archive.snapshot(run_id)))
        except BaseException:
            lease.give_back()
            raise
        await launcher.launch(row, pin, lease, entry)

    async def _pin(self, row: RunRow) -> Pin:
        workflow = await self._archive.pinned(row)
        return self._launcher.readiness.pin(workflow, await self._archive.used(row))

    async def _taken(self, run_id: str) -> Lease:
        lease = self._launcher.lease(run_id)
        for _ in range(TAKE_TRIES):
            with contextlib.suppress(RunConflict):
                lease.take()
                return lease
            await asyncio.sleep(TAKE_SECONDS)
        lease.take()
        return lease

    async def cancel(self, run_id: str) -> None:
        """Stop a run here, or ask the process that works on it to.

        Raises:
            RunNotFound: no run has this id.
            RunConflict: it has ended.

        """
        if await self._launcher.stop(run_id):
            return
        _check_not_ended(await self._archive.row(run_id))
        lease = self._launcher.lease(run_id)
        try:
            lease.take()
        except RunConflict:
            lease.ask_to_stop()
            return
        try:
            row = await self._archive.row(run_id)
            _check_not_ended(row)
            await self._record_cancelled(row)
        finally:
            lease.give_back()

    async def _record_cancelled(self, row: RunRow) -> None:
        """Record that a run on which nobody works is cancelled."""
        log = EventLog(row.run_id, self._records, await self._records.last_seq(row.run_id))
        log.emit("workflow_cancelled", None, {"errors": [], "at_work": False})
        await log.close()
        await self._records.update_run(
            row.run_id, state="cancelled", ended_at=time.time(), deadline_at=None
        )

    async def recover(self) -> list[str]:
        """Go on with runs whose process died or whose questions have expired; give their ids."""
        recovered = [
            row.run_id for row in await self._records.unfinished_runs() if await self._revived(row)
        ]
        async for row in self._dated():
            assert row.deadline_at is not None
            if row.deadline_at > time.time():
                self._deadlines.set(row.run_id, row.deadline_at)
            elif await self._deadlines.answer(row.run_id):
                recovered.append(row.run_id)
        return recovered

    async def _revived(self, row: RunRow) -> bool:
        if row.run_id in self._launcher.active:
            return False
        try:
            await self.resume(row.run_id)
        except (RunConflict, RunNotFound):  # somebody works on it, or it is gone
            return False
        except (ConfigurationError, WorkflowInvalid) as error:
            # One run that cannot be carried on here must not keep the others from it.
            logger.warning("run %s is left as it is: %s", row.run_id, error)
            return False
        return True

    async def _dated(self) -> AsyncIterator[RunRow]:
        """List the waiting runs with a deadline or a reminder."""
        states: tuple[State, ...] = ("waiting",)
        last: str | None = None
        while rows := await self._records.list_runs(None, states, PAGE, last):
            for row in rows:
                if row.deadline_at is not None:
                    yield row
            last = rows[-1].run_id

    async def close(self) -> None:
        """Cancel what still runs, resumably, and forget all deadlines."""
        await self._deadlines.close()
        await self._launcher.close()
        await self._episodes.close()


def _check_not_ended(row: RunRow) -> None:
    if row.state in ENDED:
        raise RunConflict(f"run {row.run_id} has ended: {row.state}")
