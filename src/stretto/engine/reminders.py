"""Reminders of questions that nobody has answered: when they are due, and which were given."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import floor
from typing import Any

from stretto.engine.archive import Archive
from stretto.engine.ending import deadline_of
from stretto.engine.lease import Lease
from stretto.engine.records import Records
from stretto.events import RunEvent
from stretto.graphs.plaindata import is_mapping

Question = Mapping[str, Any]
"""``id``, ``step`` and ``value`` of what a run waits for."""
Given = Mapping[tuple[Any, Any], int]
"""The number of the last reminder that was given, by what ``_key`` makes of the question."""


class Reminders:
    """Gives reminders as events of the waiting run, each of them once whoever looks."""

    def __init__(self, archive: Archive, records: Records, lease: Callable[[str], Lease]) -> None:
        """Read runs from ``archive``, write to ``records`` under the ``lease`` of the run."""
        self._archive = archive
        self._records = records
        self._lease = lease

    async def give(self, run_id: str, questions: Sequence[Question]) -> float | None:
        """Give the reminders of a run that are due; of several missed ones only the last.

        Args:
            run_id: a run that waits.
            questions: what it waits for.

        Returns:
            When something is due next, in seconds since the epoch, or None.

        Raises:
            RunConflict: somebody works on the run.

        """
        events, now = await self._archive.events(run_id), time.time()
        given = dict(reminders_given(events))
        due = [(q, n) for q in questions if (n := _number(q, now)) > given.get(_key(q), 0)]
        given |= {_key(q): n for q, n in due}
        last, lease = events[-1].seq, self._lease(run_id)
        lease.take()
        try:
            if await self._records.last_seq(run_id) != last:
                return now  # somebody was faster: look again
            told = [_event(run_id, last + i, q, n) for i, (q, n) in enumerate(due, 1)]
            await self._records.append_events(run_id, told)
            at = next_due(questions, given)
            await self._records.update_run(run_id, deadline_at=at)
            return at
        finally:
            lease.give_back()


def next_due(questions: Iterable[Question], given: Given | None = None) -> float | None:
    """Give when a question is to be answered or reminded of, in seconds since the epoch, or None.

    Args:
        questions: what a run waits for.
        given: the reminders that were given; without it, the first ones count.

    """
    times: list[float] = []
    for question in questions:
        end = deadline_of(question)
        reminder = _time(question, (given or {}).get(_key(question), 0) + 1)
        times += [at for at in (end, reminder) if at is not None]
    return min(times, default=None)


def reminders_given(events: Iterable[RunEvent]) -> Given:
    """Read from a run's events which reminders were given."""
    given: dict[tuple[Any, Any], int] = {}
    for event in events:
        if event.event == "workflow_waiting" and "reminder" in event.data:
            for question in event.data["interrupts"]:
                given[_key(question)] = event.data["reminder"]
    return given


def _event(run_id: str, seq: int, question: Question, number: int) -> RunEvent:
    data = {"interrupts": [dict(question)], "reminder": number}
    return RunEvent("workflow_waiting", run_id, seq, time.time(), None, data)


def _key(question: Question) -> tuple[Any, Any]:
    """Tell questions apart, also those that one step asks one after the other."""
    return question["step"], _first(question)


def _value(question: Question, name: str) -> float | None:
    value = question["value"]
    found = value.get(name) if is_mapping(value) else None
    return float(found) if isinstance(found, int | float) else None


def _first(question: Question) -> float | None:
    return _value(question, "remind_at")


def _number(question: Question, now: float) -> int:
    """Count the reminders that should have been given by now."""
    first, every = _first(question), _value(question, "remind_every")
    if first is None or now < first:
        return 0
    return 1 if not every else 1 + floor((now - first) / every)


def _time(question: Question, number: int) -> float | None:
    """Give when a reminder is due; None when there is none of this number."""
    first, every, end = _first(question), _value(question, "remind_every"), deadline_of(question)
    if first is None or (number > 1 and not every):
        return None
    at = first + (number - 1) * (every or 0.0)
    return None if end is not None and at >= end else at
