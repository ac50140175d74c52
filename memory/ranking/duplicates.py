"""What says nearly the same is told once."""

import re
from collections.abc import Iterable
from dataclasses import replace
from math import ceil, floor

from stretto.memory.ranking.candidates import Ranked

ALIKE = 0.9
"""Jaccard index of their words from which two texts say the same."""
WORD = re.compile(r"\w+")
LOOKED_AT = 2
"""How many times as many as are wanted are looked at, to count what says the same."""


def collapse(ranked: Iterable[Ranked], wanted: int | None = None) -> list[Ranked]:
    """Leave out what says nearly the same as something before it, and count it there.

    Args:
        ranked: the best first.
        wanted: how many are needed; twice as many are looked at, and more only while
            there are too few, since what says the same scores nearly the same. None looks at all.

    """
    kept: list[Ranked] = []
    bags = dict[int, list[tuple[int, frozenset[str]]]]()  # by how many words: most differ in that
    for looked, each in enumerate(ranked):
        if wanted is not None and len(kept) >= wanted and looked >= LOOKED_AT * wanted:
            break
        words = frozenset(WORD.findall(each.candidate.text.lower()))
        size = len(words)
        near = range(floor(ALIKE * size), ceil(size / ALIKE) + 1) if words else ()
        alike = (
            place
            for count in near
            for place, bag in bags.get(count, ())
            if _jaccard(words, bag) >= ALIKE
        )
        place = min(alike, default=None)
        if place is None:
            bags.setdefault(size, []).append((len(kept), words))
            kept.append(each)
        else:
            kept[place] = replace(kept[place], seen=kept[place].seen + 1)
    return kept


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    common = len(one & other)
    return common / (len(one) + len(other) - common)
