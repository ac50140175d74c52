"""How late an event loop gets while memory works."""

import asyncio
import gc
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from benchmarks.memory.figures import Figure, percentile

TICK_SECONDS = 0.001
LIMIT_MS = 20


@asynccontextmanager
async def watched() -> AsyncGenerator[list[float]]:
    """Give the seconds by which the loop comes too late, each time that it is called.

    What the process holds already is kept from the garbage collector, as a server does that calls
    ``gc.freeze`` once it has started: a full collection stalls any process, and how long depends on
    what else is imported, not on memory.
    """
    late: list[float] = []

    async def probe() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(TICK_SECONDS)
            late.append(time.perf_counter() - began - TICK_SECONDS)

    gc.collect()
    gc.freeze()
    watching = asyncio.create_task(probe())
    try:
        yield late
    finally:
        watching.cancel()
        gc.unfreeze()


def stalls(case: str, late: Sequence[float]) -> list[Figure]:
    """Give how late the loop was."""
    return [
        Figure(case, "ms the loop stalls, p99", percentile(late, 0.99) * 1e3),
        Figure(case, "ms the loop stalls, worst", max(late) * 1e3, LIMIT_MS),
    ]
