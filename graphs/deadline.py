"""Agents at work, and deadlines that hold: who does not stop when told to is left behind."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from stretto.agents.agent import Emit, Notify, Task, discard
from stretto.agents.registry import RegisteredAgent
from stretto.errors import StepFailed

T = TypeVar("T")
GRACE = 0.5
"""Seconds in which work that was cancelled may clean up."""
logger = logging.getLogger(__name__)
_left_behind: "set[asyncio.Task[Any]]" = set()
"""The event loop itself holds its tasks only weakly."""


class Overdue(Exception):
    """The work did not end within its time."""


class Voice:
    """What an attempt publishes through, until the attempt is over."""

    def __init__(self, publish: Emit, notify: Notify) -> None:
        """Pass on to ``publish`` and ``notify``."""
        self._publish, self._notify = publish, notify

    def publish(self, text: str) -> None:
        """Publish a piece of text, or drop it when the attempt is over."""
        self._publish(text)

    def notify(self, kind: str, data: dict[str, Any]) -> None:
        """Publish what is no text, or drop it when the attempt is over."""
        self._notify(kind, data)

    def close(self) -> None:
        """Drop everything from now on."""
        self._publish = self._notify = discard


async def run_agent(agent: RegisteredAgent, task: Task) -> Any:
    """Call an agent; whatever it raises fails its step, and ends neither the run nor the process.

    Raises:
        StepFailed: it raised what is meant for the interpreter, or was cancelled though nobody
            cancelled this run.

    """
    try:
        return await agent.run(task)
    except (Exception, GeneratorExit):
        raise
    except asyncio.CancelledError as error:
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            raise
        raise StepFailed(f"agent '{agent.name}' cancelled itself") from error
    except BaseException as error:
        kind = type(error).__name__
        raise StepFailed(f"agent '{agent.name}' raised {kind}, which ends programs") from error


async def before_deadline(work: Coroutine[Any, Any, T], limit: float | None, name: str) -> T:
    """Carry out the work of an agent within its time.

    It runs in a task of its own, so that nobody has to wait for work that swallows its
    cancellation, whether that is for the deadline or because the run was cancelled.

    Args:
        work: what is carried out.
        limit: seconds it may take; None if only whoever waits for it has a limit.
        name: the agent, for the log and the error.

    Raises:
        Overdue: it took longer; whatever it still gives or raises is dropped.
        StepFailed: it cancelled itself.

    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait([task], timeout=limit)
        if not task.done():
            raise Overdue
    finally:
        if not task.done():
            await _stop(task, name)
    if task.cancelled():
        raise StepFailed(f"agent '{name}' cancelled itself")
    return task.result()


async def _stop(task: "asyncio.Task[Any]", name: str) -> None:
    """Cancel a task, and leave it behind if it has not ended after the grace."""
    task.cancel()
    # Whatever it still ends with is nobody's concern, and no reason for a complaint of the loop.
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        await asyncio.wait([task], timeout=GRACE)
    finally:
        if not task.done():
            _left_behind.add(task)
            task.add_done_callback(_left_behind.discard)
            told = "agent '%s' did not stop within %g s of being cancelled and is left behind"
            logger.warning(told, name, GRACE)
