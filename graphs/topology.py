"""How the steps of one scope depend on each other: order, cycles, longest paths."""

import heapq
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter

from stretto.graphs.spec import Step

Needs = Mapping[str, tuple[str, ...]]
UNKNOWN_DURATION = 1.0
"""Seconds that a step is taken to last when nothing is known about it."""


class CycleError(ValueError):
    """Steps need each other in a circle; ``path`` names them, the first one again at the end."""

    def __init__(self, path: Sequence[str]) -> None:
        """Keep the ``path``."""
        self.path = tuple(path)
        super().__init__(f"steps need each other in a circle: {' -> '.join(self.path)}")


def needs_of(steps: Sequence[Step]) -> dict[str, tuple[str, ...]]:
    """Find which steps each step needs, by id, from ``depends_on`` and ``input_from``.

    Names given by ``output_to`` become step ids, and names that no step of this scope has are left
    out. The first of several steps with the same id counts.
    """
    ids = {step.output_to: step.id for step in reversed(steps) if step.output_to}
    ids.update((step.id, step.id) for step in steps)
    needs: dict[str, tuple[str, ...]] = {}
    for step in steps:
        named = (ids[name] for name in (*step.depends_on, *step.inputs_from) if name in ids)
        needs.setdefault(step.id, tuple(dict.fromkeys(named)))
    return needs


def order(steps: Sequence[Step]) -> list[str]:
    """Sort the step ids so that each comes after all it needs, otherwise as declared.

    Raises:
        CycleError: steps need each other in a circle.

    """
    return _ordered(needs_of(steps))


def _ordered(needs: Needs) -> list[str]:
    if cycles := _cycles(needs):
        raise CycleError(cycles[0])
    position = {step: index for index, step in enumerate(needs)}
    names = list(needs)
    sorter = TopologicalSorter(needs)
    sorter.prepare()
    ready: list[int] = []
    result: list[str] = []
    while sorter.is_active():
        for step in sorter.get_ready():
            heapq.heappush(ready, position[step])
        result.append(names[heapq.heappop(ready)])
        sorter.done(result[-1])
    return result


def find_cycles(steps: Sequence[Step]) -> list[list[str]]:
    """List circles of needs, each as a path that ends where it begins (``a, b, a``).

    There is one for each group of steps that all need each other, in the order of declaration; a
    step needs what comes after it in the path. The path is a shortest one through the group's first
    step that is declared.
    """
    return _cycles(needs_of(steps))


def _cycles(needs: Needs) -> list[list[str]]:
    found: list[list[str]] = []
    done: set[str] = set()
    reach = _suspects(needs)
    for step in needs:
        if step in done or step not in reach:
            continue
        path = _circle(step, needs, reach)
        if path:
            found.append(path)
            done |= _group(step, needs, reach)
    return found


def _suspects(needs: Needs) -> set[str]:
    """Find the steps that can never become ready: those in circles and those after them."""
    left = {step: len(needed) for step, needed in needs.items()}
    after = _dependants(needs)
    ready = deque(step for step, count in left.items() if not count)
    while ready:
        step = ready.popleft()
        del left[step]
        for dependant in after[step]:
            left[dependant] -= 1
            if not left[dependant]:
                ready.append(dependant)
    return set(left)


def _circle(start: str, needs: Needs, within: set[str]) -> list[str]:
    """Find a shortest way from ``start`` over needs back to it; empty when there is none."""
    before: dict[str, str] = {}
    waiting = deque([start])
    while waiting:
        step = waiting.popleft()
        for need in needs[step]:
            if need == start:
                return [*_trace(step, start, before), start]
            if need in within and need not in before:
                before[need] = step
                waiting.append(need)
    return []


def _trace(step: str, start: str, before: Mapping[str, str]) -> list[str]:
    path = [step]
    while path[-1] != start:
        path.append(before[path[-1]])
    return path[::-1]


def _group(step: str, needs: Needs, within: set[str]) -> set[str]:
    """Find the steps that need ``step`` and that it needs, itself included."""
    return _reached(step, needs, within) & _reached(step, _dependants(needs), within)


def _reached(start: str, edges: Mapping[str, Sequence[str]], within: set[str]) -> set[str]:
    seen = {start}
    waiting = [start]
    while waiting:
        for step in edges[waiting.pop()]:
            if step in within and step not in seen:
                seen.add(step)
                waiting.append(step)
    return seen


def _dependants(needs: Needs) -> dict[str, list[str]]:
    after: dict[str, list[str]] = {step: [] for step in needs}
    for step, needed in needs.items():
        for need in needed:
            after[need].append(step)
    return after


def ancestors(steps: Sequence[Step]) -> dict[str, frozenset[str]]:
    """Find everything that each step needs, directly or not.

    Raises:
        CycleError: steps need each other in a circle.

    """
    needs = needs_of(steps)
    above: dict[str, frozenset[str]] = {}
    for step in _ordered(needs):
        needed = needs[step]
        above[step] = frozenset(needed).union(*(above[need] for need in needed))
    return {step: above[step] for step in needs}


def remaining_paths(
    steps: Sequence[Step], durations: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Measure the longest path from the start of each step to the end of the scope, in seconds.

    Args:
        steps: the steps of one scope.
        durations: seconds by step path (``fetch``, and ``refine/draft`` inside a container), where
            they are known better than by ``estimated_duration``. What nobody knows lasts 1 second;
            a container lasts as long as its longest body, once through.

    Raises:
        CycleError: steps need each other in a circle.

    """
    return _remaining(steps, durations or {}, "")


def _remaining(steps: Sequence[Step], known: Mapping[str, float], prefix: str) -> dict[str, float]:
    needs = needs_of(steps)
    after = _dependants(needs)
    lasting = {step.id: _duration(step, known, prefix) for step in reversed(steps)}
    paths: dict[str, float] = {}
    for step in reversed(_ordered(needs)):
        paths[step] = lasting[step] + max((paths[later] for later in after[step]), default=0.0)
    return {step: paths[step] for step in needs}


def _duration(step: Step, known: Mapping[str, float], prefix: str) -> float:
    path = prefix + step.id
    if path in known:
        return known[path]
    if step.estimated_duration is not None:
        return step.estimated_duration
    bodies = [_remaining(body, known, f"{path}/") for _, body in step.bodies]
    return max((max(body.values()) for body in bodies if body), default=UNKNOWN_DURATION)


def critical_path(
    steps: Sequence[Step], durations: Mapping[str, float] | None = None
) -> tuple[Step, ...]:
    """Find the chain of steps that takes longest, in order; the earlier declared one of equals.

    Args:
        steps: the steps of one scope.
        durations: seconds by step path, as in ``remaining_paths``.

    Raises:
        CycleError: steps need each other in a circle.

    """
    remaining = remaining_paths(steps, durations)
    after = _dependants(needs_of(steps))
    by_id = {step.id: step for step in reversed(steps)}
    path: list[Step] = []
    candidates = list(remaining)
    while candidates:
        longest = max(candidates, key=remaining.__getitem__)
        path.append(by_id[longest])
        candidates = after[longest]
    return tuple(path)


def terminal_steps(steps: Sequence[Step]) -> tuple[str, ...]:
    """List the ids of the steps that no step needs, in the order of declaration."""
    return tuple(step for step, later in _dependants(needs_of(steps)).items() if not later)


def walk(steps: Sequence[Step], path: str = "steps") -> Iterator[tuple[str, Step]]:
    """Give every step with its path in the document, those inside containers after their own.

    Args:
        steps: the steps of one scope.
        path: where they stand in the document.

    """
    for index, step in enumerate(steps):
        here = f"{path}[{index}]"
        yield here, step
        for below, body in step.bodies:
            yield from walk(body, f"{here}.{below}")
