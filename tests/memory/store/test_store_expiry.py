"""Values that live for a while: minutes since they were written or read."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from langgraph.store.base import GetOp, ListNamespacesOp, PutOp, SearchOp, TTLConfig

from stretto.errors import InputInvalid
from stretto.memory.store import QdrantStore, open_store
from tests.memory.store.stores import Letters, Opener

NS = ("cache",)
OMITS = TTLConfig(omit_expired=True)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(datetime(2026, 5, 4, 12, tzinfo=UTC), tick=True) as found:
        yield found


def wait(clock: time_machine.Traveller, minutes: float) -> None:
    clock.shift(timedelta(minutes=minutes))


def is_there(store: QdrantStore, key: str = "k") -> bool:
    return store.get(NS, key, refresh_ttl=False) is not None


def test_a_value_lives_as_long_as_it_was_given(
    opened: Opener, clock: time_machine.Traveller
) -> None:
    store = opened(ttl=OMITS)
    store.put(NS, "k", {}, ttl=10)
    store.put(NS, "always", {})
    wait(clock, 9)
    assert is_there(store)
    wait(clock, 2)
    assert not is_there(store)
    assert [item.key for item in store.search(())] == ["always"]
    assert store.get(NS, "always") is not None


def test_what_has_expired_is_read_until_it_is_swept_unless_it_is_to_be_left_out(
    opened: Opener, clock: time_machine.Traveller
) -> None:
    store = opened()
    store.put(NS, "k", {}, ttl=1)
    wait(clock, 2)
    assert is_there(store)
    assert len(store.search((), refresh_ttl=False)) == 1
    assert store.list_namespaces() == [NS]
    assert store.sweep_ttl() == 1
    assert not is_there(store)
    assert store.list_namespaces() == []


def test_what_is_left_out_is_left_out_everywhere(
    opened: Opener, clock: time_machine.Traveller
) -> None:
    store = opened(ttl=OMITS)
    store.put(NS, "k", {"text": "tea"}, ttl=1)
    store.put(("other",), "k", {"text": "tea"})
    wait(clock, 2)
    got, newest, found, listed = store.batch(
        [GetOp(NS, "k"), SearchOp(NS), SearchOp((), query="tea"), ListNamespacesOp()]
    )
    assert got is None
    assert newest == []
    assert isinstance(found, list)
    assert len(found) == 1
    assert listed == [("other",)]


def test_pages_are_filled_behind_what_has_expired(
    opened: Opener, clock: time_machine.Traveller
) -> None:
    store = opened(ttl=OMITS)
    for key, ttl in [("a", None), ("b", 5), ("gone", 1), ("c", 5), ("gone too", 1), ("d", None)]:
        store.put(NS, key, {"text": "tea"}, ttl=ttl)
    wait(clock, 2)
    for query in (None, "tea"):
        pages = [store.search(NS, query=query, limit=2, offset=offset) for offset in (0, 2, 4)]
        assert [[item.key for item in page] for page in pages] == [["d", "c"], ["b", "a"], []]


def test_reading_lets_a_value_live_on(opened: Opener, clock: time_machine.Traveller) -> None:
    store = opened(ttl=OMITS)
    for key in ("got", "searched", "asked", "left"):
        store.put(NS, key, {"text": key}, ttl=10)
    wait(clock, 6)
    assert store.get(NS, "got") is not None
    assert len(store.search(NS, filter={"text": "searched"})) == 1
    assert len(store.search(NS, query="asked", limit=1)) == 1
    wait(clock, 6)
    assert [is_there(store, key) for key in ("got", "searched", "asked", "left")] == [
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("refresh", [None, False, True])
@pytest.mark.parametrize("default", [None, False, True])
def test_who_reads_decides_whether_that_counts_else_the_store_does(
    opened: Opener, clock: time_machine.Traveller, refresh: bool | None, default: bool | None
) -> None:
    config: dict[str, Any] = {} if default is None else {"refresh_on_read": default}
    store = opened(ttl={**OMITS, **config})
    store.put(NS, "k", {}, ttl=10)
    wait(clock, 6)
    assert store.get(NS, "k", refresh_ttl=refresh) is not None
    assert len(store.search(NS, refresh_ttl=refresh)) == 1
    wait(clock, 6)
    lives_on = refresh if refresh is not None else default is not False
    assert is_there(store) == lives_on


def test_reading_changes_no_times(opened: Opener, clock: time_machine.Traveller) -> None:
    store = opened()
    store.put(NS, "k", {"n": 1}, ttl=10)
    first = store.get(NS, "k")
    wait(clock, 5)
    assert store.search(NS)[0].updated_at == store.search(NS)[0].created_at
    assert store.get(NS, "k") == first


def test_writing_begins_anew_and_without_a_time_to_live_a_value_stays(
    opened: Opener, clock: time_machine.Traveller
) -> None:
    store = opened(ttl=OMITS)
    for key in ("again", "for good"):
        store.put(NS, key, {}, ttl=10)
    wait(clock, 6)
    store.put(NS, "again", {}, ttl=10)
    store.put(NS, "for good", {}, ttl=None)
    wait(clock, 6)
    assert is_there(store, "again")
    wait(clock, 100_000)
    assert not is_there(store, "again")
    assert is_there(store, "for good")


def test_what_expired_comes_back_as_new(opened: Opener, clock: time_machine.Traveller) -> None:
    store = opened(ttl=OMITS)
    store.put(NS, "k", {}, ttl=1)
    wait(clock, 5)
    store.put(NS, "k", {})
    item = store.get(NS, "k")
    assert item is not None
    assert item.created_at == item.updated_at


def test_a_store_may_give_every_value_a_time_to_live(
    opened: Opener, clock: time_machine.Traveller
) -> None:
    store = opened(ttl={"default_ttl": 5, "omit_expired": True})
    store.put(NS, "k", {})
    store.put(NS, "longer", {}, ttl=50)
    store.put(NS, "always", {}, ttl=None)
    wait(clock, 6)
    assert [is_there(store, key) for key in ("k", "longer", "always")] == [False, True, True]


async def test_the_default_holds_for_the_asynchronous_door_too(
    opened: Opener, clock: time_machine.Traveller
) -> None:
    store = opened(ttl={"default_ttl": 5, "omit_expired": True})
    await store.aput(NS, "k", {})
    wait(clock, 6)
    assert await store.aget(NS, "k") is None
    assert await store.asweep_ttl() == 1


def test_a_part_of_a_minute_counts(opened: Opener, clock: time_machine.Traveller) -> None:
    store = opened(ttl=OMITS)
    store.put(NS, "k", {}, ttl=0.5)
    store.put(NS, "now", {}, ttl=0)
    assert not is_there(store, "now")
    assert is_there(store)
    wait(clock, 0.6)
    assert not is_there(store)


@pytest.mark.parametrize("ttl", [-1, float("nan"), float("inf")])
def test_a_time_to_live_that_cannot_be_is_refused(opened: Opener, ttl: float) -> None:
    with pytest.raises(InputInvalid, match="cannot live"):
        opened().put(NS, "k", {}, ttl=ttl)


def test_a_sweep_takes_what_has_expired_and_nothing_else(
    opened: Opener, clock: time_machine.Traveller
) -> None:
    store = opened(embedder=Letters(), index={"fields": ["a", "b"]})
    store.batch([PutOp(NS, f"{n}", {"a": "tea", "b": "bike"}, ttl=n) for n in range(1, 21)])
    store.put(NS, "always", {"a": "tea", "b": "dog"})
    wait(clock, 10.5)
    assert store.sweep_ttl() == 10
    assert store.sweep_ttl() == 0
    left = {item.key for item in store.search((), query="tea bike", limit=50)}
    assert left == {"always", *map(str, range(11, 21))}


def test_with_an_interval_batches_sweep_by_themselves_and_no_thread_does(
    tmp_path: Path, clock: time_machine.Traveller
) -> None:
    with open_store(tmp_path, ttl={"sweep_interval_minutes": 5}) as store:
        store.put(NS, "k", {}, ttl=1)
        threads = threading.enumerate()
        wait(clock, 4)
        assert is_there(store)
        wait(clock, 2)
        assert not is_there(store)
        assert threading.enumerate() == threads


def test_what_an_earlier_process_left_is_swept_at_the_first_batch(
    opened: Opener, clock: time_machine.Traveller
) -> None:
    opened().put(NS, "k", {}, ttl=1)
    wait(clock, 2)
    assert opened(ttl={"sweep_interval_minutes": 60}).get(NS, "k") is None


def test_a_clock_that_steps_back_writes_nothing_older_than_it_was(
    opened: Opener, clock: time_machine.Traveller
) -> None:
    opened().put(NS, "k", {"n": 1})
    wait(clock, -60)
    store = opened()
    store.put(NS, "k", {"n": 2})
    item = store.get(NS, "k")
    assert item is not None
    assert item.updated_at > item.created_at
