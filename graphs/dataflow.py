"""One step as a LangGraph node: it waits for its needs, works, and is saved before it counts."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphBubbleUp
from langgraph.runtime import Runtime

from stretto.errors import StepFailed
from stretto.graphs.activation import Activation
from stretto.graphs.attempts import Result
from stretto.graphs.call import NotRun, PartlyDone, Skipped, StepCall, Work
from stretto.graphs.causes import describe
from stretto.graphs.ended import Outcome, Status
from stretto.graphs.jsonable import unfit
from stretto.graphs.plan import StepPlan, holds
from stretto.graphs.runtime import Services
from stretto.graphs.spec import Workflow
from stretto.graphs.state import Record


@dataclass(frozen=True, slots=True)
class StepNode:
    """A planned step and its work, as the region's graph runs it."""

    plan: StepPlan
    work: Work
    recover: Work | None
    """The other agent that is asked once the step's own has failed."""
    undo: Callable[[StepCall, Any], dict[str, dict[str, Any]]]
    """Resolves what undoes the step, once it has completed."""
    workflow: Workflow
    services: Services
    holds_steps: bool = False
    """Whether it is entered again after a stop, to find out what had finished inside."""

    async def run(
        self,
        activation: Activation,
        config: RunnableConfig,
        runtime: Runtime[Any],
        roots: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Carry the step out and give what it writes to the state.

        Args:
            activation: the region's steps and what they know of each other.
            config: LangGraph's configuration of this node.
            runtime: LangGraph's runtime of this node.
            roots: values of expressions where they differ from the region's own.

        """
        step = self.plan.step.id
        if activation.ended(step) is not None:  # an earlier attempt at the run finished it
            return {}
        try:
            # All steps of a region wait at once, so nothing is made for them before this is over.
            await self._wait(activation)
            call = self._call(activation, config, roots)
            outcome = await self._carry_out(call)
        except GraphBubbleUp:
            activation.block(step)
            raise
        update = outcome.update(step)
        await activation.save(runtime, update)
        self._tell(call, outcome)
        if outcome.record.get("fatal"):
            activation.halt(step)
        activation.settle(step, outcome)
        return update

    async def _carry_out(self, call: StepCall) -> Outcome:
        try:
            reason = self._reason_to_skip(call)
            if reason is not None:
                return self._left_out(call, "skipped", reason)
            call.started = time.monotonic()
            self._collect(call)
            result = await self.work(call)
            return self._completed(call, result)
        except NotRun as stop:
            verb = "end" if call.attempts else "start"
            reason = f"'{call.activation.stopping}' failed before it could {verb}"
            outcome = self._left_out(call, "not_run", reason)
            return replace(outcome, partial=stop.partial, undo=stop.undo)
        except Skipped as error:
            return self._left_out(call, "skipped", str(error))
        except GraphBubbleUp:
            raise
        except PartlyDone as error:
            return await self._failed(call, error.failure, error.partial, error.undo)
        except Exception as error:
            return await self._failed(call, error)

    async def _wait(self, activation: Activation) -> None:
        """Wait for the needs; with join ``any``, until one completed or all have ended."""
        if self.plan.after is not None:
            await activation.futures[self.plan.after]
        if self.plan.step.join == "any":
            await activation.first_completed(self.plan.needs)
            return
        for need in self.plan.needs:
            await activation.futures[need]

    def _call(
        self, activation: Activation, config: RunnableConfig, roots: Mapping[str, Any] | None
    ) -> StepCall:
        roots = activation.frame.roots if roots is None else roots
        return StepCall(self.plan, self.workflow, self.services, activation, config, roots)

    def _reason_to_skip(self, call: StepCall) -> str | None:
        """Look at how the needs ended, and at the guard."""
        activation, needs, join = call.activation, self.plan.needs, self.plan.step.join
        if activation.stopping is not None and not self._may_have_begun(activation):
            raise NotRun
        ended = {need: outcome for need in needs if (outcome := activation.ended(need))}
        call.inputs = {need: o.output for need, o in ended.items() if o.completed}
        if join == "any" and needs and not call.inputs:
            for need in needs:
                activation.futures[need].result()  # one that waits for a person waits with this
            return "nothing that it needs completed"
        if join == "all" and len(call.inputs) < len(needs):
            missing = next(need for need in needs if need not in call.inputs)
            return f"'{missing}' did not complete"
        if self.plan.guard and not holds(self.plan.guard, call.names):
            return f"its condition is false: {self.plan.guard.text}"
        return None

    def _may_have_begun(self, activation: Activation) -> bool:
        """Tell whether this is a container that has to tell what it did before the run stopped."""
        if not (activation.resumed and self.holds_steps):
            return False
        ended = [activation.ended(need) for need in self.plan.needs]
        return self.plan.step.join != "all" or all(o and o.completed for o in ended)

    def _collect(self, call: StepCall) -> None:
        """Give the step its input: its own template, what it names, or all that it needs."""
        step = self.plan.step
        if self.plan.input is not None:
            call.input = call.render(self.plan.input)
        elif len(step.inputs_from) == 1:
            call.input = _named(call, step.inputs_from[0])
        elif step.inputs_from:
            call.input = {name: _named(call, name) for name in step.inputs_from}
        else:
            call.input = call.inputs if self.plan.needs else call.roots["input"]

    def _completed(self, call: StepCall, result: Result) -> Outcome:
        undo = {**result.undo, **self.undo(call, result.output)}
        return Outcome(self._record(call, "completed"), result.output, undo=undo)

    def _left_out(self, call: StepCall, status: Status, reason: str) -> Outcome:
        return Outcome(Record(status=status, round=call.activation.round), reason=reason)

    async def _failed(
        self,
        call: StepCall,
        error: Exception,
        partial: Any = None,
        undo: dict[str, dict[str, Any]] | None = None,
    ) -> Outcome:
        """Follow ``on_error``: the failure, the fallback value, or the other agent."""
        undo = {**call.scope.undo_inside(call.path), **(undo or {})}
        try:
            if self.recover is not None:
                result = await self.recover(call)
                return self._completed(call, Result(result.output, {**undo, **result.undo}))
            if self.plan.fallback is not None:
                value = call.render(self.plan.fallback)
                if (found := unfit(value)) is not None:
                    raise StepFailed(f"the fallback has {found}", code="not_json")
                return Outcome(self._record(call, "completed", error), value, undo=undo)
        except GraphBubbleUp:
            raise
        except Exception as second:
            error = second
        record = self._record(call, "failed", error)
        record["fatal"] = self.plan.policy.on_error != "continue"
        return Outcome(record, partial=partial, undo=undo)

    def _record(self, call: StepCall, status: Status, error: Exception | None = None) -> Record:
        started = call.started or time.monotonic()
        record = Record(
            status=status,
            round=call.activation.round,
            duration=round(time.monotonic() - started, 6),
            attempts=call.attempts,
            agent=call.agent,
            order=call.scope.next_order(),
        )
        if error is not None:
            call.scope.run["errors"] = call.scope.run.get("errors", 0) + 1
            record["code"], record["error"] = describe(error)
        return record

    def _tell(self, call: StepCall, outcome: Outcome) -> None:
        """Publish how the step ended."""
        record = outcome.record
        if outcome.completed:
            replaced: dict[str, Any] = {}  # what a fallback value stands in for
            if "code" in record:
                replaced = {"code": record["code"], "error_message": record.get("error")}
            replaced |= call.told()
            call.emit("agent_completed", duration=record.get("duration", 0.0), **replaced)
        elif outcome.status == "failed":
            code, message = record.get("code"), record.get("error")
            call.emit("agent_error", code=code, error_message=message, **call.told())
        else:
            call.emit("agent_skipped", state=outcome.status, reason=outcome.reason)


def _named(call: StepCall, name: str) -> Any:
    """Give what ``input_from`` names: the run's input or a step's output."""
    if name == "input":
        return call.roots["input"]
    return call.names.outputs.get(name)
