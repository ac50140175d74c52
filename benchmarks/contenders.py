"""The ways to run a DAG: bare asyncio, plain LangGraph laid out 1:1, Stretto, and its engine."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from benchmarks.journal import Journal, WrongRun
from benchmarks.workloads import Dag, Job
from stretto.agents.agent import Task, agent
from stretto.engine.engine import Engine
from stretto.graphs.compile import compile_workflow
from stretto.graphs.limits import Limits
from stretto.graphs.spec import Step, Workflow
from stretto.memory.checkpoints import open_checkpointer

ASYNCIO, LANGGRAPH, STRETTO, ENGINE = "asyncio", "LangGraph", "Stretto", "Stretto Engine"
Graph = Any
"""A compiled graph; LangGraph's own type is only partly known to type checkers."""
Saver = BaseCheckpointSaver[Any]
Outputs = Mapping[str, Any]
Runner = Callable[[], Awaitable[Outputs]]
"""Runs a DAG once and gives the outputs by step."""
AGENT = "worker"
SLOTS = 1_000_000
RECURSION_LIMIT = 100_000


class DagContender:
    """One way to run a DAG, with the journal that says what it did."""

    def __init__(self, name: str, journal: Journal, runner: Runner, at_once: int = 1) -> None:
        self.name = name
        self._journal = journal
        self._runner = runner
        self._at_once = at_once
        self._outputs: list[Outputs] = []

    async def run(self) -> None:
        """Run the DAG, as often at once as asked for."""
        runs = (self._runner() for _ in range(self._at_once))
        self._outputs = list(await asyncio.gather(*runs))

    def check(self) -> None:
        """Check that every step ran once per run, in order, and gave its output."""
        self._journal.check(self._outputs)


def asyncio_contender(dag: Dag) -> DagContender:
    """Schedule by futures and nothing else: no state, no checkpoints, no events."""
    journal = Journal(dag)

    async def run() -> Outputs:
        loop = asyncio.get_running_loop()
        ended = {job.id: loop.create_future() for job in dag}

        async def step(job: Job) -> None:
            for need in job.needs:
                await ended[need]
            ended[job.id].set_result(await journal.work(job.id, job.seconds))

        async with asyncio.TaskGroup() as group:
            for job in dag:
                group.create_task(step(job))
        return {name: future.result() for name, future in ended.items()}

    return DagContender(ASYNCIO, journal, run)


def langgraph_contender(dag: Dag, saver: Saver | None = None, at_once: int = 1) -> DagContender:
    """Run the DAG as a LangGraph graph with a node per step and an edge per need."""
    journal = Journal(dag)
    runner = graph_runner(plain_graph(dag, journal, saver), saver)
    return DagContender(LANGGRAPH, journal, runner, at_once)


def stretto_contender(dag: Dag, saver: Saver | None = None, at_once: int = 1) -> DagContender:
    """Run the DAG as a Stretto workflow, compiled and without an engine."""
    journal = Journal(dag)
    limits = Limits(steps=max(Limits().steps, len(dag)))
    graph = compile_workflow(workflow_of(dag), [worker(journal)], checkpointer=saver, limits=limits)
    return DagContender(STRETTO, journal, graph_runner(graph, saver), at_once)


@asynccontextmanager
async def engine_contender(dag: Dag, home: Path, at_once: int = 1) -> AsyncGenerator[DagContender]:
    """Run the DAG in a Stretto engine: checkpoints, records, events, leases."""
    journal, workflow = Journal(dag), workflow_of(dag)
    async with open_engine(home, [worker(journal)]) as engine:

        async def run() -> Outputs:
            result = await engine.run(workflow, {})
            if not result.success:
                raise WrongRun(f"the run ended {result.status}: {result.errors}")
            return result.outputs

        yield DagContender(ENGINE, journal, run, at_once)


def merge(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Join the outputs of steps."""
    return {**old, **new}


class PlainState(TypedDict, total=False):
    """What the plain graph keeps: the input, and the output of every step."""

    input: dict[str, Any]
    outputs: Annotated[dict[str, Any], merge]


def plain_graph(dag: Dag, journal: Journal, saver: Saver | None = None) -> Graph:
    """Lay the DAG out 1:1: ``add_node`` per step, ``add_edge`` for what it needs."""
    builder: Any = StateGraph(PlainState)
    for job in dag:
        builder.add_node(job.id, _node(job, journal))
        builder.add_edge(_edge(job), job.id)
    return builder.compile(checkpointer=saver)


def _edge(job: Job) -> str | list[str]:
    """Give where the edge to a job begins; only several needs ask for the dearer joining edge."""
    if len(job.needs) > 1:
        return list(job.needs)
    return job.needs[0] if job.needs else START


def _node(job: Job, journal: Journal) -> Any:
    async def node(state: PlainState) -> dict[str, Any]:
        return {"outputs": {job.id: await journal.work(job.id, job.seconds)}}

    return node


def workflow_of(dag: Dag) -> Workflow:
    """Declare the DAG as a workflow."""
    steps = [
        Step(id=job.id, agent=AGENT, params={"seconds": job.seconds}, depends_on=job.needs)
        for job in dag
    ]
    return Workflow(name="benchmark", steps=tuple(steps))


def worker(journal: Journal) -> Any:
    """Make the agent that does every step."""

    async def work(task: Task) -> dict[str, str]:
        return await journal.work(task.step_id, task.params["seconds"])

    return agent(work, name=AGENT, max_concurrent_tasks=SLOTS)


def graph_runner(graph: Graph, saver: Saver | None, given: Outputs | None = None) -> Runner:
    """Run a compiled graph, each time under a thread id of its own."""
    options: dict[str, Any] = {} if saver is None else {"durability": "sync"}

    async def run() -> Outputs:
        entry = {"input": dict(given or {}), "outputs": {}}
        state: Outputs = await graph.ainvoke(entry, run_config(), **options)
        outputs: Outputs = state["outputs"]
        return outputs

    return run


def run_config() -> RunnableConfig:
    """Give the configuration of one run."""
    return {
        "configurable": {"thread_id": uuid.uuid4().hex},
        "recursion_limit": RECURSION_LIMIT,
    }


@asynccontextmanager
async def open_saver(folder: Path, name: str) -> AsyncGenerator[AsyncSqliteSaver]:
    """Open LangGraph's SQLite checkpointer on a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    async with AsyncSqliteSaver.from_conn_string(str(folder / f"{name}.db")) as saver:
        yield saver


@asynccontextmanager
async def open_own_saver(folder: Path, name: str) -> AsyncGenerator[Saver]:
    """Open Stretto's SQLite checkpointer on a file of its own."""
    async with open_checkpointer(str(folder / f"{name}.db")) as saver:
        yield saver


def open_engine(home: Path, agents: list[Any]) -> Engine:
    """Make an engine that keeps everything below ``home``, whatever the environment says."""
    return Engine(agents, home=home, database=f"sqlite:///{home / 'stretto.db'}")
