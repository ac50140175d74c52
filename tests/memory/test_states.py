"""One list of cases for both stores of agents' state: a SQLite file, and a plain Redis."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Generator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from langgraph.store.base import BaseStore, GetOp, PutOp, SearchOp
from redis.exceptions import RedisError

from stretto.errors import ConfigurationError
from stretto.memory.redis_client import open_redis
from stretto.memory.redis_states import RedisStates
from stretto.memory.sqlite_states import SqliteStates, open_sqlite_states
from stretto.memory.states import open_states
from tests.fakes.redis_server import RedisServer, running_redis

A, B = ("stretto", "agents", "a"), ("stretto", "agents", "b")


@pytest.fixture
def server() -> Generator[RedisServer]:
    with running_redis() as running:
        yield running


@pytest.fixture(params=["file", "redis"])
async def where(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    """Give what ``open_states`` is called with."""
    if request.param == "file":
        yield (tmp_path / "home" / "states.db",)
        return
    with running_redis() as running:
        yield tmp_path / "unused.db", running.url


@pytest.fixture
async def store(where: Any) -> AsyncIterator[BaseStore]:
    async with open_states(*where) as opened:
        yield opened


async def values(store: BaseStore, *prefix: str) -> dict[str, Any]:
    return {item.key: item.value for item in await store.asearch(prefix, limit=1000)}


async def test_an_item_comes_back_as_it_was_put(store: BaseStore) -> None:
    value: dict[str, Any] = {"list": [1, None, "ü", 1.5], "flag": True, "map": {"": {}}}
    before = datetime.now(UTC) - timedelta(seconds=2)  # SQLite keeps whole seconds
    await store.aput(A, "key with . and ü", value)
    item = await store.aget(A, "key with . and ü")
    assert item is not None
    assert (item.namespace, item.key, item.value) == (A, "key with . and ü", value)
    assert before < item.updated_at.replace(tzinfo=UTC) < before + timedelta(seconds=60)
    assert await store.aget(A, "other") is None
    assert await store.aget(B, "key with . and ü") is None


async def test_the_last_write_of_a_key_wins_and_what_is_deleted_is_gone(store: BaseStore) -> None:
    await store.aput(A, "a", {"n": 1})
    await store.aput(A, "a", {"n": 2})
    await store.aput(A, "b", {"n": 3})
    assert await values(store, *A) == {"a": {"n": 2}, "b": {"n": 3}}
    await store.adelete(A, "a")
    await store.adelete(A, "a")
    assert await values(store, *A) == {"b": {"n": 3}}


async def test_a_search_finds_what_is_below_a_namespace_and_no_other(store: BaseStore) -> None:
    for namespace in (A, (*A, "deep"), ("stretto", "agents", "ab"), ("stretto", "agents", "A")):
        await store.aput(namespace, "/".join(namespace), {"n": len(namespace)})
    assert set(await values(store, *A)) == {"stretto/agents/a", "stretto/agents/a/deep"}
    assert len(await values(store, "stretto")) == 4
    assert await values(store, "agents") == {}
    some = await store.asearch(("stretto",), filter={"n": 4})
    assert [item.key for item in some] == ["stretto/agents/a/deep"]
    pages = [await store.asearch(("stretto",), limit=3, offset=at) for at in (0, 3)]
    assert [len(page) for page in pages] == [3, 1]


async def test_namespaces_are_listed_while_something_is_in_them(store: BaseStore) -> None:
    for namespace in (A, B, ("other",)):
        await store.aput(namespace, "k", {})
    assert await store.alist_namespaces() == [("other",), A, B]
    assert await store.alist_namespaces(prefix=("stretto",), max_depth=2) == [A[:2]]
    assert await store.alist_namespaces(suffix=("b",)) == [B]
    await store.adelete(B, "k")
    assert await store.alist_namespaces(limit=1, offset=1) == [A]
    assert await store.alist_namespaces() == [("other",), A]


async def test_reads_of_a_batch_see_what_was_there_before_its_writes(store: BaseStore) -> None:
    await store.aput(A, "k", {"n": 1})
    put = [PutOp(A, "k", {"n": 2}), PutOp(A, "new", {})]
    got, _, _, found = await store.abatch([GetOp(A, "k"), *put, SearchOp(A)])
    assert isinstance(found, list) and not isinstance(got, list) and got is not None
    assert (got.value, len(found)) == ({"n": 1}, 1)
    assert await values(store, *A) == {"k": {"n": 2}, "new": {}}


async def test_of_two_writes_of_a_key_in_a_batch_the_last_one_counts(store: BaseStore) -> None:
    await store.abatch([PutOp(A, "k", {"n": 1}), PutOp(A, "k", {"n": 2})])
    await store.abatch([PutOp(A, "gone", {"n": 1}), PutOp(A, "gone", None)])
    assert await values(store, *A) == {"k": {"n": 2}}


async def test_what_was_put_is_there_after_opening_it_again(where: Any) -> None:
    for expected in ({}, {"k": {"n": 1}}):
        async with open_states(*where) as store:
            assert await values(store, *A) == expected
            await store.aput(A, "k", {"n": 1})


async def test_two_that_are_open_at_once_see_each_other(where: Any) -> None:
    async with open_states(*where) as one, open_states(*where) as two:
        for turn in range(3):
            await one.aput(A, "k", {"turn": turn})
            assert await values(two, *A) == {"k": {"turn": turn}}


async def test_many_that_write_at_once_lose_nothing(where: Any) -> None:
    async def one(store: BaseStore, number: int) -> None:
        await store.aput(A, str(number), {"n": number})
        item = await store.aget(A, str(number))
        assert item is not None and item.value == {"n": number}

    async with open_states(*where) as first, open_states(*where) as second:
        await asyncio.gather(*(one((first, second)[n % 2], n) for n in range(60)))
        assert len(await values(first, *A)) == 60


# The file


async def test_batches_that_read_and_then_write_wait_for_each_other(where: Any) -> None:
    async with open_states(*where) as one, open_states(*where) as two:
        turns = [(store, n) for n in range(100) for store in (one, two)]
        await asyncio.gather(
            *(s.abatch([GetOp(A, "0"), PutOp(A, str(n), {"n": n})]) for s, n in turns)
        )
        assert len(await values(one, *A)) == 100


async def test_no_file_is_made_before_something_is_looked_up(tmp_path: Path) -> None:
    async with open_states(tmp_path / "states.db") as store:
        assert list(tmp_path.iterdir()) == []
        await store.aget(A, "k")
        assert (tmp_path / "states.db").exists()


async def test_a_batch_that_fails_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "states.db"
    async with open_states(path) as store:
        await store.abatch([PutOp(A, "old", {"n": 1})])
        with closing(sqlite3.connect(path)) as other:
            other.execute(
                "CREATE TRIGGER full BEFORE INSERT ON store BEGIN SELECT RAISE(ABORT, 'full'); END"
            )
            other.commit()
        with pytest.raises(sqlite3.IntegrityError, match="full"):
            await store.abatch([PutOp(A, "old", None), PutOp(A, "new", {})])  # deletes come first
        assert await values(store, *A) == {"old": {"n": 1}}


def test_tables_that_could_not_all_be_created_are_not_there_at_all(tmp_path: Path) -> None:
    class Broken(SqliteStates):
        MIGRATIONS = [*SqliteStates.MIGRATIONS, "no SQL"]

    path = tmp_path / "states.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        with pytest.raises(sqlite3.OperationalError, match="syntax error"):
            Broken(connection).setup()
        assert connection.execute("SELECT * FROM sqlite_master").fetchall() == []
    states = open_sqlite_states(path)
    states.put(A, "k", {})
    states.conn.close()


async def test_a_damaged_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"no database at all, but long enough " * 100)
    async with open_states(path) as store:
        with pytest.raises(ConfigurationError, match=r"state of agents cannot be kept in .*x\.db"):
            await store.abatch([GetOp(A, "k")])


def test_the_file_is_set_to_lose_nothing(tmp_path: Path) -> None:
    with closing(open_sqlite_states(tmp_path / "states.db").conn) as connection:
        names = ("journal_mode", "synchronous", "busy_timeout")
        found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]
    assert found == ["wal", 2, 5000]


OPEN = """
import asyncio, sys
from pathlib import Path
from stretto.memory.states import open_states

async def main():
    async with open_states(Path(sys.argv[1])) as store:
        import stretto.memory.sqlite_states
        print("ready", flush=True)
        sys.stdin.readline()
        await store.aput(("n",), sys.argv[2], {})

asyncio.run(main())
"""


def test_processes_that_create_the_file_at_the_same_moment_all_can(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPEN, str(tmp_path / "states.db")]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    several = [subprocess.Popen([*command, str(n)], **pipes) for n in range(4)]
    for process in several:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    ended = [process.communicate("go\n", timeout=60) for process in several]
    assert ([process.returncode for process in several], len(ended)) == ([0] * 4, 4)
    with closing(sqlite3.connect(tmp_path / "states.db")) as other:
        assert other.execute("SELECT count(*) FROM store").fetchone() == (4,)


# Redis


async def test_redis_has_a_hash_for_each_namespace_and_no_module(server: RedisServer) -> None:
    async with open_redis(server.url, 5) as client:
        store = RedisStates(client)
        await store.abatch([PutOp(A, "k", {"n": 1}), PutOp(B, "k", {"n": 2})])
        assert await client.module_list() == []
        assert sorted(key.decode() for key in await client.keys("*")) == [
            'stretto:{store}:["stretto", "agents", "a"]',
            'stretto:{store}:["stretto", "agents", "b"]',
            "stretto:{store}:namespaces",
        ]


async def test_a_batch_that_redis_refuses_in_the_middle_leaves_nothing_behind(
    server: RedisServer,
) -> None:
    async with open_redis(server.url, 5) as client:
        store = RedisStates(client)
        await store.abatch([PutOp(A, "old", {"n": 1})])
        await client.config_set("maxmemory", 1)  # from now on it takes no new data
        with pytest.raises(RedisError):
            await store.abatch([PutOp(A, "old", None), PutOp(A, "new", {})])
        assert await values(store, *A) == {"old": {"n": 1}}


async def test_a_redis_that_goes_away_is_told_and_used_again_when_it_is_back(
    server: RedisServer,
) -> None:
    async with open_states(Path("unused"), server.url) as store:
        server.stop()
        with pytest.raises(RedisError):
            await store.abatch([PutOp(A, "k", {})])
        server.start()
        await store.abatch([PutOp(A, "k", {"n": 1})])
        assert await values(store, *A) == {"k": {"n": 1}}


async def test_a_redis_that_hangs_is_given_up(server: RedisServer) -> None:
    assert server.process is not None
    async with open_redis(server.url, 0.05) as client:
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            with pytest.raises(RedisError):
                await RedisStates(client).abatch([GetOp(A, "k")])
        finally:
            os.kill(server.process.pid, signal.SIGCONT)


async def test_the_store_in_redis_is_asynchronous_only(server: RedisServer) -> None:
    async with open_states(Path("unused"), server.url) as store:
        with pytest.raises(NotImplementedError, match="use 'abatch'"):
            store.get(A, "k")
