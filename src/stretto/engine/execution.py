"""One run at work: a task of its own that owns the graph, from its start to an end or a wait."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from stretto.agents.agent import Usage
from stretto.engine.lease import Lease
from stretto.engine.log import EventLog
from stretto.engine.records import RunRow
from stretto.engine.resources import Resources
from stretto.engine.result import ResultStatus, RunResult
from stretto.engine.status import fold
from stretto.errors import StepError
from stretto.graphs.causes import describe
from stretto.graphs.compile import make_scope
from stretto.graphs.containers.inside import Graph
from stretto.graphs.outcome import Summary, summarize
from stretto.graphs.runtime import PRIORITIES, RunScope
from stretto.graphs.spec import Workflow
from stretto.graphs.state import RunState
from stretto.graphs.topology import remaining_paths

STOP_CHECK_SECONDS = 0.5
RECURSION_LIMIT = 100_000
"""Supersteps of one run; loops and maps have bounds of their own."""


@dataclass(slots=True)
class Execution:
    """One entry into a run: fresh, resumed, answered or retried."""

    row: RunRow
    workflow: Workflow
    graph: Graph
    resources: Resources
    log: EventLog
    lease: Lease
    entry: Any
    """What the graph is given: an input, None to go on, or a command with answers."""
    resumed: bool = False
    started: float = field(default_factory=time.monotonic)

    async def run(self) -> RunResult:
        """Work until the run ends or waits, and record how; a cancelled run is not recorded here.

        Raises:
            CancelledError: the run was cancelled.

        """
        self.started = time.monotonic()
        scope = await self._open()
        stopper = asyncio.create_task(self._stop_when_asked(asyncio.current_task()))
        try:
            state = await self._drive(scope)
            result = self._read(state, scope)
            await self._learn(state)
        except Exception as error:
            code, message = describe(error)
            failed = Summary(False, None, {}, (StepError("", code, message),))
            result = self._result("failed", failed)
        finally:
            stopper.cancel()
        await self._close(replace(result, usage=scope.usage.to_dict()))
        return result

    async def record_cancelled(self) -> None:
        """Record that the run was cancelled, also when it was still waiting to be admitted."""
        await self._close(self._result("cancelled"))

    async def _open(self) -> RunScope:
        row, now = self.row, time.time()
        attempt = row.attempt + 1
        first = row.started_at or now
        await self.resources.records.update_run(
            row.run_id, state="running", attempt=attempt, started_at=first, ended_at=None
        )
        run = {"id": row.run_id, "started_at": first, "attempt": attempt, "errors": 0}
        scope = make_scope(self.workflow, run, self.log.emit)
        scope.priority = PRIORITIES.index(row.priority)
        if row.usage:
            scope.usage.add(Usage(**{k: row.usage[k] for k in Usage.__slots__}))
        scope.remaining = await self._remaining()
        scope.deadline = await self._deadline()
        facts = {"name": self.workflow.name, "version": self.workflow.version, "attempt": attempt}
        self.log.emit("workflow_resumed" if self.resumed else "workflow_started", None, facts)
        return scope

    async def _remaining(self) -> Mapping[str, float]:
        if self.workflow.mode != "adaptive":
            return {}
        learned = await self.resources.records.durations(self.workflow.id)
        return remaining_paths(self.workflow.steps, learned) if learned else {}

    async def _deadline(self) -> float | None:
        """Give the loop's time by which the run must end; time spent waiting does not count."""
        if self.workflow.timeout is None:
            return None
        await self.log.flush()
        events = await self.resources.records.read_events(self.row.run_id) if self.resumed else []
        used = fold(events, self.workflow).total_execution_time
        return asyncio.get_running_loop().time() + self.workflow.timeout - used

    async def _drive(self, scope: RunScope) -> RunState:
        config = {
            "configurable": {"thread_id": self.row.run_id},
            "recursion_limit": RECURSION_LIMIT,
        }
        entry = self.entry
        while True:
            state: RunState = await self.graph.ainvoke(
                entry, config, context=scope, durability="sync"
            )
            # A failure that ends the run while somebody is still to be asked: the question is
            # void, and entering once more lets its step record that.
            if not (scope.doomed and _questions(state)):
                return state
            entry = None

    def _read(self, state: RunState, scope: RunScope) -> RunResult:
        questions = _questions(state)
        summary = summarize(self.workflow, state, scope.run)
        status: ResultStatus = "completed" if summary.success else "failed"
        if questions:
            status = "waiting"
        return self._result(status, summary, questions)

    def _result(
        self,
        status: ResultStatus,
        summary: Summary | None = None,
        questions: tuple[dict[str, Any], ...] = (),
    ) -> RunResult:
        return RunResult(
            run_id=self.row.run_id,
            workflow=self.workflow.name,
            version=self.workflow.version,
            status=status,
            output=summary.output if summary and status == "completed" else None,
            outputs=summary.outputs if summary else {},
            errors=summary.errors if summary else (),
            interrupts=questions,
            duration_seconds=round(time.monotonic() - self.started, 6),
        )

    async def _close(self, result: RunResult) -> None:
        """Record how it ended: the event first, so that whoever sees the row finds it."""
        event, data = ending(result)
        self.log.emit(event, None, data)
        await self.log.close()
        await self.resources.records.update_run(
            self.row.run_id,
            state=result.status,
            ended_at=time.time(),
            usage=dict(result.usage) or self.row.usage,
            error=result.errors[0].to_dict() if result.errors else None,
        )

    async def _learn(self, state: RunState) -> None:
        records = state.get("records") or {}
        measured = {
            step: record.get("duration", 0.0)
            for step, record in records.items()
            if record.get("status") == "completed"
        }
        await self.resources.records.learn_durations(self.workflow.id, measured)

    async def _stop_when_asked(self, owner: "asyncio.Task[Any] | None") -> None:
        while owner is not None and not self.lease.asked_to_stop:
            await asyncio.sleep(STOP_CHECK_SECONDS)
        if owner is not None:
            owner.cancel()


def ending(result: RunResult) -> tuple[Any, dict[str, Any]]:
    """Give the event that tells how a run ended, and its data."""
    if result.status == "waiting":
        return "workflow_waiting", {"interrupts": [dict(i) for i in result.interrupts]}
    errors = [error.to_dict() for error in result.errors]
    if result.status == "completed":
        return "workflow_completed", {"final_output": final_output(result), "errors": errors}
    return f"workflow_{result.status}", {"errors": errors}


def final_output(result: RunResult) -> dict[str, Any]:
    """Give the summary that ends the event stream of a completed run."""
    failed = len(result.errors)
    done = len(result.outputs)
    return {
        "success_rate": done / (done + failed) if done + failed else 1.0,
        "total_execution_time": result.duration_seconds,
        "output": result.output,
    }


def _questions(state: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    found = state.get("__interrupt__") or ()
    return tuple(
        {
            "id": question.id,
            "step": question.value.get("step") if isinstance(question.value, dict) else None,
            "value": question.value,
        }
        for question in found
    )
