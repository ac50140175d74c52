"""Names in expressions: those that mean something already, and the closest to a wrong one."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

BASE = frozenset({"input", "context", "run", "steps"})
"""What every expression of a step may use."""
ANSWER = frozenset({"status", "headers", "body"})
"""What the ``select`` of an HTTP step may use."""
RESERVED = BASE | {"item", "index", "iteration", "event"}
"""What no step may be called."""


_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def mentioned(text: str, names: frozenset[str]) -> frozenset[str]:
    """Narrow names down to those that occur in a text, so that equal texts compile once."""
    return names.intersection(_WORD.findall(text))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Find the known name that is closest to a wrong one; None when none is close."""
    choices = sorted(known)
    exact = {choice.lower(): choice for choice in choices}
    if name.lower() in exact:
        return exact[name.lower()]
    return next(iter(get_close_matches(name, choices, 1, 0.6)), None)
