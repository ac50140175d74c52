"""The criteria of a filter: what is asked of the fields of an item."""

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeGuard

from stretto.graphs.expressions import (
    ExpressionError,
    Names,
    compile_expression,
    evaluate_condition,
)
from stretto.graphs.plaindata import is_mapping

Test = Callable[[Any, Any], bool]
ITEM = ("item", "index")
"""The names that CEL in a transform may use."""
_MISSING = object()


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Tell whether a value is a list."""
    return isinstance(value, list)


def is_number(value: Any) -> TypeGuard[int | float]:
    """Tell whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def item_names(item: Any, index: Any) -> Names:
    """Give what CEL in a transform sees."""
    return Names({"item": item, "index": index}, {}, {})


def by_criteria(declared: Mapping[str, Any]) -> Test:
    """Make a test of items (and their index) out of declared criteria; all must hold.

    Raises:
        ExpressionError: a criterion is wrong.

    """
    asked_of = list(criteria(declared))
    for _, asked, wanted in asked_of:
        check_criterion(asked, wanted)
    return lambda item, index: all(
        _TESTS[asked](_field(item, name), wanted) for name, asked, wanted in asked_of
    )


def criteria(declared: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Give every criterion as a field's name, an operator and the value it wants."""
    for name, criterion in declared.items():
        asked: Mapping[str, Any] = criterion if is_mapping(criterion) else {"equals": criterion}
        yield from ((name, operator_, wanted) for operator_, wanted in asked.items())


def check_criterion(asked: str, wanted: Any) -> None:
    """Check a criterion before any value is there.

    Raises:
        ExpressionError: there is no such operator, or it wants another kind of value.

    """
    if asked not in _TESTS:
        raise ExpressionError(f"'{asked}' is no operator; use one of {', '.join(_TESTS)}")
    needed, kind = _NEEDED.get(asked, (object, "a value"))
    if not isinstance(wanted, needed):
        raise ExpressionError(f"'{asked}' needs {kind}")
    if asked == "matches":
        _matches("", wanted)  # raises when the pattern is wrong


def _field(item: Any, name: str) -> Any:
    """Read a key, or a path of keys with dots in between."""
    if not is_mapping(item) or name in item:
        return item[name] if is_mapping(item) else _MISSING
    first, _, rest = name.partition(".")
    return _field(item[first], rest) if rest and first in item else _MISSING


def _same(value: Any, wanted: Any) -> bool:
    # Python takes true for 1, JSON does not.
    return isinstance(value, bool) == isinstance(wanted, bool) and bool(value == wanted)


def _one_of(value: Any, wanted: list[Any]) -> bool:
    return any(_same(value, one) for one in wanted)


def _contains(value: Any, wanted: Any) -> bool:
    if isinstance(value, str):
        return isinstance(wanted, str) and wanted in value
    return is_list(value) and _one_of(wanted, value)


def _matches(value: Any, pattern: str) -> bool:
    # CEL's patterns take linear time, those of Python do not.
    expression = compile_expression("item.matches(index)", ITEM)
    return isinstance(value, str) and evaluate_condition(expression, item_names(value, pattern))


def _ordered(compare: Test) -> Test:
    return lambda value, wanted: (
        (
            (is_number(value) and is_number(wanted))
            or (isinstance(value, str) and isinstance(wanted, str))
        )
        and compare(value, wanted)
    )


_NEEDED: Mapping[str, tuple[type[Any], str]] = {
    **dict.fromkeys(("in", "not_in"), (list, "a list of values")),
    **dict.fromkeys(("starts_with", "ends_with", "matches"), (str, "a text")),
    "exists": (bool, "true or false"),
}
_TESTS: Mapping[str, Test] = {
    "equals": _same,
    "not_equals": lambda value, wanted: not _same(value, wanted),
    "greater_than": _ordered(operator.gt),
    "greater_or_equal": _ordered(operator.ge),
    "less_than": _ordered(operator.lt),
    "less_or_equal": _ordered(operator.le),
    "in": _one_of,
    "not_in": lambda value, wanted: not _one_of(value, wanted),
    "contains": _contains,
    "starts_with": lambda value, wanted: isinstance(value, str) and value.startswith(wanted),
    "ends_with": lambda value, wanted: isinstance(value, str) and value.endswith(wanted),
    "exists": lambda value, wanted: (value is not _MISSING) == wanted,
    "matches": _matches,
}
