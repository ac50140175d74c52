"""Everything that is wrong with a workflow, at once."""

from collections.abc import Callable, Container, Iterator
from typing import TYPE_CHECKING

from stretto.errors import Fault
from stretto.graphs.limits import LIMITS, Limits
from stretto.graphs.scopes import Scope, scopes
from stretto.graphs.spec import Workflow
from stretto.graphs.validation.actions import action_faults
from stretto.graphs.validation.approvals import approval_faults
from stretto.graphs.validation.expressions import expression_faults
from stretto.graphs.validation.kinds import kind_faults
from stretto.graphs.validation.names import name_faults
from stretto.graphs.validation.people import agent_faults
from stretto.graphs.validation.prompts import prompt_faults
from stretto.graphs.validation.reach import reach_faults
from stretto.graphs.validation.references import Known, workflow_faults
from stretto.graphs.validation.requests import request_faults
from stretto.graphs.validation.settings import setting_faults
from stretto.graphs.validation.size import size_faults

if TYPE_CHECKING:
    from stretto.agents.registry import AgentRegistry

__all__ = ["Known", "find_faults"]


def find_faults(
    workflow: Workflow,
    agents: "AgentRegistry | None" = None,
    limits: Limits = LIMITS,
    workflows: "Container[str] | Callable[[str], Workflow] | None" = None,
) -> list[Fault]:
    """List what is wrong with a workflow; nothing when it can run.

    Args:
        workflow: what is declared.
        agents: who there is; when given, agents and capabilities that nobody offers are faults.
        limits: how large it may be.
        workflows: the workflows that may be used as steps: ids (and ``id@version``), or a function
            that finds one by reference; the shipped ones if None.

    """
    if too_large := size_faults(workflow, limits):
        return too_large
    every = list(scopes(workflow))
    return list(_all(workflow, every, agents, limits, workflows))[: limits.faults]


def _all(
    workflow: Workflow,
    every: list[Scope],
    agents: "AgentRegistry | None",
    limits: Limits,
    workflows: "Known",
) -> Iterator[Fault]:
    for scope in every:
        yield from name_faults(scope)
        yield from kind_faults(scope)
        yield from approval_faults(scope)
        yield from request_faults(scope)
    yield from setting_faults(workflow, every)
    yield from expression_faults(workflow, every)
    yield from reach_faults(workflow, every, limits)
    yield from workflow_faults(workflow, every, workflows)
    if agents is not None:
        yield from agent_faults(every, agents)
        yield from prompt_faults(every, agents)
        yield from action_faults(every, agents)
