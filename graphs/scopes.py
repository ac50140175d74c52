"""Which names an expression may use, by where it stands."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from stretto.graphs.names import BASE
from stretto.graphs.paths import join
from stretto.graphs.spec import Step, Workflow
from stretto.graphs.topology import needs_of

NONE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Scope:
    """Steps that stand beside each other, and what they see from outside."""

    path: str
    """Where the steps stand in the document."""
    steps: tuple[Step, ...]
    outer_names: frozenset[str] = NONE
    """What the container around sees: its ancestors, and whatever its own scope sees."""
    extra_names: frozenset[str] = NONE
    """What the container adds: ``iteration``, or the item and ``index``."""
    container: Step | None = None
    depth: int = 0
    """How many containers are around."""
    own_names: frozenset[str] = NONE
    """Ids and ``output_to`` of the steps themselves."""
    above: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]], repr=False)
    """The ids of all that each step needs, directly or not."""

    @cached_property
    def second_names(self) -> dict[str, str]:
        """What each step that has an ``output_to`` calls its output, by id."""
        return {step.id: step.output_to for step in reversed(self.steps) if step.output_to}

    @cached_property
    def visible(self) -> frozenset[str]:
        """What every step of the scope sees, whatever it depends on."""
        return BASE | self.outer_names | self.extra_names


def scopes(workflow: Workflow) -> Iterator[Scope]:
    """Give every scope of a workflow: the steps, those inside containers, and ``on_failure``."""
    yield from _within(_scope("steps", workflow.steps))
    if workflow.on_failure:
        outer = names_of(workflow.steps)
        yield from _within(_scope("on_failure", workflow.on_failure, outer))


def names_of(steps: Sequence[Step]) -> frozenset[str]:
    """List the ids and second names of steps."""
    return frozenset(name for step in steps for name in (step.id, step.output_to) if name)


def declared_names(scope: Scope, step: Step) -> frozenset[str]:
    """List what the expressions of a step may use.

    Args:
        scope: where the step stands.
        step: one of its steps.

    """
    above, second = scope.above.get(step.id, NONE), scope.second_names
    return scope.visible | above | {second[i] for i in above if i in second}


def body_names(scope: Scope) -> frozenset[str]:
    """List what an expression sees that is evaluated after all steps of a scope."""
    return scope.visible | scope.own_names


def bodies(step: Step) -> Iterator[tuple[str, tuple[Step, ...]]]:
    """Give the scopes inside a container with their path below it, quoted where that is needed."""
    if step.loop:
        yield "loop.steps", step.loop.steps
    if step.map and step.map.steps:
        yield "map.steps", step.map.steps
    if step.branch:
        for name, case in step.branch.cases.items():
            yield join("branch.cases", name, "steps"), case.steps
        if step.branch.default:
            yield "branch.default.steps", step.branch.default.steps


def extra_names(step: Step) -> frozenset[str]:
    """List what a container adds to the names of what is inside."""
    if step.map:
        return frozenset({step.map.as_, "index"})
    return frozenset({"iteration"}) if step.loop else NONE


def _scope(
    path: str,
    steps: tuple[Step, ...],
    outer: frozenset[str] = NONE,
    extra: frozenset[str] = NONE,
    container: Step | None = None,
    depth: int = 0,
) -> Scope:
    above = _above(steps)
    return Scope(path, steps, outer, extra, container, depth, names_of(steps), above)


def _above(steps: Sequence[Step]) -> dict[str, frozenset[str]]:
    """Find what each step needs, directly or not; circles are allowed here."""
    needs = needs_of(steps)
    above: dict[str, frozenset[str]] = {}
    for step in needs:
        _collect(step, needs, above)
    return above


def _collect(
    start: str, needs: dict[str, tuple[str, ...]], above: dict[str, frozenset[str]]
) -> None:
    seen: set[str] = set()
    waiting = list(needs[start])
    while waiting:
        step = waiting.pop()
        if step in seen:
            continue
        seen.add(step)
        known = above.get(step)
        if known is None:
            waiting += needs[step]
        else:
            seen |= known
    above[start] = frozenset(seen)


def _within(scope: Scope) -> Iterator[Scope]:
    yield scope
    for index, step in enumerate(scope.steps):
        outer = declared_names(scope, step) - BASE if any(bodies(step)) else NONE
        for below, steps in bodies(step):
            path = f"{join(scope.path, index)}.{below}"
            extra = extra_names(step)
            if step.loop:  # what the round before gave, until a step has ended in this one
                extra |= names_of(steps)
            yield from _within(_scope(path, steps, outer, extra, step, scope.depth + 1))
