"""One search: what is asked for, and how the engine is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from langgraph.store.base import SearchOp

from stretto.memory.backend.types import (
    Condition,
    Filter,
    Match,
    MatchAny,
    Range,
    Record,
    Sparse,
)
from stretto.memory.meaning import Dense
from stretto.memory.store.filters import fits, pushed
from stretto.memory.store.paths import join
from stretto.memory.store.values import PART, VALUE, value_of

VALUES: Final = Match("stretto", VALUE)
VALUES_AND_PARTS: Final = MatchAny("stretto", (VALUE, PART))
Using = Literal["lex", "dense"]
Vector = Sparse | Sequence[float]
Found = tuple[Record, float | None]
"""A value, and its score from 0 to 1, if there is one."""


@dataclass(frozen=True, slots=True)
class Search:
    """One search, with its query as vectors."""

    op: SearchOp
    vectors: Mapping[Using, Vector] = field(default_factory=dict[Using, Vector])
    kinds: tuple[Using, ...] = ("lex",)
    """What the score is made of, each the same part, whether the query has such a vector or not."""

    @property
    def end(self) -> int:
        """How many results are needed, those before the page included."""
        return self.op.offset + self.op.limit

    def keeps(self, record: Record) -> bool:
        """Say whether the filter takes a value, exactly."""
        return not self.op.filter or fits(value_of(record), self.op.filter)

    def meaning(self, dense: Dense) -> "Search":
        """Give the same with this vector of meaning; without one words count for all of it."""
        vectors: dict[Using, Vector] = {u: v for u, v in self.vectors.items() if u != "dense"}
        if dense is not None:
            return replace(self, vectors={**vectors, "dense": dense})
        return replace(self, vectors=vectors, kinds=tuple(u for u in self.kinds if u != "dense"))

    def filter(self, kind: Condition, now: float | None, *more: Condition) -> Filter:
        """Give what the engine is asked for; what expired by ``now`` is left out, unless None."""
        must = [kind, *more, *pushed(self.op.filter or {})]
        if self.op.namespace_prefix:
            must.append(Match("ns_prefixes", join(tuple(self.op.namespace_prefix))))
        return Filter(tuple(must), unexpired(now))


def unexpired(now: float | None) -> tuple[Condition, ...]:
    """Give what must not hold of a value at ``now``, nothing for None."""
    return () if now is None else (Range("expires_at", lte=now),)
