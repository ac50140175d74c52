"""What is sent for an error that cannot be sent itself."""

from types import SimpleNamespace
from typing import Any

TOLD = ("status_code", "retry_after")
"""Figures of an error by which it is decided whether, and when, the call is made again."""


def stand_in(error: BaseException) -> BaseException:
    """Make an error that any process can read, and that is tried again like the one given.

    It is of the nearest built-in kind, with the name and message of the error in its text, and
    has the HTTP status and the Retry-After that the error or its ``response`` has.
    """
    found: Any = _built_in(type(error), f"{type(error).__name__}: {_text(error)}")
    response = getattr(error, "response", None)
    for name, value in _figures(error).items():
        setattr(found, name, value)
    if response is not None:
        headers: Any = getattr(response, "headers", None)
        waits = headers.get("retry-after") if hasattr(headers, "get") else None
        kept = {"retry-after": waits} if isinstance(waits, str) else {}
        found.response = SimpleNamespace(**_figures(response), headers=kept)
    result: BaseException = found
    return result


def _built_in(kind: type[BaseException], text: str) -> BaseException:
    for base in kind.__mro__:
        if base.__module__ == "builtins":
            try:
                made: BaseException = base(text)
            except TypeError:  # UnicodeDecodeError and groups are made of more than a text
                continue
            return made
    return Exception(text)


def _figures(source: Any) -> dict[str, Any]:
    found = {name: getattr(source, name, None) for name in TOLD}
    return {name: value for name, value in found.items() if isinstance(value, int | float)}


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "its message cannot be written"
