"""One batch of operations: what it reads is the state before what it writes."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from langgraph.store.base import GetOp, ListNamespacesOp, Result

from stretto.memory.backend.protocol import Engine
from stretto.memory.backend.types import Condition, Filter, Match, Point, Range, Record
from stretto.memory.meaning import Meaning
from stretto.memory.store import paths
from stretto.memory.store.finding import find
from stretto.memory.store.search import VALUES, Found, Search, unexpired
from stretto.memory.store.values import (
    MINUTE,
    PART,
    Put,
    item_of,
    part_ids,
    points_of,
    search_item_of,
)

MANY: Final = 1_000_000
TICK: Final = 1e-6
"""Seconds, the finest that a time of an item tells."""
DIGITS: Final = 6


@dataclass(slots=True)
class Get:
    """One value to read, and where it is."""

    id: str
    op: GetOp


@dataclass(slots=True)
class Clock:
    """The time of a store; only its batches read it, one after the other."""

    sweep_seconds: float | None = None
    """How often what has expired is deleted; None for never."""
    stamped: float = 0.0
    swept: float | None = None

    def stamp(self, now: float, after: float = 0.0) -> float:
        """Give ``now``, or the first time behind the last write and behind ``after``."""
        # The embedded engine reads longer numbers back inexactly.
        self.stamped = round(max(now, self.stamped + TICK, after + TICK), DIGITS)
        return self.stamped

    def is_time_to_sweep(self, now: float) -> bool:
        """Say whether it is time to delete what has expired, once for each interval."""
        if self.sweep_seconds is None:
            return False
        if self.swept is not None and 0 <= now - self.swept < self.sweep_seconds:
            return False
        self.swept = now
        return True


@dataclass(slots=True)
class Batch:
    """The operations of one batch, each under its position, and what became of them."""

    clock: Clock
    omit_expired: bool
    meaning: Meaning | None = None
    """What made its vectors of meaning."""
    gets: dict[int, Get] = field(default_factory=dict[int, Get])
    searches: dict[int, Search] = field(default_factory=dict[int, Search])
    lists: dict[int, ListNamespacesOp] = field(default_factory=dict[int, ListNamespacesOp])
    puts: dict[str, Put] = field(default_factory=dict[str, Put])
    """By id, so that the last one counts."""
    size: int = 0
    now: float = 0.0
    """When the engine began with it."""
    _read: dict[str, Record] = field(default_factory=dict[str, Record])
    _found: dict[int, list[Found]] = field(default_factory=dict[int, list[Found]])
    _listed: dict[int, list[paths.Namespace]] = field(
        default_factory=dict[int, list[paths.Namespace]]
    )

    def run(self, engine: Engine) -> None:
        """Do everything; the engine is ours alone meanwhile."""
        self.now = time.time()
        if self.meaning is not None and self.meaning.retired:
            self._leave_meaning_out()
        if self.clock.is_time_to_sweep(self.now):
            sweep(engine)
        ids = dict.fromkeys([*(get.id for get in self.gets.values()), *self.puts])
        records = engine.retrieve(list(ids)) if ids else []
        self._read = {record.id: record for record in records if self._is_there(record)}
        visible = self.now if self.omit_expired else None
        for position, search in self.searches.items():
            self._found[position] = find(engine, search, visible)
        for position, op in self.lists.items():
            self._listed[position] = namespaces(engine, op, visible)
        self._refresh(engine)
        self._write(engine, {record.id: record for record in records})

    def results(self) -> list[Result]:
        """Give the result of each operation, in their order."""
        results: list[Result] = [None] * self.size
        for position, get in self.gets.items():
            if get.id in self._read:
                results[position] = item_of(self._read[get.id])
        for position, found in self._found.items():
            results[position] = [search_item_of(record, score) for record, score in found]
        for position, listed in self._listed.items():
            results[position] = listed
        return results

    def _leave_meaning_out(self) -> None:
        """Do without vectors that were made otherwise than all that are there by now."""
        for id, put in self.puts.items():
            self.puts[id] = replace(put, dense=(None,) * len(put.dense))
        for position, search in self.searches.items():
            self.searches[position] = search.meaning(None)

    def _is_there(self, record: Record) -> bool:
        expires_at = record.payload.get("expires_at")
        return not self.omit_expired or expires_at is None or expires_at > self.now

    def _refresh(self, engine: Engine) -> None:
        """Let what was read live on for as long as it was given."""
        by_ttl: dict[float, set[str]] = {}
        for record in self._touched():
            ttl = record.payload.get("ttl_minutes")
            if ttl is not None and record.id not in self.puts:
                ids = {record.id, *part_ids(record.id, record.payload.get("parts", 0))}
                by_ttl.setdefault(ttl, set()).update(ids)
        for ttl, ids in by_ttl.items():
            engine.set_payload(sorted(ids), {"expires_at": expiry(self.now, ttl)})

    def _touched(self) -> Iterator[Record]:
        for get in self.gets.values():
            if get.op.refresh_ttl and get.id in self._read:
                yield self._read[get.id]
        for position, found in self._found.items():
            if self.searches[position].op.refresh_ttl:
                yield from (record for record, _ in found)

    def _write(self, engine: Engine, old: dict[str, Record]) -> None:
        points: list[Point] = []
        gone: list[str] = []
        for put in self.puts.values():
            before = old.get(put.id)
            if before is not None:
                gone += part_ids(put.id, before.payload.get("parts", 0))
            if put.value_json is None:
                gone += [put.id] if before is not None else []
                continue
            points += points_of(put, *self._times(put.id), expiry(self.now, put.ttl))
        if points:
            engine.upsert(points)
        if stale := set(gone) - {point.id for point in points}:
            engine.delete(sorted(stale))

    def _times(self, id: str) -> tuple[float, float]:
        """Give when a value was created and when it is updated."""
        before = self._read.get(id)
        if before is None:
            updated = self.clock.stamp(self.now)
            return updated, updated
        updated = self.clock.stamp(self.now, after=before.payload["updated_at"])
        return before.payload["created_at"], updated


def expiry(now: float, ttl: float | None) -> float | None:
    """Give when a value expires that is to live for ``ttl`` minutes; None for never."""
    return None if ttl is None else round(now + ttl * MINUTE, DIGITS)


def namespaces(engine: Engine, op: ListNamespacesOp, now: float | None) -> list[paths.Namespace]:
    """List the namespaces that hold values, in order.

    Args:
        engine: where the values are.
        op: which of them.
        now: the time by which a value has expired, None to count expired ones too.

    """
    conditions = op.match_conditions or ()
    must: list[Condition] = [VALUES]
    for condition in conditions:
        if labels := paths.literal(condition):
            kind = "ns_prefixes" if condition.match_type == "prefix" else "ns_suffixes"
            must.append(Match(kind, paths.join(labels)))
    counted = engine.facet("ns_path", Filter(tuple(must), unexpired(now)), MANY)
    found = {
        namespace[: op.max_depth]
        for namespace in (paths.split(path) for path, _ in counted)
        if all(paths.matches(namespace, condition) for condition in conditions)
    }
    return sorted(found)[op.offset : op.offset + op.limit]


def sweep(engine: Engine) -> int:
    """Delete every value that has expired; say how many there were."""
    expired = Range("expires_at", lte=time.time())
    engine.delete(Filter((Match("stretto", PART), expired)))
    return engine.delete(Filter((VALUES, expired)))
