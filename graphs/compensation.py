"""What happens once a run has failed: compensations in reverse order, clean-up, the fallback."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphBubbleUp
from langgraph.runtime import Runtime

from stretto.agents.agent import Task
from stretto.agents.registry import AgentRegistry
from stretto.errors import StepFailed
from stretto.events import EventType
from stretto.graphs.activation import Activation
from stretto.graphs.attempts import Attempts, publisher
from stretto.graphs.builder import END, Builder, Node
from stretto.graphs.call import StepCall
from stretto.graphs.causes import describe
from stretto.graphs.expressions import Names
from stretto.graphs.frames import complete_frame
from stretto.graphs.plan import StepPlan, render
from stretto.graphs.region import MakeFrame, Region
from stretto.graphs.runtime import Services
from stretto.graphs.spec import Policy, Step, Workflow
from stretto.graphs.state import RunState
from stretto.graphs.templates import Template, compile_template

SETTLE, COMPENSATE, ON_FAILURE, FALLBACK = "(settle)", "(compensate)", "(on failure)", "(fallback)"
Undo = Callable[[StepCall, Any], dict[str, dict[str, Any]]]
Aftermath = Node


def undo_of(plan: StepPlan) -> Undo:
    """Make the function that resolves what undoes a step, once its output is there."""
    declared, compensate = plan.step.compensate, None
    if declared is not None:
        compensate = compile_template(declared.params, plan.declared)

    def undo(call: StepCall, output: Any) -> dict[str, dict[str, Any]]:
        if declared is None or compensate is None:
            return {}
        entry: dict[str, Any] = {
            "agent": declared.agent,
            "action": declared.action,
            "order": call.scope.order + 1,
        }
        try:
            entry["params"] = _render_with_own(compensate, call, output)
        except StepFailed as error:  # the step has acted: its own outcome stands
            entry["unresolved"] = error.message
        if call.activation.frame.prefix:  # the run's own state has no outputs of inner steps
            entry["output"] = output
        return {call.path: entry}

    return undo


def _render_with_own(template: Template, call: StepCall, output: Any) -> Any:
    """Fill in the params, with the step's own output among the names."""
    names = call.names
    step = call.plan.step
    own = {name: output for name in (step.id, step.output_to) if name}
    visible = {name: names.outputs[name] for name in call.inputs if name in names.outputs}
    outputs = _Over(names.outputs, {**visible, **own})
    return render(template, Names(names.roots, outputs, names.steps))


class _Over(Mapping[str, Any]):
    """One mapping over another, without copying either."""

    def __init__(self, under: Mapping[str, Any], over: Mapping[str, Any]) -> None:
        self._under = under
        self._over = over

    def __getitem__(self, name: str) -> Any:
        return self._over[name] if name in self._over else self._under[name]

    def __iter__(self) -> Any:
        return iter({**dict.fromkeys(self._under), **dict.fromkeys(self._over)})

    def __len__(self) -> int:
        return sum(1 for _ in self)


def failed(state: RunState) -> bool:
    """Tell whether a step failed in a way that ends the workflow."""
    return any(record.get("fatal") for record in (state.get("records") or {}).values())


def next_undo(state: RunState) -> str | None:
    """Give the path of the step to compensate next: the one that completed last."""
    open_entries = {
        path: entry["order"]
        for path, entry in (state.get("undo") or {}).items()
        if entry and "done" not in entry
    }
    return max(open_entries, key=lambda path: open_entries[path]) if open_entries else None


def add_aftermath(
    builder: Builder,
    region: Region,
    workflow: Workflow,
    services: Services,
    make_frame: MakeFrame,
    extras: Mapping[str, Aftermath],
) -> None:
    """Add what follows a failure behind a conditional edge.

    Args:
        builder: the workflow's graph, with its steps.
        region: the steps; the aftermath begins once all of them have ended.
        workflow: what is declared.
        services: who does the compensations.
        make_frame: gives the run's frame.
        extras: the nodes of ``on_failure`` and of the fallback workflow, where there are any.

    """

    # The edge of a node sees that node's writes and not its neighbours', so it must write.
    def settle(state: RunState, activation: Activation) -> Mapping[str, Any]:
        return {"more": activation.halted is not None}

    async def after_steps(state: RunState) -> str:
        return COMPENSATE if state.get("more") else END

    async def after_compensation(state: RunState) -> str:
        return _next(state, extras, ())

    async def after_on_failure(state: RunState) -> str:
        return _next(state, extras, (ON_FAILURE,))

    targets = [COMPENSATE, *extras, END]
    builder.add_node(SETTLE, region.watch(settle))
    builder.add_route(SETTLE, after_steps, [COMPENSATE, END])
    builder.add_node(COMPENSATE, compensator(workflow, services, make_frame))
    builder.add_route(COMPENSATE, after_compensation, targets)
    for name, node in extras.items():
        builder.add_node(name, node)
    if ON_FAILURE in extras:
        builder.add_route(ON_FAILURE, after_on_failure, [*extras, END])


def _next(state: RunState, extras: Mapping[str, Aftermath], done: tuple[str, ...]) -> str:
    if next_undo(state) is not None:
        return COMPENSATE
    return next((name for name in extras if name not in done), END)


def compensator(workflow: Workflow, services: Services, make_frame: MakeFrame) -> Aftermath:
    """Make the node that undoes one step, the last that completed; it is entered once for each."""

    async def compensate(
        state: RunState, config: RunnableConfig, runtime: Runtime[Any]
    ) -> Mapping[str, Any]:
        path = next_undo(state)
        if path is None:
            return {"more": False}
        entry = (state.get("undo") or {})[path]
        frame = await complete_frame(make_frame, state, config, runtime)
        told = frame.scope.emit
        # What is told is that the step was compensated; the call behind it is no step of the run.
        quiet = replace(frame.scope.without_limits(), emit=_tell_nobody)
        frame = replace(frame, scope=quiet, stopping=None)
        plan = _plan(path, entry, workflow.defaults)
        activation = Activation([plan.step.id], {}, frame, RunState(), config, None)
        call = StepCall(plan, workflow, services, activation, config, frame.roots)
        call.input = entry.get("output", (state.get("outputs") or {}).get(path))
        error = entry.get("unresolved") or await _undo(call, entry, services.agents)
        facts = {"step": path, "agent": entry["agent"], "task": entry["action"]}
        told("step_compensated", path, {**facts, "error_message": error})
        undone = {path: {**entry, "done": error is None, "error": error}}
        frame.scope.undo.update(undone)
        return {"undo": undone}

    return compensate


def _tell_nobody(event: EventType, step: str | None, data: dict[str, Any]) -> None:
    """Publish nothing."""


async def _undo(call: StepCall, entry: Mapping[str, Any], agents: AgentRegistry) -> str | None:
    """Call the compensation; give what went wrong, or None. The others follow all the same."""
    task = Task(
        action=entry["action"],
        params=entry["params"],
        input=call.input,
        context=call.roots.get("context") or {},
        run_id=call.scope.run["id"],
        step_id=call.plan.step.id,
        idempotency_key=f"{call.scope.run['id']}/{call.path}",
        usage=call.scope.usage,
        publish=publisher(call),
    )
    try:
        await Attempts(call, (agents.get(entry["agent"]),), task).run()
    except GraphBubbleUp:
        raise
    except Exception as error:
        return describe(error)[1]
    return None


def _plan(path: str, entry: Mapping[str, Any], defaults: Policy) -> StepPlan:
    step = Step.model_construct(id=f"compensate/{path}", action=entry["action"], stream="progress")
    empty = compile_template({}, frozenset())
    policy = defaults.model_copy(update={"cache": None})
    return StepPlan(step, policy, (), None, 0, 0.0, None, empty, None, None, frozenset())
