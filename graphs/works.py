"""What each plain kind of step does: an agent call, an HTTP request, an approval, a transform."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

from langgraph.types import interrupt

from stretto.agents.agent import Task
from stretto.agents.http import send_request
from stretto.agents.registry import AgentRegistry, RegisteredAgent
from stretto.errors import StepFailed
from stretto.graphs.attempts import Attempts, Result, publisher
from stretto.graphs.call import StepCall, Work
from stretto.graphs.expressions import Expression, compile_expression
from stretto.graphs.plan import StepPlan, holds
from stretto.graphs.spec import Approval, Http, OtherAgent, Step
from stretto.graphs.templates import compile_template
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
        return await Attempts(call, choose(call), _task(call)).run()

    return run


def other_agent_work(plan: StepPlan, agents: AgentRegistry) -> Work | None:
    """Call the agent of ``on_error``, if the step has one."""
    other = plan.policy.on_error
    if not isinstance(other, OtherAgent):
        return None

    async def run(call: StepCall) -> Result:
        return await Attempts(call, (agents.get(other.agent),), _task(call)).run()

    return run


def transform_work(plan: StepPlan) -> Work:
    """Apply a step's transforms to its input."""

    async def run(call: StepCall) -> Result:
        call.begin()
        return Result(_transform(call, call.input))

    return run


def http_work(plan: StepPlan, http: Http) -> Work:
    """Send one request; its retries and deadline are those of an agent call."""
    request = compile_template(
        {
            "url": http.url,
            "headers": http.headers,
            "query": http.query,
            "json": http.json_,
            "body": http.body,
        },
        plan.declared,
    )

    async def send(task: Task) -> Any:
        return await send_request(
            method=http.method, allow_private=http.allow_private, **task.params
        )

    client = RegisteredAgent("http", frozenset(), 100, send_agent(send))

    async def run(call: StepCall) -> Result:
        task = Task(params=call.render(request), run_id=call.scope.run["id"])
        return await Attempts(call, (client,), task).run()

    return run


def approval_work(plan: StepPlan, approval: Approval) -> Work:
    """Ask a person, and ask again as long as the answer is none of the options."""
    message = compile_template(approval.message, plan.declared)

    async def run(call: StepCall) -> Result:
        call.begin()
        question: dict[str, Any] = {
            "step": call.path,
            "message": call.render(message),
            "options": list(approval.options),
        }
        if approval.deadline is not None:
            asked_until = call.scope.asked_until.get(call.path)
            question["deadline_at"] = asked_until or time.time() + approval.deadline
            question["on_deadline"] = approval.on_deadline
        while True:
            answer = interrupt(question)
            decision = decide(answer, approval.options)
            if decision is not None:
                return Result(decision)
            question = {**question, "error": f"{answer!r} is none of the options"}

    return run


def decide(answer: Any, options: tuple[str, ...]) -> dict[str, Any] | None:
    """Read a person's answer.

    Args:
        answer: an option, or a mapping with ``choice`` and whatever else the person says.
        options: what may be chosen.

    Returns:
        A mapping with ``choice`` (one of the options) and the rest of the answer; None when the
        answer is none of the options.

    Raises:
        StepFailed: nobody answered in time and there is no default.

    """
    given = cast(dict[str, Any], answer) if isinstance(answer, dict) else {"choice": answer}
    if given.get("expired"):
        raise StepFailed("nobody answered before the deadline", code="approval_expired")
    return dict(given) if given.get("choice") in options else None


def send_agent(function: Callable[[Task], Awaitable[Any]]) -> Any:
    """Wrap a coroutine function of ours so that it is called like an agent."""
    from stretto.agents.agent import FunctionAgent

    return FunctionAgent(function, name="http")


def _task(call: StepCall) -> Task:
    frame, step = call.activation.frame, call.plan.step
    return Task(
        action=step.action,
        params=call.render(call.plan.params),
        input=call.input,
        inputs=call.inputs,
        context=frame.roots.get("context") or {},
        run_id=call.scope.run["id"],
        step_id=step.id,
        messages=frame.messages,
        idempotency_key=f"{call.scope.run['id']}/{call.path}",
        usage=call.scope.usage,
        publish=publisher(call),
    )


def _transform(call: StepCall, value: Any) -> Any:
    try:
        return apply_transforms(call.plan.step.transform, value)
    except TransformError as error:
        raise StepFailed(str(error), code="transform_failed") from error


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
