"""What a step costs that does nothing."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from benchmarks.contenders import (
    DagContender,
    asyncio_contender,
    engine_contender,
    langgraph_contender,
    open_own_saver,
    open_saver,
    stretto_contender,
)
from benchmarks.measure import Sample, Samples, cpus, measure, walls
from benchmarks.report import Row, Target
from benchmarks.scenarios.plan import Plan
from benchmarks.workloads import Dag, chain, fan_out

MICROSECOND = 1e-6
TARGETS = {"": Target(1.2, "ratio"), ", SQLite": Target(0.8, "ratio")}
JUDGED_LENGTH = 100
GROWTH_TARGET = Target(2.5)


async def measure_chains(plan: Plan) -> list[Row]:
    """Chains of no-op steps, and how the cost of a step grows with them."""
    lengths = (10, plan.size(100, 20), plan.size(1000, 40))
    rows: list[Row] = []
    for suffix, target in TARGETS.items():
        costs: list[Samples] = []
        for length in lengths:
            judged = target if length == JUDGED_LENGTH else None
            case = f"chain of {length:,} no-op steps{suffix}"
            full = bool(suffix) and length == lengths[1]
            cost, wall = await _cost(chain(length), plan, bool(suffix), full)
            costs.append(cost)
            rows += _rows("c", case, cost, wall, judged)
        growth = {name: _divided(costs[-1][name], costs[0][name]) for name in costs[0]}
        case = f"chain of {lengths[-1]:,} against {lengths[0]}{suffix}"
        rows.append(Row("c", case, "CPU per step, times that of the short", growth, GROWTH_TARGET))
    return rows


async def measure_fan_out(plan: Plan) -> list[Row]:
    """One step, many at once, and one that joins them."""
    width = plan.size(100, 20)
    rows: list[Row] = []
    for suffix in TARGETS:
        cost, wall = await _cost(fan_out(width), plan, bool(suffix))
        rows += _rows("d", f"fan-out 1 → {width} → 1{suffix}", cost, wall)
    return rows


async def _cost(dag: Dag, plan: Plan, saved: bool, full: bool = False) -> tuple[Samples, Samples]:
    """Measure the CPU and the wall time per step in microseconds."""
    folder = plan.folder / f"overhead{len(dag)}"
    async with AsyncExitStack() as stack:
        contenders: list[DagContender] = []
        if saved:
            plain = await stack.enter_async_context(open_saver(folder, "plain"))
            own = await stack.enter_async_context(open_own_saver(folder, "stretto"))
            contenders += [langgraph_contender(dag, plain), stretto_contender(dag, own)]
        else:
            contenders.append(asyncio_contender(dag))
            contenders += [langgraph_contender(dag), stretto_contender(dag)]
        if full:
            engine = engine_contender(dag, folder / "engine")
            contenders.append(await stack.enter_async_context(engine))
        taken: Mapping[str, Sequence[Sample]] = await measure(contenders, plan.rounds, plan.warmups)
    unit = MICROSECOND * len(dag)
    return cpus(taken, unit), walls(taken, unit)


def _rows(
    letter: str, case: str, cost: Samples, wall: Samples, target: Target | None = None
) -> list[Row]:
    return [
        Row(letter, case, "µs CPU per step", cost, target),
        Row(letter, case, "µs per step", wall),
    ]


def _divided(figures: Sequence[float], by: Sequence[float]) -> list[float]:
    return [figure / other for figure, other in zip(figures, by, strict=True)]
