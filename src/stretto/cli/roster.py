"""``stretto list agents``: who could do the work here, and how they have been doing."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rich.table import Table
from rich.text import Text

from stretto.cli.archives import has_runs, open_records
from stretto.cli.crew import load_crew, make_registry
from stretto.cli.deployment import read_settings
from stretto.cli.terminal import as_json, clean, console_on, data_stream, is_terminal, write

if TYPE_CHECKING:
    from stretto.agents.health import AgentRow
    from stretto.config import Settings

COLUMNS = ("name", "capabilities", "slots", "calls", "failures", "mean", "health")


def print_agents(agents: Sequence[str], home: str | None, json_form: bool) -> None:
    """Print the agents of this folder, the shipped ones, and others that runs have called.

    Args:
        agents: modules and files with the user's own agents.
        home: where runs are kept, instead of the configured folder.
        json_form: one JSON document instead of a table.

    """
    with data_stream() as stream:
        settings = read_settings(home)
        found = _found(settings, agents)
        if json_form:
            write(stream, as_json(found, stream, 2))
        else:
            _print_table([_cells(entry) for entry in found], stream)


def _found(settings: "Settings", agents: Sequence[str]) -> list[dict[str, Any]]:
    from stretto.agents.health import AgentRow

    registry = make_registry(load_crew(agents, Path()), settings, settings.model)
    rows = {row.name: row for row in _recorded(settings)}
    found: list[dict[str, Any]] = []
    for agent in registry:
        facts = {
            "capabilities": sorted(agent.capabilities),
            "slots": agent.max_concurrent_tasks,
        }
        found.append(_entry(rows.pop(agent.name, AgentRow(name=agent.name)), facts))
    return found + [_entry(row, {"capabilities": [], "slots": None}) for row in rows.values()]


def _entry(row: "AgentRow", facts: dict[str, Any]) -> dict[str, Any]:
    return {"name": row.name, **facts, **asdict(row), "health": row.condition}


def _recorded(settings: "Settings") -> "list[AgentRow]":
    async def read() -> "list[AgentRow]":
        async with open_records(settings) as records:
            return await records.agents()

    return asyncio.run(read()) if has_runs(settings) else []


def _cells(entry: dict[str, Any]) -> tuple[str, ...]:
    mean, slots = entry["mean_seconds"], entry["slots"]
    return (
        entry["name"],
        " ".join(entry["capabilities"]),
        "-" if slots is None else str(slots),
        str(entry["calls"]),
        str(entry["failures"]),
        "-" if mean is None else f"{mean:.3f} s",
        entry["health"] if entry["calls"] else "-",
    )


def _print_table(rows: list[tuple[str, ...]], stream: TextIO) -> None:
    if not is_terminal(stream):
        for row in rows:
            write(stream, clean("\t".join(row)))
        return
    table = Table(*COLUMNS, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(clean(cell)) for cell in row))
    console_on(stream).print(table)
