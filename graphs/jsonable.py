"""What an agent may return: plain JSON data, which every host can save, send and show."""

from math import isfinite
from typing import Any

from pydantic_core import PydanticSerializationError, to_jsonable_python

from stretto.agents.human import Asked, Question
from stretto.errors import StepFailed
from stretto.graphs.plaindata import is_dict, is_list, is_mapping


def as_json(output: Any, agent: str) -> Any:
    """Turn an agent's output into plain JSON data.

    Args:
        output: what the agent returned; models, dataclasses, sets and dates are turned into data.
        agent: its name, for the message.

    Raises:
        Asked: it is a question to a person, which has an answer in place of an output.
        StepFailed: it holds something that JSON has no form for.

    """
    if output is None or isinstance(output, str | bool):
        return output
    if isinstance(output, Question):
        raise Asked(output)
    try:
        plain = to_jsonable_python(output)
    except (PydanticSerializationError, ValueError, RecursionError, UnicodeError) as error:
        raise _not_json(agent, str(error)) from error
    if (found := unfit(plain)) is not None:
        raise _not_json(agent, f"it holds {found}")
    return plain


def unfit(value: Any) -> str | None:
    """Name the first number in plain data that has no form in JSON or in a checkpoint."""
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        if is_dict(item):
            waiting.extend(item.values())
        elif is_list(item):
            waiting.extend(item)
        elif isinstance(item, float) and not isfinite(item):
            return f"the number {item}"
        elif isinstance(item, int) and not -(2**63) <= item < 2**64:
            return "an integer of more than 64 bits"
    return None


def _not_json(agent: str, reason: str) -> StepFailed:
    return StepFailed(
        f"agent '{agent}' returned something that is no JSON: {reason}", code="not_json"
    )


def copied(value: Any) -> Any:
    """Copy plain data, down to the values that cannot be changed."""
    if type(value) in _UNCHANGEABLE:  # most values by far, and the checks below are dear
        return value
    if is_dict(value) or is_mapping(value):
        return {key: copied(item) for key, item in value.items()}
    if is_list(value):
        return [copied(item) for item in value]
    return value


_UNCHANGEABLE = frozenset({str, int, float, bool, type(None)})
