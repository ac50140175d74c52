"""Drawings for a terminal: boxes in layers, or a list where they do not fit."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from itertools import count

from stretto.graphs.drawing.canvas import Canvas
from stretto.graphs.drawing.layout import Layout, Link, lay_out
from stretto.graphs.drawing.picture import Edge, Group, Node, Picture, parts_of, shorten
from stretto.graphs.spec import Workflow

_GAP = 3
_MARKS = {
    "agent": "",
    "workflow": "» ",
    "approval": "? ",
    "http": "@ ",
    "transform": "~ ",
    "choice": "",
    "undo": "↩ ",
    "start": "! ",
}
Block = list[str]


def to_ascii(workflow: Workflow, width: int = 100) -> str:
    """Draw the declared topology for a terminal.

    Args:
        workflow: a valid workflow.
        width: columns there are; what is wider is drawn as a list.

    """
    rows = [f"{workflow.name} {workflow.version}"]
    for picture in parts_of(workflow):
        drawn = _drawn(picture, width)
        fits = max(map(len, drawn)) <= width
        rows += ["", *(drawn if fits else _listed(picture, width, ""))]
    return "\n".join(rows) + "\n"


def _drawn(picture: Picture, width: int) -> Block:
    blocks = {node.key: _block(node, picture.edges, width) for node in picture.nodes}
    links = [(edge.source, edge.target) for edge in picture.edges]
    widths = {key: len(block[0]) for key, block in blocks.items()}
    layout = lay_out([node.key for node in picture.nodes], links, widths, _GAP)
    canvas = Canvas()
    top = 0
    for number, layer in enumerate(layout.layers):
        height = max((len(blocks[key]) for key in layer if key in blocks), default=1)
        for key in layer:
            _put(canvas, key, blocks, layout, top, height)
        top += height
        if number + 1 < len(layout.layers):
            top = _connect(canvas, layer, blocks, layout, top)
    return canvas.rows()


def _put(
    canvas: Canvas, key: str, blocks: dict[str, Block], layout: Layout, top: int, height: int
) -> None:
    left = layout.left[key]
    if key in layout.bends:
        canvas.vertical(left, top - 1, top + height)
        return
    block = blocks[key]
    for row, text in enumerate(block):
        canvas.text(top + row, left, text)
    if any(source == key for source, _ in layout.links):
        middle = left + len(block[0]) // 2
        canvas.text(top + len(block) - 1, middle, "┬")
        canvas.vertical(middle, top + len(block) - 1, top + height)


def _connect(
    canvas: Canvas, layer: Sequence[str], blocks: dict[str, Block], layout: Layout, top: int
) -> int:
    """Draw the lines between a layer and the next; give the row where the next begins."""

    def middle(key: str) -> int:
        return layout.left[key] + (len(blocks[key][0]) // 2 if key in blocks else 0)

    down = {key: [t for s, t in layout.links if s == key] for key in layer}
    ports = _ports(layer, down, blocks, middle)
    tracks = _tracks({k: (middle(k), [ports[k, t] for t in ts]) for k, ts in down.items() if ts})
    rows = max(tracks.values(), default=0) + 1
    bottom = top + rows
    for key, targets in down.items():
        if not targets:
            continue
        row = top + tracks[key]
        canvas.vertical(middle(key), top - 1, row)
        for target in targets:
            canvas.horizontal(row, middle(key), ports[key, target])
            canvas.vertical(ports[key, target], row, bottom)
            if target in blocks:
                canvas.text(bottom, ports[key, target], "▼")
    return bottom + 1


def _ports(
    layer: Sequence[str],
    down: Mapping[str, Sequence[str]],
    blocks: Mapping[str, Block],
    middle: Callable[[str], int],
) -> dict[Link, int]:
    """Give each line its own column above its target, so that lines cross but never merge."""
    ports: dict[Link, int] = {}
    for target in dict.fromkeys(t for targets in down.values() for t in targets):
        sources = sorted((key for key in layer if target in down[key]), key=middle)
        room = len(blocks[target][0]) if target in blocks else 1
        step = 2 if 2 * len(sources) < room else 0
        for index, source in enumerate(sources):
            ports[source, target] = middle(target) + step * index - (step * (len(sources) - 1)) // 2
    return ports


def _tracks(ways: dict[str, tuple[int, list[int]]]) -> dict[str, int]:
    """Give each source a row for its line across, so that no two lines run on top of each other.

    A source above the target of another turns off first, or both lines would share that column.
    """
    waiting = dict(sorted(ways.items(), key=lambda way: way[1][0]))
    tracks: dict[str, int] = {}
    for row in count():
        if not waiting:
            return tracks
        free = [
            key
            for key, (_, targets) in waiting.items()
            if all(waiting[other][0] not in targets for other in waiting if other != key)
        ] or list(waiting)[:1]
        taken: list[tuple[int, int]] = []
        for key in free:
            start, targets = waiting[key]
            span = min(start, *targets), max(start, *targets)
            if all(span[1] < low or high < span[0] for low, high in taken):
                taken.append(span)
                tracks[key] = row
        for key in [key for key in waiting if key in tracks]:
            del waiting[key]
    return tracks


def _block(node: Node, edges: Sequence[Edge], width: int) -> Block:
    limit = max(20, min(44, width - 8))
    guards = {edge.label for edge in edges if edge.target == node.key and not edge.dashed}
    texts = [*node.details, *(f"if {text}" for text in sorted(guards) if text)]
    lines = [_MARKS[node.shape] + shorten(node.title, limit)]
    lines += [shorten(text, max(limit, 60) if node.groups else limit) for text in texts]
    if node.groups:
        return _frame(lines, [_group(group, width) for group in node.groups])
    return _boxed(lines)


def _group(group: Group, width: int) -> Block:
    rows = _drawn(group.picture, width)
    return [f"[{group.title}]", *rows] if group.title else rows


def _frame(title: Sequence[str], parts: Sequence[Block]) -> Block:
    height = max(map(len, parts))
    padded = [[row.ljust(max(map(len, part))) for row in part] for part in parts]
    full = [part + [" " * len(part[0])] * (height - len(part)) for part in padded]
    rows = ["   ".join(row).rstrip() for row in zip(*full, strict=True)]
    return _boxed([*title, "", *rows])


def _boxed(lines: Sequence[str]) -> Block:
    width = max(map(len, lines))
    return [
        f"┌─{'─' * width}─┐",
        *(f"│ {line.ljust(width)} │" for line in lines),
        f"└─{'─' * width}─┘",
    ]


def _listed(picture: Picture, width: int, indent: str) -> Block:
    """Write a picture as a list, in the order in which its steps can run."""
    titles = {node.key: node.title for node in picture.nodes}
    rows: Block = []
    for node in picture.nodes:
        rows += _wrapped(_row(node, picture.edges, titles), width, f"{indent}- ")
        for group in node.groups:
            if group.title:
                rows += _wrapped(f"[{group.title}]", width, f"{indent}    ")
            rows += _listed(group.picture, width, indent + "    ")
    return rows


def _row(node: Node, edges: Sequence[Edge], titles: dict[str, str]) -> str:
    into = [edge for edge in edges if edge.target == node.key]
    after = ", ".join(titles[edge.source] for edge in into)
    guards = sorted({edge.label for edge in into if edge.label and not edge.dashed})
    parts = [_MARKS[node.shape] + node.title]
    parts += [f"({'; '.join(node.details)})"] if node.details else []
    parts += [f"after {after}"] if after else []
    parts += [f"if {' and '.join(guards)}"] if guards else []
    return " ".join(parts)


def _wrapped(text: str, width: int, indent: str) -> Block:
    after = " " * (len(indent) + 2)
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=after)
