"""What the plain kinds of step do: an agent call, a transform."""

from collections.abc import Callable
from typing import Any

from stretto.agents.agent import Task
from stretto.agents.human import Asked
from stretto.agents.registry import AgentRegistry, RegisteredAgent
from stretto.errors import StepFailed
from stretto.graphs.asking import ask, ask_again
from stretto.graphs.attempts import Attempts, Result, publisher
from stretto.graphs.call import StepCall, Work
from stretto.graphs.expressions import Expression, compile_expression
from stretto.graphs.jsonable import unfit
from stretto.graphs.memories import scope_of_call
from stretto.graphs.plan import StepPlan, holds
from stretto.graphs.spec import OtherAgent, Step
from stretto.graphs.transforms import TransformError, apply_transforms

Choose = Callable[[StepCall], tuple[RegisteredAgent, ...]]
"""Gives the agents that could make a call."""


def transformed(work: Work, plan: StepPlan) -> Work:
    """Apply a step's transforms to what its work gives."""
    transforms = plan.step.transform
    if not transforms or plan.step.kind == "transform":
        return work

    async def run(call: StepCall) -> Result:
        result = await work(call)
        return Result(_transform(call, result.output), result.undo)

    return run


def agent_work(plan: StepPlan, agents: AgentRegistry) -> Work:
    """Call one of the agents that a step names, by name, capability or rules."""
    choose = _chooser(plan.step, plan.declared, agents)

    async def run(call: StepCall) -> Result:
        return ask_again(call) or await _asked_or_done(call, choose(call))

    return run


def other_agent_work(plan: StepPlan, agents: AgentRegistry) -> Work | None:
    """Call the agent of ``on_error``, if the step has one."""
    other = plan.policy.on_error
    if not isinstance(other, OtherAgent):
        return None

    async def run(call: StepCall) -> Result:
        return await _asked_or_done(call, (agents.get(other.agent),))

    return run


def transform_work(plan: StepPlan) -> Work:
    """Apply a step's transforms to its input."""

    async def run(call: StepCall) -> Result:
        call.begin()
        return Result(_transform(call, call.input))

    return run


async def _asked_or_done(call: StepCall, agents: tuple[RegisteredAgent, ...]) -> Result:
    """Call an agent; what it has to ask a person is asked in its place."""
    try:
        return await Attempts(call, agents, _task(call)).run()
    except Asked as asked:
        return ask(call, asked.question)


def _task(call: StepCall) -> Task:
    frame, step = call.activation.frame, call.plan.step
    return Task(
        action=step.action,
        params=call.render(call.plan.params),
        input=call.input,
        inputs=call.inputs,
        context=frame.roots.get("context") or {},
        run_id=call.scope.run["id"],
        step_id=call.path.rpartition("/")[2],  # of an item of a map, its step with its place
        messages=frame.messages,
        idempotency_key=f"{call.scope.run['id']}/{call.path}",
        usage=call.scope.usage,
        publish=publisher(call),
        scope=scope_of_call(call),
        host_memory=call.services.memory,
    )


def _transform(call: StepCall, value: Any) -> Any:
    try:
        given = apply_transforms(call.plan.step.transform, value)
    except TransformError as error:
        raise StepFailed(str(error), code="transform_failed") from error
    if (found := unfit(given)) is not None:
        raise StepFailed(f"the transforms give {found}, which cannot be kept", code="not_json")
    return given


def _chooser(step: Step, declared: frozenset[str], agents: AgentRegistry) -> Choose:
    if step.agent is not None:
        named = (agents.get(step.agent),)
        return lambda call: named
    if step.capability is not None:
        able = agents.able(step.capability)
        return lambda call: able
    assert step.select is not None
    rules: list[tuple[Expression, RegisteredAgent]] = [
        (compile_expression(rule.when, declared), agents.get(rule.agent))
        for rule in step.select.rules
    ]
    others = tuple(agents.get(name) for name in step.select.agents)

    def choose(call: StepCall) -> tuple[RegisteredAgent, ...]:
        for condition, agent in rules:
            if holds(condition, call.names):
                return (agent,)
        if not others:
            raise StepFailed("no rule of 'select' holds and it lists no agents", code="no_agent")
        return others

    return choose
