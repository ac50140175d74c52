"""What an engine is made of while it is open."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stretto.agents.agent import OpenModel
from stretto.agents.registry import AgentRegistry
from stretto.config import Settings
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
    open_model: OpenModel


@dataclass(frozen=True, slots=True)
class EngineRoom:
    """Where runs are launched, acted on, and read."""

    launcher: Launcher
    desk: RunDesk
    reader: RunReader


def registry_of(
    agents: Iterable[Any] | AgentRegistry | None, settings: Settings, model: str | None
) -> AgentRegistry:
    """Register agents: those given, or the shipped ones if None; and those that settings declare.

    Args:
        agents: who does the work; a registry is taken as it is.
        settings: what a deployment declares.
        model: the chat model of agents that name none, if not the one in the settings.

    """
    if isinstance(agents, AgentRegistry):
        return agents
    from stretto.agents.roster import fill_registry

    registry = AgentRegistry()
    fill_registry(registry, agents or (), settings, model, shipped=agents is None)
    return registry


def opener_of(settings: Settings, model: str | None) -> OpenModel:
    """Make the function that opens chat models as a deployment's settings say.

    Args:
        settings: keys, addresses and limits.
        model: the model of agents that name none, if not the one in the settings.

    """

    def open_model(name: str | None) -> Any:
        from stretto.agents.models import open_configured

        return open_configured(name or model, settings)

    return open_model


@asynccontextmanager
async def open_room(setup: Setup) -> AsyncGenerator[EngineRoom]:
    """Open records and checkpoints; on leaving, what still runs is cancelled, resumably.

    Raises:
        ConfigurationError: they cannot be used.

    """
    async with open_resources(setup.home, setup.database) as resources:
        launcher = Launcher(
            resources, setup.agents, setup.rules, setup.limit, setup.library.get, setup.open_model
        )
        room = EngineRoom(launcher, RunDesk(launcher), RunReader(launcher))
        try:
            yield room
        finally:
            await room.desk.close()
