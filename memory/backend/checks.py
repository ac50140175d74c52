"""Refusing what no engine can keep, before one sees it, in one sentence each."""

import json
import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stretto.errors import MemoryFault
from stretto.memory.backend.types import Point, Query, Sparse

U32 = 2**32


def check_points(points: Iterable[Point], dims: int | None) -> None:
    """Refuse points with ids or vectors that cannot be stored.

    Args:
        points: what shall be written.
        dims: numbers per dense vector; None when this memory has none.

    Raises:
        MemoryFault: ``point_invalid`` or ``vector_invalid``, naming the point.

    """
    for point in points:
        check_id(point.id)
        where = f"Point {point.id}"
        for sparse in (point.lex, point.lex_ep):
            if sparse is not None:
                _check_sparse(sparse, where)
        if point.dense is not None:
            _check_dense(point.dense, dims, where)


def check_query(query: Query, dims: int | None) -> None:
    """Refuse a query with a vector or a limit that no engine answers.

    Raises:
        MemoryFault: ``vector_invalid`` or ``query_invalid``.

    """
    if query.limit < 1 or query.offset < 0:
        raise MemoryFault("A query needs a limit of at least 1.", code="query_invalid")
    if query.using == "dense":
        _check_dense(query.vector, dims, "The query")  # type: ignore[arg-type]
    else:
        _check_sparse(query.vector, "The query")  # type: ignore[arg-type]


def check_page(limit: int) -> None:
    """Refuse a page of nothing.

    Raises:
        MemoryFault: ``query_invalid``.

    """
    if limit < 1:
        raise MemoryFault("A page needs a limit of at least 1.", code="query_invalid")


def check_id(id: str) -> uuid.UUID:
    """Give an id as what it stands for; refuse what is not a UUID.

    Raises:
        MemoryFault: ``point_invalid``.

    """
    try:
        return uuid.UUID(id)
    except (ValueError, AttributeError, TypeError):
        raise MemoryFault(f"'{id}' is not a UUID.", code="point_invalid") from None


def check_payload(payload: Mapping[str, Any]) -> None:
    """Refuse a payload that is not JSON.

    Raises:
        MemoryFault: ``point_invalid``.

    """
    try:
        json.dumps(dict(payload), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise MemoryFault(
            f"A point has a payload that is not JSON: {error}", code="point_invalid"
        ) from error


def _check_dense(vector: Sequence[float], dims: int | None, where: str) -> None:
    if dims is None:
        raise _invalid(f"{where} has a dense vector, but this memory was opened without dims.")
    if len(vector) != dims:
        raise _invalid(
            f"{where} has a dense vector of {len(vector)} numbers, this memory holds {dims}; "
            "use the embedder it was made with, or reindex."
        )
    if not all(map(math.isfinite, vector)):
        raise _invalid(f"{where} has a dense vector with a number that is not finite.")


def _check_sparse(vector: Sparse, where: str) -> None:
    indices, values = vector
    if len(indices) != len(values) or len(set(indices)) != len(indices):
        raise _invalid(f"{where} needs one value per index in a sparse vector, each index once.")
    if not all(map(math.isfinite, values)):
        raise _invalid(f"{where} has a sparse vector with a number that is not finite.")
    if indices and not 0 <= min(indices) <= max(indices) < U32:
        raise _invalid(f"{where} has an index outside 32 bits in a sparse vector.")


def _invalid(message: str) -> MemoryFault:
    return MemoryFault(message, code="vector_invalid")
