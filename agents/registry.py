"""Who can do the work: agents by name and by capability."""

import asyncio
import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Any

from stretto.agents.agent import Agent, FunctionAgent, Task
from stretto.agents.calling import call, entry_point, style_of
from stretto.agents.pool import Instances
from stretto.agents.processes import Processes, check_killable
from stretto.agents.skills import skills
from stretto.errors import ConfigurationError, NoAgentFor, StrettoError


@dataclass(frozen=True, slots=True)
class RegisteredAgent:
    """An agent as the registry knows it."""

    name: str
    capabilities: frozenset[str]
    max_concurrent_tasks: int
    target: Any
    """The object that does the work."""
    processes: Processes | None = None
    """Where its plain functions run, if it is killable."""
    instances: Instances | None = None
    """Who does the work in place of ``target``, if a class was registered."""
    stateful: bool = False
    """Whether what it puts into ``task.state`` is kept."""

    async def run(self, task: Task) -> Any:
        """Carry out one task and give its output."""
        if self.instances is None:
            return await self._carry_out(self.target, task)
        instance = self.instances.take()
        try:
            return await self._carry_out(instance, task)
        except asyncio.CancelledError:
            if self.processes is None and _is_plain(instance, task):
                instance = None  # a thread may still be at work in it
            raise
        finally:
            if instance is not None:
                self.instances.give_back(instance)

    async def _carry_out(self, target: Any, task: Task) -> Any:
        if self.processes is not None and _is_plain(target, task):
            return await self.processes.call(target, task)
        return await call(target, task)


class AgentRegistry:
    """The agents of one engine, by name and by capability."""

    def __init__(self, agents: Iterable[Any] = ()) -> None:
        """Register every one of ``agents``."""
        self._agents: dict[str, RegisteredAgent] = {}
        self._processes = Processes()
        for agent in agents:
            self.register(agent)

    def register(
        self,
        target: Any,
        name: str | None = None,
        capabilities: Iterable[str] | None = None,
        max_concurrent_tasks: int | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> RegisteredAgent:
        """Add an agent.

        Args:
            target: an instance of an agent, which does all its tasks; or a class, of which each
                task at work has an instance of its own; or a function of a task.
            name: how steps call it, when not its own name.
            capabilities: what it can do, when not what it says itself.
            max_concurrent_tasks: how many calls may run at once, when not what it says itself.
            config: keyword arguments of a class.

        Raises:
            ConfigurationError: the name is taken, or the object is no agent, or it is killable
                and cannot be sent to a worker process.

        """
        instances = _instances(target, config or {}) if inspect.isclass(target) else None
        target = _checked(target) if instances is None else instances.first
        name = str(name or getattr(target, "name", "") or type(target).__name__)
        able: Any = getattr(target, "capabilities", ()) if capabilities is None else capabilities
        slots: Any = max_concurrent_tasks
        if slots is None:
            slots = getattr(target, "max_concurrent_tasks", 5)
        entry = RegisteredAgent(
            name=name,
            capabilities=skills(able, name),
            max_concurrent_tasks=slots,
            target=target,
            processes=self._processes if getattr(target, "killable", False) else None,
            instances=instances,
            stateful=bool(getattr(target, "stateful", False)),
        )
        self._check(entry)
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

    def close(self) -> None:
        """End the worker processes that are not at work; the agents stay usable."""
        self._processes.close()

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

    def _check(self, entry: RegisteredAgent) -> None:
        if entry.name in self._agents:
            raise ConfigurationError(
                f"there is an agent '{entry.name}' already; give the second one another name"
            )
        slots: Any = entry.max_concurrent_tasks
        if not isinstance(slots, int) or slots < 1:
            raise ConfigurationError(
                f"agent '{entry.name}' needs max_concurrent_tasks of at least 1, a whole number"
            )
        if entry.processes is not None:
            check_killable(entry.target, entry.name)

    def _hint(self, name: str) -> str:
        close = get_close_matches(name, self._agents, n=1)
        return f" (did you mean '{close[0]}'?)" if close else ""


def _is_plain(target: Any, task: Task) -> bool:
    return style_of(entry_point(target, task.action)) == "plain"


def _instances(target: Any, config: Mapping[str, Any]) -> Instances:
    try:
        return Instances(partial(target, **config))
    except StrettoError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"agent class {target.__name__} cannot be made: {type(error).__name__}: {error}; mend "
            "that, or register an instance, or give what it takes as its config"
        ) from error


def _checked(target: Any) -> Any:
    if inspect.isroutine(target):
        return FunctionAgent(target)
    works = any(callable(getattr(target, method, None)) for method in ("run", "execute"))
    if isinstance(target, Agent) or works:
        return target
    raise ConfigurationError(
        f"{target!r} is no agent; register a function of a task, or a class with 'run'"
    )
