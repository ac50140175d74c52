"""The thread that calls the embedded engine, and the queue before it.

The queue is bounded for threads: when ``CAPACITY`` calls wait, the next caller waits too. A thread
that runs an event loop is never made to wait; there each coroutine waits for the future of its own
call, so the coroutines are the bound. Writes that wait together are given to the engine together.
A brief call that nothing comes before is done by its caller, since to wake two threads takes longer
than it; an event loop does one of them each time it looks for events, so that it does not stall.
"""

import asyncio
import logging
import time
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Condition, Lock, Thread, current_thread
from typing import TYPE_CHECKING, Any

from stretto.errors import MemoryFault
from stretto.memory.backend.call import Call, write
from stretto.memory.backend.pieces import BREATH_SECONDS

if TYPE_CHECKING:
    from stretto.memory.backend.folder import MemoryFolder

logger = logging.getLogger(__name__)
CAPACITY = 1024
COALESCED_POINTS = 256
SYNC_CALLS = 100
SYNC_SECONDS = 1.0
BUSY_SECONDS = 0.001
FLUSH_POINTS = 10_000
"""Points the log may have to replay when memory is opened again: half a second."""


class EngineThread:
    """Does calls one after the other on a folder that its first call opens."""

    def __init__(self, opening: "Callable[[], MemoryFolder]") -> None:
        """Keep ``opening``; the thread starts with the first call."""
        self._opening = opening
        self._calls: deque[Call] = deque()
        self._changed = Condition()
        self._closing = False
        self._folder: MemoryFolder | None = None
        self._unsynced = 0
        self._synced_at = 0.0
        self._breathed_at = 0.0
        self._using = Lock()
        """Held by who calls the engine."""
        self._unserved = 0
        self._yielding: AbstractEventLoop | None = None
        """The event loop that has done a brief call and not looked for events since."""
        self._thread = Thread(target=self._run, name="stretto-memory", daemon=True)

    def submit(self, call: Call) -> Future[Any]:
        """Queue a call; waits while the queue is full, unless this thread runs an event loop."""
        loop = _running_loop()
        with self._changed:
            if loop is None and current_thread() is not self._thread:
                self._changed.wait_for(lambda: self._closing or len(self._calls) < CAPACITY)
            if self._closing:
                call.future.set_exception(closed())
                return call.future
            if not (at_once := self._hold_for(call, loop)):
                self._calls.append(call)
                self._unserved += 1
                if not self._thread.is_alive():
                    self._thread.start()
                self._changed.notify_all()
        if at_once:
            self._serve_at_once(call)
            if loop is None:
                self._breathe()
        return call.future

    def _serve_at_once(self, call: Call) -> None:
        unsynced = 0
        try:
            self._serve([call])
            unsynced = self._unsynced if call.writes else 0
        finally:
            self._using.release()
        if unsynced == 1 or unsynced >= SYNC_CALLS:  # from now on there is something to sync
            with self._changed:
                self._changed.notify_all()

    def _hold_for(self, call: Call, loop: AbstractEventLoop | None) -> bool:
        """Hold the engine for a call, and tell whether that was possible at once."""
        if not call.brief or self._unserved or self._folder is None:
            return False
        if loop is not None and self._yielding is loop:
            return False
        if not self._using.acquire(blocking=False):
            return False
        if loop is not None:
            self._yielding = loop
            loop.call_soon(self._yielded)
        return True

    def _yielded(self) -> None:
        self._yielding = None

    def close(self) -> None:
        """Finish what is queued, close the folder and wait for both."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            started = self._thread.is_alive()
        if started:
            self._thread.join()

    def abandon(self) -> None:
        """In a forked child: leave the parent's folder alone."""
        if self._folder is not None:
            self._folder.shard.abandon()

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            with self._using:
                if batch:
                    self._serve(batch)
                self._keep_up()
            with self._changed:
                self._unserved -= len(batch)
            self._breathe()
        if self._folder is not None:
            with self._using, logged("close"):
                self._folder.close()

    def _next(self) -> list[Call] | None:
        """Give the calls to do together; none when it is time to sync, None at the end."""
        with self._changed:
            while not self._calls and not self._closing:
                waiting = SYNC_SECONDS if self._unsynced else None
                if self._unsynced >= SYNC_CALLS or not self._changed.wait(waiting):
                    return []
            if not self._calls:
                return None
            batch = [self._calls.popleft()]
            points = len(batch[0].points)
            while self._calls and batch[0].work is None and self._calls[0].work is None:
                points += len(self._calls[0].points)
                if points > COALESCED_POINTS:
                    break
                batch.append(self._calls.popleft())
            self._changed.notify_all()
            return batch

    def _serve(self, batch: list[Call]) -> None:
        live = [call for call in batch if call.future.set_running_or_notify_cancel()]
        try:
            folder = self._folder = self._folder or self._opening()
        except BaseException as error:
            for call in live:
                call.future.set_exception(error)
            return
        if live and live[0].work is None:
            write(folder, live)
        for call in live:
            if call.work is not None:
                call.settle(call.work, folder)
            self._unsynced += call.writes

    def _breathe(self) -> None:
        """Let other threads have the interpreter, which the engine never lets go of itself.

        Without it a busy engine makes an event loop wait for 5 ms (the switch interval) and more
        each time that the loop has looked for events.
        """
        if time.monotonic() - self._breathed_at > BUSY_SECONDS:
            time.sleep(BREATH_SECONDS)
            self._breathed_at = time.monotonic()

    def _keep_up(self) -> None:
        """Bound what a power cut could lose, and what the log replays."""
        folder, now = self._folder, time.monotonic()
        if folder is None or not self._unsynced:
            return
        if self._unsynced >= SYNC_CALLS or now - self._synced_at >= SYNC_SECONDS:
            self._unsynced, self._synced_at = 0, now
            with logged("sync"):
                folder.shard.sync()
        if folder.shard.unflushed >= FLUSH_POINTS:
            with logged("flush"):
                folder.shard.flush()


def closed() -> MemoryFault:
    """Give the fault of a call after ``close``."""
    return MemoryFault("This memory is closed; open it again.", code="memory_closed")


@contextmanager
def logged(what: str) -> Generator[None]:
    """Report a fault that no caller waits for; what was acknowledged is in the log of the shard."""
    try:
        yield
    except MemoryFault as error:
        logger.warning("memory could not %s: %s", what, error)


def _running_loop() -> AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
