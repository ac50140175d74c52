"""Filters on values: what a filter means, and what of it the engine can narrow down.

A filter is always decided here, on the exact value. The engine is only told what cannot lose a
match, so whatever it cannot express (an order of strings, ``$ne``, whole lists) costs time, not
correctness.
"""

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import ge, gt, le, lt
from typing import Any, Final, cast

from stretto.errors import InputInvalid
from stretto.memory.backend.types import Condition, Match, Missing, Range

MIRROR: Final = "value"
MAX_TEXT: Final = 256
MAX_DEPTH: Final = 8
"""How deep the engine looks into a value."""
MAX_NESTING: Final = 100
"""How deep a filter may be; a value that is compared with it may be deeper."""
LARGEST: Final = sys.float_info.max
_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "$gt": gt,
    "$gte": ge,
    "$lt": lt,
    "$lte": le,
}
_OPERATORS: Final = frozenset({"$eq", "$ne", *_ORDERS})


def check(entries: Mapping[str, Any]) -> None:
    """Check a filter before anything is done with it.

    Args:
        entries: the filter, or a part of one that wants entries.

    Raises:
        InputInvalid: a key is no text, an operator does not exist, or it is nested too deep.

    """
    _check_nesting(entries)
    _check_names(entries)


def _check_nesting(entries: Mapping[str, Any]) -> None:
    """Refuse what would be compared by more calls inside calls than Python allows."""
    waiting: list[tuple[object, int]] = [(entries, 1)]
    while waiting:
        part, depth = waiting.pop()
        if isinstance(part, Mapping):
            within = [*cast("Mapping[object, object]", part).values()]
        elif isinstance(part, (list, tuple)):
            within = [*cast("Sequence[object]", part)]
        else:
            continue
        if depth > MAX_NESTING:
            raise InputInvalid(f"a filter is nested at most {MAX_NESTING} deep; ask for less")
        waiting += [(each, depth + 1) for each in within]


def _check_names(entries: Mapping[str, Any]) -> None:
    for key in cast("Mapping[object, Any]", entries):
        if not isinstance(key, str):
            raise InputInvalid(f"a filter has the key {key!r}; keys are text")
    for part in entries.values():
        if not isinstance(part, Mapping):
            continue
        given = cast("Mapping[str, Any]", part)
        unknown = given.keys() - _OPERATORS
        if not _is_operation(given):
            _check_names(given)
        elif unknown:
            raise InputInvalid(
                f"a filter knows no operator {min(map(str, unknown))!r}; "
                f"use {', '.join(sorted(_OPERATORS))}"
            )


def fits(value: Mapping[str, Any], entries: Mapping[str, Any]) -> bool:
    """Say whether a value has, besides others, all entries that a filter wants."""
    return all(matches(value.get(key), part) for key, part in entries.items())


def matches(value: Any, wanted: Any) -> bool:
    """Say whether a value is as a filter wants it.

    Args:
        value: a value, or None when there is none at this place.
        wanted: a value to be equal to; a mapping of operators; a mapping whose entries the value
            has to have, besides others; or a list, item by item.

    """
    if isinstance(wanted, Mapping):
        parts = cast("Mapping[str, Any]", wanted)
        if _is_operation(parts):
            return all(_holds(value, name, bound) for name, bound in parts.items())
        return isinstance(value, Mapping) and fits(cast("Mapping[str, Any]", value), parts)
    if isinstance(wanted, (list, tuple)):
        items = cast("Sequence[Any]", wanted)
        return _is_list(value, len(items)) and all(map(matches, value, items))
    return same(value, wanted)


def same(one: Any, other: Any) -> bool:
    """Say whether two values are equal as JSON: 1 equals 1.0, and never true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        left, right = cast("Mapping[str, Any]", one), cast("Mapping[str, Any]", other)
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(one, (list, tuple)):
        items = cast("Sequence[Any]", one)
        return _is_list(other, len(items)) and all(map(same, items, other))
    return bool(one == other)


def pushed(wanted: Mapping[str, Any]) -> tuple[Condition, ...]:
    """Give the conditions that every match of a filter fulfils in the mirror of its value."""
    return tuple(_conditions(MIRROR, wanted, 0))


def mirrored(value: Any, depth: int = 0) -> Any:
    """Give the part of a value that the engine can filter by, None where there is none.

    Args:
        value: a JSON value.
        depth: how many mappings hold it.

    """
    if isinstance(value, Mapping) and depth < MAX_DEPTH:
        entries = cast("Mapping[str, Any]", value).items()
        seen = {key: mirrored(part, depth + 1) for key, part in entries if _is_name(key)}
        return {key: part for key, part in seen.items() if part is not None} or None
    if isinstance(value, (list, tuple)):
        texts = [_scalar(item) for item in cast("Sequence[Any]", value)]
        return [text for text in texts if isinstance(text, str)] or None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _nearest(value)
    return _scalar(value)


def _conditions(field: str, wanted: Mapping[str, Any], depth: int) -> Iterator[Condition]:
    for key, part in wanted.items():
        if not _is_name(key) or depth >= MAX_DEPTH:
            continue
        place = f'{field}."{key}"'
        if not isinstance(part, Mapping):
            yield from _equal(place, part)
        elif _is_operation(operation := cast("Mapping[str, Any]", part)):
            for name, bound in operation.items():
                yield from _operation(place, name, bound)
        else:
            yield from _conditions(place, operation, depth + 1)


def _operation(place: str, name: str, bound: Any) -> Iterator[Condition]:
    if name == "$eq" and not isinstance(bound, Mapping):
        yield from _equal(place, bound)
    elif name in _ORDERS and isinstance(number := _scalar(bound), float):
        low, high = _about(number)
        yield Range(place, gte=low) if name in ("$gt", "$gte") else Range(place, lte=high)


def _equal(place: str, wanted: Any) -> Iterator[Condition]:
    if wanted is None:
        yield Missing(place)
    elif isinstance(wanted, (list, tuple)):
        for item in cast("Sequence[Any]", wanted):
            if isinstance(text := _scalar(item), str):
                yield Match(place, text)
    elif isinstance(seen := _scalar(wanted), float):
        low, high = _about(seen)
        yield Range(place, gte=low, lte=high)
    elif seen is not None:
        yield Match(place, seen)


def _nearest(number: float) -> float | None:
    """Give the number next to one that the engine can keep: one beyond all others is found too."""
    if -LARGEST <= number <= LARGEST:
        return float(number)
    return LARGEST if number > 0 else -LARGEST if number < 0 else None


def _about(number: float) -> tuple[float, float]:
    """Give bounds around a number, since engines keep numbers less exactly than values do."""
    margin = abs(number) * 1e-9
    return max(number - margin, -LARGEST), min(number + margin, LARGEST)


def _scalar(value: Any) -> str | float | None:
    """Give the form in which the engine compares a value, None when it cannot."""
    if isinstance(value, bool):
        # The embedded engine does not match booleans.
        return "b:true" if value else "b:false"
    if isinstance(value, (int, float)):
        try:
            number = float(value)
        except OverflowError:
            return None
        return number if math.isfinite(number) else None
    if isinstance(value, str) and len(value) <= MAX_TEXT:
        return value.encode("utf-8", "replace").decode()
    return None


def _holds(value: Any, name: str, bound: Any) -> bool:
    if name == "$eq":
        return same(value, bound)
    if name == "$ne":
        return not same(value, bound)
    return _comparable(value, bound) and _ORDERS[name](value, bound)


def _comparable(value: Any, bound: Any) -> bool:
    if isinstance(value, bool) or isinstance(bound, bool):
        return False
    return any(isinstance(value, kind) and isinstance(bound, kind) for kind in (str, (int, float)))


def _is_operation(part: Mapping[str, Any]) -> bool:
    return any(str(key).startswith("$") for key in part)


def _is_list(value: Any, length: int) -> bool:
    return isinstance(value, (list, tuple)) and len(cast("Sequence[Any]", value)) == length


def _is_name(key: str) -> bool:
    """Say whether the engine can follow this key: its paths quote no quote and no backslash."""
    return bool(key) and '"' not in key and "\\" not in key and key.isprintable()
