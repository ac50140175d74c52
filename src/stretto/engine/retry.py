"""What a retry runs again: what failed or never ran, what was undone, and all that builds on it."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from stretto.errors import InputInvalid
from stretto.graphs.plan import with_dependants
from stretto.graphs.spec import Workflow
from stretto.graphs.state import RunState
from stretto.graphs.topology import needs_of

AGAIN = {"status": "pending", "round": -1}
"""A record that no round of any region counts as done."""
SETTLED = frozenset({"completed", "skipped"})
"""How a step ended that would end the same way again, unless something that it needs does not."""


def steps_to_repeat(workflow: Workflow, state: RunState, from_step: str | None) -> set[str]:
    """Choose the top-level steps that a retry runs again.

    Args:
        workflow: what is run.
        state: what is saved of the run.
        from_step: a step that is run again although it completed, or None.

    Raises:
        InputInvalid: the workflow has no such step.

    """
    known = [step.id for step in workflow.steps]
    if from_step is not None and from_step not in known:
        close = get_close_matches(from_step, known, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise InputInvalid(f"workflow '{workflow.name}' has no step '{from_step}'{hint}")
    records, undone = state.get("records") or {}, _undone_steps(state)
    again = {
        step
        for step in known
        if records.get(step, {}).get("status") not in SETTLED or step in undone or step == from_step
    }
    return with_dependants(again, needs_of(workflow.steps))


def retry_input(
    workflow: Workflow, state: RunState, again: set[str], from_step: str | None
) -> Mapping[str, Any]:
    """Make the input that lets a finished thread go on: the chosen steps count as not done.

    All that is kept is written again, because steps that ended in a superstep that was broken off
    are not part of the last checkpoint, and a new input gives that superstep up.

    Args:
        workflow: what is run.
        state: what is saved of the run.
        again: the steps to run again.
        from_step: a step of which nothing is kept, not even what finished inside it.

    """
    failures = state.get("failures") or {}
    return {
        "outputs": dict(state.get("outputs") or {}),
        "records": {**(state.get("records") or {}), **dict.fromkeys(again, AGAIN)},
        "failures": dict.fromkeys(failures),
        "skipped": dict.fromkeys(again & set(state.get("skipped") or {})),
        "undo": dict.fromkeys(_undone(state)),
        "partial": dict.fromkeys(_anew(workflow, state, again, from_step)),
    }


def _anew(workflow: Workflow, state: RunState, again: set[str], from_step: str | None) -> set[str]:
    """Choose the containers of which nothing is kept: what is inside was undone, or built on it."""
    needs, undone = needs_of(workflow.steps), _undone_steps(state)
    return {
        step
        for step in again
        if step in undone or step == from_step or again.intersection(needs[step])
    }


def broke_off(workflow: Workflow, state: RunState) -> bool:
    """Tell whether a run ended before every step did, by a fault outside its steps."""
    records = state.get("records") or {}
    return any(
        records.get(step.id, {}).get("status", "pending") == "pending" for step in workflow.steps
    )


def _undone(state: RunState) -> list[str]:
    undo = state.get("undo") or {}
    return [path for path, entry in undo.items() if entry and "done" in entry]


def _undone_steps(state: RunState) -> set[str]:
    """Give the top-level steps that were undone, or of which something inside was."""
    return {path.split("/")[0].split("#")[0].split("[")[0] for path in _undone(state)}
