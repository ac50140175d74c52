"""Everybody whom a run of a workflow may ask."""

from collections.abc import Callable

from stretto.agents.registry import AgentRegistry, RegisteredAgent
from stretto.graphs.compile import references_of
from stretto.graphs.scopes import scopes
from stretto.graphs.spec import Workflow
from stretto.graphs.validation.people import agents_asked


def agents_needed(
    workflow: Workflow, agents: AgentRegistry, find: Callable[[str], Workflow]
) -> dict[str, RegisteredAgent]:
    """List by name the agents that a workflow and those it uses may ask.

    Args:
        workflow: a workflow without faults.
        agents: who there is.
        find: finds workflows that are used as steps.

    """
    needed: dict[str, RegisteredAgent] = {}
    waiting, seen = [workflow], {workflow.id}
    while waiting:
        flow = waiting.pop()
        needed |= agents_asked(list(scopes(flow)), agents)
        for used in map(find, references_of(flow)):
            if used.id not in seen:
                seen.add(used.id)
                waiting.append(used)
    return needed
