"""Going on without memory: told as an event, never a reason for a run to fail."""

from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

from stretto.errors import MemoryFault

if TYPE_CHECKING:
    from stretto.agents.task import Task
    from stretto.memory.recollection import Memory

T = TypeVar("T")
ABSENT = "this host has no memory; give it one: Engine(memory=...) or compile(memory=...)"


async def or_without(
    task: "Task", memory: "Memory", work: Awaitable[T]
) -> "tuple[T | None, str | None]":
    """Wait for what memory does, or tell that the call goes on without it.

    Args:
        task: the call.
        memory: what is used; with ``on_error="raise"`` nothing goes on.
        work: what it does.

    Returns:
        What came of it and None, or None and why memory cannot be used.

    Raises:
        MemoryFault: what was asked of memory is wrong, or the policy says so.

    """
    try:
        return await work, None
    except MemoryFault as fault:
        if memory.on_error == "raise" or not fault.degrades:
            raise
        task.degraded(fault.message)
        return None, fault.message
