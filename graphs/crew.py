"""Everybody whom a run of a workflow may ask."""

from collections.abc import Callable, Iterator

from stretto.agents.registry import AgentRegistry, RegisteredAgent
from stretto.graphs.compile import references_of
from stretto.graphs.scopes import scopes
from stretto.graphs.spec import Map, Step, Workflow
from stretto.graphs.validation.people import agents_asked

Find = Callable[[str], Workflow]
HARMFUL = (None, "fail")
"""What ``on_error`` says where a failure is not made up for."""


def agents_needed(
    workflow: Workflow, agents: AgentRegistry, find: Find
) -> dict[str, RegisteredAgent]:
    """List by name the agents that a workflow and those it uses may ask.

    Args:
        workflow: a workflow without faults.
        agents: who there is.
        find: finds workflows that are used as steps.

    """
    needed: dict[str, RegisteredAgent] = {}
    for flow in _used(workflow, find):
        needed |= agents_asked(list(scopes(flow)), agents)
    return needed


def agents_required(
    workflow: Workflow, agents: AgentRegistry, find: Find
) -> Iterator[tuple[RegisteredAgent, ...]]:
    """List who has to be there, because nothing makes up for their failure.

    Args:
        workflow: a workflow without faults.
        agents: who there is.
        find: finds workflows that are used as steps.

    Returns:
        The agents of a step each, of which one has to be there.

    """
    if workflow.fallback_workflow:
        return
    for flow in _used(workflow, find):
        if flow.defaults.on_error not in HARMFUL:
            continue
        steps = [step for scope in scopes(flow) for step in scope.steps]
        for step in steps:
            if step.on_error in HARMFUL:
                yield from _required(step, agents)


def _required(step: Step, agents: AgentRegistry) -> Iterator[tuple[RegisteredAgent, ...]]:
    for caller in (step, step.map):
        if caller is None or (isinstance(caller, Map) and caller.on_error not in HARMFUL):
            continue
        if caller.agent:
            yield (agents.get(caller.agent),)
        elif caller.capability:
            yield agents.able(caller.capability)


def _used(workflow: Workflow, find: Find) -> Iterator[Workflow]:
    """Give a workflow and those that are steps of it, each once."""
    waiting, seen = [workflow], {workflow.id}
    while waiting:
        flow = waiting.pop()
        yield flow
        for used in map(find, references_of(flow)):
            if used.id not in seen:
                seen.add(used.id)
                waiting.append(used)
