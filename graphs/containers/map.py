"""A map: one task per item, saved by itself, all in one superstep."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.runtime import Runtime
from langgraph.types import Send

from stretto.graphs.attempts import Result
from stretto.graphs.builder import START, Builder
from stretto.graphs.call import NotRun, StepCall, Work
from stretto.graphs.containers.inside import (
    completed_outputs,
    inner_frame,
    needs_among,
    run_inside,
    seeds_of,
)
from stretto.graphs.dataflow import StepNode
from stretto.graphs.region import Region
from stretto.graphs.runtime import Frame
from stretto.graphs.spec import Map
from stretto.graphs.state import RunState

ITEM = "(item)"


def map_work(
    each: Map, item: StepNode, over: Callable[[StepCall], list[Any]], limit: int | None
) -> Work:
    """Do the same for every item: one task per item, saved by itself, in one superstep.

    Args:
        each: the declared map.
        item: the node that does one item.
        over: gives the list, from a call.
        limit: how many items may be worked on at once.

    """
    region = Region([])
    builder = Builder()

    async def one(state: Any, config: RunnableConfig, runtime: Runtime[Any]) -> dict[str, Any]:
        frame: Frame = runtime.context
        steps = [item_id(index) for index in range(len(frame.items))]
        seeds = cast(RunState, frame.seeds)
        activation = region.enter(seeds, config, runtime, steps)
        index: int = state["index"]
        value = frame.items[index]
        roots = {**frame.roots, each.as_: value, "item": value, "index": index}
        with activation:
            await activation.restore()
            return await _numbered(item, index).run(activation, config, runtime, roots)

    async def fan_out(state: RunState, runtime: Runtime[Any]) -> list[Send]:
        return [Send(ITEM, {"index": index}) for index in range(len(runtime.context.items))]

    builder.add_node(ITEM, one)
    builder.add_route(START, fan_out, [ITEM])
    graph = builder.compile()

    async def run(call: StepCall) -> Result:
        items = over(call)
        if not items:
            call.begin()
            return Result([])
        frame = inner_frame(call, call.path)
        frame = replace(frame, items=items, seeds=seeds_of(call), bound=_bound(limit))
        ended = await run_inside(call, graph, {"round": 0}, frame, {})
        outputs = ended.get("outputs") or {}
        return Result([outputs.get(item_id(i)) for i in range(len(items))], ended.get("undo") or {})

    return run


def item_id(index: int) -> str:
    """Give the id of one item of a map within its map."""
    return f"[{index}]"


def _numbered(item: StepNode, index: int) -> StepNode:
    step = item.plan.step.model_copy(update={"id": item_id(index)})
    return replace(item, plan=replace(item.plan, step=step, position=index))


def _bound(limit: int | None) -> asyncio.Semaphore | None:
    return asyncio.Semaphore(limit) if limit else None


def bounded(work: Work) -> Work:
    """Hold a map's bound while one of its items is worked on."""

    async def run(call: StepCall) -> Result:
        bound = call.activation.frame.bound
        if bound is None:
            return await work(call)
        async with bound:
            # One that was at work before the run stopped has to tell what it had finished.
            if call.activation.stopping is not None and not call.activation.resumed:
                raise NotRun
            return await work(call)

    return run


def item_steps_work(nodes: list[StepNode], timeout: float | None) -> Work:
    """Run the steps of one item of a map, in so many seconds; it flows through them by itself."""
    region = Region(nodes)
    builder = Builder()
    region.add_to(builder)
    region.enter_from_start(builder)
    graph = builder.compile()
    needs = needs_among(nodes)

    async def run(call: StepCall) -> Result:
        index = call.roots["index"]
        frame = inner_frame(call, f"{call.path}/")
        static = call.activation.frame.static
        frame = replace(frame, static=static, rank=(*frame.rank, index))
        ended = await run_inside(call, graph, {"round": 0}, frame, needs, timeout)
        return Result(completed_outputs(ended), ended.get("undo") or {})

    return run
