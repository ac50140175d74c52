"""Why a call failed: whether trying again can help, and how to say it."""

import asyncio
from typing import Any

from langgraph.errors import GraphBubbleUp
from pydantic import ValidationError

from stretto.errors import (
    BudgetExceeded,
    CircuitOpen,
    ConfigurationError,
    NoAgentFor,
    StepFailed,
    StrettoError,
)

RETRYABLE_STATUS = frozenset({408, 409, 425, 429})
_HOPELESS = (
    GraphBubbleUp,
    ArithmeticError,
    AssertionError,
    AttributeError,
    BudgetExceeded,
    ConfigurationError,
    ImportError,
    LookupError,
    MemoryError,
    NameError,
    NoAgentFor,
    NotImplementedError,
    PermissionError,
    FileNotFoundError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValidationError,
    ValueError,
)
"""Errors of the program or of its data: the same call would fail the same way. Interrupts too."""


def status_of(error: BaseException) -> int | None:
    """Give the HTTP status behind an error of any client library, or None."""
    for source in (error, getattr(error, "response", None)):
        status: Any = getattr(source, "status_code", None)
        if isinstance(status, int):
            return status
    return None


def is_retryable(error: BaseException) -> bool:
    """Tell whether the same call may succeed later.

    Network faults, timeouts, 408, 409, 425, 429 and 5xx may; other HTTP statuses, programming
    errors and invalid data do not. An agent's own exceptions may, because only its author knows.
    """
    if isinstance(error, StepFailed):
        return error.retryable
    if (status := status_of(error)) is not None:
        return status in RETRYABLE_STATUS or status >= 500
    if isinstance(error, TimeoutError | ConnectionError):
        return True
    return isinstance(error, Exception) and not isinstance(error, _HOPELESS)


def counts_against_agent(error: BaseException) -> bool:
    """Tell whether an error says that the agent is unwell, so that its breaker counts it."""
    if isinstance(error, CircuitOpen | asyncio.CancelledError) or not isinstance(error, Exception):
        return False
    return is_retryable(error)


def retry_after(error: BaseException) -> float | None:
    """Give the seconds that a server asked to wait, or None."""
    seconds = getattr(error, "retry_after", None)
    if isinstance(seconds, int | float):
        return float(seconds)
    headers: Any = getattr(getattr(error, "response", None), "headers", None)
    text = headers.get("retry-after") if headers is not None else None
    return float(text) if isinstance(text, str) and text.isdecimal() else None


def describe(error: BaseException) -> tuple[str, str]:
    """Give the code and the sentence that stand for an error in state, events and results."""
    if isinstance(error, StrettoError):
        return error.code, error.message
    if isinstance(error, TimeoutError):
        return "timed_out", str(error) or "the agent's own call timed out"
    text = _text_of(error)
    return "agent_failed", f"{type(error).__name__}: {text}"[:2000]


def _text_of(error: BaseException) -> str:
    try:
        return str(error) or "no message"
    except Exception:  # an agent's own exception may fail even at this
        return "its message cannot be written"
