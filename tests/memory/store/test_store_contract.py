"""What LangGraph asks of a store; the reference states it together with ours."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from langgraph.store.base import (
    BaseStore,
    GetOp,
    InvalidNamespaceError,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    SearchOp,
)

USERS = ("users", "ann")


def values(found: list[Any]) -> list[dict[str, Any]]:
    return sorted((item.value for item in found), key=str)


def keys(found: list[Any]) -> set[str]:
    return {item.key for item in found}


def test_what_is_put_is_got(store: BaseStore) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    store.put(USERS, "k", {"food": "pizza"})
    item = store.get(USERS, "k")
    assert isinstance(item, Item)
    assert (item.namespace, item.key, item.value) == (USERS, "k", {"food": "pizza"})
    assert before < item.created_at <= item.updated_at < before + timedelta(minutes=1)


def test_a_key_is_of_one_namespace(store: BaseStore) -> None:
    store.put(("a",), "k", {"n": 1})
    store.put(("a", "b"), "k", {"n": 2})
    assert store.get(("b",), "k") is None
    assert [item.value for item in store.search(("a", "b"))] == [{"n": 2}]


def test_what_is_not_there_is_none(store: BaseStore) -> None:
    assert store.list_namespaces() == []
    assert store.search(("nobody",)) == []
    assert store.get(("nobody",), "k") is None


def test_a_put_takes_the_place_of_the_one_before(store: BaseStore) -> None:
    store.put(USERS, "k", {"a": 1, "b": 2})
    store.put(USERS, "k", {"a": 3})
    assert [item.value for item in store.search(USERS)] == [{"a": 3}]


def test_an_update_keeps_when_it_was_created(qdrant: BaseStore) -> None:
    qdrant.put(USERS, "k", {"n": 1})
    first = qdrant.get(USERS, "k")
    qdrant.put(USERS, "k", {"n": 2})
    second = qdrant.get(USERS, "k")
    assert first is not None and second is not None
    assert second.created_at == first.created_at
    assert second.updated_at > first.updated_at


def test_what_is_deleted_is_gone_and_may_come_back_as_new(store: BaseStore) -> None:
    store.put(USERS, "k", {"n": 1})
    first = store.get(USERS, "k")
    store.delete(USERS, "k")
    assert store.get(USERS, "k") is None
    assert store.search(USERS) == []
    store.put(USERS, "k", {"n": 2})
    again = store.get(USERS, "k")
    assert first is not None and again is not None
    assert again.created_at > first.created_at


def test_deleting_what_is_not_there_does_nothing(store: BaseStore) -> None:
    store.delete(USERS, "k")
    assert store.get(USERS, "k") is None


def test_results_come_in_the_order_of_the_operations(store: BaseStore) -> None:
    store.put(USERS, "k", {"n": 1})
    ops: list[Op] = [
        ListNamespacesOp(),
        PutOp(USERS, "new", {"n": 2}),
        GetOp(USERS, "missing"),
        SearchOp(("users",)),
        GetOp(USERS, "k"),
    ]
    listed, put, missing, found, got = store.batch(ops)
    assert listed == [USERS]
    assert put is None
    assert missing is None
    assert isinstance(found, list)
    assert keys(found) == {"k"}
    assert isinstance(got, Item)
    assert got.value == {"n": 1}


def test_reads_of_a_batch_see_the_state_before_its_writes(store: BaseStore) -> None:
    store.put(USERS, "old", {"n": 1})
    got, found, listed, *_ = store.batch(
        [
            GetOp(USERS, "new"),
            SearchOp(()),
            ListNamespacesOp(),
            PutOp(USERS, "new", {"n": 2}),
            PutOp(USERS, "old", None),
            PutOp(("elsewhere",), "k", {}),
        ]
    )
    late = store.batch([PutOp(USERS, "late", {}), GetOp(USERS, "late")])
    assert got is None
    assert isinstance(found, list)
    assert keys(found) == {"old"}
    assert listed == [USERS]
    assert late == [None, None]
    assert keys(store.search(())) == {"new", "late", "k"}


@pytest.mark.parametrize(
    ("ops", "left"),
    [
        ([{"n": 1}, {"n": 2}], {"n": 2}),
        ([{"n": 1}, None], None),
        ([None, {"n": 1}], {"n": 1}),
        ([{"n": 1}, None, {"n": 3}], {"n": 3}),
    ],
)
def test_of_several_writes_to_one_key_in_a_batch_the_last_counts(
    store: BaseStore, ops: list[dict[str, Any] | None], left: dict[str, Any] | None
) -> None:
    assert store.batch([PutOp(USERS, "k", value) for value in ops]) == [None] * len(ops)
    item = store.get(USERS, "k")
    assert (item.value if item else None) == left
    assert len(store.search(USERS)) == (left is not None)


def test_an_empty_batch_has_no_results(store: BaseStore) -> None:
    assert store.batch([]) == []


def test_one_operation_asked_twice_is_answered_twice(store: BaseStore) -> None:
    store.put(USERS, "k", {"n": 1})
    one, two = store.batch([GetOp(USERS, "k"), GetOp(USERS, "k")])
    assert isinstance(one, Item)
    assert one == two


async def test_the_asynchronous_door_is_the_same_store(store: BaseStore) -> None:
    await store.aput(USERS, "k", {"n": 1})
    item = await store.aget(USERS, "k")
    assert item is not None
    assert item.value == {"n": 1}
    assert values(await store.asearch(("users",))) == [{"n": 1}]
    assert await store.alist_namespaces() == [USERS]
    await store.adelete(USERS, "k")
    assert await store.abatch([GetOp(USERS, "k"), SearchOp(())]) == [None, []]


EXACT: list[dict[str, Any]] = [
    {},
    {"text": "naïve 日本語 🎼 \u0000 \"quoted\" 'it' \\ \n\t", "": "empty key"},
    {"int": 2**63, "big": 10**40, "negative": -(2**70), "float": 0.1 + 0.2, "tiny": 5e-324},
    {"yes": True, "no": False, "none": None, "one": 1, "one point": 1.0},
    {"list": [1, "two", None, [3.5, {"deep": [True]}]], "empty": [], "nothing": {}},
    {"a.b": 1, 'quo"te': 2, "[0]": 3, "$eq": 4, "a": {"b": {"c": {"d": {"e": [{"f": 1}]}}}}},
    {"half a pair": "\ud83d", "infinite": float("inf")},
]


@pytest.mark.parametrize("value", EXACT, ids=range(len(EXACT)))
def test_a_value_comes_back_exactly(store: BaseStore, value: dict[str, Any]) -> None:
    store.put(USERS, "k", value)
    item = store.get(USERS, "k")
    assert item is not None
    assert repr(item.value) == repr(value)
    assert [repr(found.value) for found in store.search(USERS)] == [repr(value)]


@pytest.mark.parametrize("key", ["", " ", "a.b", "a/b", "*", "'\"\n\t", "ключ", "\x00", "x" * 5000])
def test_any_text_is_a_key(store: BaseStore, key: str) -> None:
    store.put(USERS, key, {"n": 1})
    store.put(USERS, key + "'", {"n": 2})
    item = store.get(USERS, key)
    assert item is not None
    assert (item.key, item.value) == (key, {"n": 1})
    store.delete(USERS, key)
    assert keys(store.search(())) == {key + "'"}


def test_a_key_that_is_a_number_is_its_text(store: BaseStore) -> None:
    store.put(USERS, 7, {"n": 1})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    item = store.get(USERS, "7")
    assert item is not None
    assert item.key == "7"


def test_a_long_namespace_and_key_are_not_taken_for_another(store: BaseStore) -> None:
    store.put(("a", "b\x1fc"), "k", {"n": 1})
    store.put(("a\x1fb", "c"), "k", {"n": 2})
    store.put(("a", "b", "c"), "k", {"n": 3})
    store.put(("a\x1e1b", "c"), "k", {"n": 4})
    assert sorted(item.value["n"] for item in store.search(())) == [1, 2, 3, 4]
    assert values(store.search(("a", "b"))) == [{"n": 3}]
    assert store.list_namespaces(prefix=("a\x1fb",)) == [("a\x1fb", "c")]


@pytest.mark.parametrize("namespace", [(), ("",), ("a", ""), ("a.b",), ("langgraph",), ("a\x00",)])
def test_a_namespace_that_cannot_be_is_refused(
    store: BaseStore, namespace: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidNamespaceError):
        store.put(namespace, "k", {})


@pytest.mark.parametrize(
    "op",
    [
        GetOp(("a.b",), "k"),
        PutOp(("a", "b.c"), "k", {}),
        SearchOp(("",)),
        ListNamespacesOp((MatchCondition("prefix", ("a.b",)),)),
    ],
    ids=["get", "put", "search", "list"],
)
async def test_an_operation_given_to_batch_is_checked_as_well(qdrant: BaseStore, op: Op) -> None:
    with pytest.raises(InvalidNamespaceError):
        qdrant.batch([op])
    with pytest.raises(InvalidNamespaceError):
        await qdrant.abatch([op])


def test_a_batch_with_one_wrong_operation_does_nothing(qdrant: BaseStore) -> None:
    with pytest.raises(InvalidNamespaceError):
        qdrant.batch([PutOp(USERS, "k", {}), GetOp(("a.b",), "k")])
    assert qdrant.search(()) == []
