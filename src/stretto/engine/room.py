"""What an engine is made of while it is open."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stretto.agents.agent import OpenModel
from stretto.agents.breaker import Breakers
from stretto.agents.dispatch import Dispatcher
from stretto.agents.health import HealthBook, judge_by
from stretto.agents.models.limits import ModelLimits
from stretto.agents.registry import AgentRegistry
from stretto.config import Settings
from stretto.engine.desk import RunDesk
from stretto.engine.episodes import Episodes, open_memory
from stretto.engine.launcher import Launcher
from stretto.engine.reader import RunReader
from stretto.engine.resources import open_resources
from stretto.graphs.causes import counts_against_agent
from stretto.graphs.library import Library
from stretto.graphs.runtime import AdaptationRule, Services
from stretto.memory.states import open_states

if TYPE_CHECKING:
    from stretto.memory.recollection import Memory


@dataclass(frozen=True, slots=True)
class Setup:
    """What an engine was asked to be."""

    home: Path
    database: str | None
    agents: AgentRegistry
    rules: tuple[AdaptationRule, ...]
    limit: int
    library: Library
    settings: Settings
    open_model: OpenModel
    memory: "Memory | Literal[False] | None" = None
    remember_runs: bool = False


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
    async with (
        open_resources(setup.home, setup.database) as resources,
        _open_breakers(setup.settings) as breakers,
        open_states(setup.home / "states.db", setup.settings.redis_url) as states,
        open_memory(setup.memory, setup.settings, setup.home) as memory,
    ):
        health = HealthBook()
        health.load(await resources.records.agents())
        limits = ModelLimits(setup.settings.model_settings)
        dispatcher = Dispatcher(judge=judge_by(breakers, health))
        services = Services(
            setup.agents,
            dispatcher,
            breakers,
            resources.cache,
            setup.rules,
            health,
            limits,
            states,
            memory,
        )
        find, open_model = setup.library.get, setup.open_model
        launcher = Launcher(resources, services, setup.limit, find, open_model)
        desk = RunDesk(launcher, Episodes(memory if setup.remember_runs else None))
        try:
            yield EngineRoom(launcher, desk, RunReader(launcher))
        finally:
            await desk.close()


@asynccontextmanager
async def _open_breakers(settings: Settings) -> AsyncGenerator[Breakers]:
    async with AsyncExitStack() as stack:
        shared = None
        if settings.redis_url is not None:
            from stretto.agents.shared import open_shared

            shared = await stack.enter_async_context(open_shared(settings.redis_url))
        yield Breakers(
            counts_against_agent,
            threshold=settings.breaker_threshold,
            reset_after=settings.breaker_reset,
            shared=shared,
        )
