"""Searches: the newest first, or what fits the words of a query best.

A page of results never depends on how much was looked at to find it. For a query, as much is read
from the engine as proves that nothing unread belongs before the end of the page (the threshold
algorithm of Fagin, Lotem and Naor, 2003).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from langgraph.store.base import SearchOp

from stretto.memory.backend.protocol import Engine
from stretto.memory.backend.types import (
    Condition,
    Filter,
    HasId,
    Match,
    MatchAny,
    Missing,
    Order,
    Query,
    Range,
    Record,
    Sparse,
)
from stretto.memory.store.filters import matches, pushed
from stretto.memory.store.paths import join
from stretto.memory.store.values import PART, VALUE, value_of

NEWEST: Final = Order("updated_at", descending=True)
VALUES: Final = Match("stretto", VALUE)
VALUES_AND_PARTS: Final = MatchAny("stretto", (VALUE, PART))
FIRST_LOOK: Final = 64
HALF: Final = 3.0
"""The BM25 score that counts as 0.5."""
Using = Literal["lex", "dense"]
Vector = Sparse | Sequence[float]
Found = tuple[Record, float | None]


@dataclass(frozen=True, slots=True)
class Search:
    """One search, with its query as vectors."""

    op: SearchOp
    vectors: Mapping[Using, Vector] = field(default_factory=dict[Using, Vector])
    kinds: tuple[Using, ...] = ("lex",)
    """What the score is made of, each the same part, with a vector or not."""

    @property
    def end(self) -> int:
        """How many results are needed, those before the page included."""
        return self.op.offset + self.op.limit

    def keeps(self, record: Record) -> bool:
        """Say whether the filter takes a value, exactly."""
        return not self.op.filter or matches(value_of(record), self.op.filter)

    def filter(self, kind: Condition, now: float | None, *more: Condition) -> Filter:
        """Give what the engine is asked for; what expired by ``now`` is left out, unless None."""
        must = [kind, *more, *pushed(self.op.filter or {})]
        if self.op.namespace_prefix:
            must.append(Match("ns_prefixes", join(tuple(self.op.namespace_prefix))))
        return Filter(tuple(must), unexpired(now))


def unexpired(now: float | None) -> tuple[Condition, ...]:
    """Give what must not hold of a value at ``now``, nothing for None."""
    return () if now is None else (Range("expires_at", lte=now),)


def run(engine: Engine, search: Search, now: float | None) -> list[Found]:
    """Find the page of results that a search asks for.

    Args:
        engine: where the values are; nobody else writes to it meanwhile.
        search: what is searched.
        now: the time by which a value has expired, None to find expired ones too.

    """
    if search.op.limit == 0:
        return []
    if not search.op.query:
        newest = _newest(engine, search, search.filter(VALUES, now), search.end)
        return [(record, None) for record in newest[search.op.offset :]]
    found: list[Found] = [*_ranked(engine, search, now)]
    # Then what shares no word with the query, and what has no words at all.
    for score in (0.0, None):
        missing = search.end - len(found)
        if missing > 0:
            rest = _rest(search.filter(VALUES, now), found, indexed=score is not None)
            found += [(record, score) for record in _newest(engine, search, rest, missing)]
    return found[search.op.offset : search.end]


def _rest(wanted: Filter, found: Sequence[Found], indexed: bool) -> Filter:
    ids = tuple(record.id for record, score in found if score is not None)
    without = (HasId(ids),) if ids and indexed else ()
    no_text = (Missing("text"),)
    if indexed:
        return Filter(wanted.must, (*wanted.must_not, *without, *no_text))
    return Filter((*wanted.must, *no_text), wanted.must_not)


def _newest(engine: Engine, search: Search, wanted: Filter, count: int) -> list[Record]:
    kept: list[Record] = []
    cursor: str | None = None
    size = count
    while True:
        records, cursor = engine.scroll(wanted, size, cursor, order=NEWEST)
        kept += [record for record in records if search.keeps(record)]
        if cursor is None or len(kept) >= count:
            return kept[:count]
        size = max(size, FIRST_LOOK)


def _ranked(engine: Engine, search: Search, now: float | None) -> list[Found]:
    """Give the best of what fits the query, at least up to the end of the page if there is."""
    if not search.vectors:
        return []
    looked = max(FIRST_LOOK, 2 * search.end)
    while True:
        pages = _pages(engine, search, now, looked)
        ranked = _sorted(engine, search, now, pages)
        full = {using: page for using, page in pages.items() if len(page) == looked}
        if not full:
            return ranked
        unread = {using: page[-1].score or 0.0 for using, page in full.items()}
        bound = combined(unread, search.kinds)
        if len(ranked) >= search.end and (ranked[search.end - 1][1] or 0.0) > bound:
            return ranked[: search.end]
        looked *= 4


def _pages(
    engine: Engine, search: Search, now: float | None, limit: int, *more: Condition
) -> dict[Using, list[Record]]:
    queries = [
        Query(using, vector, search.filter(_kind(using), now, *more), limit)
        for using, vector in search.vectors.items()
    ]
    return dict(zip(search.vectors, engine.query(queries), strict=True))


def _sorted(
    engine: Engine, search: Search, now: float | None, pages: Mapping[Using, list[Record]]
) -> list[Found]:
    """Give every value on the pages with its whole score, best first."""
    ids = {_value_id(record) for page in pages.values() for record in page}
    if len(pages) > 1 and ids:
        one_of = Filter(should=(HasId(tuple(ids)), MatchAny("parent", tuple(ids))))
        limit = sum(map(len, pages.values())) + len(ids)
        pages = _pages(engine, search, now, limit, one_of)
    scores: dict[str, dict[Using, float]] = {}
    records: dict[str, Record] = {}
    for using, page in pages.items():
        for record in page:
            id, score = _value_id(record), record.score or 0.0
            best = scores.setdefault(id, {})
            best[using] = max(score, best.get(using, score))
            if id == record.id:
                records[id] = record
    parents = [id for id in scores if id not in records]
    records |= {record.id: record for record in (engine.retrieve(parents) if parents else [])}
    found = [
        (record, combined(scores[id], search.kinds))
        for id, record in records.items()
        if search.keeps(record)
    ]
    # Two values of one score keep their order, whichever page they are on.
    found.sort(key=lambda hit: (-hit[1], -hit[0].payload["updated_at"], hit[0].id))
    return [*found]


def combined(scores: Mapping[Using, float], kinds: Sequence[Using]) -> float:
    """Make one score from 0 to 1 out of those of the engine.

    Args:
        scores: by kind of vector: BM25, unbounded above, and cosine similarity.
        kinds: what the score is made of; each counts the same.

    """
    lexical, dense = scores.get("lex", 0.0), scores.get("dense", 0.0)
    parts = {"lex": lexical / (lexical + HALF) if lexical > 0 else 0.0, "dense": max(0.0, dense)}
    return min(1.0, sum(parts[kind] for kind in kinds) / len(kinds))


def _kind(using: Using) -> Condition:
    return VALUES_AND_PARTS if using == "dense" else VALUES


def _value_id(record: Record) -> str:
    return str(record.payload.get("parent", record.id))


