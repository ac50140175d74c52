"""The event loop on which one process calls a Qdrant server, in a thread of its own."""

from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from contextvars import Context
from threading import Thread
from typing import Any, TypeVar

from anyio import run
from anyio.from_thread import BlockingPortal

from stretto.memory.backend.session import Session

T = TypeVar("T")


class Connection:
    """The loop, the thread and the session of one process."""

    def __init__(self, opening: Callable[[], Session]) -> None:
        """Start the thread.

        Not as a context manager: one that is dropped stops its thread and waits for that, for
        ever where the thread is no more, at the end of a process or in a forked child. Nor in the
        caller's context, which names another event loop.
        """
        started: Future[BlockingPortal] = Future()
        self._thread = Thread(
            target=Context().run, args=(run, _serve, started), name="stretto-memory", daemon=True
        )
        self._thread.start()
        self.portal = started.result()
        self.session = self.portal.call(opening)
        self._asked: set[Future[Any]] = set()

    def submit(self, call: Callable[[Session], Coroutine[Any, Any, T]]) -> Future[T]:
        """Make a call, which ``close`` waits for."""
        future = self.portal.start_task_soon(call, self.session)
        self._asked.add(future)
        future.add_done_callback(self._asked.discard)
        return future

    def close(self) -> None:
        """Wait for what was asked for, hang up, and end the thread."""
        wait(self._asked.copy())
        self.portal.call(self._finish)
        self.portal.call(self.portal.stop)
        self._thread.join()

    async def _finish(self) -> None:
        async with self.session.lock:
            await self.session.remote.line.close()


async def _serve(started: Future[BlockingPortal]) -> None:
    async with BlockingPortal() as portal:
        started.set_result(portal)
        await portal.sleep_until_stopped()
