"""What a step does: one thing, and enough of it."""

from collections.abc import Iterator

from stretto.errors import Fault
from stretto.graphs.paths import join
from stretto.graphs.scopes import Scope
from stretto.graphs.spec import Policy, Step

_KINDS = ("loop", "branch", "map", "workflow", "approval", "http")
_CALLS = ("agent", "capability", "select")
_NOTHING_TO_UNDO = {
    "loop": "the steps inside",
    "branch": "the steps inside",
    "map": "the steps inside",
    "approval": "the step that acts on the answer",
    "transform": "the step that changes something",
}


def kind_faults(scope: Scope) -> Iterator[Fault]:
    """Check that each step of a scope does exactly one thing.

    Args:
        scope: steps that stand beside each other.

    """
    for index, step in enumerate(scope.steps):
        path = join(scope.path, index)
        yield from _kind(path, step)
        yield from _select(path, step)
        yield from _map(path, step)
        yield from _without_effect(path, step)
        if step.compensate and step.kind in _NOTHING_TO_UNDO:
            message = (
                f"A step of kind {step.kind} has nothing to undo; "
                f"put `compensate` on {_NOTHING_TO_UNDO[step.kind]}."
            )
            yield Fault(join(path, "compensate"), "no_compensation_possible", message)


def _without_effect(path: str, step: Step) -> Iterator[Fault]:
    """Find policies of containers that nothing would follow."""
    holds_steps = any(True for _ in step.bodies) or step.kind == "workflow"
    owners: list[tuple[str, Policy]] = [(path, step)] if holds_steps else []
    if step.map and holds_steps:
        owners.append((join(path, "map"), step.map))
    for at, owner in owners:
        for key in ("retry", "cache"):
            if getattr(owner, key) is not None:
                message = f"`{key}` does nothing here; put it on the steps inside."
                yield Fault(join(at, key), "no_effect", message)


def _kind(path: str, step: Step) -> Iterator[Fault]:
    kinds = [kind for kind in _KINDS if getattr(step, kind) is not None]
    calls = [call for call in _CALLS if getattr(step, call) is not None]
    # An agent beside a capability is one call: the agent is asked, and has to have the capability.
    if "select" in calls and len(calls) > 1:
        kinds += calls
    elif calls:
        kinds.append(calls[0])
    if len(kinds) > 1:
        message = f"The step '{step.id}' does several things ({', '.join(kinds)}); split it."
        yield Fault(path, "several_kinds", message, allowed=tuple(kinds))
    elif not kinds and not step.transform:
        allowed = (*_CALLS, *_KINDS, "transform")
        message = f"The step '{step.id}' does nothing; give it one of {', '.join(allowed)}."
        yield Fault(path, "no_kind", message, allowed=allowed)


def _select(path: str, step: Step) -> Iterator[Fault]:
    if step.select and not step.select.rules and not step.select.agents:
        message = "There is nobody to choose from; give `rules`, `agents`, or both."
        yield Fault(join(path, "select"), "no_kind", message, allowed=("rules", "agents"))


def _map(path: str, step: Step) -> Iterator[Fault]:
    if not step.map:
        return
    called = step.map.agent or step.map.capability
    if step.map.steps and called:
        message = "A map has `steps` or one agent for each item, not both."
        yield Fault(join(path, "map"), "several_kinds", message, allowed=("steps", "agent"))
    elif not step.map.steps and not called:
        message = "The map does nothing with its items; give `steps`, `agent` or `capability`."
        allowed = ("steps", "agent", "capability")
        yield Fault(join(path, "map"), "no_kind", message, allowed=allowed)
