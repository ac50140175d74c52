"""Instances of an agent's class, so that no two tasks are at work in one."""

from collections.abc import Callable
from typing import Any


class Instances:
    """The instances of one class: made when they are needed, and kept for the next task."""

    def __init__(self, make: Callable[[], Any]) -> None:
        """Make the first one; ``make`` is called again whenever all others are at work."""
        self._make = make
        self.first = make()
        """What the class says of itself can be read from it."""
        self._idle = [self.first]

    def take(self) -> Any:
        """Give an instance that is not at work."""
        return self._idle.pop() if self._idle else self._make()

    def give_back(self, instance: Any) -> None:
        """Let an instance be used again."""
        self._idle.append(instance)
