"""On whose behalf agents are called."""

from typing import TYPE_CHECKING, Any

from stretto.agents.recall.scoping import scope_of
from stretto.memory.item import Scope

if TYPE_CHECKING:
    from stretto.graphs.call import StepCall


def scope_of_call(call: "StepCall") -> Scope:
    """Give on whose behalf a call is made, and where; what the host's memory is bound to holds."""
    context: dict[str, Any] = call.activation.frame.roots.get("context") or {}
    own = scope_of(context, workflow=call.workflow.id, thread=call.scope.session)
    memory = call.services.memory
    return own if memory is None else own.within(memory.scope)
