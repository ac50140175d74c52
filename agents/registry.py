"""Who can do the work: agents by name and by capability."""

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from stretto.agents.agent import Agent, FunctionAgent, Task
from stretto.agents.calling import call
from stretto.errors import ConfigurationError, NoAgentFor


@dataclass(frozen=True, slots=True)
class RegisteredAgent:
    """An agent as the registry knows it."""

    name: str
    capabilities: frozenset[str]
    max_concurrent_tasks: int
    target: Any
    """The object that does the work."""

    async def run(self, task: Task) -> Any:
        """Carry out one task and give its output."""
        return await call(self.target, task)


class AgentRegistry:
    """The agents of one engine, by name and by capability."""

    def __init__(self, agents: Iterable[Any] = ()) -> None:
        """Register every one of ``agents``."""
        self._agents: dict[str, RegisteredAgent] = {}
        for agent in agents:
            self.register(agent)

    def register(
        self,
        target: Any,
        name: str | None = None,
        capabilities: Iterable[str] | None = None,
        max_concurrent_tasks: int | None = None,
    ) -> RegisteredAgent:
        """Add an agent.

        Args:
            target: an instance or class of an agent, or a function of a task.
            name: how steps call it, when not its own name.
            capabilities: what it can do, when not what it says itself.
            max_concurrent_tasks: how many calls may run at once, when not what it says itself.

        Raises:
            ConfigurationError: the name is taken, or the object is no agent.

        """
        target = _instance(target)
        entry = RegisteredAgent(
            name=name or getattr(target, "name", "") or type(target).__name__,
            capabilities=frozenset(
                getattr(target, "capabilities", ()) if capabilities is None else capabilities
            ),
            max_concurrent_tasks=(
                int(getattr(target, "max_concurrent_tasks", 5))
                if max_concurrent_tasks is None
                else max_concurrent_tasks
            ),
            target=target,
        )
        if entry.name in self._agents:
            raise ConfigurationError(
                f"there is an agent '{entry.name}' already; give the second one another name"
            )
        if entry.max_concurrent_tasks < 1:
            raise ConfigurationError(
                f"agent '{entry.name}' needs max_concurrent_tasks of at least 1"
            )
        self._agents[entry.name] = entry
        return entry

    def get(self, name: str) -> RegisteredAgent:
        """Give the agent of this name.

        Raises:
            NoAgentFor: there is none.

        """
        if (found := self._agents.get(name)) is not None:
            return found
        raise NoAgentFor(f"no agent is called '{name}'{self._hint(name)}; register it first")

    def able(self, capability: str) -> tuple[RegisteredAgent, ...]:
        """List the agents that have a capability, in the order they were registered.

        Raises:
            NoAgentFor: nobody has it.

        """
        able = tuple(a for a in self._agents.values() if capability in a.capabilities)
        if not able:
            raise NoAgentFor(f"no agent has the capability '{capability}'; register one that has")
        return able

    def names(self) -> tuple[str, ...]:
        """List the names of all agents."""
        return tuple(self._agents)

    def capabilities(self) -> tuple[str, ...]:
        """List every capability that some agent has, sorted."""
        return tuple(sorted({c for a in self._agents.values() for c in a.capabilities}))

    def __contains__(self, name: object) -> bool:
        """Tell whether an agent has this name."""
        return name in self._agents

    def __iter__(self) -> Iterator[RegisteredAgent]:
        """Iterate over the agents in the order they were registered."""
        return iter(tuple(self._agents.values()))

    def __len__(self) -> int:
        """Count the agents."""
        return len(self._agents)

    def _hint(self, name: str) -> str:
        close = get_close_matches(name, self._agents, n=1)
        return f" (did you mean '{close[0]}'?)" if close else ""


def _instance(target: Any) -> Any:
    if inspect.isclass(target):
        return target()
    if inspect.isroutine(target):
        return FunctionAgent(target)
    works = any(callable(getattr(target, method, None)) for method in ("run", "execute"))
    if isinstance(target, Agent) or works:
        return target
    raise ConfigurationError(
        f"{target!r} is no agent; register a function of a task, or a class with 'run'"
    )
