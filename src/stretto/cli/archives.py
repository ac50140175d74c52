"""Runs of earlier commands: opened, and found by the beginning of their ids."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from stretto.cli.deployment import make_engine, read_settings
from stretto.errors import RunNotFound

if TYPE_CHECKING:
    from stretto.config import Settings
    from stretto.engine.engine import Engine
    from stretto.engine.records import RunRow

T = TypeVar("T")
MOST_RUNS = 10_000
"""How many of the newest runs a shortened id is looked up among."""
SHORT_ID = 8


def has_runs(settings: "Settings") -> bool:
    """Tell whether there can be runs, without creating a place for them."""
    return settings.database_url is not None or (settings.home / "stretto.db").is_file()


def with_engine(home: str | None, work: "Callable[[Engine], Awaitable[T]]") -> T:
    """Open an engine without agents, do something with it, and close it.

    Raises:
        RunNotFound: nothing was ever run here.

    """
    settings = read_settings(home)
    if not has_runs(settings):
        raise RunNotFound(f"there are no runs in {settings.home}")

    async def opened() -> T:
        async with make_engine(settings) as engine:
            return await work(engine)

    return asyncio.run(opened())


async def find_run(engine: "Engine", given: str) -> "RunRow":
    """Give the run with an id, or the only one whose id begins like that.

    Raises:
        RunNotFound: there is none, or there are several.

    """
    rows = await engine.runs(limit=MOST_RUNS)
    for row in rows:
        if row.run_id == given:
            return row
    matching = [row for row in rows if given and row.run_id.startswith(given)]
    if not matching:
        await engine.get(given)  # one that is older, or RunNotFound
        raise RunNotFound(f"run {given} is too old to be found by its id alone")
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
        "input": row.input,
        "error": row.error,
        "usage": row.usage,
    }


def when(at: float | None) -> str:
    """Write a time, in seconds since the epoch, in the local time zone."""
    if at is None:
        return "-"
    return datetime.fromtimestamp(at).astimezone().isoformat(sep=" ", timespec="seconds")
