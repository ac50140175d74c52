"""Agents and capabilities that somebody has to offer."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from stretto.errors import Fault
from stretto.graphs.names import nearest
from stretto.graphs.paths import join
from stretto.graphs.scopes import Scope
from stretto.graphs.spec import OtherAgent, Step

if TYPE_CHECKING:
    from stretto.agents.registry import AgentRegistry, RegisteredAgent


def agent_faults(every: list[Scope], agents: "AgentRegistry") -> Iterator[Fault]:
    """Check that everybody who is asked exists.

    Args:
        every: all scopes of the workflow.
        agents: who there is.

    """
    names, capabilities = tuple(agents.names()), tuple(agents.capabilities())
    for scope in every:
        for index, step in enumerate(scope.steps):
            path = join(scope.path, index)
            for at, name in _agents(path, step):
                if name not in names:
                    yield _nobody(at, name, names, "unknown_agent", f"There is no agent '{name}'.")
            for at, name in _capabilities(path, step):
                if name not in capabilities:
                    message = f"No agent offers '{name}'."
                    yield _nobody(at, name, capabilities, "unknown_capability", message)


def agents_asked(every: list[Scope], agents: "AgentRegistry") -> "dict[str, RegisteredAgent]":
    """List by name everybody whom the steps of a workflow without faults may ask."""
    asked: dict[str, RegisteredAgent] = {}
    for scope in every:
        for step in scope.steps:
            asked |= {name: agents.get(name) for _, name in _agents("", step)}
            for _, capability in _capabilities("", step):
                asked |= {agent.name: agent for agent in agents.able(capability)}
    return asked


def _nobody(path: str, name: str, known: tuple[str, ...], code: str, message: str) -> Fault:
    listed = f" There are {', '.join(known)}." if 0 < len(known) <= 10 else ""
    hint = nearest(name, known)
    return Fault(path, code, message + ("" if hint else listed), nearest=hint, allowed=known)


def _agents(path: str, step: Step) -> Iterator[tuple[str, str]]:
    if step.agent:
        yield join(path, "agent"), step.agent
    if step.map and step.map.agent:
        yield join(path, "map", "agent"), step.map.agent
    if step.compensate:
        yield join(path, "compensate", "agent"), step.compensate.agent
    if isinstance(step.on_error, OtherAgent):
        yield join(path, "on_error", "agent"), step.on_error.agent
    if step.select:
        for index, rule in enumerate(step.select.rules):
            yield join(path, "select", "rules", index, "agent"), rule.agent
        for index, name in enumerate(step.select.agents):
            yield join(path, "select", "agents", index), name


def _capabilities(path: str, step: Step) -> Iterator[tuple[str, str]]:
    if step.capability:
        yield join(path, "capability"), step.capability
    if step.map and step.map.capability:
        yield join(path, "map", "capability"), step.map.capability
