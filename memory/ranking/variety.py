"""Different things instead of the same one in other words."""

from collections.abc import Sequence
from math import sqrt

from stretto.memory.ranking.candidates import Candidate, Ranked


def diversify(ranked: Sequence[Ranked], k: int, diversity: float) -> list[Ranked]:
    """Choose what scores well and differs from what was chosen before.

    Maximal marginal relevance: Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking
    for Reordering Documents and Producing Summaries", 1998.

    Args:
        ranked: the best first.
        k: how many at most.
        diversity: 0 looks at the score alone, 1 only at the difference.

    """
    if diversity <= 0:
        return list(ranked[:k])
    left, chosen = list(ranked), list[Ranked]()
    nearest = [0.0] * len(left)
    while left and len(chosen) < k:
        gains = [
            (1 - diversity) * each.score - diversity * near
            for each, near in zip(left, nearest, strict=True)
        ]
        place = gains.index(max(gains))
        chosen.append(left.pop(place))
        nearest.pop(place)
        last = chosen[-1].candidate
        nearest = [
            max(near, likeness(each.candidate, last))
            for each, near in zip(left, nearest, strict=True)
        ]
    return chosen


def likeness(one: Candidate, other: Candidate) -> float:
    """Give the cosine of two texts, by meaning where both have it, else by words."""
    if one.meaning is not None and other.meaning is not None:
        pairs = zip(one.meaning, other.meaning, strict=True)
        dot = sum(a * b for a, b in pairs)
        lengths = (sqrt(sum(x * x for x in v)) for v in (one.meaning, other.meaning))
    else:
        words = [dict(zip(*(each.words or ((), ())), strict=True)) for each in (one, other)]
        dot = sum(weight * words[1].get(index, 0.0) for index, weight in words[0].items())
        lengths = (sqrt(sum(x * x for x in v.values())) for v in words)
    size = next(lengths) * next(lengths)
    return dot / size if size else 0.0
