"""Our types to those of the embedded engine, and back."""

from typing import Any, TypeAlias

import qdrant_edge as qe

from stretto.memory.backend.types import (
    Condition,
    Filter,
    HasId,
    Match,
    MatchAny,
    Missing,
    Point,
    Query,
    Range,
    Record,
    Sparse,
    Vectors,
)

EdgeCondition: TypeAlias = qe.FieldCondition | qe.IsEmptyCondition | qe.HasIdCondition | qe.Filter


def to_point(point: Point) -> qe.Point:
    """Give the engine's form of a point that was checked."""
    vectors: dict[str, Any] = {}
    if point.lex is not None:
        vectors["lex"] = to_sparse(point.lex)
    if point.lex_ep is not None:
        vectors["lex_ep"] = to_sparse(point.lex_ep)
    if point.dense is not None:
        vectors["dense"] = list(point.dense)
    return qe.Point(point.id, vectors, dict(point.payload))


def to_sparse(vector: Sparse) -> qe.SparseVector:
    """Give the engine's form of a sparse vector."""
    return qe.SparseVector(list(vector[0]), list(vector[1]))


def to_filter(filter: Filter | None) -> qe.Filter | None:
    """Give the engine's form of a filter."""
    if filter is None:
        return None
    # The engine takes an empty list for a clause that nothing meets.
    return qe.Filter(
        must=[to_condition(c) for c in filter.must] or None,
        must_not=[to_condition(c) for c in filter.must_not] or None,
        should=[to_condition(c) for c in filter.should] or None,
    )


def to_condition(condition: Condition) -> EdgeCondition:
    """Give the engine's form of one condition."""
    match condition:
        case Filter():
            return to_filter(condition) or qe.Filter()
        case HasId(ids):
            return qe.HasIdCondition(set(ids))
        case Missing(field):
            return qe.IsEmptyCondition(field)
        case Range(field):
            bounds = qe.RangeFloat(
                gt=condition.gt, gte=condition.gte, lt=condition.lt, lte=condition.lte
            )
            return qe.FieldCondition(field, range=bounds)
        case MatchAny(field, values):
            return qe.FieldCondition(field, match=qe.MatchAny(list(values)))  # type: ignore[arg-type]
        case Match(field, float(value)):
            return qe.FieldCondition(field, range=qe.RangeFloat(gte=value, lte=value))
        case Match(field, value):
            return qe.FieldCondition(field, match=qe.MatchValue(value))  # type: ignore[arg-type]


def to_query(query: Query) -> qe.QueryRequest:
    """Give the engine's form of a query that was checked."""
    vector: Any = query.vector
    return qe.QueryRequest(
        limit=query.limit,
        offset=query.offset,
        query=qe.Query.Nearest(
            list(vector) if query.using == "dense" else to_sparse(vector), using=query.using
        ),
        filter=to_filter(query.filter),
        with_vector=False,
        with_payload=False,
    )


def from_record(found: "qe.Record | qe.ScoredPoint", with_vectors: bool) -> Record:
    """Give our form of what the engine found."""
    return Record(
        id=str(found.id),
        payload=found.payload or {},
        score=getattr(found, "score", None),
        vectors=_vectors(found.vector) if with_vectors else None,
    )


def _vectors(found: Any) -> Vectors:
    named: dict[str, Any] = found or {}
    return Vectors(_sparse(named.get("lex")), _sparse(named.get("lex_ep")), named.get("dense"))


def _sparse(found: qe.SparseVector | None) -> Sparse | None:
    return None if found is None else (found.indices, found.values)
