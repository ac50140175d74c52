"""Workflow and agents in, CompiledStateGraph out."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore

from stretto.agents.breaker import Breakers
from stretto.agents.dispatch import Dispatcher
from stretto.agents.health import HealthBook, judge_by
from stretto.agents.registry import AgentRegistry
from stretto.errors import Fault, InputInvalid, WorkflowInvalid
from stretto.graphs.assembly import Assembler
from stretto.graphs.builder import Builder, Graph, enter
from stretto.graphs.causes import counts_against_agent
from stretto.graphs.compensation import FALLBACK, ON_FAILURE, SETTLE, Aftermath, add_aftermath
from stretto.graphs.frames import complete_frame, frame_maker
from stretto.graphs.given import Given, roots_of
from stretto.graphs.library import shipped
from stretto.graphs.limits import LIMITS, Limits
from stretto.graphs.outcome import outputs_of, steps_of, summarize
from stretto.graphs.plan import names_in
from stretto.graphs.region import Region
from stretto.graphs.renewal import enter_anew
from stretto.graphs.runtime import Services
from stretto.graphs.spec import Workflow
from stretto.graphs.state import RunState
from stretto.graphs.topology import walk
from stretto.graphs.validation import find_faults

if TYPE_CHECKING:
    from stretto.memory.recollection import Memory

Find = Callable[[str], Workflow]
"""Gives a workflow by name or ``name@version``."""


def compile_workflow(
    workflow: Workflow,
    agents: AgentRegistry | Iterable[Any] | None = None,
    *,
    checkpointer: "BaseCheckpointSaver[Any] | None" = None,
    store: BaseStore | None = None,
    memory: "Memory | None" = None,
    services: Services | None = None,
    find: Find | None = None,
    limits: Limits | None = None,
) -> Graph:
    """Turn a workflow into a LangGraph graph.

    Args:
        workflow: what is declared.
        agents: who does the work; the shipped agents if None. Not used when ``services`` is given.
        checkpointer: where steps are saved; None for hosts that bring their own.
        store: what nodes find as ``runtime.store``; that of ``memory`` if None.
        memory: what agents find as ``task.memory``. Not used when ``services`` is given.
        services: what an engine shares among its runs; made for this graph alone if None.
        find: finds workflows that are used as steps; among the shipped ones if None.
        limits: how large it may be; the usual limits if None.

    Raises:
        WorkflowInvalid: the workflow has faults; all of them are in it.

    """
    services = services or make_services(agents, memory)
    if faults := find_faults(workflow, services.agents, limits or LIMITS, find):
        raise WorkflowInvalid(faults, workflow.name)
    if store is None and services.memory is not None:
        store = services.memory.store
    return _Compiler(services, find or shipped().get).graph(workflow, checkpointer, store)


def make_services(
    agents: AgentRegistry | Iterable[Any] | None = None, memory: "Memory | None" = None
) -> Services:
    """Make what a graph needs when no engine shares it: the agents, their slots and breakers."""
    if agents is None:
        from stretto.agents.shipped import shipped_agents

        agents = shipped_agents()
    registry = agents if isinstance(agents, AgentRegistry) else AgentRegistry(agents)
    breakers, health = Breakers(counts_against_agent), HealthBook()
    dispatcher = Dispatcher(judge=judge_by(breakers, health))
    return Services(registry, dispatcher, breakers, health=health, memory=memory)


class _Compiler:
    """Compiles a workflow, and with it the workflows that it uses as steps."""

    def __init__(self, services: Services, find: Find) -> None:
        self._services = services
        self._find = find
        self._nested: dict[str, tuple[Workflow, Graph]] = {}
        self._under_way: list[str] = []

    def graph(
        self,
        workflow: Workflow,
        checkpointer: "BaseCheckpointSaver[Any] | None" = None,
        store: BaseStore | None = None,
    ) -> Graph:
        """Build one workflow's graph."""
        make_frame = frame_maker(workflow)
        assembler = Assembler(workflow, self._services, self.nested)
        region = Region(assembler.nodes(workflow.steps), make_frame)
        builder = Builder()
        entries = [*region.add_to(builder)]
        if has_aftermath(workflow):
            extras = self._extras(workflow, assembler, make_frame)
            add_aftermath(builder, region, workflow, self._services, make_frame, extras)
            entries.append(SETTLE)
        enter_anew(builder, entries)
        self._under_way.append(workflow.id)
        for reference in references_of(workflow):
            self.nested(reference)
        self._under_way.pop()
        return builder.compile(checkpointer, workflow.id, store)

    def nested(self, reference: str) -> tuple[Workflow, Graph]:
        """Give a workflow that is used as a step, and its graph."""
        if reference not in self._nested:
            workflow = self._find(reference)
            if workflow.id in self._under_way:
                circle = " -> ".join([*self._under_way, workflow.id])
                message = f"Workflows use each other in a circle: {circle}; take one use out."
                raise WorkflowInvalid([Fault("steps", "cycle", message)], reference)
            if faults := find_faults(workflow, self._services.agents, workflows=self._find):
                raise WorkflowInvalid(faults, reference)
            self._nested[reference] = workflow, self.graph(workflow)
        return self._nested[reference]

    def _extras(
        self, workflow: Workflow, assembler: Assembler, make_frame: Any
    ) -> dict[str, Aftermath]:
        extras: dict[str, Aftermath] = {}
        if workflow.on_failure:
            region = Region(assembler.nodes(workflow.on_failure, names_in(workflow.steps)))
            builder = Builder()
            region.add_to(builder)
            region.enter_from_start(builder)
            extras[ON_FAILURE] = _clean_up(workflow, builder.compile(), make_frame)
        if workflow.fallback_workflow:
            extras[FALLBACK] = self._fall_back(workflow.fallback_workflow, make_frame)
        return extras

    def _fall_back(self, reference: str, make_frame: Any) -> Aftermath:
        async def fall_back(
            state: RunState, config: RunnableConfig, runtime: Runtime[Any]
        ) -> Mapping[str, Any]:
            workflow, graph = self.nested(reference)
            outer = await complete_frame(make_frame, state, config, runtime)
            given = Given(outer.roots["input"], outer.roots["context"])
            try:
                roots = roots_of(workflow, given, outer.scope.run)
            except InputInvalid as error:
                return {"failures": {"fallback": {"code": error.code, "message": error.message}}}
            prefix = f"{outer.prefix}fallback/"
            frame = replace(
                outer, prefix=prefix, doom=None, stopping=None, entered=None, given=given
            )
            ended: Any = await enter(graph, {"round": 0}, frame)
            summary = summarize(workflow, ended, roots)
            if not summary.success:
                failures = {f"fallback/{e.step}": e.to_dict() for e in summary.errors}
                return {"failures": failures}
            output = {FALLBACK: {"output": summary.output}}
            return {"outputs": output, "undo": ended.get("undo") or {}}

        return fall_back


def references_of(workflow: Workflow) -> list[str]:
    """List the workflows that a workflow uses, as steps or when it fails."""
    steps = [*walk(workflow.steps), *walk(workflow.on_failure)]
    used = [step.workflow for _, step in steps] + [workflow.fallback_workflow]
    return [reference for reference in used if reference]


def has_aftermath(workflow: Workflow) -> bool:
    """Tell whether anything may have to be done when the run fails."""
    compensated = any(step.compensate for _, step in walk(workflow.steps))
    return bool(compensated or workflow.on_failure or references_of(workflow))


def _clean_up(workflow: Workflow, graph: Graph, make_frame: Any) -> Aftermath:
    """Run the steps of ``on_failure``; what they give stays out of the run's outputs."""

    async def clean_up(
        state: RunState, config: RunnableConfig, runtime: Runtime[Any]
    ) -> Mapping[str, Any]:
        outer = await complete_frame(make_frame, state, config, runtime)
        frame = replace(
            outer,
            scope=outer.scope.without_limits(),
            prefix=f"{outer.prefix}on_failure/",
            outputs=outputs_of(workflow, state),
            steps=steps_of(state),
            doom=None,
            stopping=None,
            entered=None,
        )
        ended = await enter(graph, {"round": 0}, frame)
        failures = {f"on_failure/{k}": v for k, v in (ended.get("failures") or {}).items()}
        return {"failures": failures}

    return clean_up
