"""What a large state comes to on disk."""

import random
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from benchmarks.contenders import (
    ENGINE,
    LANGGRAPH,
    STRETTO,
    Outputs,
    Runner,
    graph_runner,
    open_engine,
    open_own_saver,
    open_saver,
    plain_graph,
    worker,
    workflow_of,
)
from benchmarks.journal import Journal
from benchmarks.report import Row, Target
from benchmarks.scenarios.plan import Plan
from benchmarks.workloads import SEED, chain
from stretto.graphs.compile import compile_workflow

TARGET = Target(2.0)
Open = Callable[[Journal, Outputs, Path], AbstractAsyncContextManager[Runner]]
"""Opens a way to run a chain with an input; everything is closed and on disk when it is left."""


async def measure_storage(plan: Plan) -> list[Row]:
    """A static input through a chain of small steps; nothing here depends on the clock."""
    length, size = plan.size(50, 5), plan.size(1_000_000, 10_000)
    given = {"document": random.Random(SEED).randbytes(size // 2).hex()}
    found: dict[str, list[float]] = {}
    ways: dict[str, Open] = {LANGGRAPH: _plain, STRETTO: _stretto, ENGINE: _engine}
    for name, opened in ways.items():
        folder = plan.folder / "storage" / name
        journal = Journal(chain(length))
        async with opened(journal, given, folder) as run:
            journal.check([await run()])
        found[name] = [_bytes(folder) / size]
    case = f"input of {size / 1e6:g} MB through {length} steps, SQLite"
    return [
        Row("g", case, "bytes on disk / bytes of state", found, TARGET),
        Row("g", f"{case}, engine", "bytes on disk / bytes of state", found, TARGET, ENGINE),
    ]


@asynccontextmanager
async def _plain(journal: Journal, given: Outputs, folder: Path) -> AsyncGenerator[Runner]:
    async with open_saver(folder, "checkpoints") as saver:
        yield graph_runner(plain_graph(journal.dag, journal, saver), saver, given)


@asynccontextmanager
async def _stretto(journal: Journal, given: Outputs, folder: Path) -> AsyncGenerator[Runner]:
    async with open_own_saver(folder, "checkpoints") as saver:
        workflow = workflow_of(journal.dag)
        graph = compile_workflow(workflow, [worker(journal)], checkpointer=saver)
        yield graph_runner(graph, saver, given)


@asynccontextmanager
async def _engine(journal: Journal, given: Outputs, folder: Path) -> AsyncGenerator[Runner]:
    async with open_engine(folder, [worker(journal)]) as engine:

        async def run() -> Outputs:
            return (await engine.run(workflow_of(journal.dag), given)).outputs

        yield run


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
