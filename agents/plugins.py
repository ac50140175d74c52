"""Agents that installed packages offer; only those that a deployment allows are loaded."""

import re
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from stretto.errors import ConfigurationError

GROUP = "stretto.agents"
"""The group of entry points: each names an agent, a class, a function, or a list of them."""


def load_plugins(allowed: Sequence[str]) -> list[tuple[str, Any]]:
    """Load the agents of packages.

    Args:
        allowed: the entry points that may be loaded, by name, or the packages that offer them;
            no code of any other is run.

    Returns:
        Each agent with the name of its entry point.

    Raises:
        ConfigurationError: nothing that is installed has one of these names, or it fails.

    """
    if not allowed:
        return []
    offered = entry_points(group=GROUP)
    wanted: list[EntryPoint] = []
    for name in allowed:
        found = [e for e in offered if e.name == name or _package(e) == _normal(name)]
        if not found:
            names = ", ".join(sorted(e.name for e in offered)) or "none"
            raise ConfigurationError(
                f"no installed package offers agents as '{name}'; there are {names}"
            )
        wanted += [entry for entry in found if entry not in wanted]  # named by both its names
    return [(entry.name, agent) for entry in wanted for agent in _loaded(entry.name, entry.load)]


def _package(entry: EntryPoint) -> str | None:
    return _normal(entry.dist.name) if entry.dist else None


def _normal(package: str) -> str:
    """Write the name of a package in the one form that all its spellings share (PEP 503)."""
    return re.sub(r"[-_.]+", "-", package).lower()


def _loaded(name: str, load: Any) -> list[Any]:
    try:
        loaded: Any = load()
    except (Exception, SystemExit) as error:
        told = f"{type(error).__name__}: {error}"
        raise ConfigurationError(f"the agents of plugin '{name}' failed to load: {told}") from error
    return list(loaded) if isinstance(loaded, list | tuple) else [loaded]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
