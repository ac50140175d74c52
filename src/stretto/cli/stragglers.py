"""What agents began and will not end: a command waits for it a while, and ends without it."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from stretto.cli.guard import say

T = TypeVar("T")
PATIENCE = 5.0
"""Seconds for what still goes on after a run has ended and was reported."""
_open: list[asyncio.Runner] = []
"""Event loops that cannot be closed, because something in them does not end."""


def run_loop(work: Coroutine[Any, Any, T]) -> T:
    """Carry ``work`` out in an event loop of its own, and wait a while for what it left running.

    ``asyncio.run`` waits for ever for a task that swallows its cancellation, and for a thread that
    does not return. Here the loop is left open then, and ``leave`` ends the process.
    """
    runner = asyncio.Runner()
    _open.append(runner)
    try:
        return runner.run(work)
    finally:
        if runner.run(_all_ended()):
            _open.remove(runner)
            runner.close()
        else:
            say(
                f"something that an agent began did not end within {PATIENCE:g} s "
                "of being cancelled; this process ends without it"
            )


async def _all_ended() -> bool:
    """End what is left of the loop, as far as it lets itself be ended."""
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in others:
            task.cancel()
        _, left = await asyncio.wait(others, timeout=max(until - loop.time(), 0.0))
        if left:
            return False
    # In a task, because a cancelled call of it would wait for the threads all the same.
    threads = loop.create_task(loop.shutdown_default_executor())
    await asyncio.wait([threads], timeout=max(until - loop.time(), 0.0))
    return threads.done()


def leave(code: object) -> None:
    """End the process at once if a loop is still open; the interpreter's own end would wait for it.

    By then everything of ours is closed and reported: what is left out are tasks and threads of
    agents, and their complaints about being destroyed.

    Args:
        code: what the command gave to ``sys.exit``.

    """
    if not _open:
        return
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # whoever read it may have left
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
