"""Workflows that are ready to run: compiled, their agents prepared, their models within reach."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from langgraph.checkpoint.base import BaseCheckpointSaver

from stretto.agents.agent import OpenModel, PreparedAgent
from stretto.engine.endpoints import Endpoints
from stretto.engine.pins import Pin, pin_of
from stretto.graphs.builder import Graph
from stretto.graphs.compile import compile_workflow
from stretto.graphs.crew import agents_needed, agents_required
from stretto.graphs.runtime import Services
from stretto.graphs.spec import Workflow

T = TypeVar("T")
MAX_GRAPHS = 256
"""Compiled workflows that are kept; chat messages may bring new ones without end."""


class Readiness:
    """Makes workflows ready, each once."""

    def __init__(
        self,
        saver: "BaseCheckpointSaver[Any]",
        services: Services,
        find: Callable[[str], Workflow],
        open_model: OpenModel | None,
    ) -> None:
        """Make them ready for one engine; see ``Launcher``."""
        self._saver = saver
        self._services = services
        self._find = find
        self._open_model = open_model
        self._pins: dict[str, Pin] = {}
        self._graphs: dict[str, Graph] = {}
        self._prepared: dict[str, bool] = {}
        self._endpoints = Endpoints()

    def forget(self) -> None:
        """Begin anew from now on, because agents or workflows were added."""
        self._pins.clear()
        self._graphs.clear()
        self._prepared.clear()

    def pin(self, workflow: Workflow, uses: Mapping[str, Workflow] | None = None) -> Pin:
        """Pin a workflow to the workflows that it uses.

        Args:
            workflow: what is to run.
            uses: what it used when its run began; if nothing, what there is now.

        """
        if uses:
            return Pin(workflow, uses, self._find)
        digest = workflow.digest
        if digest not in self._pins:
            _keep(self._pins, digest, pin_of(workflow, self._find))
        return self._pins[digest]

    def graph(self, pin: Pin) -> Graph:
        """Give the compiled graph of a workflow.

        Raises:
            WorkflowInvalid: the workflow has faults.

        """
        if pin.digest not in self._graphs:
            graph = compile_workflow(
                pin.workflow,
                checkpointer=self._saver,
                services=self._services,
                find=pin.find,
            )
            _keep(self._graphs, pin.digest, graph)
        return self._graphs[pin.digest]

    async def prepare(self, pin: Pin) -> None:
        """Let every agent that a workflow may ask open what it needs, once.

        Raises:
            ConfigurationError: a model, a key or a prompt is not there.

        """
        if pin.digest in self._prepared:
            return
        for agent in agents_needed(pin.workflow, self._services.agents, pin.find).values():
            if isinstance(agent.target, PreparedAgent):
                await agent.target.prepare(self._open_model)
        _keep(self._prepared, pin.digest, True)

    async def reach(self, pin: Pin) -> None:
        """See whether the models that a prepared workflow cannot do without can be reached.

        Raises:
            ConfigurationError: nothing listens at the endpoint of one.

        """
        required = agents_required(pin.workflow, self._services.agents, pin.find)
        await self._endpoints.check(required)


def _keep(known: dict[str, T], digest: str, value: T) -> None:
    """Keep what is known of a workflow, and forget the oldest where that would be too many."""
    if len(known) >= MAX_GRAPHS:
        del known[next(iter(known))]
    known[digest] = value
