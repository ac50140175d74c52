"""Our types to those of the Qdrant client, and back."""

from typing import Any

from qdrant_client import models

from stretto.memory.backend import schema
from stretto.memory.backend.types import (
    Condition,
    Filter,
    HasId,
    Match,
    MatchAny,
    Missing,
    Order,
    Point,
    Query,
    Range,
    Record,
    Sparse,
    Vectors,
)


def to_point(point: Point) -> models.PointStruct:
    """Give the client's form of a point that was checked."""
    vectors: dict[str, Any] = {}
    if point.lex is not None:
        vectors["lex"] = to_sparse(point.lex)
    if point.lex_ep is not None:
        vectors["lex_ep"] = to_sparse(point.lex_ep)
    if point.dense is not None:
        vectors[schema.DENSE] = list(point.dense)
    return models.PointStruct(id=point.id, vector=vectors, payload=dict(point.payload))


def to_sparse(vector: Sparse) -> models.SparseVector:
    """Give the client's form of a sparse vector."""
    return models.SparseVector(indices=list(vector[0]), values=list(vector[1]))


def to_filter(filter: Filter | None) -> models.Filter | None:
    """Give the client's form of a filter."""
    if filter is None:
        return None
    return models.Filter(
        must=[to_condition(c) for c in filter.must] or None,
        must_not=[to_condition(c) for c in filter.must_not] or None,
        should=[to_condition(c) for c in filter.should] or None,
    )


def to_condition(condition: Condition) -> models.Condition:
    """Give the client's form of one condition."""
    match condition:
        case Filter():
            return to_filter(condition) or models.Filter()
        case HasId(ids):
            return models.HasIdCondition(has_id=list(ids))
        case Missing(field):
            return models.IsEmptyCondition(is_empty=models.PayloadField(key=field))
        case Range(field):
            bounds = models.Range(
                gt=condition.gt, gte=condition.gte, lt=condition.lt, lte=condition.lte
            )
            return models.FieldCondition(key=field, range=bounds)
        case MatchAny(field, values):
            anything: Any = list(values)
            return models.FieldCondition(key=field, match=models.MatchAny(any=anything))
        case Match(field, float(value)):
            return models.FieldCondition(key=field, range=models.Range(gte=value, lte=value))
        case Match(field, str(value) | int(value)):
            return models.FieldCondition(key=field, match=models.MatchValue(value=value))
        case Match():
            raise TypeError(f"'{condition.field}' can be matched with text or a number only")


def to_query(query: Query) -> models.QueryRequest:
    """Give the client's form of a query that was checked."""
    vector: Any = query.vector
    return models.QueryRequest(
        query=list(vector) if query.using == schema.DENSE else to_sparse(vector),
        using=query.using,
        filter=to_filter(query.filter),
        limit=query.limit,
        offset=query.offset,
        with_payload=query.with_payload,
        with_vector=query.with_payload and query.with_vectors,
    )


def to_order(order: Order | None) -> models.OrderBy | None:
    """Give the client's form of an order."""
    if order is None:
        return None
    way = models.Direction.DESC if order.descending else models.Direction.ASC
    return models.OrderBy(key=order.field, direction=way)


def from_record(found: models.Record | models.ScoredPoint, with_vectors: bool) -> Record:
    """Give our form of what the server found."""
    return Record(
        id=str(found.id),
        payload=found.payload or {},
        score=getattr(found, "score", None),
        vectors=_vectors(found.vector) if with_vectors else None,
    )


def _vectors(found: Any) -> Vectors:
    named: dict[str, Any] = found or {}
    lex, lex_ep = named.get("lex"), named.get("lex_ep")
    return Vectors(_sparse(lex), _sparse(lex_ep), named.get(schema.DENSE))


def _sparse(found: models.SparseVector | None) -> Sparse | None:
    return None if found is None else (found.indices, found.values)
