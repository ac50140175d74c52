"""What an engine keeps open: records, checkpoints and the result cache."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langgraph.cache.base import BaseCache
from langgraph.checkpoint.base import BaseCheckpointSaver

from stretto.engine.records import Records
from stretto.errors import ConfigurationError
from stretto.memory.cache import open_cache
from stretto.memory.checkpoints import open_checkpointer


@dataclass(frozen=True, slots=True)
class Resources:
    """Open connections of one engine."""

    home: Path
    records: Records
    saver: "BaseCheckpointSaver[Any]"
    cache: "BaseCache[Any]"

    @property
    def leases(self) -> Path:
        """The folder of the locks that say who works on which run."""
        return self.home / "leases"

    @property
    def outputs(self) -> Path:
        """The folder that ``save_output`` writes below."""
        return self.home / "outputs"


@asynccontextmanager
async def open_resources(home: Path, database: str | None) -> AsyncGenerator[Resources]:
    """Open everything that an engine keeps.

    Args:
        home: the folder of all that is kept.
        database: where runs are recorded; None is a SQLite file in ``home``.

    Raises:
        ConfigurationError: the folder or a database in it cannot be used.

    """
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"cannot use {home} to keep runs: {error.strerror or error}; set STRETTO_HOME"
        ) from error
    records = await Records.open(database or f"sqlite:///{home / 'stretto.db'}")
    try:
        async with open_checkpointer(str(home / "checkpoints.db")) as saver:
            yield Resources(home, records, saver, open_cache(home / "cache.db"))
    finally:
        await records.close()
