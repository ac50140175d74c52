"""Questions to people that can be answered."""

from collections.abc import Iterator

from stretto.agents.human import SHORTEST_PAUSE
from stretto.errors import Fault
from stretto.graphs.fitting import schema_problems
from stretto.graphs.names import nearest
from stretto.graphs.paths import join
from stretto.graphs.scopes import Scope
from stretto.graphs.spec import Approval


def approval_faults(scope: Scope) -> Iterator[Fault]:
    """Check the approvals of a scope.

    Args:
        scope: steps that stand beside each other.

    """
    for index, step in enumerate(scope.steps):
        if step.approval is not None:
            path = join(scope.path, index, "approval")
            yield from _answer(path, step.approval)
            yield from _deadline(path, step.approval)
            yield from _reminder(path, step.approval)


def _answer(path: str, asked: Approval) -> Iterator[Fault]:
    if not asked.options:
        yield Fault(join(path, "options"), "no_options", "Give at least one option to choose.")
    if asked.edit_schema is None:
        return
    at = join(path, "edit_schema")
    if asked.edit is None:
        yield Fault(at, "no_effect", "There is nothing to edit; give `edit`, or take this out.")
    for problem in schema_problems(asked.edit_schema):
        yield Fault(at, "bad_schema", problem)


def _deadline(path: str, asked: Approval) -> Iterator[Fault]:
    at = join(path, "on_deadline")
    if asked.deadline == 0:
        message = "A deadline of 0 leaves no time to answer; give more, or leave it out for none."
        yield Fault(join(path, "deadline"), "no_time", message)
    if asked.on_deadline is None or not asked.options:
        return
    if asked.on_deadline not in asked.options:
        message = f"'{asked.on_deadline}' is none of the options; use one of them."
        hint = nearest(asked.on_deadline, asked.options)
        yield Fault(at, "bad_default", message, None, None, hint, asked.options)
    if asked.deadline is None:
        yield Fault(at, "no_effect", "There is no deadline; give `deadline`, or take this out.")


def _reminder(path: str, asked: Approval) -> Iterator[Fault]:
    for key, seconds in (
        ("remind_after", asked.remind_after),
        ("remind_every", asked.remind_every),
    ):
        if seconds is None:
            continue
        if asked.deadline is not None and seconds >= asked.deadline > 0:
            message = "The question has expired by then; remind before its `deadline`."
            yield Fault(join(path, key), "bad_reminder", message)
        if key == "remind_every" and seconds < SHORTEST_PAUSE:
            message = f"Reminders come at least {SHORTEST_PAUSE:g} s after each other."
            yield Fault(join(path, key), "bad_reminder", message)
