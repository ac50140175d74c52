import asyncio
import os
import subprocess
import sys
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


@pytest.mark.parametrize("url", ["postgresql://host/x", "redis://x", "sqlite://", "", "sqlite:///"])
async def test_any_other_url_is_refused_with_what_is_possible(url: str) -> None:
    with pytest.raises(ConfigurationError, match="use 'memory:', 'sqlite:///path' or a file path"):
        async with open_checkpointer(url):
            pass


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


async def test_the_savers_pass_langgraphs_own_conformance_suite(tmp_path: Path) -> None:
    numbers = iter(range(10_000))

    @checkpointer_test(name="SqliteSaver")
    async def sqlite() -> AsyncIterator[BaseCheckpointSaver[Any]]:
        async with open_checkpointer(str(tmp_path / f"{next(numbers)}.db")) as saver:
            yield saver

    report = await validate(sqlite)
    assert report.passed_all_base(), report.to_dict()
    assert sum(r.tests_passed for r in report.results.values()) >= 58
