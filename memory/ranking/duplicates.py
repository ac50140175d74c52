"""What says nearly the same is told once."""

import re
from collections.abc import Iterable, Sequence

from stretto.memory.ranking.candidates import Ranked

ALIKE = 0.9
"""Jaccard index of their words from which two texts say the same."""
WORD = re.compile(r"\w+")
ASCII_WORDS = "".join(
    character.lower() if WORD.match(character) else " " for character in map(chr, range(128))
)
"""What to read for each character of ASCII so that spaces part the words."""
LOOKED_AT = 1.5
"""How many times as many as are wanted are looked at, to count what says the same."""


def collapse(ranked: Iterable[Ranked], wanted: int | None = None) -> list[Ranked]:
    """Leave out what says nearly the same as something before it, and count it there.

    Args:
        ranked: the best first.
        wanted: how many are needed; half as many again are looked at, and more only while there
            are too few, since what says the same scores nearly the same. None looks at all.

    """
    kept: list[Ranked] = []
    bags: list[set[str]] = []
    for looked, each in enumerate(ranked):
        if wanted is not None and len(kept) >= wanted and looked >= LOOKED_AT * wanted:
            break
        words = words_of(each.candidate.text)
        place = _first_alike(words, bags)
        if place is None:
            bags.append(words)
            kept.append(each)
        else:
            kept[place] = kept[place]._replace(seen=kept[place].seen + 1)
    return kept


def words_of(text: str) -> set[str]:
    """Give the words of a text in small letters; in half the time where all of it is ASCII."""
    if text.isascii():
        return set(text.translate(ASCII_WORDS).split())
    return set(WORD.findall(text.lower()))


def _first_alike(words: set[str], bags: Sequence[set[str]]) -> int | None:
    """Give the place of the first text whose words are nearly these."""
    size = len(words)
    least, most = ALIKE * size, size / ALIKE
    for place, bag in enumerate(bags):
        if least <= len(bag) <= most and alike(words, bag, ALIKE):
            return place
    return None


def alike(one: set[str], other: set[str], share: float) -> bool:
    """Tell whether the Jaccard index of two texts' words is at least ``share``; never without any.

    Args:
        one: the words of one text.
        other: the words of the other.
        share: from 0 to 1.

    """
    common = len(one & other)
    return common > 0 and common / (len(one) + len(other) - common) >= share
