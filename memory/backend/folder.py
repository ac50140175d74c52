"""A folder with memory while it is open: its owner, its metadata and its one shard.

memory.json     what the memory is, and which shard holds its points
shard-N/        the engine's files; any other shard is half-built or outlived, and is removed
owner.lock      held by the process that uses the folder
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from stretto.memory.backend import metadata as files
from stretto.memory.backend.faults import fault, named
from stretto.memory.backend.metadata import Metadata
from stretto.memory.backend.owner import Owner
from stretto.memory.backend.protocol import Transform
from stretto.memory.backend.shard import WRITE_PIECE, Shard
from stretto.memory.backend.types import Point, Stats

SHARDS = "shard-*"
FOREIGN = ("edge_config.json", "segments", "meta.json", "collection", "raft_state.json")
"""What Qdrant itself keeps at the top of its own folders."""


class MemoryFolder:
    """The folder, held by this process and called by one thread, until ``close``."""

    def __init__(self, path: Path, dims: int | None) -> None:
        """Take the folder and open what is in it, or begin there.

        Args:
            path: the folder; it and those above are created.
            dims: numbers per dense vector, if there are none yet; None for no dense vectors.

        Raises:
            MemoryFault: it is in use, full, foreign, damaged or may not be used.

        """
        self.path = path
        with named(path):
            path.mkdir(parents=True, exist_ok=True)
            owner = Owner(path)
        try:
            with named(path):
                self.metadata, self.shard = _open(path, dims)
        except BaseException:
            owner.release()
            raise
        self._owner = owner

    def add_dense(self, dims: int | None) -> None:
        """Let points have dense vectors, where they have none so far."""
        if dims and self.metadata.dims is None:
            # First the file: what it says is made true whenever the folder is opened.
            self._write(replace(self.metadata, dims=dims))
            self.shard.add_dense(dims)

    def set_metadata(self, values: Mapping[str, Any]) -> None:
        """Set these keys, durably."""
        self._write(self.metadata.with_values(values))

    def rebuild(
        self,
        transform: Transform | None = None,
        dims: int | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> None:
        """Copy the points to a new shard, take it for the old one at once, and remove that one."""
        kept = self.metadata.dims if dims is None else dims or None
        _remove_others(self.path, self.metadata.shard)  # what a failure may have left
        new = Shard.create(self.path / _next_name(self.metadata.shard), kept)
        try:
            _copy(self.shard, new, transform)
            new.flush()
            metadata = self.metadata.with_values(values or {})
            self._write(replace(metadata, shard=new.path.name, dims=kept))
        except BaseException:
            new.close()
            shutil.rmtree(new.path, ignore_errors=True)
            raise
        old, self.shard = self.shard, new
        with named(self.path):
            try:
                old.close()
            finally:
                _remove_others(self.path, new.path.name)

    def stats(self) -> Stats:
        """Say how much is kept; bytes are those that take room on the disk."""
        with named(self.path):
            return Stats(
                points=self.shard.count(None),
                bytes_on_disk=_bytes(self.path),
                deleted=self.shard.deleted,
                location=str(self.path),
            )

    def close(self) -> None:
        """Flush, and let others use the folder."""
        try:
            self.shard.close()
        finally:
            self._owner.release()

    def _write(self, metadata: Metadata) -> None:
        with named(self.path):
            files.write(self.path, metadata)
        self.metadata = metadata


def _open(path: Path, dims: int | None) -> tuple[Metadata, Shard]:
    metadata = files.read(path)
    if metadata is None:
        _refuse_foreign(path)
        metadata = Metadata(dims=dims)
        files.write(path, metadata)
    elif metadata.dims is None and dims:
        metadata = replace(metadata, dims=dims)
        files.write(path, metadata)
    if metadata.shard is not None:
        shard = Shard.load(path / metadata.shard, metadata.dims)
        # Only now: when the file is older than the shards, another one holds the points.
        _remove_others(path, metadata.shard)
        return metadata, shard
    _remove_others(path, None)
    shard = Shard.create(path / _next_name(None), metadata.dims)
    metadata = replace(metadata, shard=shard.path.name)
    files.write(path, metadata)
    return metadata, shard


def _refuse_foreign(path: Path) -> None:
    found = next((name for name in FOREIGN if (path / name).exists()), None)
    if found is not None:
        raise fault("memory_foreign", path, f"it holds {found}")
    if any(path.glob(SHARDS)):
        raise fault("memory_corrupt", path, f"it holds points, but no {files.FILE}")


def _remove_others(path: Path, shard: str | None) -> None:
    """Remove shards that were being built, or were replaced, when a process ended."""
    for other in path.glob(SHARDS):
        if other.name != shard:
            shutil.rmtree(other)


def _next_name(shard: str | None) -> str:
    return f"shard-{int(shard.rpartition('-')[2]) + 1 if shard else 1}"


def _copy(old: Shard, new: Shard, transform: Transform | None) -> None:
    piece: list[Point] = []
    for point in old.points():
        kept = transform(point) if transform else point
        if kept is not None:
            piece.append(kept)
        if len(piece) == WRITE_PIECE:
            new.upsert(piece)
            piece = []
    new.upsert(piece)


def _bytes(path: Path) -> int:
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            found = os.stat(os.path.join(folder, name))
            total += getattr(found, "st_blocks", found.st_size // 512) * 512
    return total
