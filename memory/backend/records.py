"""The points that were read or written lately."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from sys import intern
from typing import TypeAlias
from uuid import UUID

from stretto.memory.backend.schema import DENSE
from stretto.memory.backend.types import Query, Record

HELD = 16384
"""Records that are held at most: some 25 MB, a few times that where all are long."""
LONGEST = 2000
"""Characters of the texts in a payload that is held."""
Records: TypeAlias = dict[int, Record]
"""By the number that the id is: to write the engine's ids as text takes long."""
Scored: TypeAlias = Sequence[tuple[UUID, float]]
"""What a query found, the nearest first."""


class RecordCache:
    """Records by id: to read one from the files takes ten times as long as to find its point."""

    def __init__(self) -> None:
        """Begin with none."""
        self._held: Records = {}

    def of(
        self, ids: Mapping[int, UUID], read: Callable[[Sequence[UUID]], Records]
    ) -> Mapping[int, Record]:
        """Give the records of the points that exist, to look them up in at once.

        There may be others in it, and it changes with the next call.

        Args:
            ids: the points, each with the number that it is.
            read: reads those that are not held.

        """
        held = self._held
        if ids.keys() <= held.keys():
            return held
        found = {number: held[number] for number in ids if number in held}
        missing = read([id for number, id in ids.items() if number not in found])
        for number, record in missing.items():
            self.hold(number, record)
        return found | missing

    def hold(self, number: int, record: Record) -> None:
        """Keep what a point says, unless that is long."""
        said = record.payload
        if sum([len(value) for value in said.values() if isinstance(value, str)]) > LONGEST:
            return
        if len(self._held) >= HELD:
            del self._held[next(iter(self._held))]  # the first that came
        short = dict(zip(map(intern, said), said.values(), strict=True))
        self._held[number] = Record(record.id, short)

    def drop(self, numbers: Iterable[int]) -> None:
        """Forget what these points said: it is about to change."""
        for number in numbers:
            self._held.pop(number, None)


def told(queries: Sequence[Query], scored: Sequence[Scored]) -> dict[int, UUID]:
    """Give what some queries found with payload, each with the number that its id is."""
    pairs = zip(queries, scored, strict=True)
    return {id.int: id for query, points in pairs if query.with_payload for id, _ in points}


def others(query: Query, scored: Scored, among: Mapping[int, UUID]) -> Query | None:
    """Give the query for the scores of what the others found; None when there is nothing."""
    if not query.scores_others:
        return None
    if query.using != DENSE and len(scored) < query.limit and not query.offset:
        return None  # all that shares a term was found; a server's index of meaning is not exact
    own = {id.int for id, _ in scored}
    left = [id for number, id in among.items() if number not in own]
    return query.among(left) if left else None


def answered(query: Query, scored: Scored, read: Mapping[int, Record]) -> list[Record]:
    """Give what a query found, as it was read."""
    if not query.with_payload:
        return [Record(str(id), {}, score) for id, score in scored]
    vectors = query.with_vectors
    return [
        Record(record.id, record.payload, score, record.vectors if vectors else None)
        for id, score in scored
        if (record := read.get(id.int)) is not None
    ]
