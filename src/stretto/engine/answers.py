"""Answers to the questions that a run waits on, checked before the run goes on."""

from collections.abc import Mapping, Sequence
from typing import Any

from stretto.errors import InputInvalid, RunConflict, StepFailed
from stretto.graphs import budgets
from stretto.graphs.plaindata import is_mapping
from stretto.graphs.works import decide


def match_answers(questions: Sequence[Mapping[str, Any]], answer: Any) -> dict[str, Any]:
    """Give every answered question its answer.

    Args:
        questions: ``id``, ``step`` and ``value`` of each thing the run waits for.
        answer: the answer when there is one question; else a mapping from step or id to answers.

    Returns:
        Answers by question id.

    Raises:
        RunConflict: the run waits for nothing.
        InputInvalid: it is not clear which question is meant, or the answer is no option.

    """
    if not questions:
        raise RunConflict("the run waits for no answer; resume it without one")
    keys = {key: q for q in questions for key in (q["id"], q["step"]) if key}
    if is_mapping(answer) and answer and all(key in keys for key in answer):
        chosen = {keys[key]["id"]: value for key, value in answer.items()}
    elif len(questions) == 1:
        chosen = {questions[0]["id"]: answer}
    else:
        steps = ", ".join(str(q["step"] or q["id"]) for q in questions)
        raise InputInvalid(f"the run waits for several answers; give a mapping with {steps}")
    by_id = {q["id"]: q for q in questions}
    for question_id, value in chosen.items():
        check_answer(by_id[question_id], value)
    return chosen


def check_answer(question: Mapping[str, Any], answer: Any) -> None:
    """Refuse an answer that the asking step would not accept.

    Raises:
        InputInvalid: it is none of the options.

    """
    value = question["value"]
    if is_mapping(value) and "budget" in value:
        _check_limits(answer)
        return
    options = value.get("options") if is_mapping(value) else None
    if not options:
        return
    try:
        accepted = decide(answer, tuple(options)) is not None
    except StepFailed:  # an expired deadline is an answer of its own
        accepted = True
    if not accepted:
        allowed = ", ".join(options)
        raise InputInvalid(f"{answer!r} is no answer to '{question['step']}'; choose {allowed}")


def _check_limits(answer: Any) -> None:
    try:
        budgets.check_answer(answer)
    except ValueError as error:
        raise InputInvalid(str(error)) from None
