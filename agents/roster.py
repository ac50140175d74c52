"""All agents of a deployment: own ones, declared ones, those of plugins, shipped ones."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stretto.agents.declared import Declaration, load_declarations, make_agent, read_declarations
from stretto.agents.plugins import load_plugins
from stretto.errors import ConfigurationError, StrettoError

if TYPE_CHECKING:
    from stretto.agents.registry import AgentRegistry
    from stretto.config import Settings


def fill_registry(
    registry: "AgentRegistry",
    own: Iterable[Any],
    settings: "Settings | None" = None,
    model: Any = None,
    *,
    shipped: bool = True,
) -> None:
    """Register all agents there are.

    Args:
        registry: where they are registered.
        own: agents of the program; a path is a file that declares some.
        settings: what else is declared: ``[[agents]]`` and the plugins that are allowed.
        model: the chat model of agents that name none.
        shipped: add the shipped agents too, as far as their names are free.

    Raises:
        ConfigurationError: one cannot be made, or two have one name.

    """
    for agent in own:
        if isinstance(agent, str | Path):
            for declared in load_declarations(Path(agent)):
                register_declared(registry, declared, model)
        else:
            registry.register(agent)
    if settings is not None:
        source, folder = str(settings.source), settings.source.parent
        for declared in read_declarations(settings.agents, source, folder):
            register_declared(registry, declared, model)
        _register_plugins(registry, settings.agent_plugins)
    if shipped:
        from stretto.agents.shipped import shipped_agents

        for agent in shipped_agents(model):
            if agent.name not in registry:
                registry.register(agent)


def register_declared(registry: "AgentRegistry", declared: Declaration, model: Any = None) -> None:
    """Make an agent that a file declares, and register it.

    Raises:
        ConfigurationError: it cannot be made, or its name is taken.

    """
    target, config = make_agent(declared, model)
    slots = declared.max_concurrent_tasks
    registry.register(target, declared.name, declared.capabilities, slots, config)


def _register_plugins(registry: "AgentRegistry", allowed: Sequence[str]) -> None:
    for plugin, agent in load_plugins(allowed):
        try:
            registry.register(agent)
        except StrettoError as error:
            raise ConfigurationError(f"plugin '{plugin}': {error}") from error
