"""How many runs at once hold each other up."""

import gc
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

from benchmarks.contenders import (
    engine_contender,
    langgraph_contender,
    open_own_saver,
    open_saver,
    stretto_contender,
)
from benchmarks.measure import Sample, cpus, measure, walls
from benchmarks.report import Row, Target
from benchmarks.scenarios.plan import Plan
from benchmarks.workloads import chain

STEPS = 10
SECONDS = 0.020
TARGET = Target(1.2, "ratio")
THRESHOLD = 10_000
"""New objects between two looks of Python's garbage collector, as a busy server may set it; what
Python sets itself is 700, and 2,000 from 3.13."""


async def measure_concurrent_runs(plan: Plan) -> list[Row]:
    """Many runs of a chain of short steps at the same time, without and with a checkpointer."""
    at_once = plan.size(200, 5)
    dag = chain(STEPS, SECONDS)
    contenders = [
        langgraph_contender(dag, at_once=at_once),
        stretto_contender(dag, at_once=at_once),
    ]
    case = f"{at_once} runs at once of {STEPS} steps of {SECONDS * 1000:g} ms"
    rows = _rows(case, await measure(contenders, plan.rounds, plan.warmups))
    with collecting_seldom():
        taken = await measure(contenders, plan.rounds, plan.warmups)
    rows += _rows(f"{case}, gc.set_threshold({THRESHOLD:_})", taken)
    folder = plan.folder / "throughput"
    async with open_saver(folder, "plain") as plain, open_own_saver(folder, "stretto") as own:
        async with engine_contender(dag, folder / "engine", at_once) as engine:
            saved = [
                langgraph_contender(dag, plain, at_once),
                stretto_contender(dag, own, at_once),
                engine,
            ]
            taken = await measure(saved, plan.rounds, plan.warmups)
    return rows + _rows(f"{case}, SQLite", taken)


@contextmanager
def collecting_seldom() -> Generator[None]:
    """Let the garbage collector look for new garbage after ``THRESHOLD`` objects."""
    before = gc.get_threshold()
    gc.set_threshold(THRESHOLD, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _rows(case: str, taken: Mapping[str, Sequence[Sample]]) -> list[Row]:
    return [
        Row("e", case, "s for all", walls(taken), TARGET),
        Row("e", case, "s CPU for all", cpus(taken)),
    ]
