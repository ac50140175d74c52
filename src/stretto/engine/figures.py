"""Figures about agents, for those who look after an engine."""

from dataclasses import asdict
from typing import Any

from stretto.agents.health import condition
from stretto.graphs.runtime import Services


def agent_figures(services: Services) -> dict[str, dict[str, Any]]:
    """Tell of each agent by name how busy it is, and how it has been doing.

    Calls, failures and times count from the first run that was recorded. ``load`` and ``slots``
    are calls at work now and how many may be; ``waiting`` is the work that it could do.
    """
    load, waiting = services.dispatcher.load(), services.dispatcher.waiting_for()
    states = services.breakers.states()
    figures: dict[str, dict[str, Any]] = {}
    for agent in services.agents:
        row = services.health.of(agent.name)
        figures[agent.name] = {
            **asdict(row),
            "load": load.get(agent.name, 0),
            "slots": agent.max_concurrent_tasks,
            "waiting": waiting[agent.name],
            "health": condition(row, states),
        }
        del figures[agent.name]["name"]
    return figures
