"""A turn of a conversation with a part of its neighbours: answers seldom repeat the question."""

from collections.abc import Sequence
from math import sqrt

from stretto.memory.backend.types import Sparse

WEIGHT = 0.3
"""How much of the turn before and of the turn after is added."""


def smooth(vectors: Sequence[Sparse], weight: float = WEIGHT) -> list[Sparse]:
    """Add to every sparse vector a part of the one before and of the one after.

    Args:
        vectors: those of the turns of one conversation, in order.
        weight: the part.

    """
    return [
        _added(
            vector, [*vectors[max(place - 1, 0) : place], *vectors[place + 1 : place + 2]], weight
        )
        for place, vector in enumerate(vectors)
    ]


def _added(vector: Sparse, neighbours: Sequence[Sparse], weight: float) -> Sparse:
    total = dict(zip(*vector, strict=True))
    for neighbour in neighbours:
        for index, value in zip(*neighbour, strict=True):
            total[index] = total.get(index, 0.0) + weight * value
    indices = sorted(total)
    return indices, [total[index] for index in indices]


def smooth_dense(vectors: Sequence[Sequence[float]], weight: float = WEIGHT) -> list[list[float]]:
    """Add to every dense vector a part of the one before and of the one after.

    Args:
        vectors: those of the turns of one conversation, in order; each is taken at length 1.
        weight: the part.

    """
    units = [_unit(vector) for vector in vectors]
    smoothed: list[list[float]] = []
    for place, unit in enumerate(units):
        near = [*units[max(place - 1, 0) : place], *units[place + 1 : place + 2]]
        columns = zip(*near, strict=True) if near else ([0.0] for _ in unit)
        smoothed.append(
            [own + weight * sum(other) for own, other in zip(unit, columns, strict=True)]
        )
    return smoothed


def _unit(vector: Sequence[float]) -> list[float]:
    length = sqrt(sum(value * value for value in vector))
    return [value / length for value in vector] if length else [0.0 for _ in vector]
