"""SVG, drawn by hand from a layered layout: self-contained text that any browser shows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from stretto.graphs.drawing.layout import lay_out
from stretto.graphs.drawing.picture import Group, Node, Picture, Shape, picture_of, shorten
from stretto.graphs.spec import Workflow

_CHARACTER, _LINE, _PADDING, _GAP, _DROP = 8, 18, 12, 28, 56
_FILLS: Mapping[Shape, str] = {
    "agent": "#e8f0fe",
    "workflow": "#ede7f6",
    "approval": "#fff4d6",
    "http": "#e0f2f1",
    "transform": "#f1f3f4",
    "choice": "#fff",
    "undo": "#fdecea",
    "start": "#fdecea",
}
_RADII: Mapping[Shape, int] = {"transform": 16, "start": 20, "approval": 0, "http": 2, "undo": 10}
_STYLE = (
    "text{font:13px ui-monospace,Menlo,Consolas,monospace;fill:#202124}"
    ".t{font-weight:600}.d{fill:#5f6368}.n{stroke:#5f6368}"
    ".g{fill:#fff;fill-opacity:.6;stroke:#9aa0a6;stroke-dasharray:2 3}"
    ".e{fill:none;stroke:#5f6368;stroke-width:1.4;marker-end:url(#a)}.u{stroke-dasharray:6 4}"
    ".l{font-size:11px;fill:#5f6368;paint-order:stroke;stroke:#fff;stroke-width:4px}"
)


@dataclass(frozen=True)
class _Drawn:
    """A finished part with its top left corner at 0, 0."""

    width: int
    height: int
    parts: tuple[str, ...]


def to_svg(workflow: Workflow) -> str:
    """Draw the declared topology as SVG text.

    Args:
        workflow: a valid workflow.

    """
    drawn = _picture(picture_of(workflow))
    width, height = drawn.width + 2 * _PADDING, drawn.height + 2 * _PADDING
    title = escape(f"{workflow.name} {workflow.version}")
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{title}">'
    )
    arrow = (
        '<defs><marker id="a" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" '
        'markerHeight="8" orient="auto-start-reverse"><path d="M0 0 10 5 0 10z" fill="#5f6368"/>'
        "</marker></defs>"
    )
    body = _moved(drawn.parts, _PADDING, _PADDING)
    style, back = f"<style>{_STYLE}</style>", '<rect width="100%" height="100%" fill="#fff"/>'
    rows = [head, f"<title>{title}</title>", arrow, style, back, *body, "</svg>"]
    return "\n".join(rows) + "\n"


def _moved(parts: Sequence[str], x: int, y: int) -> list[str]:
    return [f'<g transform="translate({x} {y})">', *parts, "</g>"]


def _picture(picture: Picture) -> _Drawn:
    drawn = {node.key: _node(node) for node in picture.nodes}
    widths = {key: part.width for key, part in drawn.items()}
    edges = [(edge.source, edge.target) for edge in picture.edges]
    layout = lay_out([node.key for node in picture.nodes], edges, widths, _GAP)
    tops, height = _tops(layout.layers, drawn)
    parts: list[str] = []
    for key, part in drawn.items():
        parts += _moved(part.parts, layout.left[key], tops[key])
    places = {
        key: (layout.left[key] + (drawn[key].width // 2 if key in drawn else 0), top)
        for key, top in tops.items()
    }
    parts += _edges(picture, layout.links, places, drawn)
    return _Drawn(max(layout.width, 1), height, tuple(parts))


def _tops(
    layers: Sequence[Sequence[str]], drawn: Mapping[str, _Drawn]
) -> tuple[dict[str, int], int]:
    tops: dict[str, int] = {}
    top = 0
    for layer in layers:
        tops.update(dict.fromkeys(layer, top))
        top += max((drawn[key].height for key in layer if key in drawn), default=_LINE) + _DROP
    return tops, max(top - _DROP, 1)


def _edges(
    picture: Picture,
    links: Sequence[tuple[str, str]],
    places: Mapping[str, tuple[int, int]],
    drawn: Mapping[str, _Drawn],
) -> Iterator[str]:
    following = {source: target for source, target in links if source not in drawn}
    starts = [(source, target) for source, target in links if source in drawn]
    for source, first in starts:
        points = [(places[source][0], places[source][1] + drawn[source].height)]
        at = first
        while at not in drawn:
            points.append(places[at])
            at = following[at]
        points.append(places[at])
        edge = next(e for e in picture.edges if (e.source, e.target) == (source, at))
        dashes = " u" if edge.dashed else ""
        yield f'<path class="e{dashes}" d="{_curve(points)}"/>'
        if edge.label:
            (x, y), (before_x, before_y) = points[-1], points[-2]
            label = escape(shorten(edge.label, 40))
            spot = f'x="{(x + before_x) // 2}" y="{(y + max(before_y, y - _DROP)) // 2}"'
            yield f'<text class="l" text-anchor="middle" {spot}>{label}</text>'


def _curve(points: Sequence[tuple[int, int]]) -> str:
    path = f"M{points[0][0]} {points[0][1]}"
    for (x, y), (to_x, to_y) in zip(points, points[1:], strict=False):
        middle = (y + to_y) // 2
        path += f"C{x} {middle} {to_x} {middle} {to_x} {to_y}"
    return path


def _node(node: Node) -> _Drawn:
    lines = [shorten(line, 70 if node.groups else 44) for line in (node.title, *node.details)]
    width = max(map(len, lines)) * _CHARACTER + 2 * _PADDING
    height = len(lines) * _LINE + 2 * _PADDING - 6
    texts = [
        f'<text class="{"d" if number else "t"}" x="{_PADDING}" '
        f'y="{_PADDING + 10 + number * _LINE}">{escape(line)}</text>'
        for number, line in enumerate(lines)
    ]
    if not node.groups:
        return _Drawn(width, height, (_shape(node.shape, width, height), *texts))
    inner, inner_width, inner_height = _inside(node.groups, height)
    width = max(width, inner_width)
    frame = f'<rect class="g" width="{width}" height="{inner_height}" rx="8"/>'
    return _Drawn(width, inner_height, (frame, *texts, *inner))


def _inside(groups: Sequence[Group], top: int) -> tuple[list[str], int, int]:
    parts: list[str] = []
    x, height = _PADDING, 0
    for group in groups:
        part = _picture(group.picture)
        name = f'<text class="t" x="{x}" y="{top + 12}">{escape(shorten(group.title, 40))}</text>'
        below = top + (_LINE + 6 if group.title else 0)
        parts += [name] if group.title else []
        parts += _moved(part.parts, x, below)
        x += max(part.width, len(group.title) * _CHARACTER) + _GAP
        height = max(height, below + part.height)
    return parts, x - _GAP + _PADDING, height + _PADDING


def _shape(shape: Shape, width: int, height: int) -> str:
    fill = f'class="n" fill="{_FILLS[shape]}"'
    if shape == "approval":
        edge = (
            f"{width - 8},0 {width},{height // 2} {width - 8},{height} 8,{height} 0,{height // 2}"
        )
        return f'<polygon {fill} points="8,0 {edge}"/>'
    if shape == "http":
        return f'<polygon {fill} points="8,0 {width},0 {width - 8},{height} 0,{height}"/>'
    bars = (
        f'<path class="n" d="M5 0V{height}M{width - 5} 0V{height}"/>' if shape == "workflow" else ""
    )
    dashes = ' stroke-dasharray="4 3"' if shape in ("undo", "start") else ""
    radius = _RADII.get(shape, 6)
    return f'<rect {fill}{dashes} width="{width}" height="{height}" rx="{radius}"/>{bars}'
