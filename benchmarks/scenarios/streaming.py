"""What a streamed token costs, from the step that makes it to the reader."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from langgraph.graph import START, StateGraph
from langgraph.types import StreamWriter

from benchmarks.contenders import (
    AGENT,
    ENGINE,
    LANGGRAPH,
    SLOTS,
    STRETTO,
    Graph,
    PlainState,
    open_engine,
    run_config,
)
from benchmarks.journal import WrongRun
from benchmarks.measure import cpus, measure, walls
from benchmarks.report import Row, Target
from benchmarks.scenarios.plan import Plan
from stretto.agents.agent import Task, agent
from stretto.graphs.compile import compile_workflow
from stretto.graphs.spec import Step, Workflow

MICROSECOND = 1e-6
TARGET = Target(1.3, "ratio")
Read = Callable[[], AsyncIterator[str]]
"""Runs once and gives the tokens as a reader gets them."""


class TokenContender:
    """One way to stream tokens."""

    def __init__(self, name: str, tokens: list[str], read: Read) -> None:
        self.name = name
        self._tokens = tokens
        self._read = read
        self._seen: list[str] = []

    async def run(self) -> None:
        """Run once and read every token."""
        self._seen = [token async for token in self._read()]

    def check(self) -> None:
        """Check that every token came once, in order."""
        if self._seen != self._tokens:
            raise WrongRun(f"{len(self._seen)} of {len(self._tokens)} tokens, or in another order")


async def measure_tokens(plan: Plan) -> list[Row]:
    """Thousands of tokens through one step."""
    tokens = [f"token{number} " for number in range(plan.size(2000, 50))]
    workflow = Workflow(name="tokens", steps=(Step(id="answer", agent=AGENT),))
    writer = _writer(tokens)
    async with open_engine(plan.folder / "tokens", [writer]) as engine:

        async def read_engine() -> AsyncIterator[str]:
            async for event in engine.stream(workflow, {}):
                if event.event == "agent_stream":
                    yield event.data["content"]

        contenders = [
            TokenContender(LANGGRAPH, tokens, _reader(_plain(tokens), str)),
            TokenContender(STRETTO, tokens, _reader(compile_workflow(workflow, [writer]), _token)),
            TokenContender(ENGINE, tokens, read_engine),
        ]
        taken = await measure(contenders, plan.rounds, plan.warmups)
    unit = MICROSECOND * len(tokens)
    case = f"{len(tokens):,} tokens through one step"
    cost = cpus(taken, unit)
    return [
        Row("f", case, "µs CPU per token", cost, TARGET),
        Row("f", f"{case}, engine", "µs CPU per token", cost, TARGET, ENGINE),
        Row("f", case, "µs per token", walls(taken, unit)),
    ]


async def _make(tokens: list[str]) -> AsyncIterator[str]:
    """Make tokens one by one; readers get a turn in between, as they do when a model sends."""
    for token in tokens:
        await asyncio.sleep(0)
        yield token


def _writer(tokens: list[str]) -> Any:
    async def write(task: Task) -> int:
        async for token in _make(tokens):
            await task.emit(token)
        return len(tokens)

    return agent(write, name=AGENT, max_concurrent_tasks=SLOTS)


def _plain(tokens: list[str]) -> Graph:
    async def answer(state: PlainState, writer: StreamWriter) -> dict[str, Any]:
        async for token in _make(tokens):
            writer(token)
        return {"outputs": {"answer": len(tokens)}}

    builder: Any = StateGraph(PlainState)
    builder.add_node("answer", answer)
    builder.add_edge(START, "answer")
    return builder.compile()


def _reader(graph: Graph, token_of: Callable[[Any], str | None]) -> Read:
    async def read() -> AsyncIterator[str]:
        entry: PlainState = {"input": {}, "outputs": {}}
        async for item in graph.astream(entry, run_config(), stream_mode="custom"):
            if (token := token_of(item)) is not None:
                yield token

    return read


def _token(item: Any) -> str | None:
    return item["data"]["content"] if item["event"] == "agent_stream" else None
