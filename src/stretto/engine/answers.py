"""Answers to the questions that a run waits on, checked before the run goes on."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from stretto.engine.ending import deadline_of
from stretto.errors import InputInvalid, RunConflict
from stretto.graphs import budgets
from stretto.graphs.asking import is_expired, refusal
from stretto.graphs.plaindata import is_mapping


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
        InputInvalid: the answer cannot be taken; the message says what can.

    """
    value = question["value"]
    if is_mapping(value) and "budget" in value:
        _check_limits(answer)
        return
    if not is_mapping(value) or not value.get("options"):
        return
    at = deadline_of(question)
    if is_expired(answer) and (at is None or at > time.time()):
        raise InputInvalid(f"the question of '{question['step']}' has not expired; answer it")
    if problem := refusal(answer, value):
        raise InputInvalid(problem)


def _check_limits(answer: Any) -> None:
    try:
        budgets.check_answer(answer)
    except ValueError as error:
        raise InputInvalid(str(error)) from None
