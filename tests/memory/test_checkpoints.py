import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, empty_checkpoint
from langgraph.checkpoint.base import id as ids
from langgraph.checkpoint.base.id import uuid6
from langgraph.checkpoint.conformance import (  # pyright: ignore[reportMissingTypeStubs]
    checkpointer_test,
    validate,
)
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.types import ERROR, INTERRUPT
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import (  # pyright: ignore[reportMissingTypeStubs]
    END,
    START,
    StateGraph,
)
from typing_extensions import TypedDict

from stretto.errors import ConfigurationError
from stretto.memory.checkpoints import SqliteSaver, open_checkpointer
from stretto.memory.clock import keep_ids_after


class Count(TypedDict):
    turns: int


async def add_one(state: Count) -> Count:
    return {"turns": state.get("turns", 0) + 1}


def counter(saver: BaseCheckpointSaver[Any]) -> Any:
    builder: Any = StateGraph(Count)
    builder.add_node("add_one", add_one)
    builder.add_edge(START, "add_one")
    builder.add_edge("add_one", END)
    return builder.compile(checkpointer=saver)


def thread(name: str, checkpoint_id: str | None = None) -> RunnableConfig:
    scope = {"thread_id": name, "checkpoint_ns": ""}
    return {"configurable": scope | ({"checkpoint_id": checkpoint_id} if checkpoint_id else {})}


async def turn(saver: BaseCheckpointSaver[Any]) -> int:
    ended = await counter(saver).ainvoke({}, thread("t"), durability="sync")
    return int(ended["turns"])


def forget_the_clock() -> None:
    """Put this process where a new one is: it has given out no id yet."""
    ids._last_v6_timestamp = None  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}", "sqlite+aiosqlite:///{}"])
async def test_what_is_saved_in_a_file_is_there_after_opening_it_again(
    tmp_path: Path, form: str
) -> None:
    url = form.format(tmp_path / "home" / "checkpoints.db")
    for expected in (1, 2):
        async with open_checkpointer(url) as saver:
            assert await turn(saver) == expected
    assert (tmp_path / "home" / "checkpoints.db").is_file()


async def test_memory_keeps_checkpoints_for_this_process() -> None:
    async with open_checkpointer("memory:") as saver:
        assert isinstance(saver, InMemorySaver)
        assert [await turn(saver), await turn(saver)] == [1, 2]


@pytest.mark.parametrize(
    "url", ["postgresql://u:pw@host/x", "redis://x", "sqlite://", "", "sqlite:///"]
)
async def test_any_other_url_is_refused_with_what_is_possible(url: str) -> None:
    with pytest.raises(
        ConfigurationError, match="use 'memory:', 'sqlite:///path' or a file path"
    ) as no:
        async with open_checkpointer(url):
            pass
    assert "pw" not in str(no.value)


async def test_a_damaged_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"no database at all, but long enough " * 100)
    with pytest.raises(ConfigurationError, match=r"checkpoints cannot be kept in .*x\.db: file is"):
        async with open_checkpointer(str(path)):
            pass


async def test_the_file_is_set_to_lose_nothing(tmp_path: Path) -> None:
    async with open_checkpointer(str(tmp_path / "x.db")) as saver:
        assert isinstance(saver, SqliteSaver)
        found = {}
        for name in ("journal_mode", "synchronous", "busy_timeout"):
            async with saver.conn.execute(f"PRAGMA {name}") as cursor:
                found[name] = (await cursor.fetchone() or [None])[0]
    assert found == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 5000}


async def test_no_turn_is_lost_when_the_clock_steps_back_between_processes(tmp_path: Path) -> None:
    url = str(tmp_path / "x.db")
    now = datetime.now(UTC)
    turns: list[int] = []
    for hours in (0, -2, -3, 1):
        forget_the_clock()
        async with open_checkpointer(url) as saver:
            with time_machine.travel(now + timedelta(hours=hours), tick=True):
                turns += [await turn(saver), await turn(saver)]
    assert turns == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_going_on_from_an_older_checkpoint_sorts_after_the_latest(tmp_path: Path) -> None:
    async with open_checkpointer(str(tmp_path / "x.db")) as saver:
        old, new = empty_checkpoint(), empty_checkpoint()
        new["id"] = str(_id_in(hours=5))
        for checkpoint in (old, new):
            await saver.aput(thread("t"), checkpoint, {"source": "input"}, {})
        forget_the_clock()
        assert await saver.aget_tuple(thread("t", old["id"])) is not None
        assert str(uuid6()) > new["id"]
    forget_the_clock()


def _id_in(hours: float) -> ids.UUID:
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=hours), tick=False):
        forget_the_clock()
        return uuid6()


def test_langgraph_still_takes_its_ids_from_the_clock_that_the_guard_sets() -> None:
    future = _id_in(hours=1000)
    forget_the_clock()
    assert str(uuid6()) < str(future)
    keep_ids_after(str(future))
    assert str(uuid6()) > str(future)
    forget_the_clock()


def test_the_guard_never_sets_the_clock_back_and_ignores_foreign_ids() -> None:
    ahead = _id_in(hours=10)
    for other in ("no id", "a" * 32, "7b3f9d9e-8f0c-4c8e-9a52-0f2ad9a5f4b1", str(_id_in(hours=-9))):
        keep_ids_after(str(ahead))
        keep_ids_after(other)
        assert str(uuid6()) > str(ahead)
    forget_the_clock()


POISONED = """
import asyncio, logging, sys
{before}
import ormsgpack
from stretto.memory.checkpoints import open_checkpointer
from langgraph.checkpoint.serde.jsonplus import EXT_CONSTRUCTOR_POS_ARGS
from langgraph.checkpoint.base import empty_checkpoint
logging.disable()
evil = ormsgpack.Ext(EXT_CONSTRUCTOR_POS_ARGS,
    ormsgpack.packb(("builtins", "exec", ["print('code ran')"])))
async def main():
    async with open_checkpointer(sys.argv[1]) as saver:
        where = {{"configurable": {{"thread_id": "t", "checkpoint_ns": ""}}}}
        await saver.aput(where, empty_checkpoint(), {{}}, {{}})
        blob = ormsgpack.packb({{"id": empty_checkpoint()["id"], "x": evil}})
        await saver.conn.execute("UPDATE checkpoints SET checkpoint = ?", (blob,))
        print((await saver.aget_tuple(where)) is not None)
asyncio.run(main())
"""


LENIENT = """
import ormsgpack
from langgraph.checkpoint.serde.jsonplus import EXT_CONSTRUCTOR_POS_ARGS, JsonPlusSerializer
evil = ormsgpack.Ext(EXT_CONSTRUCTOR_POS_ARGS,
    ormsgpack.packb(("builtins", "exec", ["print('code ran')"])))
JsonPlusSerializer().loads_typed(("msgpack", ormsgpack.packb(evil)))
"""


def test_the_poison_of_the_next_test_would_run_code_with_langgraphs_default() -> None:
    env = {k: v for k, v in os.environ.items() if k != "LANGGRAPH_STRICT_MSGPACK"}
    done = subprocess.run([sys.executable, "-c", LENIENT], capture_output=True, text=True, env=env)
    assert done.stdout == "code ran\n"


@pytest.mark.parametrize("before", ["", "import langgraph.checkpoint.sqlite.aio"])
def test_a_poisoned_row_runs_no_code_whoever_imported_langgraph_first(
    tmp_path: Path, before: str
) -> None:
    code = POISONED.format(before=before)
    env = {k: v for k, v in os.environ.items() if k != "LANGGRAPH_STRICT_MSGPACK"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.db")],
        capture_output=True,
        text=True,
        env=env,
    )
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr


@pytest.mark.parametrize("module", ["strict", "checkpoints", "cache"])
def test_importing_the_room_makes_langgraph_strict(module: str) -> None:
    env = {k: v for k, v in os.environ.items() if k != "LANGGRAPH_STRICT_MSGPACK"}
    code = (
        f"import stretto.memory.{module}\n"
        "from langgraph.checkpoint.serde._msgpack import STRICT_MSGPACK_ENABLED as strict\n"
        "print(strict)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.stdout == "True\n"


async def test_many_runs_share_one_saver(tmp_path: Path) -> None:
    async with open_checkpointer(str(tmp_path / "x.db")) as saver:
        graph = counter(saver)
        ended = await asyncio.gather(
            *(graph.ainvoke({}, thread(f"t{i}"), durability="sync") for i in range(20))
        )
        assert ended == [{"turns": 1}] * 20


# Saving


def writes_of(path: Path) -> list[Any]:
    with sqlite3.connect(path) as raw:
        found = raw.execute("SELECT * FROM writes ORDER BY task_id, idx").fetchall()
    raw.close()
    return found


FULL = "CREATE TRIGGER full BEFORE INSERT ON {} BEGIN SELECT RAISE(ABORT, 'no room'); END"


@pytest.mark.parametrize("table", ["writes", "checkpoints"])
async def test_a_save_that_fails_locks_nobody_out(tmp_path: Path, table: str) -> None:
    path = tmp_path / "x.db"
    async with open_checkpointer(str(path)) as saver:
        other = sqlite3.connect(path, timeout=0)
        other.execute(FULL.format(table))
        with pytest.raises(sqlite3.IntegrityError, match="no room"):
            if table == "writes":
                await saver.aput_writes(thread("t", "c"), [("a", 1), ("b", 2)], "task")
            else:
                await saver.aput(thread("t"), empty_checkpoint(), {}, {})
        other.execute("DROP TRIGGER full")
        other.commit()
        other.close()
        await saver.aput_writes(thread("t", "c"), [("a", 1)], "task")
    assert [write[5:7] for write in writes_of(path)] == [(0, "a")]


async def test_a_save_that_fails_or_is_cancelled_takes_nothing_back_of_another(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.db"
    kept: list[str] = []
    async with open_checkpointer(str(path)) as saver:
        for turns in range(30):

            async def save(task: str, value: Any = 1) -> None:
                await saver.aput_writes(thread("t", "c"), [("a", value)], task)

            names = [f"{turns}.{n}" for n in range(3)]
            saving = [asyncio.create_task(save(name)) for name in names]
            saving.insert(1, asyncio.create_task(save(f"{turns} cancelled")))
            saving.insert(2, asyncio.create_task(save(f"{turns} failed", object())))
            for _ in range(turns):
                await asyncio.sleep(0)
            saving[1].cancel()
            ends = await asyncio.gather(*saving, return_exceptions=True)
            kept += [
                name for name, end in zip(names, [ends[0], *ends[3:]], strict=True) if end is None
            ]
            assert isinstance(ends[2], TypeError)
    assert len(kept) == 90
    assert set(kept) <= {write[3] for write in writes_of(path)}


async def test_a_save_whose_task_is_cancelled_is_whole_by_the_time_it_is_told(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.db"
    async with open_checkpointer(str(path)) as saver:
        saving = asyncio.create_task(
            saver.aput_writes(thread("t", "c"), [(f"w{n}", n) for n in range(100)], "task")
        )
        await asyncio.sleep(0)
        saving.cancel()
        await asyncio.wait([saving])
        assert (saving.cancelled(), len(writes_of(path))) == (True, 100)


PATH = "~__pregel_pull, step"


async def test_the_writes_of_a_step_are_saved_once_and_as_langgraph_would(tmp_path: Path) -> None:
    writes = [("outputs", {"a": 1}), ("records", {"a": {"status": "completed"}})]
    async with (
        AsyncSqliteSaver.from_conn_string(str(tmp_path / "theirs.db")) as theirs,
        open_checkpointer(str(tmp_path / "ours.db")) as ours,
    ):
        assert isinstance(ours, SqliteSaver)
        inserts: list[str] = []

        def note(statement: str) -> None:
            if statement.startswith("INSERT"):
                inserts.append(statement)

        await ours.conn.set_trace_callback(note)  # pyright: ignore[reportUnknownMemberType]
        for saver in (theirs, ours):
            await saver.aput_writes(thread("t", "c"), writes, "by the step")
            await saver.aput_writes(thread("t", "c"), writes, "by the step", PATH)
            await saver.aput_writes(thread("t", "c"), writes, "by langgraph", PATH)
    assert len(inserts) == 4
    rows = writes_of(tmp_path / "ours.db")
    assert rows == writes_of(tmp_path / "theirs.db")
    assert [row[3:7] for row in rows] == [
        ("by langgraph", PATH, 0, "outputs"),
        ("by langgraph", PATH, 1, "records"),
        ("by the step", "", 0, "outputs"),
        ("by the step", "", 1, "records"),
    ]


@pytest.mark.parametrize("channel", [ERROR, INTERRUPT])
@pytest.mark.parametrize("by_step_first", [True, False])
async def test_errors_and_interrupts_of_langgraph_are_saved(
    tmp_path: Path, channel: str, by_step_first: bool
) -> None:
    path = tmp_path / "x.db"
    async with open_checkpointer(str(path)) as saver:
        if by_step_first:
            await saver.aput_writes(thread("t", "c"), [("outputs", 1)], "task")
        await saver.aput_writes(thread("t", "c"), [(channel, "why")], "task", PATH)
    assert channel in [row[6] for row in writes_of(path)]


async def test_a_file_that_cannot_be_opened_leaves_no_thread_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with pytest.raises(ConfigurationError, match="unable to open"):
        async with open_checkpointer(str(tmp_path)):
            pass
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("turns", range(12))
async def test_opening_that_is_cancelled_leaves_no_thread_behind(
    tmp_path: Path, turns: int
) -> None:
    before = set(threading.enumerate())

    async def opened() -> None:
        async with open_checkpointer(str(tmp_path / "x.db")):
            await asyncio.Event().wait()

    opening = asyncio.create_task(opened())
    for _ in range(turns):
        await asyncio.sleep(0)
    opening.cancel()
    await asyncio.wait([opening])
    for added in set(threading.enumerate()) - before:  # it has reported, and is about to end
        added.join(1)
    assert (opening.cancelled(), set(threading.enumerate()) - before) == (True, set())


async def test_the_savers_pass_langgraphs_own_conformance_suite(tmp_path: Path) -> None:
    numbers = iter(range(10_000))

    @checkpointer_test(name="SqliteSaver")
    async def sqlite() -> AsyncIterator[BaseCheckpointSaver[Any]]:
        async with open_checkpointer(str(tmp_path / f"{next(numbers)}.db")) as saver:
            yield saver

    report = await validate(sqlite)
    assert report.passed_all_base(), report.to_dict()
    assert sum(r.tests_passed for r in report.results.values()) >= 58
