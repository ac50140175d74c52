"""The live event log of one run: written without waiting, read by many, saved in batches."""

import asyncio
import contextlib
import contextvars
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

from stretto.engine.records import Records
from stretto.errors import ConfigurationError, RunConflict
from stretto.events import ENDINGS, EventType, RunEvent

BATCH = 500
BATCH_SECONDS = 0.05
RETRY_SECONDS = 1.0


class EventLog:
    """The events of one run, in this process.

    Memory holds the newest ``keep`` events, and beyond these only what is not saved yet. A reader
    that memory has moved past goes on from the records, so it neither slows the run nor loses
    anything. When saving fails, the run goes on: ``failed`` holds the cause, saving is tried
    again every second, and unsaved events stay in memory up to ``keep``; once older ones had to
    go, nothing more is saved, ``failed`` stays, and readers that would miss an event get it raised.
    """

    def __init__(
        self, run_id: str, records: Records, start_seq: int = 0, keep: int = 10_000
    ) -> None:
        """Start the log inside a running event loop.

        Args:
            run_id: the run, which must be in the records.
            records: where the events are saved.
            start_seq: the ``seq`` of the last event that is already saved.
            keep: how many events memory holds.

        """
        self.run_id = run_id
        self.start_seq = self.last_seq = start_seq
        self.failed: Exception | None = None
        self._records = records
        self._keep = keep
        self._memory: list[RunEvent] = []
        self._first = start_seq + 1
        """``seq`` of the first event in memory, or of the next one when memory is empty."""
        self._saved = start_seq
        self._lock = threading.Lock()
        self._saving = asyncio.Lock()
        self._waiters: list[asyncio.Future[None]] = []
        self._dirty, self._full, self._ending = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        # An empty context: the flusher outlives whatever task happened to open the log.
        self._flusher = self._loop.create_task(
            self._save_in_background(), context=contextvars.Context()
        )

    def emit(
        self, event: EventType, step: str | None = None, data: dict[str, Any] | None = None
    ) -> RunEvent:
        """Add an event and return at once; any thread may call this.

        Raises:
            RunConflict: the log is closed.

        """
        with self._lock:
            if self._closed:
                raise RunConflict(f"run {self.run_id} has ended, it takes no more events")
            seq = self.last_seq = self.last_seq + 1
            added = RunEvent(event, self.run_id, seq, time.time(), step, data or {})
            self._memory.append(added)
            if self.failed is not None and len(self._memory) > self._keep:
                self._trim()
        if threading.get_ident() == self._thread:
            self._notify()
        else:
            self._loop.call_soon_threadsafe(self._notify)
        return added

    async def read(self, after: int = 0, until_waiting: bool = True) -> AsyncIterator[RunEvent]:
        """Replay the events after a point and follow the run until nothing more comes.

        Args:
            after: the ``seq`` of the last event that the reader knows.
            until_waiting: whether a run that waits for a person counts as ended.

        Raises:
            ConfigurationError: events are lost to the reader because saving them failed.

        """
        endings = ENDINGS if until_waiting else ENDINGS - {"workflow_waiting"}
        after = max(after, 0)
        while True:
            batch = await self._after(after)
            for event in batch:
                after = event.seq
                yield event
                # An ending from before this log began, or with more behind it, is an old one: the
                # run was resumed or retried.
                if event.event in endings and self.start_seq < after == self.last_seq:
                    return
            if not batch:
                if self._closed:
                    return
                await self._news()

    async def flush(self) -> None:
        """Save everything emitted so far; a failure ends up in ``failed``, not here."""
        target = self.last_seq
        async with self._saving:
            while self._saved < target:
                batch = self._slice(self._saved, BATCH)
                if not batch or batch[0].seq != self._saved + 1:
                    return
                try:
                    await self._records.append_events(self.run_id, batch)
                except Exception as error:
                    with self._lock:
                        self.failed = error
                        self._trim()
                    return
                with self._lock:
                    self._saved, self.failed = batch[-1].seq, None
                    self._trim()

    async def close(self) -> None:
        """Save what is left, take no more events, and let the readers end."""
        self._ending.set()
        self._full.set()
        self._dirty.set()
        await asyncio.wait([self._flusher])
        with self._lock:
            self._closed = True
        await self.flush()
        self._wake()

    async def _after(self, seq: int) -> list[RunEvent]:
        """Give the next events after ``seq``; none when the reader knows them all."""
        if seq >= self.last_seq:
            return []
        batch = self._slice(seq, BATCH)
        if not batch or batch[0].seq != seq + 1:
            batch = await self._records.read_events(self.run_id, seq, BATCH)
        if not batch or batch[0].seq != seq + 1:
            raise ConfigurationError(
                f"events after {seq} of run {self.run_id} are lost: saving them failed"
            ) from self.failed
        return batch

    def _slice(self, seq: int, count: int) -> list[RunEvent]:
        with self._lock:
            start = max(seq + 1 - self._first, 0)
            return self._memory[start : start + count]

    def _trim(self) -> None:
        """Let go of the oldest saved events beyond ``keep``, and of any while saving fails."""
        if len(self._memory) <= self._keep:
            return
        # Down to three quarters, so that moving the list costs next to nothing per event.
        surplus = len(self._memory) - self._keep * 3 // 4
        if self.failed is None:
            surplus = min(surplus, self._saved + 1 - self._first)
        if surplus > 0:
            del self._memory[:surplus]
            self._first += surplus

    def _notify(self) -> None:
        if not self._dirty.is_set():
            self._dirty.set()
        if self.last_seq - self._saved >= BATCH:
            self._full.set()
        if self._waiters:
            self._wake()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _news(self) -> None:
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        await waiter

    async def _save_in_background(self) -> None:
        while not self._ending.is_set():
            await self._dirty.wait()
            failing = self.failed is not None
            await _wait(self._ending if failing else self._full, self._pause(failing))
            self._dirty.clear()
            self._full.clear()
            await self.flush()
            if self.failed is not None:
                self._dirty.set()

    def _pause(self, failing: bool) -> float:
        # All logs save at the same moments, so that the records can save them together.
        return RETRY_SECONDS if failing else BATCH_SECONDS - self._loop.time() % BATCH_SECONDS


async def _wait(signal: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await signal.wait()
