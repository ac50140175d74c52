"""What a run was given: input and context, kept once and not in every save of its state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START
from langgraph.runtime import Runtime

from stretto.graphs.compat import region_namespace, saver_of, thread_of
from stretto.graphs.inputs import check_input
from stretto.graphs.spec import Workflow


@dataclass(frozen=True, slots=True)
class Given:
    """What the caller of a run gave."""

    input: Mapping[str, Any] = field(default_factory=dict[str, Any])
    context: Mapping[str, Any] = field(default_factory=dict[str, Any])


def roots_of(workflow: Workflow, given: Given, run: Mapping[str, Any]) -> dict[str, Any]:
    """Give what expressions see as ``input``, ``context`` and ``run``.

    Args:
        workflow: what is run; it fills in the defaults.
        given: what the caller gave.
        run: the facts of the run.

    Raises:
        InputInvalid: the input does not fit what the workflow declares.

    """
    return {
        "input": check_input(workflow, dict(given.input)),
        "context": {**workflow.context, **given.context},
        "run": run,
    }


async def read_given(config: RunnableConfig, runtime: Runtime[Any]) -> Given:
    """Read back what a host started its thread with.

    The state keeps neither input nor context, or every save of it would hold them again. LangGraph
    saves what START was given before the first step, and there they are read when a run goes on.

    Args:
        config: LangGraph's configuration of a node.
        runtime: LangGraph's runtime of the node.

    """
    saver, info = saver_of(config), runtime.execution_info
    where: RunnableConfig | None = {
        "configurable": {
            "thread_id": thread_of(config),
            "checkpoint_ns": region_namespace(config),
            "checkpoint_id": info.checkpoint_id if info else None,
        }
    }
    while saver is not None and where is not None:
        saved = await saver.aget_tuple(where)
        start: Any = saved.checkpoint["channel_values"].get(START) if saved else None
        if start is not None:
            return Given(start.get("input") or {}, start.get("context") or {})
        where = saved.parent_config if saved else None
    return Given()
