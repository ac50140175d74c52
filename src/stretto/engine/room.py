"""What an engine is made of while it is open."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stretto.agents.registry import AgentRegistry
from stretto.engine.desk import RunDesk
from stretto.engine.launcher import Launcher
from stretto.engine.reader import RunReader
from stretto.engine.resources import open_resources
from stretto.graphs.library import Library
from stretto.graphs.runtime import AdaptationRule


@dataclass(frozen=True, slots=True)
class Setup:
    """What an engine was asked to be."""

    home: Path
    database: str | None
    agents: AgentRegistry
    rules: tuple[AdaptationRule, ...]
    limit: int
    library: Library


@dataclass(frozen=True, slots=True)
class EngineRoom:
    """Where runs are launched, acted on, and read."""

    launcher: Launcher
    desk: RunDesk
    reader: RunReader


def registry_of(agents: Iterable[Any] | AgentRegistry | None, model: str | None) -> AgentRegistry:
    """Register agents; the shipped ones, with their chat model by name, if None are given."""
    if isinstance(agents, AgentRegistry):
        return agents
    if agents is None:
        from stretto.agents.shipped import shipped_agents

        return AgentRegistry(shipped_agents(model))
    return AgentRegistry(agents)


@asynccontextmanager
async def open_room(setup: Setup) -> AsyncGenerator[EngineRoom]:
    """Open records and checkpoints; on leaving, what still runs is cancelled, resumably.

    Raises:
        ConfigurationError: they cannot be used.

    """
    async with open_resources(setup.home, setup.database) as resources:
        launcher = Launcher(resources, setup.agents, setup.rules, setup.limit, setup.library.get)
        room = EngineRoom(launcher, RunDesk(launcher), RunReader(launcher))
        try:
            yield room
        finally:
            await room.desk.close()
