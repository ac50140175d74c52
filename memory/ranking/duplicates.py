"""What says nearly the same is told once."""

import re
from collections.abc import Iterable
from dataclasses import replace

from stretto.memory.ranking.candidates import Ranked

ALIKE = 0.9
"""Jaccard index of their words from which two texts say the same."""


def collapse(ranked: Iterable[Ranked]) -> list[Ranked]:
    """Leave out what says nearly the same as something before it, and count it there.

    Args:
        ranked: the best first.

    """
    kept: list[Ranked] = []
    bags: list[frozenset[str]] = []
    for each in ranked:
        words = frozenset(re.findall(r"\w+", each.candidate.text.lower()))
        for place, bag in enumerate(bags):
            if words and _jaccard(words, bag) >= ALIKE:
                kept[place] = replace(kept[place], seen=kept[place].seen + 1)
                break
        else:
            kept.append(each)
            bags.append(words)
    return kept


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    common = len(one & other)
    return common / (len(one) + len(other) - common)
