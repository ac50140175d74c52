"""Building a graph over the shared state, through the few calls of LangGraph's builder in use.

LangGraph types nodes by the names of their parameters, in a dozen overloads that strict checkers
cannot follow; here they are what they are.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.base import BaseStore

from stretto.graphs.state import RunState

Graph = CompiledStateGraph[Any, Any, Any, Any]
Node = Callable[..., Awaitable[Mapping[str, Any]]]
"""A coroutine function of ``state``, ``config`` and ``runtime`` that gives what it writes."""
Route = Callable[..., Awaitable[Any]]
"""A coroutine function of ``state``, and ``runtime`` if wanted, that gives what comes next."""
__all__ = ["END", "START", "Builder", "Graph", "Node", "Route", "enter"]


class Builder:
    """A graph that is being built."""

    def __init__(self) -> None:
        """Start without nodes."""
        self._graph: Any = StateGraph(RunState)

    def add_node(self, name: str, node: Node) -> None:
        """Add a node."""
        self._graph.add_node(name, node)

    def add_edge(self, start: str, end: str) -> None:
        """Let one node follow another."""
        self._graph.add_edge(start, end)

    def add_route(self, start: str, route: Route, targets: Sequence[str]) -> None:
        """Let ``route`` choose among ``targets`` what follows a node: a conditional edge."""
        self._graph.add_conditional_edges(start, route, list(targets))

    def compile(
        self,
        checkpointer: "BaseCheckpointSaver[Any] | None" = None,
        name: str | None = None,
        store: BaseStore | None = None,
    ) -> Graph:
        """Finish the graph; what it is not given it takes from the graph or host around."""
        finish = self._graph.compile
        return cast(Graph, finish(checkpointer=checkpointer, name=name, store=store))


async def enter(graph: Graph, state: Mapping[str, Any], frame: Any) -> RunState:
    """Run a graph inside another one to its end and give its final state.

    Args:
        graph: the inner graph.
        state: what it starts with.
        frame: where it sits in the run.

    """
    runnable: Any = graph
    return cast(RunState, await runnable.ainvoke(dict(state), context=frame))
