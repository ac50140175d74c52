"""Where the nodes of a layered drawing stand: layers from top to bottom, few crossings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Link = tuple[str, str]
_SWEEPS = 4


@dataclass(frozen=True, slots=True)
class Layout:
    """Layers of nodes with places; bends are nodes that an edge passes on its way down."""

    layers: tuple[tuple[str, ...], ...]
    links: tuple[Link, ...]
    """Edges cut into pieces that each join two neighbouring layers."""
    left: Mapping[str, int]
    """The left end of each node, in the unit of the widths."""
    bends: frozenset[str]
    width: int


def lay_out(
    nodes: Sequence[str], edges: Sequence[Link], widths: Mapping[str, int], gap: int
) -> Layout:
    """Arrange nodes in layers.

    Args:
        nodes: in topological order.
        edges: pairs of a node and one that stands below it.
        widths: how wide each node is.
        gap: the room between two neighbours.

    """
    level = _levels(nodes, edges)
    layers: list[list[str]] = [[] for _ in range(max(level.values(), default=0) + 1)]
    for node in nodes:
        layers[level[node]].append(node)
    links, bends = _cut(list(dict.fromkeys(edges)), level, layers)
    _untangle(layers, links)
    sizes = {**widths, **dict.fromkeys(bends, 1)}
    left = _places(layers, links, sizes, gap)
    width = max((left[node] + sizes[node] for node in left), default=0)
    return Layout(tuple(map(tuple, layers)), tuple(links), left, frozenset(bends), width)


def _levels(nodes: Sequence[str], edges: Sequence[Link]) -> dict[str, int]:
    level: dict[str, int] = {}
    above: dict[str, list[str]] = {node: [] for node in nodes}
    for source, target in edges:
        above[target].append(source)
    for node in nodes:
        level[node] = max((level[source] + 1 for source in above[node]), default=0)
    return level


def _cut(
    edges: Sequence[Link], level: Mapping[str, int], layers: list[list[str]]
) -> tuple[list[Link], list[str]]:
    links: list[Link] = []
    bends: list[str] = []
    for number, (source, target) in enumerate(edges):
        chain = [source]
        for at in range(level[source] + 1, level[target]):
            bend = f"\0{number}.{at}"
            bends.append(bend)
            layers[at].append(bend)
            chain.append(bend)
        links += pairwise([*chain, target])
    return links, bends


def _untangle(layers: list[list[str]], links: Sequence[Link]) -> None:
    """Sort each layer by where its neighbours stand, down and up by turns.

    This is the barycenter method of Sugiyama, Tagawa and Toda, 1981.
    """
    above: dict[str, list[str]] = {}
    below: dict[str, list[str]] = {}
    for source, target in links:
        above.setdefault(target, []).append(source)
        below.setdefault(source, []).append(target)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        order = range(1, len(layers)) if down else range(len(layers) - 2, -1, -1)
        for at in order:
            fixed = layers[at - 1 if down else at + 1]
            _sort(layers[at], fixed, above if down else below)


def _sort(layer: list[str], fixed: Sequence[str], beside: Mapping[str, list[str]]) -> None:
    place = {node: index for index, node in enumerate(fixed)}
    current = {node: index for index, node in enumerate(layer)}

    def middle(node: str) -> float:
        near = [place[other] for other in beside.get(node, ()) if other in place]
        return sum(near) / len(near) if near else float(current[node])

    layer.sort(key=lambda node: (middle(node), current[node]))


def _places(
    layers: Sequence[Sequence[str]], links: Sequence[Link], sizes: Mapping[str, int], gap: int
) -> dict[str, int]:
    above: dict[str, list[str]] = {}
    for source, target in links:
        above.setdefault(target, []).append(source)
    left: dict[str, int] = {}
    for layer in layers:
        wanted = [_wanted(node, above, left, sizes) for node in layer]
        _pack(layer, wanted, left, sizes, gap)
    shift = min(left.values(), default=0)
    return {node: x - shift for node, x in left.items()}


def _wanted(
    node: str, above: Mapping[str, list[str]], left: Mapping[str, int], sizes: Mapping[str, int]
) -> float | None:
    centers = [left[other] + sizes[other] // 2 for other in above.get(node, ())]
    return sum(centers) / len(centers) - sizes[node] // 2 if centers else None


def _pack(
    layer: Sequence[str],
    wanted: Sequence[float | None],
    left: dict[str, int],
    sizes: Mapping[str, int],
    gap: int,
) -> None:
    """Put a layer's nodes side by side, as a whole as close as can be to where they want to be."""
    room = 0
    places: list[int] = []
    for node in layer:
        places.append(room)
        room += sizes[node] + gap
    pulls = [want - place for want, place in zip(wanted, places, strict=True) if want is not None]
    shift = round(sum(pulls) / len(pulls)) if pulls else -(room - gap) // 2
    edge: int | None = None
    for node, place, want in zip(layer, places, wanted, strict=True):
        # A node may move right of its packed place towards its parents, never into its neighbour.
        at = max(place + shift, round(want)) if want is not None and _free(layer) else place + shift
        at = at if edge is None else max(at, edge)
        left[node] = at
        edge = at + sizes[node] + gap


def _free(layer: Sequence[str]) -> bool:
    return len(layer) <= 8
