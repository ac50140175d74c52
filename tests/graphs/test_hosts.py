"""A compiled workflow is a LangGraph graph like any other: any host and any saver can run it."""

import asyncio
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from stretto.errors import ConfigurationError, InputInvalid, WorkflowInvalid
from stretto.graphs.limits import Limits
from tests.graphs.running import Cast, Saver, Stage, flow, gated, ok, open_activations


async def test_events_go_to_the_custom_stream_as_dicts() -> None:
    stage = Stage(
        [{"id": "l", "loop": {"steps": [ok("a")], "until": "true", "max_iterations": 1}}], Cast()
    )
    events = [
        (event["event"], event["step"], event["data"]["attempt"])
        async for event in stage.graph.astream({"input": {}}, stream_mode="custom")
    ]
    assert events == [
        ("agent_started", "l", 1),
        ("agent_started", "l#1/a", 1),
        ("agent_completed", "l#1/a", 1),
        ("agent_completed", "l", 1),
    ]


async def test_two_runs_of_one_graph_at_once_do_not_mix(saver: Saver) -> None:
    cast = Cast()
    steps = [
        {"id": "a", "agent": "echo"},
        gated("g", "a"),
        {"id": "z", "agent": "echo", "depends_on": ["a", "g"]},
    ]
    stage = Stage(steps, cast, saver=saver)
    runs = [asyncio.create_task(stage.run({"n": n}, f"thread {n}")) for n in range(5)]
    while cast.log.count("g") < 5:
        await asyncio.sleep(0)
    cast.gate("g").set()
    outputs = [(await run).output for run in runs]
    assert outputs == [{"a": {"n": n}, "g": "g"} for n in range(5)]


async def test_two_runs_without_a_checkpointer_do_not_mix() -> None:
    stage = Stage(
        [{"id": "a", "agent": "echo"}, {"id": "z", "agent": "echo", "depends_on": ["a"]}], Cast()
    )
    runs = [stage.graph.ainvoke({"input": {"n": n}}) for n in range(5)]
    states = await asyncio.gather(*runs)
    assert [state["outputs"]["z"] for state in states] == [{"a": {"n": n}} for n in range(5)]


@pytest.mark.parametrize("extra", [{}, {"on_failure": [ok("clean")]}])
async def test_a_host_that_allows_too_few_nodes_at_once_is_told(extra: dict[str, Any]) -> None:
    steps = [ok("a", "z"), ok("z")]
    stage = Stage(steps, Cast(), **extra)
    nodes = 2 + len(extra)  # one more node waits for all steps
    with pytest.raises(ConfigurationError, match=f"max_concurrency is {nodes - 1}, but {nodes} st"):
        await stage.graph.ainvoke({"input": {}}, {"max_concurrency": nodes - 1})
    state = await stage.graph.ainvoke({"input": {}}, {"max_concurrency": nodes})
    assert state["outputs"] == {"a": "a", "z": "z"}


async def test_a_map_may_have_more_items_than_a_host_allows_nodes() -> None:
    stage = Stage([{"id": "m", "map": {"over": "input.items", "agent": "ok"}}], Cast())
    entry = {"input": {"items": list(range(20))}}
    state = await stage.graph.ainvoke(entry, {"max_concurrency": 2})
    assert state["outputs"] == {"m": [f"m[{n}]" for n in range(20)]}


async def test_wrong_input_is_refused_before_anything_starts() -> None:
    cast = Cast()
    stage = Stage([ok("a")], cast, inputs={"n": "integer"})
    with pytest.raises(InputInvalid, match="'n' is missing"):
        await stage.run({})
    assert (cast.log, open_activations()) == ([], 0)


async def test_a_graph_works_as_a_node_of_another_graph() -> None:
    class State(TypedDict, total=False):
        input: dict[str, Any]
        outputs: dict[str, Any]

    builder: Any = StateGraph(State)
    builder.add_node("flow", flow([ok("a"), ok("b", "a")]).compile(list(Cast())))
    builder.add_edge(START, "flow")
    state = await builder.compile(checkpointer=InMemorySaver()).ainvoke(
        {"input": {}}, {"configurable": {"thread_id": "t"}}
    )
    assert state["outputs"] == {"a": "a", "b": "b"}


# Size


async def test_a_chain_of_a_thousand_steps_runs() -> None:
    steps = [ok(f"s{n}", *([f"s{n - 1}"] if n else [])) for n in range(1000)]
    workflow = flow(steps)
    with pytest.raises(WorkflowInvalid, match="1,000 steps"):
        workflow.compile(list(Cast()))
    cast = Cast()
    graph: Any = workflow.compile(list(cast), limits=Limits(steps=1000))
    state = await graph.ainvoke({"input": {}})
    assert cast.log == [f"s{n}" for n in range(1000)]
    assert len(state["outputs"]) == 1000
