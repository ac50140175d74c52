"""Workflows of LLM agents, on LangGraph, where every step starts the moment its inputs exist.

Names are loaded when they are first used, so ``import stretto`` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stretto.agents.agent import Agent, Task, agent
    from stretto.agents.registry import AgentRegistry
    from stretto.engine.engine import Engine
    from stretto.engine.handle import RunHandle
    from stretto.engine.result import RunResult
    from stretto.engine.status import RunStatus
    from stretto.events import RunEvent
    from stretto.graphs.spec import Branch, Loop, Map, Policy, Step, Workflow
    from stretto.memory.recollection import Memory
    from stretto.prompts import load_prompt

__all__ = [
    "Agent",
    "AgentRegistry",
    "Branch",
    "Engine",
    "Loop",
    "Map",
    "Memory",
    "Policy",
    "RunEvent",
    "RunHandle",
    "RunResult",
    "RunStatus",
    "Step",
    "Task",
    "Workflow",
    "agent",
    "load_prompt",
]
_HOMES = {
    "Agent": "stretto.agents.agent",
    "AgentRegistry": "stretto.agents.registry",
    "Branch": "stretto.graphs.spec",
    "Engine": "stretto.engine.engine",
    "Loop": "stretto.graphs.spec",
    "Map": "stretto.graphs.spec",
    "Memory": "stretto.memory.recollection",
    "Policy": "stretto.graphs.spec",
    "RunEvent": "stretto.events",
    "RunHandle": "stretto.engine.handle",
    "RunResult": "stretto.engine.result",
    "RunStatus": "stretto.engine.status",
    "Step": "stretto.graphs.spec",
    "Task": "stretto.agents.agent",
    "Workflow": "stretto.graphs.spec",
    "agent": "stretto.agents.agent",
    "load_prompt": "stretto.prompts",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its home the first time it is used."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'stretto' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
