"""What is wanted of the answer of a web service."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from stretto.errors import ConfigurationError, StepFailed

Pick: TypeAlias = Callable[[Mapping[str, Any]], Any]
"""Takes what is wanted out of an answer: ``status``, ``headers``, ``body``."""
_PART = re.compile(r"""\.?([A-Za-z_]\w*)|\[(\d{1,9})\]|\["([^"\\]+)"\]""")
_SHOWN = 10
"""How many keys are told of what stands where something is missing."""


def picker(path: str) -> Pick:
    """Make what follows a path through an answer.

    Args:
        path: begins with ``status``, ``headers`` or ``body``; ``.name``, ``["name"]`` and ``[0]``
            go further, as they do in CEL.

    Raises:
        ConfigurationError: it is no such path.

    """
    parts: list[str | int] = []
    place = 0
    while found := _PART.match(path, place):
        name, index, quoted = found.groups()
        parts.append(name or quoted or int(index))
        place = found.end()
    if place < len(path) or not parts or parts[0] not in ("status", "headers", "body"):
        raise ConfigurationError(
            f"select {path!r} is no path; write one such as 'body.data.items[0].name', which "
            "begins with status, headers or body"
        )
    return lambda answer: _followed(answer, parts)


def pick(select: Pick, answer: Mapping[str, Any]) -> Any:
    """Take what is wanted out of an answer.

    Raises:
        StepFailed: code ``http_select_failed``, when it is not there.

    """
    try:
        return select(answer)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        message = f"the answer is not as expected, nothing could be picked: {reason}"
        raise StepFailed(message, code="http_select_failed") from error


def _followed(value: Any, parts: Sequence[str | int]) -> Any:
    way = ""
    for part in parts:
        entries = _entries(value)
        if part not in entries:
            raise LookupError(f"{way} has no {part!r}; it is {_described(value)}")
        value = entries[part]
        way += f"[{part}]" if isinstance(part, int) else f".{part}" if way else part
    return value


def _entries(value: Any) -> Mapping[Any, Any]:
    if isinstance(value, Mapping):
        return cast(Mapping[str, Any], value)
    return dict(enumerate(cast(Sequence[Any], value))) if isinstance(value, list) else {}


def _described(value: Any) -> str:
    """Say what there is, without its values."""
    if isinstance(value, list):
        return f"a list of {len(cast(Sequence[Any], value))}"
    if isinstance(value, Mapping):
        keys = [repr(key) for key in cast(Mapping[str, Any], value)]
        more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
        return f"a mapping of {', '.join(keys[:_SHOWN]) or 'nothing'}{more}"
    if value is None:
        return "null"
    return "a text" if isinstance(value, str) else "a number or a boolean"
