"""A loop: its body as a region, then a conditional edge back to the body or out."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.runtime import Runtime

from stretto.graphs.activation import Activation
from stretto.graphs.attempts import Result
from stretto.graphs.builder import END, Builder
from stretto.graphs.call import StepCall, Work
from stretto.graphs.containers.inside import (
    completed_outputs,
    inner_frame,
    needs_among,
    run_inside,
)
from stretto.graphs.dataflow import StepNode
from stretto.graphs.expressions import Expression
from stretto.graphs.lookup import visible_names
from stretto.graphs.plan import holds
from stretto.graphs.region import Region
from stretto.graphs.runtime import Frame
from stretto.graphs.spec import Loop
from stretto.graphs.state import RunState

UNTIL = "(until)"


def loop_work(loop: Loop, nodes: list[StepNode], until: Expression) -> Work:
    """Repeat the body until the condition holds: body, then a conditional edge back or out."""

    def frame_of_round(state: RunState, config: RunnableConfig, runtime: Runtime[Any]) -> Frame:
        frame: Frame = runtime.context
        number = state.get("round", 1)
        prefix = f"{frame.prefix}#{number}/"
        return replace(frame, prefix=prefix, roots={**frame.roots, "iteration": number})

    def decide(state: RunState, activation: Activation) -> Mapping[str, Any]:
        number = state.get("round", 1)
        ended = (activation.ended(node.plan.step.id) for node in nodes)
        stopped = any(outcome is not None and outcome.status == "not_run" for outcome in ended)
        over = activation.halted is not None or stopped or number >= loop.max_iterations
        more = not over and not holds(until, visible_names(activation))
        return {"more": more, "round": number + 1 if more else number}

    region = Region(nodes, frame_of_round)
    builder = Builder()
    body = [*region.add_to(builder), UNTIL]
    builder.add_node(UNTIL, region.watch(decide))
    region.enter_from_start(builder, UNTIL)

    async def again_or_out(state: RunState) -> str | list[str]:
        return body if state.get("more") else END

    builder.add_route(UNTIL, again_or_out, [*body, END])
    graph = builder.compile()
    needs = needs_among(nodes)

    async def run(call: StepCall) -> Result:
        frame = inner_frame(call, call.path)
        ended = await run_inside(call, graph, {"round": 1}, frame, needs)
        return Result(completed_outputs(ended, ended.get("round", 1)), ended.get("undo") or {})

    return run
