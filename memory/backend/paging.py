"""Pages in the order of a number field, that neither lose nor repeat points of one value.

Engines page by id only, and by value only from a value on. So a page goes down the values, and
where several points share the last value, through these by id: the order is (value, id), and
a cursor says where in it the next page begins. Written as a generator of what to ask the engine,
so that the embedded one and the server share it.
"""

import json
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeAlias

from stretto.errors import MemoryFault
from stretto.memory.backend.types import Condition, Filter, Order, Range, Record


@dataclass(frozen=True, slots=True)
class Ask:
    """One call of the engine's own scroll: from an id on, or by ``order`` from the start."""

    filter: Filter | None
    limit: int
    offset: str | None = None
    order: Order | None = None


Answer: TypeAlias = tuple[list[Record], str | None]
Steps: TypeAlias = Generator[Ask, Answer, Answer]


def ordered(filter: Filter | None, limit: int, cursor: str | None, order: Order) -> Steps:
    """Ask for one page; the answer to each ``Ask`` is sent in, the page and its cursor come out.

    Raises:
        MemoryFault: ``query_invalid``: the cursor is not one of ours.

    """
    page: list[Record] = []
    value: float | None = None
    if cursor is not None:
        value, offset = _parse(cursor)
        page, next_id = yield from _equal(filter, limit, order, value, offset)
        if next_id is not None:
            return page, _cursor(value, next_id)
    if len(page) == limit:
        return page, (None if value is None else _cursor(value, None))
    rest = limit - len(page)
    found, _ = yield Ask(_beyond(filter, order, value), rest, order=order)
    sign = -1 if order.descending else 1
    found = sorted(found, key=lambda record: (sign * _value(record, order), record.id))
    if len(found) < rest:
        return page + found, None
    # The last value may go on beyond the page, and its points do not come by id: take them anew.
    last = _value(found[-1], order)
    page += [r for r in found if _value(r, order) != last]
    more, next_id = yield from _equal(filter, limit - len(page), order, last, None)
    return page + more, _cursor(last, next_id)


def _equal(
    filter: Filter | None, limit: int, order: Order, value: float, offset: str | None
) -> Steps:
    if offset == "":  # all points of this value were given
        return [], None
    same = _both(filter, Range(order.field, gte=value, lte=value))
    return (yield Ask(same, limit, offset=offset))


def _beyond(filter: Filter | None, order: Order, value: float | None) -> Filter | None:
    if value is None:
        return filter
    down = order.descending
    return _both(filter, Range(order.field, lt=value) if down else Range(order.field, gt=value))


def _both(filter: Filter | None, condition: Condition) -> Filter:
    return Filter(must=(condition,) if filter is None else (condition, filter))


def _value(record: Record, order: Order) -> float:
    return float(record.payload[order.field])


def _cursor(value: float, next_id: str | None) -> str:
    return json.dumps([value, next_id or ""])


def _parse(cursor: str) -> tuple[float, str]:
    try:
        parsed: Any = json.loads(cursor)
        value, offset = parsed
        return float(value), str(offset)
    except (ValueError, TypeError):
        raise MemoryFault(
            f"'{cursor}' is not a cursor of an ordered scroll.", code="query_invalid"
        ) from None
