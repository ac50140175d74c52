"""The DAGs that are run: their steps, how long each takes, and the time none can beat."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

SEED = 20261120


@dataclass(frozen=True, slots=True)
class Job:
    """One step of a DAG."""

    id: str
    seconds: float = 0.0
    """How long it sleeps; 0 does nothing at all."""
    needs: tuple[str, ...] = ()


Dag = tuple[Job, ...]
"""Jobs in topological order."""


def chain(length: int, seconds: float = 0.0) -> Dag:
    """Make a chain of steps that all take the same time."""
    return _chain("step", [seconds] * length)


def out_of_phase(length: int = 10, short: float = 0.010, long: float = 0.050) -> Dag:
    """Make two chains, one slow where the other is quick, joined at the end."""
    first = [short if place % 2 == 0 else long for place in range(length)]
    second = [long if place % 2 == 0 else short for place in range(length)]
    left, right = _chain("left", first), _chain("right", second)
    return *left, *right, Job("end", needs=(left[-1].id, right[-1].id))


def random_layers(
    layers: int = 10, width: int = 6, median: float = 0.030, sigma: float = 0.8
) -> Dag:
    """Make layers of steps that each need one to three of the layer before.

    Args:
        layers: how many layers there are.
        width: the steps of each layer.
        median: median of the lognormal durations in seconds.
        sigma: standard deviation of their logarithm.

    """
    source = random.Random(SEED)
    jobs: list[Job] = []
    before: list[str] = []
    for layer in range(layers):
        names = [f"layer{layer}_{place}" for place in range(width)]
        for name in names:
            needs = source.sample(before, source.randint(1, min(3, len(before)))) if before else []
            seconds = median * source.lognormvariate(0.0, sigma)
            jobs.append(Job(name, seconds, tuple(needs)))
        before = names
    return tuple(jobs)


def fan_out(width: int) -> Dag:
    """Make one step, ``width`` steps that need it, and one that needs them all."""
    middle = [Job(f"item{place}", needs=("split",)) for place in range(width)]
    return Job("split"), *middle, Job("join", needs=tuple(job.id for job in middle))


def critical_path(dag: Dag) -> float:
    """Give the seconds of the longest path, which no schedule can beat."""
    ends: dict[str, float] = {}
    for job in dag:
        ends[job.id] = job.seconds + max((ends[need] for need in job.needs), default=0.0)
    return max(ends.values())


def _chain(name: str, durations: Sequence[float]) -> Dag:
    ids = [f"{name}{place}" for place in range(len(durations))]
    needs = [(), *((before,) for before in ids)]
    return tuple(
        Job(id_, seconds, need) for id_, seconds, need in zip(ids, durations, needs, strict=False)
    )
