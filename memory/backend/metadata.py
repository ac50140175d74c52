"""The small file beside the shard: what the memory is, and which folder holds its points."""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stretto.errors import MemoryFault

FILE = "memory.json"
SCHEMA = 1
"""What points look like; goes up when an older version could no longer read them."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is known of a memory as a whole.

    ``shard`` names the folder with the points, None until the first one is complete. A new shard
    takes the place of another by one atomic write of this file.
    """

    shard: str | None = None
    dims: int | None = None
    """Numbers per dense vector; None when points have none."""
    created: float = field(default_factory=time.time)
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What upper layers keep here, such as the embedder's fingerprint."""

    def to_dict(self) -> dict[str, Any]:
        """Give what callers see."""
        return {**self.values, "schema": SCHEMA, "created": self.created, "dims": self.dims}

    def with_values(self, values: Mapping[str, Any]) -> "Metadata":
        """Give the same with some of ``values`` set anew."""
        return replace(self, values={**self.values, **values})


def read(folder: Path) -> Metadata | None:
    """Read the file; None when there is none.

    Raises:
        MemoryFault: it cannot be understood, or a newer version wrote it.
        OSError: it cannot be read.

    """
    path = folder / FILE
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise MemoryFault(
            f"{path} is not readable JSON; restore it from a backup, or move {folder} away to "
            "begin a new memory.",
            code="memory_corrupt",
        ) from None
    if not isinstance(found, dict) or "stretto_memory" not in found:
        raise MemoryFault(
            f"{path} was not written by Stretto; choose another folder for memory.",
            code="memory_foreign",
        )
    return _parse(found, path)  # pyright: ignore[reportUnknownArgumentType]


def write(folder: Path, metadata: Metadata) -> None:
    """Write the file at once and for good: it is the old one or the new one, never a half one.

    Raises:
        OSError: it cannot be written.

    """
    temporary = folder / f"{FILE}.tmp"
    body = {
        "stretto_memory": SCHEMA,
        "shard": metadata.shard,
        "dims": metadata.dims,
        "created": metadata.created,
        "values": dict(metadata.values),
    }
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(body, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / FILE)
    _sync_folder(folder)


def _parse(found: Mapping[str, Any], path: Path) -> Metadata:
    schema = found["stretto_memory"]
    if isinstance(schema, int) and schema > SCHEMA:
        raise MemoryFault(
            f"{path} was written by a newer Stretto (schema {schema}, this one reads {SCHEMA}); "
            "update Stretto, or choose another folder for memory.",
            code="memory_newer",
        )
    shard, dims, created = found.get("shard"), found.get("dims"), found.get("created")
    values = found.get("values")
    if (
        not isinstance(shard, str | None)
        or not isinstance(dims, int | None)
        or not isinstance(created, int | float)
        or not isinstance(values, dict)
    ):
        raise MemoryFault(
            f"{path} lacks what it must hold; restore it from a backup.", code="memory_corrupt"
        )
    return Metadata(shard, dims, float(created), values)  # pyright: ignore[reportUnknownArgumentType]


def _sync_folder(folder: Path) -> None:
    """Make a rename outlive a power cut, where folders can be synced."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
