"""Questions to people: how a step puts one, which answers it takes, what it makes of them."""

import json
import time
from collections.abc import Mapping
from typing import Any

from langgraph.types import interrupt

from stretto.agents.human import NOTHING, Question
from stretto.errors import StepFailed
from stretto.graphs.attempts import Result
from stretto.graphs.call import StepCall, Work
from stretto.graphs.fitting import misfit
from stretto.graphs.jsonable import as_json
from stretto.graphs.plaindata import is_mapping
from stretto.graphs.plan import StepPlan
from stretto.graphs.spec import Approval
from stretto.graphs.templates import compile_template

LONGEST_SHOWN = 60


def approval_work(plan: StepPlan, approval: Approval) -> Work:
    """Ask a person."""
    message = compile_template(approval.message, plan.declared)
    edit = compile_template(approval.edit, plan.declared)

    async def run(call: StepCall) -> Result:
        call.begin()
        return ask(
            call,
            Question(
                message=call.render(message),
                options=approval.options,
                edit=NOTHING if approval.edit is None else call.render(edit),
                edit_schema=approval.edit_schema,
                comment=approval.comment,
                deadline=approval.deadline,
                on_deadline=approval.on_deadline,
                remind_after=approval.remind_after,
                remind_every=approval.remind_every,
            ),
        )

    return run


def ask(call: StepCall, question: Question) -> Result:
    """Wait for a person's answer, and ask again as long as it cannot be taken.

    Args:
        call: the step that asks.
        question: what it asks.

    Raises:
        StepFailed: nobody answered in time and there is no default, or the value to edit is no
            JSON.

    """
    return _wait(call.scope.asked.get(call.path) or _put(call, question))


def ask_again(call: StepCall) -> Result | None:
    """Wait on for an answer that an agent's question had when the run was entered again.

    The agent is not called a second time, so the answer belongs to what the person has seen.

    Returns:
        None when no agent's question is open here.

    """
    asked = call.scope.asked.get(call.path)
    if asked is None or "agent" not in asked:
        return None
    call.agent = asked["agent"]
    call.begin()
    return _wait(asked)


def _put(call: StepCall, question: Question) -> dict[str, Any]:
    """Write a question as the JSON data that waits in the run's state."""
    asked: dict[str, Any] = {"step": call.path, "message": question.message}
    asked["options"] = list(question.options)
    if call.agent is not None:
        asked["agent"] = call.agent
    if question.comment is not None:
        asked["comment"] = question.comment
    if question.edit is not NOTHING:
        asked["edit"] = as_json(question.edit, call.agent or "approval")
        if question.edit_schema is not None:
            asked["edit_schema"] = dict(question.edit_schema)
    now = time.time()
    if question.deadline is not None:
        asked["deadline_at"] = now + question.deadline
        asked["on_deadline"] = question.on_deadline
    first = question.remind_every if question.remind_after is None else question.remind_after
    if first is not None:
        asked["remind_at"] = now + first
        asked["remind_every"] = question.remind_every
    return asked


def _wait(asked: Mapping[str, Any]) -> Result:
    put = {key: value for key, value in asked.items() if key != "error"}
    question = put
    while True:
        answer: Any = interrupt(question)
        problem = refusal(answer, put)
        if problem is None:
            return Result(decision(answer, put))
        question = {**put, "error": problem}


def is_expired(answer: Any) -> bool:
    """Tell whether an answer says that nobody answered before the deadline."""
    return is_mapping(answer) and answer.get("expired") is True


def refusal(answer: Any, question: Mapping[str, Any]) -> str | None:
    """Say why an answer cannot be taken, and what can; None when it can be.

    Args:
        answer: an option, or a mapping with ``choice``, ``edited``, ``comment`` and whatever else
            the person says.
        question: what was asked, as it waits in the run's state.

    """
    if is_expired(answer):
        return None
    try:
        given = _read(answer)
    except StepFailed:
        reason: str | None = "answer with JSON"
    else:
        reason = (
            _choice_refused(given, question)
            or _comment_refused(given, question)
            or _edit_refused(given, question)
        )
    if reason is None:
        return None
    # An agent may ask by itself, in data of its own making.
    whom = f" to '{question['step']}'" if question.get("step") else ""
    return f"{_shown(answer)} is no answer{whom}; {reason}"


def _read(answer: Any) -> dict[str, Any]:
    given: dict[str, Any] = as_json(
        dict(answer) if is_mapping(answer) else {"choice": answer}, "person"
    )
    return given


def _choice_refused(given: Mapping[str, Any], question: Mapping[str, Any]) -> str | None:
    options = question["options"]
    return None if given.get("choice") in options else f"choose {', '.join(map(str, options))}"


def _comment_refused(given: Mapping[str, Any], question: Mapping[str, Any]) -> str | None:
    comment = given.get("comment")
    if comment is not None and not isinstance(comment, str):
        return "its comment must be a text"
    if question.get("comment") == "required" and not (comment or "").strip():
        example = json.dumps({"choice": given["choice"], "comment": "..."}, ensure_ascii=False)
        return f"say why in a comment: {example}"
    return None


def _edit_refused(given: Mapping[str, Any], question: Mapping[str, Any]) -> str | None:
    if given.get("edited") is None:
        return None
    if "edit" not in question:
        return "there is nothing to edit, leave out 'edited'"
    reason = misfit(given["edited"], question.get("edit_schema") or {})
    return f"'edited' does not fit: {reason}" if reason else None


def decision(answer: Any, question: Mapping[str, Any]) -> dict[str, Any]:
    """Make a step's output of an answer that is taken.

    Args:
        answer: what ``refusal`` finds nothing against.
        question: what was asked.

    Returns:
        ``choice`` and whatever else the answer says; ``comment`` where the question mentions it;
        ``value`` and ``edited`` (whether it was changed) where there was a value to edit;
        ``expired`` where nobody answered.

    Raises:
        StepFailed: nobody answered in time and there is no default.

    """
    given = _read(answer)
    if is_expired(answer):
        if question.get("on_deadline") is None:
            raise StepFailed("nobody answered before the deadline", code="approval_expired")
        given = {"choice": question["on_deadline"], "expired": True}
    if question.get("comment") is not None:
        given.setdefault("comment", None)
    edited = given.pop("edited", None)
    if "edit" in question:
        given["value"] = question["edit"] if edited is None else edited
        given["edited"] = given["value"] != question["edit"]
    return given


def _shown(answer: Any) -> str:
    text = repr(answer)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."
