"""Whatever is done, in whatever order, the store and the reference hold the same."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    SearchOp,
)
from langgraph.store.memory import InMemoryStore

from stretto.memory.backend.opening import open_backend
from stretto.memory.store import QdrantStore
from stretto.memory.store.filters import matches

# Few of each, so that what is drawn meets; numbers and booleans are apart, since the reference
# takes 1 for True.
LABELS = st.sampled_from(["a", "A", "ab", "*", "a\x1fb", "\x1e1", "é\n"])
NAMESPACES = st.lists(LABELS, min_size=1, max_size=3).map(tuple)
KEYS = st.sampled_from(["", "k", "k'"])
NAMES = st.sampled_from(["a", "b", "a.b", 'c"', "d-e", "é"])
SCALARS = st.sampled_from(
    [None, True, False, 2, 2.0, 2.5, -2, 2**53, 2**53 + 1, 2**70, 1e300, "", "x", "X", "b:true"]
)
VALUES = st.dictionaries(
    NAMES,
    st.recursive(
        SCALARS, lambda part: st.lists(part, max_size=2) | st.dictionaries(NAMES, part, max_size=2)
    ),
    max_size=3,
)


def filters(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    operation = st.dictionaries(st.sampled_from(["$eq", "$ne"]), values, min_size=1, max_size=2)
    return st.dictionaries(NAMES, values | operation, max_size=2)


FILTERS = filters(SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(NAMES, SCALARS))
PATHS = st.lists(LABELS | st.just("*"), max_size=2).map(tuple)
CONDITIONS = st.builds(MatchCondition, st.sampled_from(["prefix", "suffix"]), PATHS)
PREFIXES = st.lists(LABELS, max_size=2).map(tuple)
LISTS = st.tuples(st.lists(CONDITIONS, max_size=2).map(tuple), st.none() | st.integers(1, 3))
OPS: st.SearchStrategy[Op] = st.one_of(
    st.tuples(NAMESPACES, KEYS, VALUES | st.none()).map(lambda given: PutOp(*given)),
    st.tuples(NAMESPACES, KEYS).map(lambda given: GetOp(*given)),
    st.tuples(PREFIXES, FILTERS).map(lambda given: SearchOp(given[0], given[1], 1000)),
    LISTS.map(lambda given: ListNamespacesOp(*given, limit=1000)),
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QdrantStore]:
    folder: Path = tmp_path_factory.mktemp("memory")
    with QdrantStore(open_backend(folder, None, None, None)) as store:
        yield store


def emptied(store: QdrantStore) -> QdrantStore:
    while found := store.search((), limit=1000):
        store.batch([PutOp(item.namespace, item.key, None) for item in found])
    return store


def outcome(result: Any) -> Any:
    """Give what the contract fixes of a result: not its times, nor the order of a search."""
    if isinstance(result, Item):
        return result.namespace, result.key, repr(result.value)
    if isinstance(result, list):
        found = cast("list[object]", result)
        if any(isinstance(item, Item) for item in found):
            return sorted(map(outcome, found), key=repr)
    return cast("Any", result)


def expected_of(reference: InMemoryStore, ops: list[Op]) -> list[Any]:
    """Run a batch on the reference, its reads one by one before its writes."""
    results: list[Any] = [None] * len(ops)
    for position, op in enumerate(ops):
        if not isinstance(op, PutOp):
            (results[position],) = reference.batch([op])
            forget_empty(reference)
    reference.batch([op for op in ops if isinstance(op, PutOp)])
    forget_empty(reference)
    return [outcome(result) for result in results]


def forget_empty(reference: InMemoryStore) -> None:
    """Drop the namespaces that the reference lists though they hold nothing, once asked for."""
    data = reference._data  # pyright: ignore[reportPrivateUsage]
    for namespace in [name for name, held in data.items() if not held]:
        del data[namespace]


@settings(max_examples=60)
@given(batches=st.lists(st.lists(OPS, max_size=6), max_size=6))
def test_random_batches_have_the_results_of_the_reference(
    shared: QdrantStore, batches: list[list[Op]]
) -> None:
    ours, reference = emptied(shared), InMemoryStore()
    for ops in batches:
        expected = expected_of(reference, ops)
        assert [outcome(result) for result in ours.batch(ops)] == expected
    assert everything(ours) == everything(reference)
    assert ours.list_namespaces(limit=1000) == reference.list_namespaces(limit=1000)


def everything(store: BaseStore) -> Any:
    return outcome(store.search((), limit=10_000))


@settings(max_examples=300)
@given(value=VALUES, wanted=FILTERS)
def test_a_filter_means_what_it_means_to_the_reference(
    value: dict[str, Any], wanted: dict[str, Any]
) -> None:
    reference = InMemoryStore()
    reference.put(("a",), "k", value)
    assert matches(value, wanted) == bool(reference.search((), filter=wanted))
