"""What every drawing shows: nodes, the groups inside them, and edges."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from stretto.graphs.spec import Step, Workflow
from stretto.graphs.topology import needs_of, order

Shape = Literal["agent", "workflow", "approval", "http", "transform", "choice", "undo", "start"]


@dataclass(frozen=True, slots=True)
class Edge:
    """A connection between two nodes of one picture, or to what undoes a step."""

    source: str
    target: str
    label: str = ""
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """One step, or something that belongs to one."""

    key: str
    """Unique in the whole drawing, such as ``refine/draft``."""
    title: str
    details: tuple[str, ...] = ()
    shape: Shape = "agent"
    groups: tuple["Group", ...] = ()
    """What a container holds; a node with groups is drawn as a frame."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Nodes in topological order, and the edges between them."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A titled part of a container; the title is empty when there is only one part."""

    key: str
    title: str
    picture: Picture


def picture_of(workflow: Workflow) -> Picture:
    """Turn a workflow into what is drawn.

    Args:
        workflow: a valid workflow.

    """
    parts = parts_of(workflow)
    nodes = [node for part in parts for node in part.nodes]
    return Picture(tuple(nodes), tuple(edge for part in parts for edge in part.edges))


def parts_of(workflow: Workflow) -> tuple[Picture, ...]:
    """Turn a workflow into what is drawn: its steps, and what runs when the run fails if anything.

    Args:
        workflow: a valid workflow.

    """
    main = _picture(workflow.steps, "")
    return (main, _aftermath(workflow)) if workflow.on_failure else (main,)


def _aftermath(workflow: Workflow) -> Picture:
    start = Node("(failed)", "run failed", (), "start")
    after = _picture(workflow.on_failure, "on_failure/")
    targets = {edge.target for edge in after.edges}
    first = [node.key for node in after.nodes if node.key not in targets]
    edges = tuple(Edge(start.key, key, "", dashed=True) for key in first)
    return Picture((start, *after.nodes), (*edges, *after.edges))


def _picture(steps: Sequence[Step], prefix: str) -> Picture:
    needs = needs_of(steps)
    by_id = {step.id: step for step in steps}
    nodes: list[Node] = []
    edges: list[Edge] = []
    for name in order(steps):
        step = by_id[name]
        nodes.append(_node(step, prefix, bool(needs[name])))
        label = guard(step)
        edges += [Edge(prefix + need, prefix + name, label) for need in needs[name]]
        if step.compensate:
            nodes.append(_undo(step, prefix))
            edges.append(Edge(prefix + name, f"{prefix}{name}/(undo)", "undo", dashed=True))
    return Picture(tuple(nodes), tuple(edges))


def guard(step: Step) -> str:
    """Write the guard of a step; empty when it has none."""
    if step.when is None:
        return ""
    if isinstance(step.when, Mapping):
        return ", ".join(f"{key}: {value}" for key, value in step.when.items())
    return step.when


def _undo(step: Step, prefix: str) -> Node:
    undo = step.compensate
    words = [undo.agent, undo.action] if undo else []
    title = ".".join(word for word in words if word)
    return Node(f"{prefix}{step.id}/(undo)", title, (), "undo")


def _node(step: Step, prefix: str, needed: bool) -> Node:
    details = [detail for detail in (_does(step), _joins(step)) if detail]
    if step.when is not None and not needed:
        details.append(f"if {guard(step)}")
    shape: Shape = (
        step.kind if step.kind in ("workflow", "approval", "http", "transform") else "agent"
    )
    key = prefix + step.id
    return Node(key, step.id, tuple(details), shape, tuple(_groups(step, key)))


def _joins(step: Step) -> str:
    return {"any": "starts after any", "done": "starts when all ended"}.get(step.join, "")


def _does(step: Step) -> str:
    """Say in a few words what a step does."""
    if step.loop:
        return f"repeat until {step.loop.until}, at most {step.loop.max_iterations} times"
    if step.branch:
        return f"choose by {step.branch.on}"
    if step.map:
        bound = f", {step.map.max_parallel} at once" if step.map.max_parallel else ""
        return f"for each {step.map.as_} of {step.map.over}{bound}"
    if step.workflow:
        return f"workflow {step.workflow}"
    if step.approval:
        return "ask: " + " | ".join(step.approval.options)
    if step.http:
        return f"{step.http.method} {step.http.url}"
    return _called(step)


def _called(step: Step) -> str:
    if step.kind == "transform":
        return ", ".join(next(iter(t.model_dump(exclude_none=True))) for t in step.transform)
    who = step.agent or (f"any for {step.capability}" if step.capability else "")
    if step.select:
        names = dict.fromkeys([*(rule.agent for rule in step.select.rules), *step.select.agents])
        who = "one of " + ", ".join(names)
    return f"{who}: {step.action}" if step.action else who


def _groups(step: Step, key: str) -> Iterator[Group]:
    prefix = f"{key}/"
    if step.loop:
        yield Group(key, "", _picture(step.loop.steps, prefix))
    elif step.map:
        yield Group(
            key, "", _picture(step.map.steps, prefix) if step.map.steps else _item(step, key)
        )
    elif step.branch:
        for name, case in step.branch.cases.items():
            yield Group(f"{key}/{name}", name, _picture(case.steps, f"{key}/{name}/"))
        if step.branch.default:
            inner = _picture(step.branch.default.steps, f"{key}/(default)/")
            yield Group(f"{key}/(default)", "otherwise", inner)


def _item(step: Step, key: str) -> Picture:
    """Draw a map that asks one agent as if it held one step."""
    assert step.map is not None
    who = step.map.agent or f"any for {step.map.capability}"
    details = (step.map.action,) if step.map.action else ()
    return Picture((Node(f"{key}/(each)", who, details),), ())


def shorten(text: str, length: int) -> str:
    """Cut a text that is too long to be drawn, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"
