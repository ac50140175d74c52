"""An opened database of records: it is read at any time, and written by one after the other."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL

from stretto.engine.database import (
    READERS,
    explained,
    file_of,
    open_engine,
    parse_url,
    to_write,
)
from stretto.errors import ConfigurationError
from stretto.memory.calls import finish

T = TypeVar("T")


class Threads:
    """The threads that talk to a database, each with a whole transaction at a time.

    An asynchronous driver goes to a thread and back for every statement, and more often for each
    transaction; where hundreds of runs record what they do, that is most of what they cost.
    """

    def __init__(self, url: URL) -> None:
        """Begin with none; they start with the first call."""
        self._url = url
        # SQLite lets one writer in at a time and others poll for their turn; one thread in
        # this process keeps a busy one from starving somebody past the busy timeout.
        self._writers = ThreadPoolExecutor(1, "stretto-records")
        self._readers = self._writers  # what is in memory belongs to the thread that made it
        if file_of(url):
            self._readers = ThreadPoolExecutor(READERS, "stretto-records-read")

    async def read(self, work: Callable[[], T]) -> T:
        """Do what only reads; see ``write``."""
        return await self._do(self._readers, work)

    async def write(self, work: Callable[[], T]) -> T:
        """Do some work to its end, also when the task that waits for it is cancelled meanwhile.

        Raises:
            ConfigurationError: the database failed; the message says what to do.

        """
        return await self._do(self._writers, work)

    async def _do(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        def explaining() -> T:
            with explained(self._url):
                return work()

        try:
            working = asyncio.get_running_loop().run_in_executor(threads, explaining)
        except RuntimeError:  # they take no more work
            raise ConfigurationError("the database of the runs is closed; open it again") from None
        return await finish(working)

    def close(self) -> None:
        """End them when they have done what was asked for."""
        self._readers.shutdown()
        self._writers.shutdown()


class Store:
    """The door to the database; safe for many tasks, and for readers in other processes.

    Every call is one transaction and comes to its end, also when the task that makes it is
    cancelled meanwhile. Every method raises ConfigurationError when the database itself fails
    (damaged, locked for long, not permitted, disk full); the message says what to do.
    """

    def __init__(self, engine: Engine, threads: Threads) -> None:
        """Work on an opened ``engine``; use ``open`` to get one with the right schema."""
        self._engine, self._threads = engine, threads
        self._writing = to_write(engine)

    @classmethod
    async def open(cls, url: str) -> Self:
        """Open the database, creating or upgrading its schema where needed.

        Args:
            url: ``sqlite:///path``, with or without a driver.

        Raises:
            ConfigurationError: the database cannot be used; the message says what to do.

        """
        parsed = parse_url(url)
        threads = Threads(parsed)
        opened: list[Engine] = []
        try:
            await threads.write(lambda: opened.append(open_engine(parsed)))
        except BaseException:
            for engine in opened:  # its opener was cancelled meanwhile
                await threads.write(engine.dispose)
            threads.close()
            raise
        return cls(opened[0], threads)

    async def close(self) -> None:
        """Close all connections."""
        try:
            await self._threads.write(self._engine.dispose)
        finally:
            self._threads.close()

    async def _rows(self, query: Any, values: Any = None) -> list[dict[str, Any]]:
        def read() -> list[dict[str, Any]]:
            with self._engine.begin() as connection:
                return [dict(row) for row in connection.execute(query, values).mappings()]

        return await self._threads.read(read)

    async def _written(self, work: Callable[[Connection], T]) -> T:
        """Do what writes, in a transaction."""

        def write() -> T:
            with self._writing.begin() as connection:
                return work(connection)

        return await self._threads.write(write)
