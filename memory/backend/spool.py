"""Writes that wait on disk for a Qdrant server to come back, one JSON line each."""

import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal

from filelock import AsyncFileLock, FileLock
from pydantic import BaseModel, ValidationError
from qdrant_client import models

from stretto.errors import MemoryFault
from stretto.memory.backend.faults import fault, named

LIMIT_BYTES = 256 * 1024 * 1024


class Write(BaseModel):
    """One write in the form the client takes; to do it twice is as good as once."""

    op: Literal["upsert", "delete", "set_payload"]
    points: list[models.PointStruct] = []
    ids: list[str] = []
    filter: models.Filter | None = None
    payload: dict[str, Any] = {}


class Spool:
    """A file of writes in their order, shared by the processes that use its folder."""

    def __init__(self, folder: Path, limit: int = LIMIT_BYTES) -> None:
        """Touch nothing yet.

        Args:
            folder: where the file is.
            limit: bytes beyond which no write is taken.

        """
        self.path = folder / "spool.jsonl"
        self.rejected = folder / "spool.rejected.jsonl"
        self._limit = limit

    @asynccontextmanager
    async def lock(self) -> AsyncGenerator[None]:
        """Keep other processes off the file, and let the event loop go on meanwhile."""
        lock = AsyncFileLock(self._lock_path(), thread_local=False, run_in_executor=False)
        with named(self.path.parent):
            async with lock:
                yield

    def append(self, write: Write) -> None:
        """Keep a write durably.

        Raises:
            MemoryFault: the file or the disk is full, or may not be written.

        """
        line = write.model_dump_json(exclude_defaults=True).encode() + b"\n"
        with named(self.path.parent), FileLock(self._lock_path()):
            size = self.path.stat().st_size if self.path.exists() else 0
            if size + len(line) > self._limit:
                raise fault(
                    "memory_full",
                    self.path.parent,
                    f"{size >> 20} MB of writes wait for the server already",
                )
            _append(self.path, line)

    def count(self) -> int:
        """Count the writes that wait."""
        return sum(1 for _ in self.read())

    def waiting(self) -> bool:
        """Say whether there may be any, cheaply."""
        try:
            return self.path.stat().st_size > 0
        except OSError:
            return False

    def read(self) -> Iterator[Write]:
        """Give the writes in their order; a last one that was cut off by a crash was never done."""
        if not self.path.exists():
            return
        with named(self.path.parent), self.path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield self._parse(line)

    def reject(self, write: Write) -> None:
        """Keep a write that the server will never take where a person can look at it."""
        with named(self.path.parent):
            _append(self.rejected, write.model_dump_json(exclude_defaults=True).encode() + b"\n")

    def clear(self) -> None:
        """Drop all writes: the server has them."""
        with named(self.path.parent):
            self.path.unlink(missing_ok=True)

    def _lock_path(self) -> Path:
        with named(self.path.parent):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        return self.path.with_suffix(".lock")

    def _parse(self, line: bytes) -> Write:
        try:
            return Write.model_validate_json(line)
        except ValidationError:
            raise MemoryFault(
                f"{self.path} holds a line that is no write; repair it, or move the file away.",
                code="memory_corrupt",
            ) from None


def _append(path: Path, line: bytes) -> None:
    """Add a line durably; where it cannot be added whole, leave the file as it was."""
    with path.open("a+b") as file:
        whole = _whole(file)
        try:
            file.truncate(whole)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            os.truncate(path, whole)
            raise


def _whole(file: BinaryIO) -> int:
    """Give where the whole lines end; behind them may be one that was cut off by a crash."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - 1, 0))
    if file.read(1) in (b"", b"\n"):
        return size
    file.seek(0)
    return sum(len(line) for line in file if line.endswith(b"\n"))
