"""What a step's ``transform`` does to its output: filter, map and aggregate, as pure functions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from stretto.graphs.criteria import (
    ITEM,
    by_criteria,
    check_criterion,
    criteria,
    is_list,
    is_number,
    item_names,
)
from stretto.graphs.expressions import (
    ExpressionError,
    compile_expression,
    evaluate_condition,
    to_text,
)
from stretto.graphs.plaindata import is_mapping
from stretto.graphs.spec import AggregateTransform, FilterTransform, MapTransform, Transform

_NO_GROUP = "group_by needs 'of', a CEL text that gives the group of 'item'"


class TransformError(ValueError):
    """A transform does not fit the value that it is given; the message says why."""


def apply_transforms(transforms: Sequence[Transform], value: Any) -> Any:
    """Give the value after all transforms, in order; the value itself is left alone.

    ``filter`` keeps the items of a list for which the condition, or every criterion, holds. In a
    mapping that holds exactly one list, the items of that list are filtered. Any other value is one
    item itself: it is kept, or None stands for it. A criterion on a field that is not there holds
    only for ``not_equals``, ``not_in`` and ``exists: false``; what cannot be compared never holds.

    ``map`` with names renames the keys of a mapping, or of each mapping in a list; other keys stay.
    With CEL it replaces each item of a list, or the value itself when it is no list.

    ``aggregate`` reduces a list, or the only list in a mapping, to one value, of the items or of
    what ``of`` gives for each. ``sum`` and ``avg`` of mappings work on each key by itself, and
    leave out keys that hold anything but numbers. ``count`` with ``of`` counts where that is
    neither null nor false. ``group_by`` gives lists of items by what ``of`` gives, as text. Of
    nothing, ``sum`` and ``count`` are 0, ``list`` is [], ``group_by`` is {}, the rest is None.

    Raises:
        TransformError: a transform does not fit the value.

    """
    for transform in transforms:
        try:
            value = _apply(transform, value)
        except ExpressionError as error:
            kind = next(iter(type(transform).model_fields))
            raise TransformError(f"{kind}: {error.message}") from error
    return value


def check_transform(transform: Transform) -> list[tuple[str, ExpressionError]]:
    """List what is wrong with a transform before any value is there, with paths below it.

    Args:
        transform: the declared transform.

    """
    if isinstance(transform, FilterTransform):
        return list(_check_filter(transform.filter))
    if isinstance(transform, MapTransform):
        text = transform.map if isinstance(transform.map, str) else None
        return list(_check_text("map", text))
    if transform.aggregate == "group_by" and transform.of is None:
        return [("of", ExpressionError(_NO_GROUP))]
    return list(_check_text("of", transform.of))


def _check_filter(declared: str | dict[str, Any]) -> Iterator[tuple[str, ExpressionError]]:
    if isinstance(declared, str):
        yield from _check_text("filter", declared)
        return
    for name, asked, wanted in criteria(declared):
        try:
            check_criterion(asked, wanted)
        except ExpressionError as error:
            below = f".{asked}" if is_mapping(declared[name]) else ""
            yield f"filter.{name}{below}", error


def _check_text(path: str, text: str | None) -> Iterator[tuple[str, ExpressionError]]:
    try:
        if text is not None:
            compile_expression(text, ITEM)
    except ExpressionError as error:
        yield path, error


def _apply(transform: Transform, value: Any) -> Any:
    if isinstance(transform, FilterTransform):
        return _filter(transform.filter, value)
    if isinstance(transform, MapTransform):
        return _map(transform.map, value)
    return _aggregate(transform, value)


def _only_list(value: Any) -> str | None:
    """Give the key of the only list in a mapping; None when there is not exactly one."""
    keys = [key for key, item in value.items() if is_list(item)] if is_mapping(value) else []
    return keys[0] if len(keys) == 1 else None


def _filter(condition: str | dict[str, Any], value: Any) -> Any:
    keep = _by_text(condition) if isinstance(condition, str) else by_criteria(condition)
    if is_list(value):
        return [item for index, item in enumerate(value) if keep(item, index)]
    key = _only_list(value)
    if key is None:
        return value if keep(value, 0) else None
    return {**value, key: [item for index, item in enumerate(value[key]) if keep(item, index)]}


def _by_text(text: str) -> Callable[[Any, Any], bool]:
    expression = compile_expression(text, ITEM)
    return lambda item, index: evaluate_condition(expression, item_names(item, index))


def _map(change: str | Mapping[str, str], value: Any) -> Any:
    if isinstance(change, str):
        expression = compile_expression(change, ITEM)
        if not is_list(value):
            return expression.evaluate(item_names(value, 0))
        return [expression.evaluate(item_names(item, index)) for index, item in enumerate(value)]
    return [_rename(change, item) for item in value] if is_list(value) else _rename(change, value)


def _rename(change: Mapping[str, str], value: Any) -> dict[str, Any]:
    if not is_mapping(value):
        raise TransformError("map: keys can be renamed in mappings only")
    renamed = {change.get(key, key): item for key, item in value.items()}
    if len(renamed) < len(value):
        raise TransformError("map: two keys of a mapping would get the same name")
    return renamed


def _aggregate(transform: AggregateTransform, value: Any) -> Any:
    key = _only_list(value)
    items = value[key] if key is not None else value
    if not is_list(items):
        raise TransformError(f"aggregate: {transform.aggregate} needs a list")
    values = items
    if transform.of is not None:
        expression = compile_expression(transform.of, ITEM)
        values = [expression.evaluate(item_names(item, index)) for index, item in enumerate(items)]
        if transform.aggregate == "count":
            values = [one for one in values if one is not None and one is not False]
    elif transform.aggregate == "group_by":
        raise TransformError(f"aggregate: {_NO_GROUP}")
    return _REDUCERS[transform.aggregate](values, items)


def _group(groups: list[Any], items: list[Any]) -> dict[str, list[Any]]:
    result: dict[str, list[Any]] = {}
    for item, group in zip(items, groups, strict=True):
        result.setdefault(to_text(group), []).append(item)
    return result


def _total(values: list[Any], average: bool) -> Any:
    if values and all(is_mapping(value) for value in values):
        columns: dict[str, list[Any]] = {}
        for key, one in ((key, one) for value in values for key, one in value.items()):
            columns.setdefault(key, []).append(one)
        numeric = {k: column for k, column in columns.items() if all(map(is_number, column))}
        return {key: _total(column, average) for key, column in numeric.items()}
    if not all(map(is_number, values)):
        raise TransformError("aggregate: sum and avg need numbers; name them by 'of'")
    if not average:
        return sum(values)
    return sum(values) / len(values) if values else None


def _extreme(values: list[Any], best: Callable[..., Any]) -> Any:
    texts = all(isinstance(value, str) for value in values)
    if not texts and not all(map(is_number, values)):
        raise TransformError("aggregate: min and max need only numbers or only texts; use 'of'")
    return best(values, default=None)


_REDUCERS: Mapping[str, Callable[[list[Any], list[Any]], Any]] = {
    "sum": lambda values, _: _total(values, average=False),
    "avg": lambda values, _: _total(values, average=True),
    "count": lambda values, _: len(values),
    "min": lambda values, _: _extreme(values, min),
    "max": lambda values, _: _extreme(values, max),
    "list": lambda values, _: list(values),
    "first": lambda values, _: values[0] if values else None,
    "last": lambda values, _: values[-1] if values else None,
    "group_by": _group,
}
