import asyncio
import logging
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from langgraph.cache.base import BaseCache, FullKey

from stretto.errors import ConfigurationError
from stretto.memory.cache import open_cache


def key(name: str, namespace: str = "steps") -> FullKey:
    return (namespace,), name


@pytest.fixture(params=["memory", "file"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> BaseCache[Any]:
    return open_cache(None if request.param == "memory" else tmp_path / "home" / "cache.db")


async def test_a_value_comes_back_until_it_is_cleared(cache: BaseCache[Any]) -> None:
    value = {"list": [1, None, "ü"], "flag": True}
    await cache.aset({key("a"): (value, None), key("b", "other"): ("kept", None)})
    assert await cache.aget([key("a"), key("missing")]) == {key("a"): value}
    await cache.aclear([("steps",)])
    assert await cache.aget([key("a"), key("b", "other")]) == {key("b", "other"): "kept"}
    await cache.aclear()
    assert await cache.aget([key("b", "other")]) == {}


async def test_a_value_is_gone_after_its_time(cache: BaseCache[Any]) -> None:
    await cache.aset({key("a"): (1, 60), key("b"): (2, None)})
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=61), tick=True):
        assert await cache.aget([key("a"), key("b")]) == {key("b"): 2}


async def test_many_tasks_use_it_at_once(cache: BaseCache[Any]) -> None:
    async def one(number: int) -> Any:
        await cache.aset({key(str(number)): (number, None)})
        return (await cache.aget([key(str(number))]))[key(str(number))]

    assert await asyncio.gather(*(one(i) for i in range(50))) == list(range(50))


async def test_a_file_serves_the_next_process_too(tmp_path: Path) -> None:
    await open_cache(tmp_path / "cache.db").aset({key("a"): ("kept", None)})
    assert await open_cache(tmp_path / "cache.db").aget([key("a")]) == {key("a"): "kept"}


async def test_a_look_up_does_not_wait_for_busy_worker_threads(tmp_path: Path) -> None:
    cache = open_cache(tmp_path / "cache.db")
    release = threading.Event()
    busy = [asyncio.create_task(asyncio.to_thread(release.wait)) for _ in range(100)]
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(10):
            assert await cache.aget([key("a")]) == {}
    finally:
        release.set()
        await asyncio.gather(*busy)


async def test_a_cache_that_breaks_later_finds_nothing_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = open_cache(tmp_path / "cache.db")
    await cache.aset({key("a"): (1, None)})
    raw = sqlite3.connect(tmp_path / "cache.db")
    raw.execute("UPDATE cache SET val = x'c1'")
    raw.commit()
    assert await cache.aget([key("a")]) == {}
    raw.execute("DROP TABLE cache")
    raw.commit()
    raw.close()
    with caplog.at_level(logging.WARNING, "stretto.memory.cache"):
        await cache.aset({key("a"): (1, None)})
    assert "no such table" in caplog.text


async def test_a_file_that_is_no_cache_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database at all, but long enough " * 100)
    with pytest.raises(ConfigurationError, match=r"cannot be cached in .*x\.db.*delete the file"):
        open_cache(tmp_path / "x.db")
