"""How a run is entered: for the first time, again after it stopped, or once more after it ended."""

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from langgraph.types import Command

from stretto.engine.answers import match_answers
from stretto.engine.ending import in_order
from stretto.engine.records import RunRow
from stretto.engine.retry import broke_off, retry_input, steps_to_repeat
from stretto.engine.snapshot import Snapshot
from stretto.errors import InputInvalid, RunConflict
from stretto.graphs.inputs import check_input, input_schema
from stretto.graphs.library import Library
from stretto.graphs.spec import Priority, Workflow

RESUMABLE = frozenset({"queued", "running", "waiting", "cancelled"})
MAX_ID = 200
RETRYABLE = frozenset({"failed", "completed"})


def chosen(workflow: Any, library: Library) -> Workflow:
    """Give the workflow that a caller means.

    Args:
        workflow: itself, or its name.
        library: where names are looked up.

    Raises:
        InputInvalid: it is neither.
        WorkflowInvalid: there is none of this name.

    """
    if isinstance(workflow, Workflow):
        return workflow
    if isinstance(workflow, str):
        return library.get(workflow)
    raise InputInvalid(
        f"a run needs a Workflow or the name of one, not {type(workflow).__name__}; "
        "Workflow.from_dict and Workflow.from_file make one"
    )


def new_row(
    workflow: Workflow,
    input: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
    *,
    context: Mapping[str, Any] | None = None,
    session_id: str | None = None,
    run_id: str | None = None,
    priority: Priority | None = None,
) -> RunRow:
    """Check what a caller gives for a run, and make the row that records it.

    Args:
        workflow: what is to run.
        input: what it declares as inputs.
        defaults: what the deployment sets for it: inputs where it declares them, else context.
        context: merged over the workflow's own context.
        session_id: the conversation that the run belongs to.
        run_id: an id of the caller's own.
        priority: instead of the workflow's own.

    Raises:
        InputInvalid: something does not fit.

    """
    for name, given_id in (("run_id", run_id), ("session_id", session_id)):
        _check_text(name, given_id)
    if run_id is not None and not 0 < len(run_id) <= MAX_ID:
        raise InputInvalid(f"a run_id has 1 to {MAX_ID} characters")
    if priority not in (None, *get_args(Priority)):
        allowed = ", ".join(get_args(Priority))
        raise InputInvalid(f"there is no priority {priority!r}; choose {allowed}")
    given: Mapping[str, Any] = {} if input is None else input
    settled: Mapping[str, Any] = {} if context is None else context
    if defaults:
        declared = input_schema(workflow.inputs).get("properties", {})
        given = {**{k: v for k, v in defaults.items() if k in declared}, **given}
        settled = {**{k: v for k, v in defaults.items() if k not in declared}, **settled}
    return RunRow(
        run_id=uuid.uuid4().hex if run_id is None else run_id,
        workflow_id=workflow.id,
        workflow_name=workflow.name,
        version=workflow.version,
        digest=workflow.digest,
        created_at=time.time(),
        priority=priority or workflow.priority,
        input=_stored("input", check_input(workflow, given)),
        context=_stored("context", settled),
        session_id=session_id,
    )


def _check_text(name: str, given: Any) -> None:
    """Refuse what cannot be stored as a text: other types, and bytes of no known encoding."""
    if given is None:
        return
    if not isinstance(given, str):
        raise InputInvalid(f"the {name} must be a text, not {type(given).__name__}")
    try:
        given.encode()
    except UnicodeEncodeError:
        raise InputInvalid(f"the {name} {given!r} is no text that UTF-8 can hold") from None


def _stored(name: str, value: Any) -> dict[str, Any]:
    """Give a mapping as it will be read back, so that a first go sees what a later one will."""
    try:
        stored: dict[str, Any] = json.loads(json.dumps(dict(value), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputInvalid(f"the {name} must be a mapping of JSON values: {error}") from error
    return stored


FIRST_ENTRY = {"round": 0}
"""What a run's graph is given first; the run's input comes to it beside its state."""


def check_same(asked: RunRow, existing: RunRow) -> None:
    """Refuse to take one run for another.

    Raises:
        RunConflict: the id is used by a run of another workflow or input.

    """
    mine = asked.digest, asked.input, asked.context
    if mine != (existing.digest, existing.input, existing.context):
        raise RunConflict(
            f"there is a run '{asked.run_id}' of another workflow or input; use another run_id"
        )


def check_state(row: RunRow, states: frozenset[str]) -> None:
    """Refuse to enter a run that is in none of the given states.

    Raises:
        RunConflict: it is in another one; the message says what can be done instead.

    """
    if row.state in states:
        return
    hint = "retry it instead" if row.state in RETRYABLE else "resume it instead"
    raise RunConflict(f"run {row.run_id} is {row.state}; {hint}")


@dataclass(frozen=True, slots=True)
class Reentry:
    """A run that stopped or ended, and what its graph can be given to go on."""

    row: RunRow
    workflow: Workflow
    snapshot: Snapshot | None

    def resumed(self, answer: Any) -> Any:
        """Give the entry that goes on where the run stopped.

        Args:
            answer: what a person answers, or None.

        Raises:
            RunConflict: the run waits for an answer and none is given, or the other way round.
            InputInvalid: the answer cannot be taken; the message says what can.

        """
        if self.snapshot is None:
            return FIRST_ENTRY
        questions = in_order(self.snapshot.interrupts, self.workflow)
        if answer is not None:
            return Command(resume=match_answers(questions, answer))
        if self.row.state == "waiting":
            steps = ", ".join(str(question["step"]) for question in questions)
            raise RunConflict(f"run {self.row.run_id} waits for an answer to {steps}; give one")
        return None

    def retried(self, from_step: str | None) -> Any:
        """Give the entry that runs failed steps again.

        Args:
            from_step: a step that is run again although it completed, or None.

        Raises:
            RunConflict: there is nothing to run again.
            InputInvalid: the workflow has no such step.

        """
        if self.snapshot is None:
            return FIRST_ENTRY
        state = self.snapshot.state
        if from_step is None and broke_off(self.workflow, state):
            return None  # the superstep goes on, also inside of containers
        again = steps_to_repeat(self.workflow, state, from_step)
        if not again:
            raise RunConflict(f"no step of run {self.row.run_id} failed; name the step to run from")
        return retry_input(self.workflow, state, again, from_step)
