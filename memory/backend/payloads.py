"""What points say, as far as it was read lately."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from sys import intern
from typing import Any, TypeAlias

from stretto.memory.backend.types import Record

HELD = 8192
"""Payloads that are held at most: some 20 MB."""
LONGEST = 2000
"""Characters of the texts in a payload that is held."""
Payload: TypeAlias = Mapping[str, Any]


class Payloads:
    """Payloads by id: to read one from the files takes ten times as long as to find its point."""

    def __init__(self) -> None:
        """Begin with none."""
        self._held: dict[str, Payload] = {}

    def of(
        self, ids: Sequence[str], read: Callable[[list[str]], Iterable[Record]]
    ) -> dict[str, Payload]:
        """Give the payloads of the points that exist.

        Args:
            ids: the points, in the engine's form.
            read: reads those that are not held.

        """
        found = {id: self._held[id] for id in ids if id in self._held}
        if len(found) < len(ids):
            for record in read([id for id in ids if id not in found]):
                found[record.id] = record.payload
                self.hold(record.id, record.payload)
        return found

    def hold(self, id: str, payload: Payload) -> None:
        """Keep what a point says, unless that is long."""
        if sum(len(value) for value in payload.values() if isinstance(value, str)) > LONGEST:
            return
        if len(self._held) >= HELD:
            del self._held[next(iter(self._held))]  # the first that came
        self._held[id] = {intern(name): value for name, value in payload.items()}

    def drop(self, ids: Iterable[str]) -> None:
        """Forget what these points said: it is about to change."""
        for id in ids:
            self._held.pop(id, None)
