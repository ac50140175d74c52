"""Where a run stands: a pure fold of its events."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from stretto.engine.steps import (
    AFTERMATH,
    CHANGES,
    FALLBACK,
    SETTLED,
    StepState,
    StepStatus,
    so_far,
)
from stretto.events import RunEvent
from stretto.graphs.spec import Workflow
from stretto.graphs.topology import critical_path

State = Literal["queued", "running", "waiting", "completed", "failed", "cancelled"]
_STATES: Mapping[str, State] = {
    "workflow_started": "running",
    "workflow_resumed": "running",
    "workflow_waiting": "waiting",
    "workflow_completed": "completed",
    "workflow_failed": "failed",
    "workflow_cancelled": "cancelled",
}
__all__ = ["RunStatus", "State", "StepState", "StepStatus", "fold"]
_ID = re.compile(r"[^/#\[]+")


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Where a run stands."""

    run_id: str
    workflow: str
    state: State
    progress: float
    """Share of the workflow's own steps that are settled, 0 to 1."""
    current_steps: tuple[str, ...]
    """Paths of the steps that run or wait; a container gives way to what runs inside it."""
    steps: tuple[StepStatus, ...]
    """The workflow's own steps as declared, then any others that were seen."""
    total_execution_time: float
    """Seconds the run was active; the time it waited or was crashed is left out."""
    critical_path: tuple[str, ...]
    """The longest chain of steps, by measured times where known, else by estimates."""

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form."""
        return asdict(self)


def fold(
    events: Iterable[RunEvent], workflow: Workflow | None = None, now: float | None = None
) -> RunStatus:
    """Compute where a run stands from everything that happened in it.

    Args:
        events: all events of the run in order.
        workflow: what is run; without it only steps that were seen are known.
        now: seconds since the epoch, to count what still runs up to now; the last event if None.

    """
    view = _View(own=frozenset(step.id for step in workflow.steps) if workflow else frozenset())
    for event in events:
        view.apply(event)
    return view.status(workflow, now)


@dataclass(slots=True)
class _View:
    """What is known after some of the events."""

    own: frozenset[str]
    """The ids of the workflow's own steps, as far as they are known."""
    run_id: str = ""
    workflow: str = ""
    state: State = "queued"
    steps: dict[str, StepStatus] = field(default_factory=dict[str, StepStatus])
    active: float = 0.0
    since: float | None = None
    last: float = 0.0

    def apply(self, event: RunEvent) -> None:
        """Take one more event into account."""
        if event.event in _STATES:
            self._enter(event)
        elif event.step is not None and (change := CHANGES.get(event.event)):
            step = self.steps.get(event.step) or StepStatus(event.step)
            agent = event.data.get("agent") or step.agent
            self.steps[event.step] = change(replace(step, agent=agent), event)
        self.run_id = event.run_id
        self.last = max(self.last, event.at)

    def _enter(self, event: RunEvent) -> None:
        self.workflow = event.data.get("workflow") or self.workflow
        if event.event == "workflow_resumed":
            if self.state in ("completed", "failed"):  # whether it fails again is to be seen
                self.steps = {p: s for p, s in self.steps.items() if not self._is_after(p)}
            # Whatever was open when the process died or the run waited starts anew.
            self._stop(self.last)
            self.last = event.at  # the clock may have stepped back meanwhile
            self._reset("pending", "running", "waiting", "not_run")
        self.state = _STATES[event.event]
        if self.state == "running":
            self.since = event.at
            return
        # Nobody was at work on a run that is cancelled after its process died.
        self._stop(event.at if event.data.get("at_work", True) else self.last)
        if self.state == "waiting":
            self._wait(event.data.get("interrupts") or ())
        else:
            self._reset("not_run", "running", "waiting")

    def _is_after(self, path: str) -> bool:
        """Tell whether a path is that of what runs after the steps, because the run failed."""
        return _id(path) in AFTERMATH - self.own

    def _stop(self, at: float) -> None:
        if self.since is not None:
            self.active += max(at - self.since, 0.0)
            self.since = None

    def _reset(self, state: StepState, *states: StepState) -> None:
        for path, step in self.steps.items():
            if step.state in states:
                self.steps[path] = StepStatus(path, state, step.attempts, agent=step.agent)

    def _wait(self, interrupts: Iterable[Mapping[str, Any]]) -> None:
        for interrupt in interrupts:
            path = interrupt.get("step")
            for name in _prefixes(path) if path else ():
                step = self.steps.get(name) or StepStatus(name)
                self.steps[name] = replace(step, state="waiting")

    def status(self, workflow: Workflow | None, now: float | None) -> RunStatus:
        """Give the status at ``now``."""
        until = self.last if now is None else max(now, self.last)
        known = {path: so_far(step, until) for path, step in self.steps.items()}
        own = [step.id for step in workflow.steps] if workflow else []
        seen = dict.fromkeys(_id(path) for path in known)
        ids = [*own, *(name for name in seen if name not in own)]
        unseen: StepState = "not_run" if self.state in ("failed", "cancelled") else "pending"
        steps = tuple(self._step(name, known, unseen) for name in ids)
        going = 0.0 if self.since is None else max(until - self.since, 0.0)
        return RunStatus(
            run_id=self.run_id,
            workflow=workflow.name if workflow else self.workflow,
            state=self.state,
            progress=self._progress(steps[: len(own)] if workflow else steps),
            current_steps=_current(known),
            steps=steps,
            total_execution_time=self.active + going,
            critical_path=_critical(workflow, steps),
        )

    def _step(self, name: str, known: Mapping[str, StepStatus], unseen: StepState) -> StepStatus:
        """Give a step; one without events of its own is judged by those inside it."""
        if name in known and not self._is_after(name):
            return known[name]
        inside = {step.state for path, step in known.items() if _id(path) == name}
        states: tuple[StepState, ...] = ("running", "waiting")
        if self._is_after(name) and not inside.intersection(states):
            if name == FALLBACK and self.state == "completed":  # whatever failed in it since
                return StepStatus(name, "completed")
            inside = {step.state for path, step in known.items() if _parent(path) == name}
            states = ("failed", "not_run", "pending", "completed", "skipped")
        for state in states:
            if state in inside:
                return StepStatus(name, state)
        return StepStatus(name, unseen)

    def _progress(self, steps: tuple[StepStatus, ...]) -> float:
        if self.state == "completed":
            return 1.0
        return sum(step.state in SETTLED for step in steps) / len(steps) if steps else 0.0


def _id(path: str) -> str:
    found = _ID.match(path)
    return found[0] if found else path


def _prefixes(path: str) -> tuple[str, ...]:
    """List a path and the step of the workflow it is in."""
    return tuple(dict.fromkeys((_id(path), path)))


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _current(known: Mapping[str, StepStatus]) -> tuple[str, ...]:
    active = [path for path, step in known.items() if step.state in ("running", "waiting")]
    return tuple(
        path
        for path in active
        if not any(other.startswith((f"{path}/", f"{path}#", f"{path}[")) for other in active)
    )


def _critical(workflow: Workflow | None, steps: tuple[StepStatus, ...]) -> tuple[str, ...]:
    if workflow is None:
        return ()
    # A step that was skipped took no time, whatever its estimate says.
    measured = {step.id: step.execution_time or 0.0 for step in steps if step.state in SETTLED}
    return tuple(step.id for step in critical_path(workflow.steps, measured))
