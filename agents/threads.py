"""Plain functions called without holding up the event loop."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

A = TypeVar("A")
R = TypeVar("R")


async def in_thread(function: Callable[[A], R], argument: A) -> R:
    """Call a function in a thread of its own and give what it returns.

    A thread that outlives its deadline holds up neither other calls, as it would in a shared pool,
    nor the end of the process.

    Args:
        function: what to call; it sees the context variables of the caller.
        argument: what it is called with.

    Raises:
        RuntimeError: the function raised StopIteration, which no coroutine may let through.

    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[R] = loop.create_future()
    context = contextvars.copy_context()

    def tell(result: R | None, error: BaseException | None) -> None:
        if done.done():  # nobody waits any more
            return
        if isinstance(error, StopIteration):
            done.set_exception(RuntimeError("the function raised StopIteration"))
        elif error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # without an error it is the result

    def work() -> None:
        result, error = None, None
        try:
            result = context.run(function, argument)
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, result, error)

    threading.Thread(target=work, name=f"agent {function!r:.60}", daemon=True).start()
    return await done
