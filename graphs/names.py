"""Names in expressions: those that mean something already, and the closest to a wrong one."""

from collections.abc import Iterable
from difflib import get_close_matches

BASE = frozenset({"input", "context", "run", "steps"})
"""What every expression of a step may use."""
RESERVED = BASE | {"item", "index", "iteration", "event"}
"""What no step may be called."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Find the known name that is closest to a wrong one; None when none is close."""
    choices = sorted(known)
    exact = {choice.lower(): choice for choice in choices}
    if name.lower() in exact:
        return exact[name.lower()]
    return next(iter(get_close_matches(name, choices, 1, 0.6)), None)
