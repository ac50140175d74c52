"""One run at work: from its start, or from where it stopped, to an end or a wait."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.runnables import RunnableConfig

from stretto.agents.health import HealthBook
from stretto.engine.earlier import Earlier, answers_in, look_back, take_over
from stretto.engine.ending import asked_by_step, ending, in_order, questions_of, row_error
from stretto.engine.log import EventLog
from stretto.engine.outputs import save_output
from stretto.engine.records import RunRow
from stretto.engine.reminders import next_due
from stretto.engine.resources import Resources
from stretto.engine.result import ResultStatus, RunResult
from stretto.engine.retry import broke_off
from stretto.engine.snapshot import read_snapshot
from stretto.engine.status import RunStatus
from stretto.errors import ConfigurationError, StepError, StrettoError
from stretto.graphs.builder import Graph
from stretto.graphs.causes import describe
from stretto.graphs.frames import make_scope
from stretto.graphs.given import Given, roots_of
from stretto.graphs.outcome import Summary, summarize
from stretto.graphs.runtime import PRIORITIES, RunScope
from stretto.graphs.spec import Workflow
from stretto.graphs.state import Record, RunState
from stretto.graphs.topology import remaining_paths

RECURSION_LIMIT = 100_000
"""Supersteps of one run; loops and maps have bounds of their own."""
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Execution:
    """One entry into a run: fresh, resumed, answered or retried."""

    row: RunRow
    workflow: Workflow
    graph: Graph
    resources: Resources
    log: EventLog
    health: HealthBook
    entry: Any
    """What the graph is given: an input, None to go on, or a command with answers."""
    closing: bool = False
    """Whether the work is over and only its end is being recorded."""
    before: float = 0.0
    """Seconds that the run was active in earlier entries."""
    started: float | None = None
    scope: RunScope | None = None

    async def run(self) -> RunResult:
        """Work until the run ends or waits, and record how; a cancelled run is not recorded here.

        Raises:
            CancelledError: the run was cancelled.
            ConfigurationError: what happened cannot be recorded.

        """
        self.started = time.monotonic()
        scope = self.scope = await self._open()
        try:
            state = await self._drive(scope)
            self.closing = True
            result = await self._read(state, scope)
        except Exception as error:
            self.closing = True
            result = await self._broken(error)
        await self._close(result)
        return result

    async def record_cancelled(self) -> None:
        """Record that the run was cancelled, also when it was still waiting to be admitted."""
        self.closing = True
        await self._close(self._result("cancelled"))

    async def _open(self) -> RunScope:
        row, flow, now = self.row, self.workflow, time.time()
        attempt, first = row.attempt + 1, row.started_at or now
        earlier = await self._earlier() if row.attempt else None
        self.before = earlier.status.total_execution_time if earlier else 0.0
        await self.resources.records.update_run(
            row.run_id,
            state="running",
            attempt=attempt,
            started_at=first,
            ended_at=None,
            deadline_at=None,
        )
        run = {"id": row.run_id, "started_at": first, "attempt": attempt, "errors": 0}
        scope = make_scope(flow, run, self.log.emit)
        scope.given, scope.session = self._given(), self.row.session_id
        scope.priority = PRIORITIES.index(row.priority)
        scope.remaining = await self._remaining()
        if flow.timeout is not None:
            # The time that the run waited, or was crashed, does not count: see ``take_over``.
            scope.deadline = asyncio.get_running_loop().time() + flow.timeout
        facts: dict[str, Any] = {"workflow": flow.name, "name": flow.name, "version": flow.version}
        facts["attempt"] = attempt
        if earlier is None:
            self.log.emit("workflow_started", None, facts)
        else:
            await self._take_up(scope, earlier, facts)
        return scope

    def _given(self) -> Given:
        return Given(self.row.input or {}, self.row.context)

    async def _earlier(self) -> Earlier:
        events = await self.resources.records.read_events(self.row.run_id)
        return look_back(events, self.workflow, self.row.usage)

    async def _take_up(self, scope: RunScope, earlier: Earlier, facts: dict[str, Any]) -> None:
        """Take over what is saved: the open questions, and completions nobody was told of."""
        snapshot = await read_snapshot(self.resources.saver, self.row.run_id)
        questions = snapshot.interrupts if snapshot else ()
        facts |= {"spent": earlier.usage.to_dict()}
        if answers := answers_in(self.entry, questions):
            facts["answers"] = answers
        self.log.emit("workflow_resumed", None, facts)
        await self.log.flush()  # so that nobody is asked again for what they answered
        self.entry = take_over(scope, earlier, self.entry, questions)
        scope.asked = asked_by_step(questions)
        if snapshot is not None:
            self._make_up_for_lost_events(snapshot.state.get("records") or {}, earlier.status)

    def _make_up_for_lost_events(self, saved: Mapping[str, Record], earlier: RunStatus) -> None:
        """Tell of steps that were saved as completed right before a crash took their event."""
        told = {step.id for step in earlier.steps if step.state == "completed"}
        for step in self.workflow.steps:
            record = saved.get(step.id, Record())
            if record.get("status") == "completed" and step.id not in told:
                data: dict[str, Any] = {
                    "step": step.id,
                    "agent": record.get("agent"),
                    "task": step.action or step.kind,
                    "attempt": record.get("attempts", 1),
                    "duration": record.get("duration", 0.0),
                    "restored": True,
                }
                self.log.emit("agent_completed", step.id, data)

    async def _remaining(self) -> Mapping[str, float]:
        if self.workflow.mode != "adaptive":
            return {}
        learned = await self.resources.records.durations(self.workflow.id)
        return remaining_paths(self.workflow.steps, learned) if learned else {}

    async def _drive(self, scope: RunScope) -> RunState:
        config: RunnableConfig = {
            "configurable": {"thread_id": self.row.run_id},
            "recursion_limit": RECURSION_LIMIT,
        }
        graph: Any = self.graph  # its types say nothing of the state that it is over
        entry, asked = self.entry, frozenset[str]()
        while True:
            state: RunState = await graph.ainvoke(entry, config, context=scope, durability="sync")
            questions = questions_of(state)
            before, asked = asked, frozenset(question["id"] for question in questions)
            # A failure that ends the run while somebody is still to be asked: the question is
            # void, and entering once more lets its step record that. One because of it is not.
            if not (scope.doomed and broke_off(self.workflow, state)) or asked <= before:
                return state
            entry, scope.asked = None, asked_by_step(questions)

    async def _read(self, state: RunState, scope: RunScope) -> RunResult:
        questions = in_order(questions_of(state), self.workflow)
        roots = roots_of(self.workflow, self._given(), scope.run)
        summary = summarize(self.workflow, state, roots)
        status: ResultStatus = "completed" if summary.success else "failed"
        result = self._result("waiting" if questions else status, summary, questions)
        if result.success:
            folder = self.resources.outputs
            error = await save_output(folder, self.workflow, state, roots, result.output)
            if error is not None:
                result = replace(result, errors=(*result.errors, error))
        await self._learn(state)
        return result

    async def _broken(self, error: Exception) -> RunResult:
        """Give the result of a run that something outside its steps ended: what was saved of it."""
        logger.debug("run %s broke off", self.row.run_id, exc_info=error)
        code, message = describe(error)
        if not isinstance(error, StrettoError):
            code = "run_broke_off"
        summary = Summary(False, None)
        with contextlib.suppress(Exception):  # the same thing may keep us from reading, too
            snapshot = await read_snapshot(self.resources.saver, self.row.run_id)
            if snapshot is not None:
                roots = roots_of(self.workflow, self._given(), {"id": self.row.run_id})
                summary = summarize(self.workflow, snapshot.state, roots)
        errors = (*summary.errors, StepError("", code, message))
        return self._result("failed", replace(summary, errors=errors))

    def _result(
        self,
        status: ResultStatus,
        summary: Summary | None = None,
        questions: tuple[dict[str, Any], ...] = (),
    ) -> RunResult:
        now = time.monotonic()
        return RunResult(
            run_id=self.row.run_id,
            workflow=self.workflow.name,
            version=self.workflow.version,
            status=status,
            output=summary.output if summary and status == "completed" else None,
            outputs=summary.outputs if summary else {},
            errors=summary.errors if summary else (),
            interrupts=questions,
            duration_seconds=round(self.before + now - (self.started or now), 6),
            usage=self.scope.usage.to_dict() if self.scope else self.row.usage or {},
        )

    async def _close(self, result: RunResult) -> None:
        """Record how it ended: the event first, so that whoever sees the row finds it."""
        event, data = ending(result, self.workflow)
        self.log.emit(event, None, data)
        await self.log.close()
        await self.resources.records.update_run(
            self.row.run_id,
            state=result.status,
            ended_at=None if result.status == "waiting" else time.time(),
            usage=dict(result.usage) or None,
            error=row_error(result),
            deadline_at=next_due(result.interrupts),
        )

    async def _learn(self, state: RunState) -> None:
        records = state.get("records") or {}
        measured = {
            step: record.get("duration", 0.0)
            for step, record in records.items()
            if record.get("status") == "completed"
        }
        try:
            with self.health.taken() as rows:
                await self.resources.records.learn(self.workflow.id, measured, rows)
        except ConfigurationError as error:  # an estimate is not worth a result
            logger.warning("nothing was learned from run %s: %s", self.row.run_id, error)
