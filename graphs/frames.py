"""The frame that a workflow is entered with, from an engine, a container or a plain host."""

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.runtime import Runtime

from stretto.agents.dispatch import Gate
from stretto.events import EventType
from stretto.graphs.compat import saver_of
from stretto.graphs.given import Given, read_given, roots_of
from stretto.graphs.region import MakeFrame
from stretto.graphs.runtime import PRIORITIES, Emit, Frame, RunScope
from stretto.graphs.spec import Workflow
from stretto.graphs.state import RunState


def frame_maker(workflow: Workflow) -> MakeFrame:
    """Make the function that opens a run's frame; ``complete`` adds what it cannot know at once."""

    def make_frame(state: RunState, config: RunnableConfig, runtime: Runtime[Any]) -> Frame:
        outer = runtime.context
        messages = tuple(state.get("messages") or ())
        if isinstance(outer, Frame):
            doom = None if workflow.fallback_workflow else outer.doom
            frame = replace(outer, outputs={}, steps={}, messages=messages, doom=doom)
        else:
            scope = outer if isinstance(outer, RunScope) else host_scope(workflow, runtime)
            frame = Frame(scope, {}, messages=messages, doom=scope.mark_doomed, given=scope.given)
        given = frame.given
        if given is None and ("input" in state or saver_of(config) is None):
            given = Given(state.get("input") or {}, state.get("context") or {})
        if given is not None:
            frame.roots = roots_of(workflow, given, frame.scope.run)
            return frame

        async def complete() -> None:
            frame.roots = roots_of(workflow, await read_given(config, runtime), frame.scope.run)

        frame.complete = complete
        return frame

    return make_frame


async def complete_frame(
    make_frame: MakeFrame, state: RunState, config: RunnableConfig, runtime: Runtime[Any]
) -> Frame:
    """Open a run's frame with everything in it."""
    frame = make_frame(state, config, runtime)
    if frame.complete is not None:
        await frame.complete()
    return frame


def host_scope(workflow: Workflow, runtime: Runtime[Any]) -> RunScope:
    """Open a run for a host that is no engine of ours; events go to its ``custom`` stream."""
    info = runtime.execution_info
    run_id = (info.thread_id if info else None) or uuid.uuid4().hex
    facts = {"id": run_id, "started_at": time.time(), "attempt": 1, "errors": 0}
    scope = make_scope(workflow, facts, stream_emitter(runtime.stream_writer))
    scope.store = runtime.store
    if workflow.timeout is not None:
        scope.deadline = asyncio.get_running_loop().time() + workflow.timeout
    return scope


def make_scope(workflow: Workflow, run: dict[str, Any], emit: Emit) -> RunScope:
    """Open a run with the limits that its workflow declares."""
    return RunScope(
        run=run,
        emit=emit,
        gate=Gate(workflow.max_parallel_steps),
        priority=PRIORITIES.index(workflow.priority),
        retries_left=workflow.max_total_retries,
        budget=workflow.budget,
    )


def stream_emitter(write: Callable[[Any], None]) -> Emit:
    """Publish events to a LangGraph ``custom`` stream, in their dict form."""

    def emit(event: EventType, step: str | None, data: dict[str, Any]) -> None:
        write({"event": event, "step": step, "data": data})

    return emit
