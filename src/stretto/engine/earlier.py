"""What earlier entries into a run left: how far it was, what it cost, what a person allowed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langgraph.types import Command

from stretto.agents.usage import Usage
from stretto.engine.status import RunStatus, fold
from stretto.events import RunEvent
from stretto.graphs.budgets import LIMITS, raise_budget, raised_before
from stretto.graphs.plaindata import is_mapping
from stretto.graphs.runtime import RunScope
from stretto.graphs.spec import Workflow

FIGURES = ("input_tokens", "output_tokens", "calls", "usd")
OVER = frozenset({"workflow_completed", "workflow_failed"})
"""Endings after which only a person lets a run go on, by retrying it."""
UNBOUNDED = "on_failure/"
"""In the path of steps for which the limits of the run do not hold."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """Earlier entries into a run."""

    status: RunStatus
    usage: Usage
    raised: Mapping[str, Any] | None
    """The limits that a person gave in place of the workflow's."""
    answers: Mapping[str, Any]
    """What people answered since the run last waited, by question."""
    seconds: float = 0.0
    """How much of the workflow's time is used up; who retries a run gives it all of it anew."""
    retries: int = 0
    """How many of its ``max_total_retries`` are, likewise."""


def look_back(
    events: Sequence[RunEvent], workflow: Workflow, recorded: Mapping[str, Any] | None
) -> Earlier:
    """Read what happened in a run so far.

    Args:
        events: all its events, in order.
        workflow: what is run.
        recorded: the usage in the run's row, written when it last stopped; a crash writes none.

    """
    told = Usage()
    raised: Mapping[str, Any] | None = None
    answers: dict[str, Any] = {}
    for event in events:
        if event.event == "workflow_waiting":
            answers = {}  # whatever could be taken has been
        if event.event == "workflow_resumed":
            answers |= event.data.get("answers") or {}
        if is_mapping(usage := event.data.get("usage")):
            told.add(_usage(usage))
        if is_mapping(spent := event.data.get("spent")):
            told = _usage(spent)  # with what a wait before cut short, which no other event tells
        if event.event == "budget_raised":
            raised = {**(raised or {}), **{k: v for k, v in event.data.items() if k in LIMITS}}
    latest = _since_asked_for(events)
    retries = sum(e.event == "agent_retry" and UNBOUNDED not in (e.step or "") for e in latest)
    kept = _usage(recorded or {})
    # Calls that a wait cut short are in the row alone, calls before a crash in the events alone.
    usage = Usage(**{name: max(getattr(told, name), getattr(kept, name)) for name in FIGURES})
    seconds = fold(latest).total_execution_time
    return Earlier(fold(events, workflow), usage, raised, answers, seconds, retries)


def _since_asked_for(events: Sequence[RunEvent]) -> Sequence[RunEvent]:
    """Leave out what happened before a person asked for the run, or for the last retry of it."""
    over = (place for place in range(len(events), 0, -1) if events[place - 1].event in OVER)
    return events[next(over, 0) :]


def _usage(figures: Mapping[str, Any]) -> Usage:
    return Usage(**{name: figures.get(name, 0) for name in FIGURES})


def answers_in(entry: Any, questions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Give the answers by id that a graph is entered with to questions that steps put to people.

    What an agent asks by LangGraph's own ``interrupt`` is not among them: several of its questions
    may have one id.
    """
    resume = _resume(entry)
    own = (q["id"] for q in questions if q["step"] and "options" in q["value"])
    return {id: resume[id] for id in own if is_mapping(resume) and id in resume}


def take_over(
    scope: RunScope, earlier: Earlier, entry: Any, questions: Sequence[Mapping[str, Any]]
) -> Any:
    """Let a run go on with what it has used up and may spend, and with what people answered.

    Args:
        scope: the run.
        earlier: the entries before.
        entry: what its graph is to be given; where a person raises the budget, every step has to
            know.
        questions: what it waited for.

    Returns:
        What its graph is given: LangGraph keeps an answer only once its step takes it, so those
        that a crash came before are given again.

    """
    scope.usage.add(earlier.usage)
    if scope.deadline is not None:
        scope.deadline -= earlier.seconds
    if scope.retries_left is not None:
        scope.retries_left = max(scope.retries_left - earlier.retries, 0)
    scope.budget = raised_before(earlier.raised, scope.budget)
    answers = _resume(entry)
    for question in questions if is_mapping(answers) else ():
        answer = answers.get(question["id"])
        if "budget" in question["value"] and is_mapping(answer) and set(answer) <= set(LIMITS):
            raise_budget(scope, answer)
    again = answers_in(Command(resume=earlier.answers), questions)
    if again and (entry is None or is_mapping(answers)):
        return Command(resume={**again, **(answers or {})})
    return entry


def _resume(entry: Any) -> Any:
    return entry.resume if isinstance(entry, Command) else None
