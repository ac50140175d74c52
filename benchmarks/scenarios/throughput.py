"""How many runs at once hold each other up."""

from benchmarks.contenders import langgraph_contender, stretto_contender
from benchmarks.measure import cpus, measure, walls
from benchmarks.report import Row, Target
from benchmarks.scenarios.plan import Plan
from benchmarks.workloads import chain

STEPS = 10
SECONDS = 0.020
TARGET = Target(1.2, "ratio")


async def measure_concurrent_runs(plan: Plan) -> list[Row]:
    """Many runs of a chain of short steps at the same time."""
    at_once = plan.size(200, 5)
    dag = chain(STEPS, SECONDS)
    contenders = [
        langgraph_contender(dag, at_once=at_once),
        stretto_contender(dag, at_once=at_once),
    ]
    taken = await measure(contenders, plan.rounds, plan.warmups)
    case = f"{at_once} runs at once of {STEPS} steps of {SECONDS * 1000:g} ms"
    return [
        Row("e", case, "s for all", walls(taken), TARGET),
        Row("e", case, "s CPU for all", cpus(taken)),
    ]
