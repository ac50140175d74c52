"""One step being carried out: what it sees, how it competes for a slot, what it publishes."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from langchain_core.runnables import RunnableConfig

from stretto.agents.dispatch import Rank, Slot
from stretto.agents.registry import RegisteredAgent
from stretto.agents.usage import Usage
from stretto.events import EventType
from stretto.graphs.activation import Activation
from stretto.graphs.attempts import Result
from stretto.graphs.expressions import Names
from stretto.graphs.lookup import visible_names
from stretto.graphs.plan import StepPlan, render
from stretto.graphs.runtime import ReadyStep, RunScope, Services
from stretto.graphs.spec import Workflow
from stretto.graphs.templates import Template


class NotRun(Exception):
    """The region is ending, so this step does not start, or a container does not go on."""

    def __init__(self, partial: Any = None, undo: dict[str, dict[str, Any]] | None = None) -> None:
        """Carry what a container had finished inside."""
        super().__init__()
        self.partial = partial
        self.undo = undo or {}


class Skipped(Exception):
    """There turned out to be nothing to do; the message says why."""


class PartlyDone(Exception):
    """A container failed; ``failure`` is what its step failed with, the rest is to be kept."""

    def __init__(
        self, failure: Exception, partial: Any, undo: dict[str, dict[str, Any]] | None = None
    ) -> None:
        """Carry what had been finished inside beside the failure."""
        super().__init__(str(failure))
        self.failure = failure
        self.partial = partial
        self.undo = undo or {}


@dataclass(slots=True)
class StepCall:
    """One step being carried out in one activation of its region."""

    plan: StepPlan
    workflow: Workflow
    services: Services
    activation: Activation
    config: RunnableConfig
    roots: Mapping[str, Any]
    """Values of ``input``, ``context``, ``run``, and of the item in a map."""
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    input: Any = None
    started: float = 0.0
    attempts: int = 0
    agent: str | None = None
    """Who made the last attempt."""
    spent: Usage | None = None
    """What the models of the last attempt cost."""
    facts_told: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the agent told of how it worked at the last attempt."""

    scope: RunScope = field(init=False)
    """The run that the step belongs to."""
    path: str = field(init=False)
    """Where the step is in the run: ``refine#2/draft``."""

    task: str = field(init=False)
    """What events call its work: the action, or what kind of step it is."""

    def __post_init__(self) -> None:
        """Look up what every use would look up again."""
        self.scope = self.activation.frame.scope
        self.path = f"{self.activation.frame.prefix}{self.plan.step.id}"
        self.task = self.plan.step.action or self.plan.step.kind

    @property
    def names(self) -> Names:
        """What the step's expressions can see."""
        names = visible_names(self.activation)
        return Names(self.roots, names.outputs, names.steps)

    def render(self, template: Template) -> Any:
        """Fill a template in with what the step can see.

        Raises:
            StepFailed: one of its references cannot be evaluated.

        """
        return render(template, self.names) if template.expressions else template.value

    @property
    def facts(self) -> dict[str, Any]:
        """What every event of the step says."""
        return {"step": self.path, "agent": self.agent, "task": self.task}

    def told(self) -> dict[str, Any]:
        """Give what the last attempt told of itself: its model, its prompt, what it cost."""
        if self.spent is None or not self.spent.calls:
            return dict(self.facts_told)
        return {**self.facts_told, "usage": self.spent.to_dict()}

    def emit(self, event: EventType, **data: Any) -> None:
        """Publish an event of this step."""
        self.scope.emit(event, self.path, {**self.facts, "attempt": self.attempts, **data})

    def begin(self, **data: Any) -> None:
        """Note and publish that an attempt begins."""
        self.attempts += 1
        self.emit("agent_started", **data)

    async def acquire(self, agents: tuple[RegisteredAgent, ...] = ()) -> Slot:
        """Compete for a slot of the run and of one of ``agents``; ``release`` gives it back.

        Raises:
            NotRun: the region began to end while this step waited for its first attempt.

        """
        dispatcher = self.services.dispatcher
        gate = self.activation.frame.gate or self.scope.gate
        ready = self._compete() if self.services.rules else None
        try:
            slot = await dispatcher.acquire(agents, gate, lambda: self._rank(ready))
        finally:
            if ready is not None:
                self.scope.withdraw(ready)
        if self.activation.stopping is not None and not self.attempts:
            dispatcher.release(slot)
            raise NotRun
        return slot

    def release(self, slot: Slot) -> None:
        """Give a slot back."""
        self.services.dispatcher.release(slot)

    def _remaining(self) -> float:
        """Give the seconds from here to the end of the run, learned ones before estimated ones."""
        frame = self.activation.frame
        static = f"{frame.static}{self.plan.step.id}"
        return self.scope.remaining.get(static, self.plan.remaining) + frame.beyond

    def _compete(self) -> ReadyStep:
        """Show this step to the adaptation rules beside all that wait, and apply the boosts."""
        ready = ReadyStep(self.plan.step, self.path, self._remaining(), self.plan.position)
        self.scope.ready.append(ready)
        for other in self.scope.ready:
            other.priority_boost = 0.0
        for rule in self.services.rules:
            rule(self.workflow, self.scope.ready)
        self.services.dispatcher.reorder()
        return ready

    def _rank(self, ready: ReadyStep | None) -> Rank:
        """Order by the run's priority, then the rules' boost, then by the workflow's mode."""
        outer = self.activation.frame.rank
        if self.workflow.mode == "adaptive":
            place = -self._remaining(), *outer
        elif self.workflow.mode == "pipeline":
            place = *outer, -float(self.plan.position)
        else:
            place = outer
        return self.scope.priority, -ready.priority_boost if ready else 0.0, place


Work = Callable[[StepCall], Awaitable[Result]]
"""What a kind of step does once its inputs are there."""
