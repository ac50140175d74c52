"""The store of a memory: LangGraph's values live by the same rules as what is remembered."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine

from stretto.memory.recollection import Memory

NOTES = ("notes",)


async def test_a_value_that_has_expired_is_not_given_and_does_not_live_on(tmp_path: Path) -> None:
    with time_machine.travel(datetime(2026, 5, 4, 12, tzinfo=UTC), tick=True) as clock:
        async with Memory(tmp_path) as memory:
            store = memory.store
            await store.aput(NOTES, "code", {"text": "123456"}, ttl=10)
            clock.shift(timedelta(minutes=6))
            assert await store.aget(NOTES, "code") is not None
            clock.shift(timedelta(minutes=6))
            assert len(await store.asearch(NOTES, query="123456")) == 1
            clock.shift(timedelta(minutes=11))
            for _ in range(2):
                assert await store.aget(NOTES, "code") is None
                assert await store.asearch(NOTES) == []
                assert await store.asearch(NOTES, query="123456") == []
                assert await store.alist_namespaces() == []
            assert await memory.sweep() == 1
            assert (await memory.stats()).values == 0
