"""Where LangGraph saves each step of a run: a checkpointer by URL."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from stretto.errors import ConfigurationError
from stretto.memory.strict import strict_serializer  # before LangGraph, see there

# isort: split
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
)
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from stretto.memory.calls import finish
from stretto.memory.clock import keep_ids_after
from stretto.memory.redis_client import shown
from stretto.memory.sqlite import BUSY_SECONDS, use_wal

MEMORY = "memory:"
T = TypeVar("T")


class SqliteSaver(AsyncSqliteSaver):
    """LangGraph's saver for SQLite; what is read keeps the ids of what is saved later behind it."""

    def __init__(self, conn: aiosqlite.Connection, *, serde: SerializerProtocol) -> None:
        """Save through an open connection.

        Args:
            conn: the connection.
            serde: turns values into bytes and back.

        """
        super().__init__(conn, serde=serde)
        self._saved_by_steps: set[tuple[str, str]] = set()
        self._turn = asyncio.Lock()

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Save what a task wrote.

        A step saves its writes itself before anything that needs it starts, without a path. When
        LangGraph comes with the same writes later, they are there already; its own errors and
        interrupts are not.
        """
        key = str(config.get("configurable", {})["checkpoint_id"]), task_id
        told_by_langgraph = any(channel in WRITES_IDX_MAP for channel, _ in writes)
        if task_path and key in self._saved_by_steps and not told_by_langgraph:
            self._saved_by_steps.discard(key)
            return
        await self._save(super().aput_writes(config, writes, task_id, task_path))
        if not task_path:
            self._saved_by_steps.add(key)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint."""
        return await self._save(super().aput(config, checkpoint, metadata, new_versions))

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete everything of a thread."""
        await self._save(super().adelete_thread(thread_id))

    async def _save(self, saving: Coroutine[Any, Any, T]) -> T:
        return await finish(self._or_roll_back(saving))

    async def _or_roll_back(self, saving: Coroutine[Any, Any, T]) -> T:
        """Save, and leave no transaction open behind a failure: it would lock others out."""
        # There is one connection, so a rollback takes back whatever others have not committed.
        async with self._turn:
            try:
                return await saving
            except BaseException:
                await self.conn.rollback()
                raise

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Get a checkpoint: the one that ``config`` names, else the latest of its thread."""
        found = await super().aget_tuple(config)
        if found is None:
            return None
        keep_ids_after(found.checkpoint["id"])
        if get_checkpoint_id(config):
            # A run that goes on from an older checkpoint must sort after the latest one too.
            await self._pass_latest(config)
        return found

    async def _pass_latest(self, config: RunnableConfig) -> None:
        scope = config.get("configurable", {})
        query = "SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id=? AND checkpoint_ns=?"
        async with (
            self.lock,
            self.conn.execute(
                query, (str(scope["thread_id"]), scope.get("checkpoint_ns", ""))
            ) as cursor,
        ):
            row = await cursor.fetchone()
        if row is not None:
            keep_ids_after(row[0])


@asynccontextmanager
async def open_checkpointer(url: str) -> AsyncGenerator[BaseCheckpointSaver[Any]]:
    """Open where checkpoints are saved; open one per file and process, for all runs in it.

    Args:
        url: ``memory:`` for this process only, ``sqlite:///path``, or the path of a SQLite file.

    Raises:
        ConfigurationError: the URL is of no known kind, or the file cannot be used.

    """
    path = _path(url)
    if path is None:
        yield InMemorySaver(serde=strict_serializer())
        return
    saver = await _open_sqlite(path)
    try:
        yield saver
    finally:
        await finish(saver.conn.close())


def _path(url: str) -> Path | None:
    """Give the SQLite file that ``url`` names, None for memory."""
    if url == MEMORY:
        return None
    scheme, separator, rest = url.partition("://")
    if not separator and url:
        return Path(url)
    if scheme.partition("+")[0] != "sqlite" or len(rest) < 2 or not rest.startswith("/"):
        raise ConfigurationError(
            f"cannot keep checkpoints in '{shown(url) if url else url}'; "
            "use 'memory:', 'sqlite:///path' or a file path"
        )
    return Path(rest[1:])


async def _open_sqlite(path: Path) -> SqliteSaver:
    try:
        use_wal(path)
        connection = aiosqlite.connect(path, timeout=BUSY_SECONDS)
        try:
            return await finish(_prepared(connection))
        except BaseException:
            await finish(connection.close())
            raise
    except (sqlite3.Error, OSError) as error:
        raise ConfigurationError(
            f"checkpoints cannot be kept in {path}: {error}; check that the file is yours, "
            "undamaged, and that the disk has room"
        ) from error


async def _prepared(connection: aiosqlite.Connection) -> SqliteSaver:
    await connection
    await connection.execute("PRAGMA synchronous=FULL")
    saver = SqliteSaver(connection, serde=strict_serializer())
    await saver.setup()
    return saver
