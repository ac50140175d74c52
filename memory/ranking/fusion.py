"""One score of what was found by words, by its episode, and by meaning."""

from collections.abc import Iterator, Sequence
from math import fsum, sqrt
from operator import mul

from stretto.memory.ranking.candidates import Candidate, Explanation, Ranked

EPISODE_WEIGHT = 0.75
LEXICAL_WEIGHT, DENSE_WEIGHT = 0.7, 0.3
IMPORTANCE_WEIGHT = 0.05
HALF_LIFE_SECONDS = 30 * 86_400.0
RECENCY_FLOOR = 0.2
"""What is left of the weight of something very old."""


def rank(
    candidates: Sequence[Candidate],
    now: float,
    recency: float = 0.0,
    farthest: float | None = None,
) -> Iterator[Ranked]:
    """Give what was found, the best first; only what is asked for is explained.

    A candidate has the score of its own words, plus 0.75 of that of its episode's words; where
    vectors of meaning are there, both are brought to mean 0 and deviation 1 and added 0.7 to 0.3.
    What comes out, from 0 to 1, is multiplied by 1 + 0.05 importance + recency x age factor, where
    the age factor halves every 30 days and does not fall below 0.2.

    Args:
        candidates: what was found.
        now: the time, in seconds since 1970.
        recency: how much newer things are preferred; 0 is not at all.
        farthest: the lowest cosine that was found, which is that of whatever was not found by
            meaning; the lowest of the candidates' if None.

    """
    relevances = _relevances(candidates, farthest)
    importances = [1 + IMPORTANCE_WEIGHT * each.importance for each in candidates]
    ages = [_age(each.at, now, recency) if recency else 1.0 for each in candidates]
    totals = [r * i * age for r, i, age in zip(relevances, importances, ages, strict=True)]
    scale = 1 / max([1.0, *totals])
    order = sorted(
        [
            (-total, -each.at, each.id, place)
            for place, (total, each) in enumerate(zip(totals, candidates, strict=True))
        ]
    )
    for _, _, _, place in order:
        each = candidates[place]
        found = each.lexical, each.episode, each.dense
        why = Explanation(*found, relevances[place], importances[place], ages[place], scale)
        yield Ranked(each, min(totals[place] * scale, 1.0), why)


def _relevances(candidates: Sequence[Candidate], farthest: float | None) -> list[float]:
    words = [each.lexical + EPISODE_WEIGHT * each.episode for each in candidates]
    cosines = [each.dense for each in candidates if each.dense is not None]
    if not cosines:
        top = max(words, default=0.0)
        return [each / top if top > 0 else 0.0 for each in words]
    # What was not found by meaning is no nearer than what was.
    lowest = min(cosines) if farthest is None else farthest
    meanings = [lowest if each.dense is None else each.dense for each in candidates]
    pairs = zip(_standard(words), _standard(meanings), strict=True)
    return _from_0_to_1([LEXICAL_WEIGHT * word + DENSE_WEIGHT * near for word, near in pairs])


def _standard(values: Sequence[float]) -> list[float]:
    """Bring values to mean 0 and deviation 1; equal ones to 0."""
    mean = fsum(values) / len(values)
    apart = [value - mean for value in values]
    deviation = sqrt(fsum(map(mul, apart, apart)) / len(values))
    return [each / deviation for each in apart] if deviation > 1e-12 else [0.0] * len(values)


def _from_0_to_1(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    return [(value - low) / (high - low) if high > low else 1.0 for value in values]


def _age(at: float, now: float, recency: float) -> float:
    """Give what the time since then multiplies by."""
    left: float = 0.5 ** (max(now - at, 0.0) / HALF_LIFE_SECONDS)
    return 1 + recency * max(left, RECENCY_FLOOR)
