"""Prompts that would miss a value in the middle of a run."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from stretto.agents.llm import LLMAgent
from stretto.errors import ConfigurationError, Fault
from stretto.graphs.names import nearest
from stretto.graphs.paths import join
from stretto.graphs.scopes import Scope
from stretto.graphs.spec import OtherAgent, Step

if TYPE_CHECKING:
    from stretto.agents.registry import AgentRegistry


def prompt_faults(every: list[Scope], agents: "AgentRegistry") -> Iterator[Fault]:
    """Check that steps give model agents all that their prompts need.

    Args:
        every: all scopes of the workflow.
        agents: who there is; those that are missing are not looked for here.

    """
    for scope in every:
        for index, step in enumerate(scope.steps):
            for at, name, params in _calls(join(scope.path, index), step):
                agent = agents.get(name).target if name in agents else None
                if isinstance(agent, LLMAgent):
                    yield from _faults(at, agent, params)


def _faults(path: str, agent: LLMAgent, params: Mapping[str, Any]) -> Iterator[Fault]:
    try:
        missing = agent.missing_values(params)
    except ConfigurationError as error:
        yield Fault(path, "prompt", f"Agent '{agent.name}' has no usable prompt: {error.message}")
        return
    for name in missing:
        message = f"The prompt of agent '{agent.name}' needs '{name}'; give it in 'params'."
        yield Fault(path, "missing_value", message, nearest=nearest(name, tuple(params)))


def _calls(path: str, step: Step) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Give the agents that a step names, where, and the params that they get."""
    if step.agent:
        yield join(path, "params"), step.agent, step.params
    if step.map and step.map.agent:
        yield join(path, "map", "params"), step.map.agent, step.map.params
    if step.compensate:
        yield join(path, "compensate", "params"), step.compensate.agent, step.compensate.params
    if isinstance(step.on_error, OtherAgent):
        params = step.map.params if step.map else step.params
        yield join(path, "on_error", "agent"), step.on_error.agent, params
