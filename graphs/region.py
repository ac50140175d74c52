"""The steps of one scope, entered together in one superstep of their graph."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.runtime import Runtime

from stretto.errors import ConfigurationError
from stretto.graphs.activation import Activation
from stretto.graphs.builder import START, Builder, Node
from stretto.graphs.compat import region_namespace, thread_of
from stretto.graphs.dataflow import StepNode
from stretto.graphs.runtime import Frame
from stretto.graphs.state import RunState

MakeFrame = Callable[[RunState, RunnableConfig, Runtime[Any]], Frame]
"""Gives the frame that a region is entered with."""


def nested_frame(state: RunState, config: RunnableConfig, runtime: Runtime[Any]) -> Frame:
    """Take the frame that the container around handed down."""
    frame = runtime.context
    assert isinstance(frame, Frame)
    return frame


class Region:
    """The step nodes of one scope, and its activations while they run."""

    def __init__(self, nodes: Sequence[StepNode], make_frame: MakeFrame = nested_frame) -> None:
        """Hold ``nodes``; ``make_frame`` gives the frame of each activation."""
        self.nodes = tuple(nodes)
        self._make_frame = make_frame
        self._steps = tuple(node.plan.step.id for node in nodes)
        self._aliases = {
            node.plan.step.output_to: node.plan.step.id
            for node in nodes
            if node.plan.step.output_to
        }
        self._watchers = 0
        self._open: dict[tuple[Any, ...], Activation] = {}

    def add_to(self, builder: Builder, prefix: str = "") -> tuple[str, ...]:
        """Add every step as a node and give the nodes' names."""
        for node in self.nodes:
            builder.add_node(prefix + node.plan.step.id, self._node(node))
        return tuple(prefix + step for step in self._steps)

    def enter_from_start(self, builder: Builder, *others: str) -> None:
        """Let START enter every step, and ``others``, in the same superstep."""
        for name in (*self._steps, *others):
            builder.add_edge(START, name)

    def watch(self, react: Callable[[RunState, Activation], Mapping[str, Any]]) -> Node:
        """Make a node that waits until every step has ended and writes what ``react`` gives."""
        self._watchers += 1

        async def watcher(
            state: RunState, config: RunnableConfig, runtime: Runtime[Any]
        ) -> Mapping[str, Any]:
            activation = self.enter(state, config, runtime)
            with activation:
                await activation.restore()
                for step in self._steps:
                    await activation.outcome(step)
                return react(state, activation)

        return watcher

    def _node(self, node: StepNode) -> Node:
        async def step(
            state: RunState, config: RunnableConfig, runtime: Runtime[Any]
        ) -> dict[str, Any]:
            activation = self.enter(state, config, runtime)
            with activation:
                await activation.restore()
                return await node.run(activation, config, runtime)

        return step

    def enter(
        self,
        state: RunState,
        config: RunnableConfig,
        runtime: Runtime[Any],
        steps: Sequence[str] | None = None,
    ) -> Activation:
        """Join the activation of this superstep, opening it if this node is the first.

        Args:
            state: the graph's state at the start of the superstep.
            config: LangGraph's configuration of the node.
            runtime: LangGraph's runtime of the node.
            steps: the step ids, where they are not the region's own; those do not wait for others.

        Raises:
            ConfigurationError: the host allows fewer nodes at once than the region has.

        """
        info = runtime.execution_info
        checkpoint_id = info.checkpoint_id if info else None
        superstep = config.get("metadata", {}).get("langgraph_step")
        where = thread_of(config), region_namespace(config)
        key = (runtime.control, *where, checkpoint_id, superstep)
        activation = self._open.get(key)
        if activation is None:
            if steps is None:
                steps = self._steps
                check_concurrency(config, len(steps) + self._watchers)
            frame = self._make_frame(state, config, runtime)
            activation = Activation(steps, self._aliases, frame, state, config, checkpoint_id)
            activation.forget = partial(self._open.pop, key, None)
            self._open[key] = activation
            if frame.entered is not None:
                frame.entered(activation)
        return activation


def check_concurrency(config: RunnableConfig, nodes: int) -> None:
    """Refuse a host's limit that would leave steps waiting for others that cannot start.

    Raises:
        ConfigurationError: ``max_concurrency`` is smaller than the region.

    """
    limit = config.get("max_concurrency")
    if limit is not None and limit < nodes:
        raise ConfigurationError(
            f"max_concurrency is {limit}, but {nodes} steps are entered together and wait for each "
            "other; leave it unset and use max_parallel_steps of the workflow instead"
        )
