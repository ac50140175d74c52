"""LangGraph's private names are what we take them for; this fails when a release changes them."""

from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph._internal import _constants as constants
from langgraph.checkpoint.base import WRITES_IDX_MAP
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from stretto.graphs import compat
from stretto.graphs.state import CHANNELS


class State(TypedDict, total=False):
    x: int


Facts = dict[str, Any]


async def enter(
    *, durability: Any = "sync", nested: bool = False, saver: Any = None
) -> list[Facts]:
    """Run a node that stops at its first entry, then go on; give what it saw each time."""
    seen: list[Facts] = []

    async def node(state: State, config: RunnableConfig, runtime: Runtime[Any]) -> State:
        info = runtime.execution_info
        seen.append(
            {
                "saver": compat.saver_of(config),
                "each": compat.saves_each_step(config),
                "resuming": compat.is_resuming(config),
                "namespace": compat.region_namespace(config),
                "thread": compat.thread_of(config),
                "checkpoint": info.checkpoint_id if info else None,
                "task": info.task_id if info else None,
                "step": config.get("metadata", {}).get("langgraph_step"),
                "control": runtime.control,
            }
        )
        if len(seen) == 1 and saver is not None:
            raise RuntimeError("stop")
        return {"x": 1}

    builder: Any = StateGraph(State)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    graph: Any = builder.compile(checkpointer=None if nested else saver)
    if nested:
        outer: Any = StateGraph(State)
        outer.add_node("outer", graph)
        outer.add_edge(START, "outer")
        graph = outer.compile(checkpointer=saver)
    config = {"configurable": {"thread_id": "t"}}
    how = {"durability": durability} if saver else {}
    if saver is None:
        await graph.ainvoke({"x": 0}, config)
        return seen
    with pytest.raises(RuntimeError, match="stop"):
        await graph.ainvoke({"x": 0}, config, **how)
    await graph.ainvoke(None, config, **how)
    return seen


def test_the_names_have_the_values_we_rely_on() -> None:
    assert constants.CONFIG_KEY_CHECKPOINTER == "__pregel_checkpointer"
    assert constants.CONFIG_KEY_DURABILITY == "__pregel_durability"
    assert constants.CONFIG_KEY_RESUMING == "__pregel_resuming"
    assert (constants.NS_SEP, constants.NS_END) == ("|", ":")
    assert not set(WRITES_IDX_MAP) & {*CHANNELS, "round", "more", "case"}


async def test_a_node_finds_its_saver_and_whether_it_is_entered_again() -> None:
    saver = InMemorySaver()
    first, again = await enter(saver=saver)
    assert first["saver"].storage is saver.storage  # strict, LangGraph gives nodes a shallow copy
    assert (first["each"], first["thread"]) == (True, "t")
    assert (first["resuming"], again["resuming"]) == (False, True)
    assert (first["checkpoint"], first["task"]) == (again["checkpoint"], again["task"])
    assert first["checkpoint"] is not None
    assert first["step"] == again["step"] == 1


async def test_a_node_of_a_subgraph_finds_the_same() -> None:
    saver = InMemorySaver()
    first, again = await enter(saver=saver, nested=True)
    assert first["saver"].storage is saver.storage
    assert (first["each"], again["resuming"]) == (True, True)
    assert first["namespace"] == again["namespace"]
    assert first["namespace"].startswith("outer:")
    assert first["checkpoint"] == again["checkpoint"]


async def test_the_namespace_of_a_top_node_is_empty() -> None:
    (seen,) = await enter()
    assert (seen["namespace"], seen["saver"]) == ("", None)


async def test_saving_only_at_the_end_is_noticed() -> None:
    first, _ = await enter(saver=InMemorySaver(), durability="exit")
    assert first["each"] is False


async def test_every_run_has_a_control_of_its_own() -> None:
    (one,), (two,) = await enter(), await enter()
    assert one["control"] is not two["control"]
