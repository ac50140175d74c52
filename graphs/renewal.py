"""A thread that is used again: what the run before left in it goes before the next one starts."""

from collections.abc import Mapping, Sequence
from typing import Any

from langgraph.runtime import Runtime
from langgraph.types import Overwrite

from stretto.graphs.builder import START, Builder
from stretto.graphs.runtime import Frame, RunScope
from stretto.graphs.state import CHANNELS, RunState

RENEW = "(renew)"


def enter_anew(builder: Builder, entries: Sequence[str]) -> None:
    """Let START enter ``entries`` in one superstep, on a used thread after clearing its state.

    An engine gives every run a thread of its own and continues it when it retries; other hosts
    start the next turn of a conversation on the same thread.

    Args:
        builder: a workflow's graph.
        entries: the nodes that are entered together.

    """

    async def start(state: RunState, runtime: Runtime[Any]) -> list[str]:
        ours = isinstance(runtime.context, RunScope | Frame)
        return list(entries) if ours or not state.get("records") else [RENEW]

    async def renew(state: RunState) -> Mapping[str, Any]:
        return {**{name: Overwrite({}) for name in CHANNELS}, "more": False}

    builder.add_node(RENEW, renew)
    builder.add_route(START, start, [RENEW, *entries])
    for entry in entries:
        builder.add_edge(RENEW, entry)
