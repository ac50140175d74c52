"""What crosses the seam to the engine: points, records, filters and queries, in our own types.

Booleans cannot be matched: the embedded engine compares them as numbers and never finds one. Store
them as keywords (``"b:true"``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias
from uuid import UUID

Sparse: TypeAlias = tuple[Sequence[int], Sequence[float]]
"""Indices (32 bits, unsigned, each at most once) and as many values."""
VectorName: TypeAlias = Literal["lex", "lex_ep", "dense"]


class Vectors(NamedTuple):
    """The vectors of one point; None where it has none."""

    lex: Sparse | None = None
    lex_ep: Sparse | None = None
    dense: Sequence[float] | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that is kept; a point with the id of another one replaces it whole."""

    id: str
    """A UUID as text."""
    payload: Mapping[str, Any]
    """JSON values."""
    lex: Sparse | None = None
    lex_ep: Sparse | None = None
    dense: Sequence[float] | None = None


class Record(NamedTuple):
    """One point as it was found."""

    id: str
    payload: Mapping[str, Any]
    score: float | None = None
    """How near to the query, higher is nearer; None when nothing was searched for."""
    vectors: Vectors | None = None
    """None when they were not asked for. A dense vector comes back with length one."""

    def to_point(self) -> Point:
        """Give the point to write it again; it has vectors only if the record has."""
        lex, lex_ep, dense = self.vectors or Vectors()
        return Point(self.id, self.payload, lex, lex_ep, dense)


@dataclass(frozen=True, slots=True)
class Match:
    """The field, or one of its values when it is a list, is this value."""

    field: str
    value: str | int | float

    def __post_init__(self) -> None:
        """Refuse booleans."""
        _refuse_bool(self.field, self.value)


@dataclass(frozen=True, slots=True)
class MatchAny:
    """The field, or one of its values when it is a list, is one of these: all text or all int."""

    field: str
    values: tuple[str, ...] | tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse booleans."""
        for value in self.values:
            _refuse_bool(self.field, value)


@dataclass(frozen=True, slots=True)
class Range:
    """The field is a number within these bounds."""

    field: str
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """The field is absent, null or an empty list."""

    field: str


@dataclass(frozen=True, slots=True)
class HasId:
    """The point is one of these."""

    ids: tuple[str, ...] | tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Filter:
    """All of ``must``, none of ``must_not``, and one of ``should`` if there are any."""

    must: "tuple[Condition, ...]" = ()
    must_not: "tuple[Condition, ...]" = ()
    should: "tuple[Condition, ...]" = ()


Condition: TypeAlias = Match | MatchAny | Range | Missing | HasId | Filter


@dataclass(frozen=True, slots=True)
class Query:
    """The ``limit`` points nearest to ``vector``; a sparse one finds only what shares a term."""

    using: VectorName
    vector: Sparse | Sequence[float]
    filter: Filter | None = None
    limit: int = 10
    with_vectors: bool = False
    offset: int = 0
    with_payload: bool = True
    """Without it there are no vectors either; to read a point takes longer than to find it."""
    scores_others: bool = False
    """Whether it also gives, with their scores, what other queries of the same batch found with
    payload and it did not, as far as its filter lets that through."""

    def among(self, ids: Iterable[UUID]) -> "Query":
        """Give the query for the scores of these points."""
        some = HasId(tuple(ids))
        kept = (some,) if self.filter is None else (some, self.filter)
        limit = max(len(some.ids), 1)
        return Query(self.using, self.vector, Filter(kept), limit, with_payload=False)


@dataclass(frozen=True, slots=True)
class Order:
    """By a number field; points of one value come by their id, those without it not at all."""

    field: str
    descending: bool = True


@dataclass(frozen=True, slots=True)
class Stats:
    """How much is kept, and where."""

    points: int
    bytes_on_disk: int | None
    """None for a server, which does not tell."""
    deleted: int | None
    """Points deleted in this process since the last ``compact``; None for a server."""
    location: str
    """Folder or URL."""
    spooled: int = 0
    """Writes that wait on disk for the server to come back."""


def _refuse_bool(field: str, value: object) -> None:
    if isinstance(value, bool):
        raise TypeError(
            f"'{field}' cannot be matched with a boolean; store it as a keyword such as 'b:true'"
        )
