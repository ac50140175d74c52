"""What a run may spend: checked before every call of a model, warned of, and raised by a person."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from langgraph.types import interrupt
from pydantic import ValidationError

from stretto.errors import BudgetExceeded
from stretto.graphs.compat import saver_of
from stretto.graphs.plaindata import is_mapping
from stretto.graphs.spec import Budget

if TYPE_CHECKING:
    from stretto.graphs.call import StepCall
    from stretto.graphs.runtime import RunScope

LIMITS = ("tokens", "usd", "model_calls")
STOP = "stop"
"""The answer of a person who lets the step fail instead."""


def check_budget(scope: "RunScope") -> None:
    """Refuse a call once the run has spent what it may, and tell when that comes near.

    Raises:
        BudgetExceeded: tokens, money or calls are used up.

    """
    if scope.budget is None:
        return
    for name, limit, used in _figures(scope.budget, scope):
        if used >= limit:
            raise BudgetExceeded(f"the run has used its budget of {limit:g} {name}; raise it")
        if used >= limit * scope.budget.warn_at and name not in scope.warned:
            scope.warned.add(name)
            scope.emit("budget_warning", None, {"limit": name, "of": limit, "used": used})


def _figures(budget: Budget, scope: "RunScope") -> Iterator[tuple[str, float, float]]:
    spent = scope.spent()
    used = {"tokens": spent.tokens, "usd": spent.usd, "model_calls": spent.calls}
    for name in LIMITS:
        limit: float | None = getattr(budget, name)
        if limit is not None:
            yield name, limit, used[name]


def ask_for_more(call: "StepCall", error: BudgetExceeded) -> None:
    """Let the run wait until a person has raised its budget.

    Without a checkpointer nothing can wait, and the step fails as if the person had said no.

    Raises:
        BudgetExceeded: nobody can be asked, or the person does not raise it.
        GraphInterrupt: the person has not answered yet.

    """
    scope = call.scope
    if saver_of(call.config) is None or scope.budget is None:
        raise error
    question: dict[str, Any] = {
        "step": call.path,
        "message": f"{error.message[0].upper()}{error.message[1:]}, or answer '{STOP}'.",
        "budget": {name: limit for name, limit, _ in _figures(scope.budget, scope)},
        "used": {name: used for name, _, used in _figures(scope.budget, scope)},
    }
    while True:
        answer = interrupt(question)
        if _says_stop(answer):
            raise error
        try:
            raise_budget(scope, answer)
        except ValueError as fault:
            question = {**question, "error": str(fault)}
        else:
            return


def raise_budget(scope: "RunScope", answer: Any) -> None:
    """Go on with the limits that a person gives.

    Args:
        scope: the run.
        answer: the new limits by name, as totals of the whole run.

    Raises:
        ValueError: the answer holds no limits; its text says what is possible.

    """
    budget = scope.budget or Budget()
    # An earlier, lower answer comes again when a step that asked several times is entered anew.
    given = read_limits(answer)
    limits = {name: max(new, getattr(budget, name) or new) for name, new in given.items()}
    scope.budget = budget.model_copy(update=limits)
    scope.warned.clear()
    scope.emit("budget_raised", None, dict(limits))


def read_limits(answer: Any) -> dict[str, float]:
    """Read the new limits that a person gives.

    Raises:
        ValueError: there are none, or one is no limit.

    """
    if not is_mapping(answer) or not answer or set(answer) - set(LIMITS):
        _refuse(answer)
    try:
        given = Budget(**answer).model_dump(include=set(answer))
    except ValidationError:
        _refuse(answer)
    if None in given.values():
        _refuse(answer)
    return given


def _refuse(answer: Any) -> NoReturn:
    raise ValueError(
        f"{answer!r} raises no budget; answer with new limits of the whole run, such as "
        '{"tokens": 200000}, {"usd": 2.5} or {"model_calls": 60}, or with "stop"'
    )


def check_answer(answer: Any) -> None:
    """Check what a person answers to the question for more.

    Raises:
        ValueError: it neither raises the budget nor stops.

    """
    if not _says_stop(answer):
        read_limits(answer)


def _says_stop(answer: Any) -> bool:
    chosen: Any = answer.get("choice") if is_mapping(answer) else answer
    return bool(chosen == STOP)


def raised_before(raised: "Mapping[str, Any] | None", budget: Budget | None) -> Budget | None:
    """Give the budget that holds when a run is entered again.

    Args:
        raised: the limits that a person gave in an earlier entry, or None.
        budget: what the workflow declares.

    """
    if not raised:
        return budget
    return (budget or Budget()).model_copy(update=dict(raised))
