"""What a running graph shares in process: the host's services, the run, a region's place in it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from langgraph.cache.base import BaseCache
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore

from stretto.agents.breaker import Breakers
from stretto.agents.dispatch import Dispatcher, Gate
from stretto.agents.health import HealthBook
from stretto.agents.models.limits import ModelLimits
from stretto.agents.registry import AgentRegistry
from stretto.agents.usage import Usage
from stretto.errors import StepTimedOut
from stretto.events import EventType
from stretto.graphs.given import Given
from stretto.graphs.spec import Budget, Step, Workflow

if TYPE_CHECKING:
    from stretto.graphs.activation import Activation
    from stretto.memory.recollection import Memory

Emit = Callable[[EventType, str | None, dict[str, Any]], object]
"""Publishes an event: its type, the step's path, its data."""
PRIORITIES = ("critical", "high", "medium", "low", "background")


@dataclass(slots=True, eq=False)
class ReadyStep:
    """A step that could start now and competes for a slot; adaptation rules raise its boost."""

    step: Step
    path: str
    remaining: float
    """Seconds from its start to the end of the workflow along the longest path, as estimated."""
    position: int
    """Where it stands in the order of the workflow."""
    priority_boost: float = 0.0

    @property
    def id(self) -> str:
        """The step's id."""
        return self.step.id

    def __eq__(self, other: object) -> bool:
        """Compare by step id, so that ``ready in workflow.critical_path()`` works."""
        return isinstance(other, ReadyStep | Step) and other.id == self.id

    def __hash__(self) -> int:
        """Hash by step id."""
        return hash(self.id)


class AdaptationRule(Protocol):
    """A user's function that reorders ready steps by raising their ``priority_boost``."""

    def __call__(self, workflow: Workflow, ready_steps: Sequence[ReadyStep], /) -> None:
        """Look at the ready steps of a workflow and boost some."""


@dataclass(frozen=True, slots=True)
class Services:
    """What a host gives to every run: who works, who gets a slot, and what is cached."""

    agents: AgentRegistry
    dispatcher: Dispatcher
    breakers: Breakers
    cache: BaseCache[Any] | None = None
    rules: tuple[AdaptationRule, ...] = ()
    health: HealthBook = field(default_factory=HealthBook)
    """How the agents have been doing."""
    limits: ModelLimits | None = None
    """How often models are called; None sets no limits."""
    states: BaseStore = field(default_factory=InMemoryStore)
    """Where agents keep their state, unless the host of a run has a store of its own."""
    memory: "Memory | None" = None
    """What outlives a run; None where the host has none."""


@dataclass(slots=True)
class RunScope:
    """One run of one workflow, with everything nested in it, while it is in this process."""

    run: dict[str, Any]
    """What expressions see as ``run``: id, started_at, attempt, errors."""
    emit: Emit
    gate: Gate = field(default_factory=Gate)
    store: BaseStore | None = None
    """The store of a host that is no engine of ours, if it has one."""
    priority: int = 2
    """Position in ``PRIORITIES``."""
    retries_left: int | None = None
    deadline: float | None = None
    """Time of the event loop by which the run has to end."""
    budget: Budget | None = None
    warned: set[str] = field(default_factory=set[str])
    """The limits of the budget of which it was told that they come near."""
    remaining: Mapping[str, float] = field(default_factory=dict[str, float])
    """Seconds from a step's start to the end of its scope as learned from past runs, by path."""
    usage: Usage = field(default_factory=Usage)
    """What ended attempts cost."""
    spending: list[Usage] = field(default_factory=list[Usage])
    """What the attempts at work have cost so far."""
    ready: list[ReadyStep] = field(default_factory=list[ReadyStep])
    session: str | None = None
    """The conversation that the run belongs to."""
    given: Given | None = None
    """What the caller gave, from an engine that keeps it; None when the graph's state has it."""
    asked: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """The questions that were open when the run was entered again, by path; they stay as put."""
    order: int = 0
    doomed: bool = False
    """Whether a failure that ends the run has happened."""
    undo: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """What undoes the steps that completed, by path, also inside containers at work."""

    def undo_inside(self, path: str) -> dict[str, dict[str, Any]]:
        """Give what undoes the steps that completed inside a container, or what undid them."""
        below = tuple(path + separator for separator in "/#[")
        return {
            step: entry for step, entry in self.undo.items() if step.startswith(below) and entry
        }

    def without_limits(self) -> "RunScope":
        """Give the same run for what has to be done after it failed, whatever it failed of."""
        return replace(self, deadline=None, budget=None, retries_left=None)

    def withdraw(self, ready: ReadyStep) -> None:
        """Take a step off the list of those that compete for a slot."""
        self.ready = [other for other in self.ready if other is not ready]

    def next_order(self) -> int:
        """Number the next step that completes."""
        self.order += 1
        return self.order

    def mark_doomed(self) -> None:
        """Note that the run cannot succeed any more."""
        self.doomed = True

    def begin_spending(self) -> Usage:
        """Open the account of an attempt."""
        self.spending.append(usage := Usage())
        return usage

    def end_spending(self, usage: Usage) -> None:
        """Close the account of an attempt; what is added to it later counts for nobody."""
        self.spending = [other for other in self.spending if other is not usage]
        self.usage.add(usage)

    def spent(self) -> Usage:
        """Give what the run has cost up to now."""
        total = Usage()
        for usage in (self.usage, *self.spending):
            total.add(usage)
        return total

    def take_retry(self) -> bool:
        """Use one of the run's retries; False when none is left."""
        if self.retries_left is None:
            return True
        self.retries_left -= 1
        return self.retries_left >= 0

    def time_left(self, limit: float | None) -> float | None:
        """Give the seconds that an attempt may take: its own limit, or what the run has left.

        Raises:
            StepTimedOut: the run has no time left.

        """
        if self.deadline is None:
            return limit
        left = self.deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise StepTimedOut("the run's time is used up", code="run_timed_out")
        return left if limit is None else min(left, limit)


@dataclass(slots=True)
class Frame:
    """Where a region sits in a run: what its steps see from outside, and whom its failure dooms."""

    scope: RunScope
    roots: Mapping[str, Any]
    """Values of ``input``, ``context``, ``run`` and of the containers around: item, iteration."""
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Outputs of the steps that the containers around can see."""
    steps: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    prefix: str = ""
    """Path before the step ids: ``refine/``."""
    given: Given | None = None
    """What a nested workflow was given."""
    complete: Callable[[], Awaitable[None]] | None = None
    """Reads back the roots that are not known yet."""
    static: str = ""
    """The same without rounds and items: what durations are learned under."""
    beyond: float = 0.0
    """Seconds from the end of the containers around to the end of the run, as estimated."""
    messages: tuple[Any, ...] = ()
    rank: tuple[float, ...] = ()
    """How urgent the containers around are; inner steps inherit it."""
    doom: Callable[[], None] | None = None
    """Called when the region cannot succeed any more, if that ends what is around it too."""
    stopping: Callable[[], str | None] | None = None
    """Names the step whose failure stops what is around, if one did."""
    entered: "Callable[[Activation], None] | None" = None
    """Told of the regions of the container around as they are entered."""
    bounded: bool = False
    """Whether a container around has a deadline, so that what is inside has to stop at it."""
    gate: Gate | None = None
    """The slots of the nested workflow, if it declares how many steps run at once."""
    items: Sequence[Any] = ()
    """The items of a map."""
    bound: asyncio.Semaphore | None = None
    """How many items of a map may be worked on at once."""
    seeds: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What an earlier attempt at the run finished inside a map."""
