"""Actions that are no actions of the agent they are asked of."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from stretto.agents.calling import action_problem
from stretto.errors import Fault
from stretto.graphs.paths import join
from stretto.graphs.scopes import Scope
from stretto.graphs.spec import OtherAgent, Step

if TYPE_CHECKING:
    from stretto.agents.registry import AgentRegistry


def action_faults(every: list[Scope], agents: "AgentRegistry") -> Iterator[Fault]:
    """Check that no step asks an agent for what it has for its own work.

    Args:
        every: all scopes of the workflow.
        agents: who there is; those that are missing are not looked for here.

    """
    for scope in every:
        for index, step in enumerate(scope.steps):
            for at, name, action in _asked(join(scope.path, index), step):
                agent = agents.get(name).target if name in agents else None
                if (problem := action_problem(agent, action)) is not None:
                    yield Fault(at, "no_action", f"{problem}.")


def _asked(path: str, step: Step) -> Iterator[tuple[str, str, str | None]]:
    """Give where an action stands, who is asked for it, and the action."""
    each = step.map
    if step.agent:
        yield join(path, "action"), step.agent, step.action
    if each and each.agent:
        yield join(path, "map", "action"), each.agent, each.action
    if step.compensate:
        at = join(path, "compensate", "action")
        yield at, step.compensate.agent, step.compensate.action
    if isinstance(step.on_error, OtherAgent):
        yield join(path, "action"), step.on_error.agent, each.action if each else step.action
    if step.select:
        names = [rule.agent for rule in step.select.rules] + list(step.select.agents)
        yield from ((join(path, "action"), name, step.action) for name in dict.fromkeys(names))
