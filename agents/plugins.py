"""Agents that installed packages offer; only those that a deployment allows are loaded."""

from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any

from stretto.errors import ConfigurationError

GROUP = "stretto.agents"
"""The group of entry points: each names an agent, a class, a function, or a list of them."""


def load_plugins(allowed: Sequence[str]) -> list[Any]:
    """Load the agents of packages.

    Args:
        allowed: the entry points that may be loaded, by name, or the packages that offer them;
            no code of any other is run.

    Raises:
        ConfigurationError: nothing that is installed has one of these names, or it fails.

    """
    if not allowed:
        return []
    offered = entry_points(group=GROUP)
    agents: list[Any] = []
    for name in allowed:
        found = [e for e in offered if name in (e.name, e.dist.name if e.dist else "")]
        if not found:
            names = ", ".join(sorted(e.name for e in offered)) or "none"
            raise ConfigurationError(
                f"no installed package offers agents as '{name}'; there are {names}"
            )
        for entry in found:
            agents += _loaded(entry.name, entry.load)
    return agents


def _loaded(name: str, load: Any) -> list[Any]:
    try:
        loaded: Any = load()
    except Exception as error:
        raise ConfigurationError(
            f"the agents of plugin '{name}' failed to load: {error}"
        ) from error
    return list(loaded) if isinstance(loaded, list | tuple) else [loaded]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
