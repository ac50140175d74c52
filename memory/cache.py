"""Where outputs of steps are kept for reuse, in memory or in a file."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from stretto.errors import ConfigurationError
from stretto.memory.sqlite import use_wal
from stretto.memory.strict import strict_serializer  # before LangGraph, see there

# isort: split
from langgraph.cache.base import BaseCache, FullKey, Namespace
from langgraph.cache.memory import InMemoryCache  # pyright: ignore[reportMissingTypeStubs]
from langgraph.cache.sqlite import SqliteCache  # pyright: ignore[reportMissingTypeStubs]

T = TypeVar("T")
logger = logging.getLogger(__name__)


class FileCache(SqliteCache[Any]):
    """LangGraph's cache in a SQLite file, on one thread of its own.

    The event loop's shared threads would do as well, but plain functions that serve as agents can
    keep all of these busy for long, and a look-up must not wait for them. A file that fails later
    on costs a repeated call, never a run: look-ups then find nothing.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file at ``path``."""
        super().__init__(path=str(path), serde=strict_serializer())
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="stretto-cache")

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, Any]:
        """Get what is kept under ``keys``; what is missing or too old is left out."""
        return await self._call(lambda: self.get(keys), {})

    async def aset(self, mapping: Mapping[FullKey, tuple[Any, int | None]]) -> None:
        """Keep values, each for so many seconds, or until cleared if None."""
        await self._call(lambda: self.set(mapping), None)

    async def aclear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Drop what is kept in ``namespaces``, or everything if None."""
        await self._call(lambda: self.clear(namespaces), None)

    async def _call(self, function: Callable[[], T], otherwise: T) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function)
        except (sqlite3.Error, ValueError) as error:
            logger.warning("the cache of outputs failed and is passed over: %s", error)
            return otherwise


def open_cache(path: Path | None) -> BaseCache[Any]:
    """Open a cache of outputs.

    Args:
        path: the SQLite file; None keeps everything in this process's memory.

    Raises:
        ConfigurationError: the file cannot be used.

    """
    if path is None:
        return InMemoryCache(serde=strict_serializer())
    try:
        use_wal(path)
        return FileCache(path)
    except (sqlite3.Error, OSError) as error:
        raise ConfigurationError(
            f"outputs cannot be cached in {path}: {error}; delete the file or use another one"
        ) from error
