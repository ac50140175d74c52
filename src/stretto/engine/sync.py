"""The one door for code that is not asynchronous, notebooks included."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_to_end(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on a loop of its own.

    Inside a running loop, as in a notebook, it runs in a thread beside it.

    Args:
        coroutine: what to run.

    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    outcome: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(asyncio.run(coroutine))
        except BaseException as error:  # handed over to the caller's thread
            failure.append(error)

    thread = threading.Thread(target=work, name="stretto run_sync")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]
