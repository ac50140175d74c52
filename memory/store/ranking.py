"""What fits a query best, by words and by meaning.

A page never depends on how much was looked at to find it: as much is read from the engine as proves
that nothing unread belongs before its end (the threshold algorithm of Fagin, Lotem and Naor, 2003).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from stretto.memory.backend.protocol import Engine
from stretto.memory.backend.types import Condition, Filter, HasId, MatchAny, Query, Record
from stretto.memory.store.search import VALUES, VALUES_AND_PARTS, Found, Search, Using

FIRST_LOOK: Final = 16
FURTHEST_LOOK: Final = 1_000_000
"""At first; a limit may be any number, also one that the engine cannot count to."""
HALF: Final = 3.0
"""The BM25 score that counts as 0.5."""


@dataclass(slots=True)
class Scores:
    """The best score of each value for each kind of vector, whichever of its texts has it."""

    of: dict[str, dict[Using, float]] = field(default_factory=dict[str, dict[Using, float]])
    records: dict[str, Record] = field(default_factory=dict[str, Record])

    def add(self, using: Using, page: Iterable[Record]) -> None:
        """Take in what the engine found by one kind of vector."""
        for record in page:
            id = str(record.payload.get("parent", record.id))
            scores = self.of.setdefault(id, {})
            scores[using] = max(record.score or 0.0, scores.get(using, 0.0))
            if id == record.id:
                self.records[id] = record

    def without(self, using: Using) -> list[str]:
        """Give the values that have no score for a kind of vector yet."""
        return [id for id, scores in self.of.items() if using not in scores]

    def vectors(self, id: str) -> int:
        """Say how many vectors of meaning a value may have."""
        record = self.records.get(id)
        return max(1, record.payload.get("parts", 0) if record else 0)


def ranked(engine: Engine, search: Search, now: float | None) -> list[Found]:
    """Give what fits a query, best first: all of it, or all that a page needs.

    Args:
        engine: where the values are; nobody else writes to it meanwhile.
        search: what is searched.
        now: the time by which a value has expired, None to find expired ones too.

    """
    if not search.vectors:
        return []
    looked = min(max(FIRST_LOOK, 2 * len(search.kinds) * search.end), FURTHEST_LOOK)
    while True:
        asked: dict[Using, Query] = {
            using: _query(search, using, now, looked) for using in search.vectors
        }
        pages: dict[Using, list[Record]] = dict(
            zip(asked, engine.query(list(asked.values())), strict=True)
        )
        found = _sorted(engine, search, now, pages)
        unread: dict[Using, float] = {
            using: page[-1].score or 0.0 for using, page in pages.items() if len(page) == looked
        }
        if not unread:
            return found
        bound = combined(unread, search.kinds)
        if len(found) >= search.end and (found[search.end - 1][1] or 0.0) > bound:
            return found[: search.end]
        looked *= 4


def combined(scores: Mapping[Using, float], kinds: Sequence[Using]) -> float:
    """Make one score from 0 to 1 out of those of the engine.

    Args:
        scores: by kind of vector: BM25, unbounded above, and cosine similarity.
        kinds: what the score is made of; each counts the same.

    """
    lexical, dense = scores.get("lex", 0.0), scores.get("dense", 0.0)
    parts = {"lex": lexical / (lexical + HALF) if lexical > 0 else 0.0, "dense": max(0.0, dense)}
    return min(1.0, sum(parts[kind] for kind in kinds) / len(kinds))


def _query(search: Search, using: Using, now: float | None, limit: int, *more: Condition) -> Query:
    kind = VALUES_AND_PARTS if using == "dense" else VALUES
    return Query(using, search.vectors[using], search.filter(kind, now, *more), limit)


def _sorted(
    engine: Engine, search: Search, now: float | None, pages: Mapping[Using, list[Record]]
) -> list[Found]:
    """Give every value on the pages with its whole score, best first."""
    scores = Scores()
    for using, page in pages.items():
        scores.add(using, page)
    _complete(engine, search, now, scores)
    found = [
        (record, combined(scores.of[id], search.kinds))
        for id, record in scores.records.items()
        if search.keeps(record)
    ]
    # Two values of one score keep their order, whichever page they are on.
    found.sort(key=lambda hit: (-hit[1], -hit[0].payload["updated_at"], hit[0].id))
    return [*found]


def _complete(engine: Engine, search: Search, now: float | None, scores: Scores) -> None:
    """Look up what the pages lack of the values on them: scores, and the values of single texts."""
    missing: dict[Using, list[str]] = {
        using: ids for using in search.vectors if (ids := scores.without(using))
    }
    queries: list[Query] = []
    for using, ids in missing.items():
        one_of = Filter(should=(HasId(tuple(ids)), MatchAny("parent", tuple(ids))))
        limit = sum(scores.vectors(id) for id in ids)
        queries.append(_query(search, using, now, limit, one_of))
    if queries:
        for using, page in zip(missing, engine.query(queries), strict=True):
            scores.add(using, page)
    if parents := [id for id in scores.of if id not in scores.records]:
        scores.records |= {record.id: record for record in engine.retrieve(parents)}
