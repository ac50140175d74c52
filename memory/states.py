"""Where agents keep their state: a LangGraph store in a SQLite file, or in Redis."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from langgraph.store.base import BaseStore, Op, Result

from stretto.memory.calls import finish
from stretto.memory.sqlite import BUSY_SECONDS

if TYPE_CHECKING:
    from stretto.memory.sqlite_states import SqliteStates


class FileStates(BaseStore):
    """A store in a SQLite file, which several processes may use; opened when it is first used.

    It has a thread of its own, as the cache has, since the event loop's may be busy for long.
    """

    def __init__(self, path: Path) -> None:
        """Keep what there will be in the file at ``path``; nothing is opened yet."""
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="stretto-states")
        self._store: SqliteStates | None = None

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations: all writes among them or none.

        Raises:
            ConfigurationError: the file cannot be used.

        """
        return self._thread.submit(self._carry_out, list(ops)).result()

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations: all writes among them or none.

        Raises:
            ConfigurationError: the file cannot be used.

        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._carry_out, list(ops))

    async def aclose(self) -> None:
        """Close the file once what is under way has ended."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _carry_out(self, ops: list[Op]) -> list[Result]:
        if self._store is None:
            # Imported here, because it takes long and most engines have no agent with a state.
            from stretto.memory.sqlite_states import open_sqlite_states

            self._store = open_sqlite_states(self._path)
        return self._store.batch(ops)

    def _close(self) -> None:
        if self._store is not None:
            self._store.conn.close()


@asynccontextmanager
async def open_states(path: Path, redis_url: str | None = None) -> AsyncGenerator[BaseStore]:
    """Open where agents keep their state; a file is created when the first one keeps something.

    Args:
        path: the SQLite file.
        redis_url: the Redis that is used in place of the file, if not None.

    Raises:
        ConfigurationError: Redis cannot be used.

    """
    if redis_url is not None:
        from stretto.memory.redis_client import open_redis
        from stretto.memory.redis_states import RedisStates

        async with open_redis(redis_url, BUSY_SECONDS) as client:
            yield RedisStates(client)
        return
    states = FileStates(path)
    try:
        yield states
    finally:
        await finish(states.aclose())
