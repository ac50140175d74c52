"""What an engine is made of while it is open."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from stretto.agents.breaker import Breakers
from stretto.agents.dispatch import Dispatcher
from stretto.agents.health import HealthBook, judge_by
from stretto.agents.registry import AgentRegistry
from stretto.config import Settings
from stretto.engine.desk import RunDesk
from stretto.engine.launcher import Launcher
from stretto.engine.reader import RunReader
from stretto.engine.resources import open_resources
from stretto.graphs.causes import counts_against_agent
from stretto.graphs.library import Library
from stretto.graphs.runtime import AdaptationRule, Services


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


@dataclass(frozen=True, slots=True)
class EngineRoom:
    """Where runs are launched, acted on, and read."""

    launcher: Launcher
    desk: RunDesk
    reader: RunReader


def registry_of(
    agents: Iterable[Any] | AgentRegistry | None, settings: Settings, model: str | None
) -> AgentRegistry:
    """Register agents; the shipped ones if None are given.

    Args:
        agents: who does the work.
        settings: where the key and the address of the shipped agents' model come from.
        model: the name of that model, if not the one in the settings.

    """
    if isinstance(agents, AgentRegistry):
        return agents
    if agents is None:
        from stretto.agents.models import open_model
        from stretto.agents.shipped import shipped_agents

        key = settings.openai_api_key
        opened = partial(
            open_model,
            model or settings.model,
            api_key=key.get_secret_value() if key else None,
            base_url=settings.openai_base_url,
        )
        return AgentRegistry(shipped_agents(opened))
    return AgentRegistry(agents)


@asynccontextmanager
async def open_room(setup: Setup) -> AsyncGenerator[EngineRoom]:
    """Open records and checkpoints; on leaving, what still runs is cancelled, resumably.

    Raises:
        ConfigurationError: they cannot be used.

    """
    async with (
        open_resources(setup.home, setup.database) as resources,
        _open_breakers(setup.settings) as breakers,
    ):
        health = HealthBook()
        health.load(await resources.records.agents())
        dispatcher = Dispatcher(judge=judge_by(breakers, health))
        services = Services(
            setup.agents, dispatcher, breakers, resources.cache, setup.rules, health
        )
        launcher = Launcher(resources, services, setup.limit, setup.library.get)
        room = EngineRoom(launcher, RunDesk(launcher), RunReader(launcher))
        try:
            yield room
        finally:
            await room.desk.close()


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
