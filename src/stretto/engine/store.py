"""An opened database of records: it is read at any time, and written by one after the other."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from typing import Any, Self

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from stretto.engine.database import explained, open_engine, parse_url, writing
from stretto.memory.calls import finished


class Store:
    """The door to the database; safe for many tasks, and for readers in other processes.

    Every call comes to its end, also when the task that makes it is cancelled meanwhile.
    Every method raises ConfigurationError when the database itself fails (damaged, locked for
    long, not permitted, disk full); the message says what to do.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        """Work on an opened ``engine``; use ``open`` to get one with the right schema."""
        self._engine = engine
        self._url = engine.url
        # SQLite lets one writer in at a time and others poll for their turn; a fair queue in
        # this process keeps a busy one from starving somebody past the busy timeout.
        local = engine.dialect.name == "sqlite"
        self._turn: asyncio.Lock | nullcontext[None] = asyncio.Lock() if local else nullcontext()
        self._insert = sqlite.insert if local else postgresql.insert

    @classmethod
    async def open(cls, url: str) -> Self:
        """Open the database, creating or upgrading its schema where needed.

        Args:
            url: ``sqlite:///path`` or ``postgresql://host/name``, with or without a driver.

        Raises:
            ConfigurationError: the database cannot be used; the message says what to do.

        """
        return cls(await open_engine(parse_url(url)))

    @finished
    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    @finished
    async def _rows(self, query: Any) -> list[dict[str, Any]]:
        with explained(self._url):
            async with self._engine.connect() as connection:
                result = await connection.execute(query)
                return [dict(row) for row in result.mappings()]

    @asynccontextmanager
    async def _writing(self) -> AsyncGenerator[AsyncConnection]:
        with explained(self._url):
            async with self._turn, writing(self._engine) as connection:
                yield connection
