"""Rounds in which every contender runs once, and the medians and ratios over them."""

import asyncio
import gc
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol


class Contender(Protocol):
    """What is measured."""

    @property
    def name(self) -> str:
        """What it is called in the report."""
        ...

    async def run(self) -> None:
        """Do the measured work once."""
        ...

    def check(self) -> None:
        """Check, outside of the measured time, that the work was done."""
        ...


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run took, in seconds."""

    wall: float
    cpu: float
    """Of all threads of the process."""


SECONDS = 300.0
"""After so long a run counts as hung."""
Samples = Mapping[str, Sequence[float]]
"""One figure per round, by contender."""


async def measure(
    contenders: Sequence[Contender], rounds: int, warmups: int = 1
) -> dict[str, list[Sample]]:
    """Run every contender once per round, in an order that rotates from round to round.

    Args:
        contenders: who is compared.
        rounds: how many rounds count.
        warmups: how many rounds before them do not.

    Returns:
        The samples of the counted rounds in order, by name.

    """
    taken: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
    for number in range(warmups + rounds):
        start = number % len(contenders)
        for contender in (*contenders[start:], *contenders[:start]):
            sample = await _take(contender)
            if number >= warmups:
                taken[contender.name].append(sample)
    return taken


async def _take(contender: Contender) -> Sample:
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    async with asyncio.timeout(SECONDS):
        await contender.run()
    sample = Sample(time.perf_counter() - wall, time.process_time() - cpu)
    contender.check()
    return sample


def walls(taken: Mapping[str, Sequence[Sample]], unit: float = 1.0) -> dict[str, list[float]]:
    """Give the wall times, each divided by ``unit`` seconds."""
    return {name: [sample.wall / unit for sample in samples] for name, samples in taken.items()}


def cpus(taken: Mapping[str, Sequence[Sample]], unit: float = 1.0) -> dict[str, list[float]]:
    """Give the CPU times, each divided by ``unit`` seconds."""
    return {name: [sample.cpu / unit for sample in samples] for name, samples in taken.items()}


def medians(samples: Samples) -> dict[str, float]:
    """Give the median over the rounds, by contender."""
    return {name: median(values) for name, values in samples.items()}


def ratio(samples: Samples, subject: str, peer: str) -> float | None:
    """Give the median of what ``subject`` took over what ``peer`` took in the same round.

    What slows the machine down slows both, so this moves less than the ratio of the medians.
    """
    if subject not in samples or peer not in samples:
        return None
    pairs = zip(samples[subject], samples[peer], strict=True)
    return median(own / theirs for own, theirs in pairs)
