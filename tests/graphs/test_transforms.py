"""Transforms: filter, map and aggregate as pure functions on JSON values."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.graphs.spec import AggregateTransform, FilterTransform, MapTransform, Transform
from stretto.graphs.transforms import TransformError, apply_transforms, check_transform

PEOPLE: list[dict[str, Any]] = [
    {"name": "Ada", "age": 36, "tags": ["x"], "home": {"city": "London"}},
    {"name": "Bob", "age": 7.5, "tags": [], "note": None},
    {"name": "Cyd", "tags": ["x", "y"], "active": True},
]
scalars = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3)


def aggregate(kind: Any, of: str | None = None) -> AggregateTransform:
    return AggregateTransform(aggregate=kind, of=of)


def filtered(condition: str | dict[str, Any], value: Any) -> Any:
    return apply_transforms([FilterTransform(filter=condition)], value)


def mapped(change: str | dict[str, str], value: Any) -> Any:
    return apply_transforms([MapTransform(map=change)], value)


def aggregated(kind: Any, value: Any, of: str | None = None) -> Any:
    return apply_transforms([aggregate(kind, of)], value)


def names(condition: str | dict[str, Any]) -> str:
    return "".join(person["name"][0] for person in filtered(condition, PEOPLE))


@pytest.mark.parametrize(
    ("criteria", "kept"),
    [
        ({"name": "Ada"}, "A"),
        ({"name": {"equals": "Ada"}}, "A"),
        ({"name": {"not_equals": "Ada"}}, "BC"),
        ({"age": {"not_equals": 36}}, "BC"),
        ({"age": {"greater_than": 7.5}}, "A"),
        ({"age": {"greater_or_equal": 7.5}}, "AB"),
        ({"age": {"less_than": 36}}, "B"),
        ({"age": {"less_or_equal": 36}}, "AB"),
        ({"age": {"greater_than": 5, "less_than": 10}}, "B"),
        ({"age": {"greater_than": "5"}}, ""),
        ({"name": {"less_than": "B"}}, "A"),
        ({"name": {"in": ["Bob", "Cyd"]}}, "BC"),
        ({"name": {"not_in": ["Bob", "Cyd"]}}, "A"),
        ({"age": {"not_in": [36]}}, "BC"),
        ({"tags": {"contains": "x"}}, "AC"),
        ({"name": {"contains": "d"}}, "AC"),
        ({"age": {"contains": 3}}, ""),
        ({"name": {"starts_with": "C"}}, "C"),
        ({"name": {"ends_with": "b"}}, "B"),
        ({"age": {"starts_with": "3"}}, ""),
        ({"age": {"exists": True}}, "AB"),
        ({"age": {"exists": False}}, "C"),
        ({"note": {"exists": True}}, "B"),
        ({"note": None}, "B"),
        ({"name": {"matches": "^[AB]"}}, "AB"),
        ({"age": {"matches": "3"}}, ""),
        ({"home.city": "London"}, "A"),
        ({"home.city": {"exists": False}}, "BC"),
        ({"active": 1}, ""),
        ({"active": True}, "C"),
        ({"name": {"not_equals": "Ada"}, "age": {"exists": True}}, "B"),
        ({}, "ABC"),
    ],
)
def test_a_filter_by_criteria_keeps_what_fits_all_of_them(
    criteria: dict[str, Any], kept: str
) -> None:
    assert names(criteria) == kept


def test_a_filter_by_cel_sees_item_and_index() -> None:
    assert names("item.name != 'Ada' && index < 2") == "B"
    assert filtered("item > 1", [1, 2, 2.5]) == [2, 2.5]


def test_a_filter_works_on_the_only_list_in_a_mapping_and_keeps_the_rest() -> None:
    value = {"status": "ok", "records": [{"status": "active"}, {"status": "old"}]}
    kept = {"status": "ok", "records": [{"status": "active"}]}
    assert filtered({"status": {"equals": "active"}}, value) == kept
    assert filtered("item.status == 'active'", value) == kept


@pytest.mark.parametrize("value", [{"a": 1}, {"a": 1, "l": [], "m": []}])
def test_a_filter_keeps_or_drops_any_other_value_as_one_item(value: Any) -> None:
    assert filtered({"a": 1}, value) == value
    assert filtered({"a": 2}, value) is None
    assert filtered("item.a == 2", value) is None


def test_criteria_never_hold_for_items_that_are_no_mappings() -> None:
    assert filtered({"a": 1}, [1, None, "a", [1], {"a": 1}]) == [{"a": 1}]


@given(st.lists(st.dictionaries(st.sampled_from("ab"), scalars)), scalars)
def test_equals_and_not_equals_split_every_list(items: list[dict[str, Any]], wanted: Any) -> None:
    same = filtered({"a": {"equals": wanted}}, items)
    other = filtered({"a": {"not_equals": wanted}}, items)
    assert len(same) + len(other) == len(items)
    assert all(repr(item["a"]) == repr(wanted) for item in same)
    assert all(repr(item.get("a", ...)) != repr(wanted) for item in other)


def test_a_map_by_names_renames_keys_and_keeps_the_others_in_order() -> None:
    assert list(mapped({"b": "x"}, {"a": 1, "b": 2, "c": 3}).items()) == [
        ("a", 1),
        ("x", 2),
        ("c", 3),
    ]
    assert mapped({"a": "b", "b": "a"}, {"a": 1, "b": 2}) == {"b": 1, "a": 2}
    assert mapped({"a": "b"}, [{"a": 1}, {"c": 2}]) == [{"b": 1}, {"c": 2}]


def test_a_map_by_cel_replaces_each_item_or_the_value_itself() -> None:
    assert mapped("item * 1.5 + index", [2, 4]) == [3.0, 7.0]
    assert mapped("{'n': item.a}", {"a": [1]}) == {"n": [1]}
    assert mapped("item + '!'", "hi") == "hi!"


@pytest.mark.parametrize(
    ("kind", "value", "of", "expected"),
    [
        ("sum", [1, 2.5], None, 3.5),
        ("sum", PEOPLE, "has(item.age) ? item.age * 2 : 0", 87.0),
        ("sum", [{"a": 1, "s": "x"}, {"a": 2, "b": 3}, {"s": 1}], None, {"a": 3, "b": 3}),
        ("avg", [{"a": 1}, {"a": 2}, {}], None, {"a": 1.5}),
        ("avg", [1, 2], None, 1.5),
        ("count", PEOPLE, None, 3),
        ("count", PEOPLE, "has(item.age)", 2),
        ("count", [0, None, ""], "item", 2),
        ("min", [3, 1.5], None, 1.5),
        ("max", ["a", "b"], None, "b"),
        ("max", PEOPLE[:2], "item.age", 36),
        ("list", PEOPLE, "item.name", ["Ada", "Bob", "Cyd"]),
        ("first", PEOPLE, "item.name", "Ada"),
        ("last", PEOPLE, "item.name", "Cyd"),
        ("group_by", [1, 2, 3], "item % 2 == 0", {"false": [1, 3], "true": [2]}),
        (
            "group_by",
            [{"k": "x"}, {"k": None}],
            "item.k",
            {"x": [{"k": "x"}], "null": [{"k": None}]},
        ),
        ("sum", {"total": 9, "values": [1, 2]}, None, 3),
    ],
)
def test_an_aggregate_reduces_a_list_or_the_only_list_in_a_mapping(
    kind: str, value: Any, of: str | None, expected: Any
) -> None:
    assert aggregated(kind, value, of) == expected


OF_NOTHING: list[tuple[str, Any]] = [
    ("sum", 0),
    ("count", 0),
    ("min", None),
    ("max", None),
    ("avg", None),
    ("list", []),
    ("first", None),
    ("last", None),
    ("group_by", {}),
]


@pytest.mark.parametrize(("kind", "expected"), OF_NOTHING)
def test_an_aggregate_of_nothing_is_defined(kind: str, expected: Any) -> None:
    assert aggregated(kind, [], "item") == expected


def test_transforms_run_in_order_and_leave_the_value_alone() -> None:
    value = {"records": [{"v": 1, "ok": True}, {"v": 2, "ok": False}, {"v": 3, "ok": True}]}
    before = copy.deepcopy(value)
    chain: list[Transform] = [
        FilterTransform(filter={"ok": True}),
        MapTransform(map={"records": "kept"}),
        aggregate("sum", "item.v"),
    ]
    assert apply_transforms(chain[:2], value) == {
        "kept": [value["records"][0], value["records"][2]]
    }
    assert apply_transforms(chain, value) == 4
    assert value == before


MISFITS: list[tuple[Transform, Any, str]] = [
    (FilterTransform(filter="item.a > 1"), [{}], 'filter: there is no key "a"'),
    (
        FilterTransform(filter="item"),
        [1],
        "filter: a condition must give true or false, this one gives 1",
    ),
    (MapTransform(map="item.a"), [{}], 'map: there is no key "a"'),
    (MapTransform(map={"a": "b"}), 1, "map: keys can be renamed in mappings only"),
    (
        MapTransform(map={"a": "b"}),
        {"a": 1, "b": 2},
        "map: two keys of a mapping would get the same name",
    ),
    (aggregate("count"), {"a": 1}, "aggregate: count needs a list"),
    (
        aggregate("count"),
        {"a": [], "b": []},
        "aggregate: count needs a list",
    ),
    (
        aggregate("sum"),
        [1, True],
        "aggregate: sum and avg need numbers; name them by 'of'",
    ),
    (
        aggregate("min"),
        [1, "a"],
        "aggregate: min and max need only numbers or only texts; use 'of'",
    ),
    (
        aggregate("group_by"),
        [1],
        "aggregate: group_by needs 'of', a CEL text that gives the group of 'item'",
    ),
]


@pytest.mark.parametrize(("transform", "value", "message"), MISFITS)
def test_a_transform_that_does_not_fit_says_why(transform: Any, value: Any, message: str) -> None:
    with pytest.raises(TransformError) as caught:
        apply_transforms([transform], value)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("transform", "paths"),
    [
        (FilterTransform(filter="item.a == 1 && index > 0"), []),
        (FilterTransform(filter="items == 1"), ["filter"]),
        (FilterTransform(filter={"a": 1, "b": {"in": [1]}, "c": {"matches": "^x"}}), []),
        (
            FilterTransform(filter={"a": {"equalz": 1}, "b": {"in": 1}}),
            ["filter.a.equalz", "filter.b.in"],
        ),
        (FilterTransform(filter={"a": {"matches": "("}}), ["filter.a.matches"]),
        (FilterTransform(filter={"a": {"exists": 1}}), ["filter.a.exists"]),
        (FilterTransform(filter={"a": {"starts_with": 1}}), ["filter.a.starts_with"]),
        (MapTransform(map={"a": "b"}), []),
        (MapTransform(map="item +"), ["map"]),
        (aggregate("sum", "item.x"), []),
        (aggregate("sum", "x"), ["of"]),
        (aggregate("group_by"), ["of"]),
    ],
)
def test_a_check_finds_every_fault_without_a_value(transform: Any, paths: list[str]) -> None:
    assert [path for path, _ in check_transform(transform)] == paths


def test_a_wrong_operator_is_told_the_right_ones() -> None:
    ((_, error),) = check_transform(FilterTransform(filter={"a": {"equalz": 1}}))
    assert error.message == (
        "'equalz' is no operator; use one of equals, not_equals, greater_than, greater_or_equal, "
        "less_than, less_or_equal, in, not_in, contains, starts_with, ends_with, exists, matches"
    )
    with pytest.raises(TransformError, match="filter: 'equalz' is no operator"):
        filtered({"a": {"equalz": 1}}, [])


def test_a_pattern_made_to_explode_takes_no_time() -> None:
    assert filtered({"a": {"matches": "^(a+)+$"}}, [{"a": "a" * 5000 + "!"}]) == []
