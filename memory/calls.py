"""Waiting for database calls, which come to their end whatever becomes of those who make them."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def finish(call: Awaitable[T]) -> T:
    """Carry out a call to its end, also when whoever makes it is cancelled meanwhile.

    A call that is cut short goes on in the driver's thread all the same: nobody knows whether it
    takes effect, and it reports to an event loop that may be closed by then.

    Args:
        call: what is to be done.

    Returns:
        What it gives.

    Raises:
        CancelledError: the caller was cancelled; the call is over nevertheless.

    """
    task = asyncio.ensure_future(call)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = cancelled or error
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # looked at, or asyncio warns that nobody did
    raise cancelled


def finished(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Let every call of a coroutine function come to its end."""

    @wraps(method)
    async def whole(*args: P.args, **options: P.kwargs) -> T:
        return await finish(method(*args, **options))

    return whole


async def answer(future: Future[T]) -> T:
    """Give what a call of a thread comes to; one that is over already lets others run first."""
    if not future.done():
        return await asyncio.wrap_future(future)
    await asyncio.sleep(0)
    return future.result()
