"""Filters mean what they say, whether or not the engine can express them."""

import random
import sys
from collections.abc import Callable
from typing import Any

import pytest
from langgraph.store.base import BaseStore, PutOp

from stretto.errors import InputInvalid
from stretto.memory.backend.types import Condition, Match, Missing, Range
from stretto.memory.store.filters import MAX_NESTING, pushed

PLACE = ("items",)
Nested = Callable[[int], dict[str, Any]]
ITEMS: dict[str, dict[str, Any]] = {
    "a": {"color": "red", "price": 10, "on": True, "tags": ["new"], "size": {"w": 1, "h": 2}},
    "b": {"color": "green", "price": 20.5, "on": False, "tags": ["new", "hot"], "size": {"w": 1}},
    "c": {"color": "blue", "price": -3, "on": True, "tags": [], "size": {"w": 3, "x-y": {"1": 0}}},
    "d": {"color": None, "user.name": "O'Brien", 'quo"te': 1, "since": "2024-05-01", "": "empty"},
    "e": {
        "since": "2023-11-30",
        "price": 2**53 + 1,
        "color": "b:true",
        "note": "x" * 300,
        "$ref": "x",
    },
}
FILTERS: list[tuple[dict[str, Any], str]] = [
    ({}, "abcde"),
    ({"color": "red"}, "a"),
    ({"color": "Red"}, ""),
    ({"color": "re"}, ""),
    ({"color": "red", "price": 10}, "a"),
    ({"color": "red", "price": 11}, ""),
    ({"price": 10.0}, "a"),
    ({"price": 20.5}, "b"),
    ({"price": 2**53 + 1}, "e"),
    ({"price": 2**53}, ""),
    ({"on": True}, "ac"),
    ({"on": False}, "b"),
    ({"color": {"$eq": "green"}}, "b"),
    ({"color": {"$ne": "green"}}, "acde"),
    ({"missing": {"$ne": 1}}, "abcde"),
    ({"color": None}, "d"),
    ({"on": None}, "de"),
    ({"on": {"$ne": None}}, "abc"),
    ({"tags": ["new"]}, "a"),
    ({"tags": ["hot", "new"]}, ""),
    ({"tags": ["new", "hot"]}, "b"),
    ({"tags": []}, "c"),
    ({"tags": {"$ne": ["new"]}}, "bcde"),
    ({"tags": {"$eq": ["new"]}}, "a"),
    ({"size": {"w": 1}}, "ab"),
    ({"size": {"w": 1, "h": 2}}, "a"),
    ({"size": {"$eq": {"w": 1}}}, "b"),
    ({"size": {"$ne": {"w": 1}}}, "acde"),
    ({"size": {"x-y": {"1": 0}}}, "c"),
    ({"size": {"w": {"$eq": 3}}}, "c"),
    ({"size": {}}, "abc"),
    ({"user.name": "O'Brien"}, "d"),
    ({"user": {"name": "O'Brien"}}, ""),
    ({'quo"te': 1}, "d"),
    ({"": "empty"}, "d"),
    ({"color": "b:true"}, "e"),
    ({"color": True}, ""),
    ({"note": "x" * 300}, "e"),
    ({"$ref": "x"}, "e"),
    ({"$eq": "x"}, ""),
    ({"note": "x" * 299}, ""),
    ({"color": "red' OR '1'='1"}, ""),
    ({"color": "red\x00"}, ""),
    ({"price": float("nan")}, ""),
]
COMPARED: list[tuple[dict[str, Any], str]] = [
    ({"price": {"$gt": 10}}, "be"),
    ({"price": {"$gte": 10}}, "abe"),
    ({"price": {"$lt": 10}}, "c"),
    ({"price": {"$lte": 10}}, "ac"),
    ({"price": {"$gt": 0, "$lt": 20.5}}, "a"),
    ({"price": {"$lt": float("inf")}}, "abce"),
    ({"price": {"$gt": float("-inf")}}, "abce"),
    ({"price": {"$gt": 2**53}}, "e"),
    ({"price": {"$gt": 10**400}}, ""),
    ({"price": {"$gt": 5}, "color": "green"}, "b"),
    ({"size": {"w": {"$gte": 2}}}, "c"),
    ({"size": {"w": {"$gte": 1, "$ne": 3}}}, "ab"),
    ({"since": {"$gte": "2024"}}, "d"),
    ({"since": {"$lt": "2024"}}, "e"),
    ({"since": {"$gt": 2000}}, ""),
    ({"price": {"$gt": "1"}}, ""),
    ({"on": {"$gt": 0}}, ""),
    ({"missing": {"$gt": 0}}, ""),
    ({"tags": {"$gt": "a"}}, ""),
    ({"on": 1}, ""),
]


def name(given: Any) -> str:
    return str(given)[:40]


@pytest.fixture(scope="module")
def held() -> list[PutOp]:
    return [PutOp(PLACE, key, value) for key, value in ITEMS.items()]


def found(store: BaseStore, wanted: dict[str, Any]) -> str:
    return "".join(sorted(item.key for item in store.search(PLACE, filter=wanted)))


@pytest.mark.parametrize(("wanted", "expected"), FILTERS, ids=name)
def test_a_filter_is_exact(filled: BaseStore, wanted: dict[str, Any], expected: str) -> None:
    assert found(filled, wanted) == expected


@pytest.mark.parametrize(("wanted", "expected"), COMPARED, ids=name)
def test_an_order_is_one_of_numbers_or_of_texts_and_true_is_no_number(
    filled_qdrant: BaseStore, wanted: dict[str, Any], expected: str
) -> None:
    # The reference compares everything as a float, and fails where that is impossible.
    assert found(filled_qdrant, wanted) == expected


@pytest.mark.parametrize("key", ["C:\\dir", "\\", "\\\\", "a\\", '\\"'])
def test_a_key_may_hold_a_backslash(store: BaseStore, key: str) -> None:
    store.put(PLACE, "k", {key: "x", "in": {key: 2}})
    store.put(PLACE, "other", {key: "y"})
    for wanted in ({key: "x"}, {"in": {key: 2}}, {"in": {key: {"$gt": 1}}}):
        assert found(store, wanted) == "k"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"n": {"$gt": 5}}, "+"),
        ({"n": {"$gte": 1.7e308}}, "+"),
        ({"n": {"$lt": 5}}, "-"),
        ({"n": float("inf")}, "+"),
        ({"n": {"$gt": float("-inf")}}, "+"),
        ({"n": {"$lte": sys.float_info.max}}, "-"),
        ({"n": {"$lt": float("nan")}}, ""),
        ({"n": None}, ""),
    ],
    ids=name,
)
def test_what_is_no_finite_number_is_compared_all_the_same(
    store: BaseStore, wanted: dict[str, Any], expected: str
) -> None:
    for key, number in (("+", "inf"), ("-", "-inf"), ("none", "nan")):
        store.put(PLACE, key, {"n": float(number)})
    assert found(store, wanted) == expected


def test_a_number_beyond_all_that_the_engine_can_keep_is_found(qdrant: BaseStore) -> None:
    # The reference fails at such a number.
    qdrant.put(PLACE, "+", {"n": 10**400})
    qdrant.put(PLACE, "-", {"n": -(10**400)})
    wanted: dict[str, dict[str, Any]] = {
        "+": {"n": {"$gt": 5}},
        "-": {"n": {"$lt": sys.float_info.max}},
        "": {"n": {"$gt": 10**400}},
        "+-": {"n": {"$gt": -(10**401)}},
    }
    assert {key: found(qdrant, each) for key, each in wanted.items()} == {k: k for k in wanted}


def mappings(depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {"a": 1}
    for _ in range(depth - 1):
        made = {"a": made}
    return made


def lists(depth: int) -> dict[str, Any]:
    made: Any = 1
    for _ in range(depth - 1):
        made = [made]
    return {"a": made}


def equal(depth: int) -> dict[str, Any]:
    return {"a": {"$eq": mappings(depth - 2)}}


@pytest.mark.parametrize(
    ("held", "wanted"), [(mappings, mappings), (lists, lists), (mappings, equal)]
)
def test_a_filter_is_as_deep_as_it_can_be_compared(
    qdrant: BaseStore, held: Nested, wanted: Nested
) -> None:
    depth = MAX_NESTING - (wanted is equal)  # of which the operator is one more
    qdrant.put(PLACE, "k", held(depth))
    assert found(qdrant, wanted(MAX_NESTING)) == "k"
    for deeper in (MAX_NESTING + 1, 500, 5000):
        with pytest.raises(InputInvalid, match="nested at most 100 deep"):
            qdrant.search(PLACE, filter=wanted(deeper))


def test_numbers_of_all_their_digits_are_found(qdrant: BaseStore) -> None:
    numbers = [random.Random(seed).uniform(-1e9, 1e9) for seed in range(200)]
    for number in numbers:
        qdrant.put(PLACE, str(number), {"n": number})
    for number in numbers:
        assert [item.value for item in qdrant.search(PLACE, filter={"n": number})] == [
            {"n": number}
        ]


def test_a_filter_holds_for_a_query_too(qdrant: BaseStore) -> None:
    for key, color, price in [("a", "red", 1), ("b", "red", 2), ("c", "green", 3)]:
        qdrant.put(PLACE, key, {"text": f"an apple {key}", "color": color, "price": price})
    hits = qdrant.search(PLACE, query="apple", filter={"color": "red", "price": {"$gt": 1}})
    assert [hit.key for hit in hits] == ["b"]


@pytest.mark.parametrize(
    "wanted",
    [{"n": {"$in": [1]}}, {"n": {"$gt": 1, "m": 2}}, {"a": {"b": {"$near": 1}}}, {"a": {1: 2}}],
    ids=str,
)
def test_an_operator_that_does_not_exist_is_refused(
    qdrant: BaseStore, wanted: dict[str, Any]
) -> None:
    with pytest.raises(InputInvalid, match="filter"):
        qdrant.search(PLACE, filter=wanted)


@pytest.mark.parametrize("wanted", [{"odd": 1}, {"odd": {"$ne": 0}}], ids=["pushed", "not pushed"])
def test_what_the_engine_cannot_filter_is_paged_all_the_same(
    store: BaseStore, wanted: dict[str, Any]
) -> None:
    for number in range(60):
        store.put(PLACE, f"{number:02}", {"odd": number % 2})
    pages = [
        [item.key for item in store.search(PLACE, filter=wanted, limit=7, offset=offset)]
        for offset in range(0, 42, 7)
    ]
    assert [len(page) for page in pages] == [7, 7, 7, 7, 2, 0]
    assert {key for page in pages for key in page} == {f"{n:02}" for n in range(60) if n % 2}


@pytest.mark.parametrize(
    ("wanted", "conditions"),
    [
        ({"a": "x"}, [Match('value."a"', "x")]),
        ({"a": True}, [Match('value."a"', "b:true")]),
        ({"a": 0}, [Range('value."a"', gte=0.0, lte=0.0)]),
        ({"a": 1}, [Range('value."a"', gte=1 - 1e-9, lte=1 + 1e-9)]),
        ({"a": {"$gt": 1}}, [Range('value."a"', gte=1 - 1e-9)]),
        ({"a": {"$lte": -1}}, [Range('value."a"', lte=-1 + 1e-9)]),
        ({"a": None}, [Missing('value."a"')]),
        ({"a": {"b.c": "x"}}, [Match('value."a"."b.c"', "x")]),
        ({"a": ["x", 1]}, [Match('value."a"', "x")]),
        ({"a": {"$ne": 1}}, []),
        ({"a": {"$gt": "x"}}, []),
        ({'a"': 1}, []),
        ({"a": "x" * 257}, []),
        ({"a": float("inf")}, []),
    ],
)
def test_the_engine_is_told_what_can_lose_no_match(
    wanted: dict[str, Any], conditions: list[Condition]
) -> None:
    assert list(pushed(wanted)) == conditions
