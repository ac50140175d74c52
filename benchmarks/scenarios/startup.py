"""What it takes before the first step can run."""

import subprocess
import sys
import time

from benchmarks.contenders import LANGGRAPH, STRETTO, plain_graph, worker, workflow_of
from benchmarks.journal import Journal, WrongRun
from benchmarks.measure import measure, walls
from benchmarks.report import Row, Target
from benchmarks.scenarios.plan import Plan
from benchmarks.workloads import random_layers
from stretto.graphs.compile import compile_workflow

WIDTH = 10
IMPORT_TARGET = Target(60.0)
COMPILE_TARGET = Target(1.0)


async def measure_import(plan: Plan) -> list[Row]:
    """The package itself, beyond what a bare interpreter takes."""
    tries = plan.size(15, 2)
    pairs = [(_seconds("pass"), _seconds("import stretto")) for _ in range(tries)]
    bare, whole = (min(column) for column in zip(*pairs, strict=True))
    samples = {STRETTO: [max(whole - bare, 0.0) * 1000]}
    case = f"import stretto, best of {tries}"
    return [Row("h", case, "ms beyond bare Python", samples, IMPORT_TARGET)]


async def measure_compilation(plan: Plan) -> list[Row]:
    """A large workflow, validated and compiled."""
    steps = plan.size(500, 50)
    contenders = [PlainCompilation(steps), Compilation(steps)]
    taken = await measure(contenders, plan.rounds, plan.warmups)
    return [Row("i", f"compile {steps} steps", "s", walls(taken), COMPILE_TARGET)]


class PlainCompilation:
    """Plain LangGraph's compilation of a DAG."""

    name = LANGGRAPH

    def __init__(self, steps: int) -> None:
        self._dag = random_layers(steps // WIDTH, WIDTH)
        self._journal = Journal(self._dag)
        self._nodes: set[str] = set()

    async def run(self) -> None:
        """Compile once."""
        self._nodes = set(plain_graph(self._dag, self._journal).nodes)

    def check(self) -> None:
        """Check that every step became a node."""
        if not {job.id for job in self._dag} <= self._nodes:
            raise WrongRun("a step is missing in the compiled graph")


class Compilation(PlainCompilation):
    """Stretto's compilation of the same DAG, from the declared workflow on."""

    name = STRETTO

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self._workflow = workflow_of(self._dag)
        self._agents = [worker(self._journal)]

    async def run(self) -> None:
        """Validate and compile once."""
        self._nodes = set(compile_workflow(self._workflow, self._agents).nodes)


def _seconds(program: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-I", "-c", program], check=True)
    return time.perf_counter() - started
