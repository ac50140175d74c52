"""Who does the work in an engine, and which workflows it knows by name."""

from collections.abc import Iterable, Mapping
from typing import Any

from stretto.agents.declared import resolve
from stretto.agents.registry import AgentRegistry, RegisteredAgent
from stretto.graphs.library import Library
from stretto.graphs.spec import Workflow


class Registration:
    """The agents and workflows of an engine; some may be added while it is open."""

    agents: AgentRegistry
    _library: Library

    def register(self, agent: Any) -> RegisteredAgent:
        """Add an agent: an instance, a class, or a function of a task."""
        self._changed()
        return self.agents.register(agent)

    def register_agent(
        self,
        agent_id: str,
        agent_type: Any,
        capabilities: Iterable[str] | None = None,
        max_concurrent_tasks: int | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> RegisteredAgent:
        """Add an agent under a name of your choice.

        Args:
            agent_id: how steps call it.
            agent_type: its class, called with ``config``; ``llm`` or ``package.module:name``; or an
                instance or function.
            capabilities: what it can do, when not what it says itself.
            max_concurrent_tasks: how many calls may run at once, when not what it says itself.
            config: keyword arguments of the class.

        """
        self._changed()
        target, arguments = resolve(agent_type, agent_id, config)
        return self.agents.register(target, agent_id, capabilities, max_concurrent_tasks, arguments)

    def add_workflow(self, workflow: Workflow) -> None:
        """Let runs and steps use a workflow by its name, beside the shipped ones."""
        self._changed()
        self._library.add(workflow)

    def _changed(self) -> None:
        """Compile anew from now on."""
        raise NotImplementedError
