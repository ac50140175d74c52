"""A script: what a fake says, one line after the other."""

import threading
from collections.abc import Iterable
from typing import Any


class ScriptError(AssertionError):
    """A fake was asked for something that its script does not have."""


class Script:
    """Lines that are taken in order, from any thread."""

    def __init__(self, lines: Iterable[Any], repeat: bool = False) -> None:
        """Keep ``lines``; with ``repeat`` the last one is given for ever."""
        self._lines = tuple(lines)
        self._repeat = repeat
        self._taken = 0
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        """How many lines nobody has taken yet."""
        return max(len(self._lines) - self._taken, 0)

    def take(self, who: str, question: str) -> Any:
        """Give the next line.

        Args:
            who: whose script it is, for the message.
            question: what was asked, for the message.

        Raises:
            ScriptError: there is none left.

        """
        with self._lock:
            place, self._taken = self._taken, self._taken + 1
        if place >= len(self._lines) and not (self._repeat and self._lines):
            count = f"{len(self._lines)} line" + ("s" if len(self._lines) != 1 else "")
            raise ScriptError(
                f"the script of {who} has {count}, and it was asked for more:{question}"
            )
        return self._lines[min(place, len(self._lines) - 1)]


def raised(line: Any) -> BaseException | None:
    """Give the exception that a line of a script is, without the traces of earlier times.

    Raises:
        ScriptError: it is a class of exceptions that are made of something.

    """
    if isinstance(line, type) and issubclass(line, BaseException):
        try:
            return line()
        except TypeError as error:
            told = f"{line.__name__} cannot be raised without arguments ({error})"
            raise ScriptError(f"{told}; give an exception, not its class") from None
    return line.with_traceback(None) if isinstance(line, BaseException) else None
