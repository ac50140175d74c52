"""How close a DAG comes to its critical path."""

from benchmarks.contenders import (
    asyncio_contender,
    langgraph_contender,
    open_own_saver,
    open_saver,
    stretto_contender,
)
from benchmarks.measure import measure, walls
from benchmarks.report import Row, Target
from benchmarks.scenarios.plan import Plan
from benchmarks.workloads import Dag, critical_path, out_of_phase, random_layers

UNIT = "makespan / critical path"
TARGET = Target(1.06)
SAVED_TARGET = Target(1.15)


async def measure_out_of_phase(plan: Plan) -> list[Row]:
    """Two branches that are slow where the other is quick."""
    length = plan.size(10, 4)
    return await _measure("a", f"two out-of-phase branches of {length}", out_of_phase(length), plan)


async def measure_random_layers(plan: Plan) -> list[Row]:
    """A random layered DAG with lognormal durations."""
    dag = random_layers(plan.size(10, 3))
    return await _measure("b", f"random layered DAG of {len(dag)}", dag, plan)


async def _measure(letter: str, case: str, dag: Dag, plan: Plan) -> list[Row]:
    shortest = critical_path(dag)
    free = [asyncio_contender(dag), langgraph_contender(dag), stretto_contender(dag)]
    unsaved = walls(await measure(free, plan.rounds, plan.warmups), shortest)
    folder = plan.folder / letter
    async with open_saver(folder, "plain") as plain, open_own_saver(folder, "stretto") as own:
        kept = [langgraph_contender(dag, plain), stretto_contender(dag, own)]
        saved = walls(await measure(kept, plan.rounds, plan.warmups), shortest)
    return [
        Row(letter, case, UNIT, unsaved, TARGET),
        Row(letter, f"{case}, SQLite", UNIT, saved, SAVED_TARGET),
    ]
