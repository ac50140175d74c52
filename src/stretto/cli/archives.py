"""Runs of earlier commands: opened, and found by the beginning of their ids."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from stretto.cli.deployment import make_engine, read_settings
from stretto.errors import RunNotFound

if TYPE_CHECKING:
    from stretto.config import Settings
    from stretto.engine.engine import Engine
    from stretto.engine.records import Records, RunRow

T = TypeVar("T")
MOST_RUNS = 10_000
"""How many of the newest runs an id is looked up among."""
DATABASE = "stretto.db"
"""The file in the home folder that an engine records runs in unless it is given a database."""


def database_url(settings: "Settings") -> str:
    """Give the URL of the database of runs."""
    return settings.database_url or f"sqlite:///{settings.home / DATABASE}"


def has_runs(settings: "Settings") -> bool:
    """Tell whether there can be runs, without creating a place for them."""
    return settings.database_url is not None or (settings.home / DATABASE).is_file()


def _settings_with_runs(home: str | None) -> "Settings":
    settings = read_settings(home)
    if not has_runs(settings):
        raise RunNotFound(f"there are no runs in {settings.home}")
    return settings


def with_engine(home: str | None, work: "Callable[[Engine], Awaitable[T]]") -> T:
    """Open an engine without agents, do something with it, and close it.

    Raises:
        RunNotFound: nothing was ever run here.

    """
    settings = _settings_with_runs(home)

    async def opened() -> T:
        async with make_engine(settings) as engine:
            return await work(engine)

    return asyncio.run(opened())


def with_records(home: str | None, work: "Callable[[Records], Awaitable[T]]") -> T:
    """Open what is recorded of runs, which takes far less than an engine, and close it.

    Raises:
        RunNotFound: nothing was ever run here.

    """
    settings = _settings_with_runs(home)

    async def opened() -> T:
        async with open_records(settings) as records:
            return await work(records)

    return asyncio.run(opened())


@asynccontextmanager
async def open_records(settings: "Settings") -> "AsyncGenerator[Records]":
    """Open what is recorded of runs."""
    from stretto.engine.records import Records

    records = await Records.open(database_url(settings))
    try:
        yield records
    finally:
        await records.close()


async def find_run(runs: "Engine | Records", given: str) -> "RunRow":
    """Give the run with an id, or the only one whose id begins like that.

    Raises:
        RunNotFound: there is none, or there are several.

    """
    from stretto.engine.records import Records

    listed = runs.list_runs if isinstance(runs, Records) else runs.runs
    rows = await listed(limit=MOST_RUNS)
    exact = next((row for row in rows if row.run_id == given), None)
    if exact is not None:
        return exact
    matching = [row for row in rows if given and row.run_id.startswith(given)]
    if not matching:
        raise RunNotFound(f"no run has the id '{given}'")
    if len(matching) > 1:
        few = ", ".join(row.run_id for row in matching[:5])
        raise RunNotFound(f"{len(matching)} runs begin with '{given}': {few}; give more of the id")
    return matching[0]


def run_record(row: "RunRow") -> dict[str, Any]:
    """Give the JSON form of a recorded run."""
    return {
        "run_id": row.run_id,
        "workflow": row.workflow_name,
        "version": row.version,
        "state": row.state,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "priority": row.priority,
        "session_id": row.session_id,
        "attempt": row.attempt,
        "error": row.error,
        "usage": row.usage,
    }


def when(at: float | None) -> str:
    """Write a time, in seconds since the epoch, in the local time zone."""
    if at is None:
        return "-"
    return datetime.fromtimestamp(at).astimezone().isoformat(sep=" ", timespec="seconds")
