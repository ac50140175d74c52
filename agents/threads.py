"""Plain functions beside the event loop: each call in a thread of its own."""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


async def in_thread(function: Callable[..., T], *args: Any) -> T:
    """Call a plain function without holding up the loop.

    A thread cannot be killed. This one belongs to nobody else and is a daemon, so one that never
    returns takes no place in a shared pool from other runs and does not keep the process alive.

    Args:
        function: what to call; it sees the caller's context variables.
        args: its arguments.

    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            tell = partial(_succeed, done, context.run(function, *args))
        except BaseException as error:
            tell = partial(_fail, done, error)
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
            loop.call_soon_threadsafe(tell)

    threading.Thread(target=work, name=f"stretto {_name(function)}", daemon=True).start()
    return await done


def _succeed(done: "asyncio.Future[T]", result: T) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: "asyncio.Future[Any]", error: BaseException) -> None:
    if done.done():
        return
    if isinstance(error, StopIteration):  # a future cannot carry it
        error = RuntimeError(f"the function raised StopIteration: {error}")
    done.set_exception(error)


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)
