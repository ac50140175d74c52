import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine
from sqlalchemy.event import listen as listen_to
from sqlalchemy.exc import IntegrityError

from stretto.engine import migrations
from stretto.engine.database import open_engine, parse_url
from stretto.engine.records import Records, RunRow
from stretto.engine.tables import METADATA, REVISIONS, VERSION_TABLE
from stretto.errors import ConfigurationError, RunNotFound
from stretto.events import RunEvent

DIGEST = "d" * 64


def row(run_id: str, created_at: float = 1.0, **changes: Any) -> RunRow:
    made = RunRow(
        run_id=run_id,
        workflow_id="flow",
        workflow_name="Flow",
        version="1.0.0",
        digest=DIGEST,
        created_at=created_at,
    )
    return replace(made, **changes)


def event(seq: int, run_id: str = "a", text: str = "x") -> RunEvent:
    return RunEvent("agent_stream", run_id, seq, 100.0 + seq, "fetch", {"content": text})


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/home/records.db"


@pytest.fixture
async def records(url: str) -> AsyncIterator[Records]:
    opened = await Records.open(url)
    await opened.save_workflow("flow", "Flow", "1.0.0", DIGEST, {"name": "Flow"})
    yield opened
    await opened.close()


async def test_a_run_comes_back_as_it_was_stored(records: Records) -> None:
    full = row(
        "a",
        state="waiting",
        priority="high",
        input={"list": [1, None, "ü\ud800\x00"]},
        context={"k": True},
        session_id="s",
        parent_run_id="p",
        started_at=2.5,
        ended_at=3.5,
        error={"code": "x"},
        attempt=2,
        usage={"tokens": 3},
        deadline_at=9.0,
    )
    assert await records.create_run(full) is True
    assert await records.get_run("a") == full
    assert await records.get_run("b") is None


async def test_a_second_run_of_the_same_id_is_refused_and_changes_nothing(
    records: Records,
) -> None:
    await records.create_run(row("a", input=1))
    assert await records.create_run(row("a", input=2)) is False
    kept = await records.get_run("a")
    assert kept is not None
    assert kept.input == 1


async def test_only_one_of_many_concurrent_submissions_of_an_id_wins(records: Records) -> None:
    won = await asyncio.gather(*(records.create_run(row("a", input=i)) for i in range(30)))
    assert sorted(won) == [False] * 29 + [True]


async def test_an_update_changes_what_is_given_and_nothing_else(records: Records) -> None:
    await records.create_run(row("a", error={"code": "x"}))
    await records.update_run("a", state="running", started_at=5.0, attempt=1, error=None)
    assert await records.get_run("a") == row("a", state="running", started_at=5.0, attempt=1)


async def test_updating_an_unknown_run_is_said(records: Records) -> None:
    with pytest.raises(RunNotFound, match="'nope'"):
        await records.update_run("nope", state="running")


async def test_runs_are_listed_newest_first_page_by_page_also_at_equal_times(
    records: Records,
) -> None:
    for name, created in (("a", 1.0), ("b", 2.0), ("c", 2.0), ("d", 3.0)):
        await records.create_run(row(name, created))
    first = await records.list_runs(limit=2)
    second = await records.list_runs(limit=2, before=first[-1].run_id)
    assert [r.run_id for r in first] == ["d", "c"]
    assert [r.run_id for r in second] == ["b", "a"]


async def test_a_listing_is_narrowed_by_workflow_and_state(records: Records) -> None:
    await records.create_run(row("a", 1.0, state="failed"))
    await records.create_run(row("b", 2.0, state="completed"))
    await records.create_run(row("c", 3.0, state="failed", workflow_id="other"))
    by_state = await records.list_runs(states=["failed"])
    by_both = await records.list_runs("flow", ["failed", "cancelled"])
    assert [r.run_id for r in by_state] == ["c", "a"]
    assert [r.run_id for r in by_both] == ["a"]
    assert await records.list_runs(states=[]) == []


async def test_unfinished_runs_are_the_queued_and_running_oldest_first(records: Records) -> None:
    states = ("running", "waiting", "queued", "completed", "failed", "cancelled")
    for index, state in enumerate(states):
        await records.create_run(row(state, 10.0 - index, state=state))
    assert [r.run_id for r in await records.unfinished_runs()] == ["queued", "running"]


async def test_a_workflow_is_kept_as_first_saved_under_its_digest(records: Records) -> None:
    await records.save_workflow("flow", "Flow", "1.0.0", DIGEST, {"name": "changed"})
    assert await records.get_workflow(DIGEST) == {"name": "Flow"}
    assert await records.get_workflow("0" * 64) is None


async def test_events_come_back_in_order_from_any_point(records: Records) -> None:
    await records.create_run(row("a"))
    for first in range(1, 60, 3):
        await records.append_events("a", [event(seq) for seq in range(first, first + 3)])
    every = [event(seq) for seq in range(1, 61)]
    assert await records.read_events("a") == every
    assert await records.read_events("a", after=29) == every[29:]
    assert await records.read_events("a", after=4, limit=40) == every[4:44]
    assert await records.read_events("a", after=60) == []
    assert await records.last_seq("a") == 60


async def test_one_flush_is_one_row(records: Records, url: str) -> None:
    await records.create_run(row("a"))
    await records.append_events("a", [event(seq) for seq in range(1, 2001)])
    await records.append_events("a", [])
    with sqlite3.connect(url.removeprefix("sqlite:///")) as raw:
        assert raw.execute("SELECT first_seq, last_seq FROM events").fetchall() == [(1, 2000)]
    raw.close()


async def test_a_segment_sent_again_with_more_replaces_the_first(records: Records) -> None:
    await records.create_run(row("a"))
    await records.append_events("a", [event(1), event(2)])
    await records.append_events("a", [event(1), event(2), event(3)])
    assert await records.read_events("a") == [event(1), event(2), event(3)]


async def test_values_that_json_does_not_know_are_stored_as_text(records: Records) -> None:
    await records.create_run(row("a"))
    odd = RunEvent("agent_completed", "a", 1, 1.0, None, {"path": Path("x/y")})
    await records.append_events("a", [odd])
    assert (await records.read_events("a"))[0].data == {"path": "x/y"}


async def test_deleting_a_run_deletes_its_events_and_only_these(records: Records) -> None:
    for name in ("a", "b"):
        await records.create_run(row(name))
        await records.append_events(name, [event(1, name)])
    await records.delete_run("a")
    assert await records.get_run("a") is None
    assert await records.last_seq("a") == 0
    assert await records.read_events("b") == [event(1, "b")]


async def test_durations_move_by_three_tenths_towards_the_newest(records: Records) -> None:
    await records.learn("flow", {"fetch": 10.0, "write": 1.0})
    await records.learn("flow", {"fetch": 20.0})
    await records.learn("flow", {})
    assert await records.durations("flow") == pytest.approx({"fetch": 13.0, "write": 1.0})
    assert await records.durations("other") == {}


async def test_many_tasks_write_and_read_at_once(records: Records) -> None:
    async def one(number: int) -> int:
        name = f"run{number}"
        await records.create_run(row(name))
        await records.append_events(name, [event(1, name)])
        await records.update_run(name, state="running")
        return len(await records.read_events(name))

    assert await asyncio.gather(*(one(i) for i in range(60))) == [1] * 60
    assert len(await records.unfinished_runs()) == 60


async def test_a_cancelled_write_leaves_the_records_usable(records: Records) -> None:
    for number in range(20):
        task = asyncio.create_task(records.create_run(row(f"run{number}")))
        for _ in range(number):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    assert await records.create_run(row("last")) is True


async def test_a_call_whose_task_is_cancelled_is_over_by_the_time_it_is_told(
    records: Records,
) -> None:
    cancelled = 0
    for turns in range(1, 20):
        name = f"run{turns}"
        task = asyncio.create_task(records.create_run(row(name)))
        for _ in range(turns):
            await asyncio.sleep(0)
        told = task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() == told
        cancelled += told
        assert await records.get_run(name) == row(name)
    assert cancelled > 0


async def test_a_second_process_reads_while_the_first_writes(records: Records, url: str) -> None:
    await records.create_run(row("a"))
    other = await Records.open(url)
    await records.update_run("a", state="running")
    seen = await other.get_run("a")
    await other.close()
    assert seen is not None
    assert seen.state == "running"


async def test_everything_is_still_there_after_closing(records: Records, url: str) -> None:
    await records.create_run(row("a"))
    again = await Records.open(url)
    assert await again.get_run("a") == row("a")
    await again.close()


async def test_records_in_memory_need_no_file() -> None:
    records = await Records.open("sqlite://")
    await records.save_workflow("flow", "Flow", "1.0.0", DIGEST, {})
    assert await asyncio.gather(*(records.create_run(row(f"{i}")) for i in range(5))) == [True] * 5
    assert len(await records.list_runs()) == 5
    await records.close()


def _differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return list(compare_metadata(context, METADATA))


async def test_migrations_and_tables_describe_the_same_schema(tmp_path: Path) -> None:
    for name, make in (("new", METADATA.create_all), ("moved", migrations.upgrade)):
        engine = create_engine(f"sqlite:///{tmp_path}/{name}.db")
        with engine.begin() as connection:
            make(connection)
            assert _differences(connection) == []
        engine.dispose()
    new, moved = (_schema(tmp_path / f"{name}.db") for name in ("new", "moved"))
    assert moved.pop(VERSION_TABLE)
    assert moved == new


def _schema(path: Path) -> dict[str, Any]:
    raw = sqlite3.connect(path)
    tables = raw.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall()
    schema = {
        table: [
            raw.execute(f"PRAGMA {what}({table})").fetchall()
            for what in ("table_info", "foreign_key_list")
        ]
        for (table,) in tables
    }
    raw.close()
    return schema


async def test_a_fresh_database_is_created_without_importing_alembic(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys; from stretto.engine.records import Records\n"
        "async def main():\n"
        f"    records = await Records.open('sqlite:///{tmp_path}/x.db'); await records.close()\n"
        "asyncio.run(main()); print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


async def test_a_database_without_a_revision_is_upgraded_at_open(url: str) -> None:
    path = Path(url.removeprefix("sqlite:///"))
    path.parent.mkdir()
    raw = sqlite3.connect(path)
    raw.execute(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    raw.commit()
    raw.close()
    records = await Records.open(url)
    await records.save_workflow("flow", "Flow", "1.0.0", DIGEST, {})
    assert await records.create_run(row("a")) is True
    await records.close()
    raw = sqlite3.connect(path)
    assert raw.execute(f"SELECT * FROM {VERSION_TABLE}").fetchall() == [(REVISIONS[-1],)]
    raw.close()


async def test_two_openers_of_a_fresh_file_both_succeed(url: str) -> None:
    opened = await asyncio.gather(*(Records.open(url) for _ in range(4)))
    assert [await records.list_runs() for records in opened] == [[]] * 4
    for records in opened:
        await records.close()


def test_sqlite_is_set_to_lose_nothing(url: str) -> None:
    engine = open_engine(parse_url(url))
    with engine.connect() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 5000,
    }


async def test_a_newer_schema_is_refused(records: Records, url: str) -> None:
    raw = sqlite3.connect(url.removeprefix("sqlite:///"))
    raw.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    raw.commit()
    raw.close()
    with pytest.raises(ConfigurationError, match="newer stretto .*9999.*upgrade stretto"):
        await Records.open(url)


async def test_a_damaged_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database at all, but long enough " * 100)
    with pytest.raises(ConfigurationError, match=r"x\.db failed: the file is damaged"):
        await Records.open(f"sqlite:///{tmp_path}/x.db")


async def test_a_path_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be opened; check that the folder"):
        await Records.open(f"sqlite:///{tmp_path}")


def test_a_file_that_cannot_be_opened_leaves_no_thread_to_a_closed_loop(tmp_path: Path) -> None:
    async def opened() -> int:
        with pytest.raises(ConfigurationError, match="cannot be opened"):
            await Records.open(f"sqlite:///{tmp_path}")
        return threading.active_count()

    before = threading.active_count()
    assert asyncio.run(opened()) == before


async def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    raw = sqlite3.connect(tmp_path / "x.db")
    raw.execute("CREATE TABLE runs (id)")
    raw.commit()
    raw.close()
    with pytest.raises(ConfigurationError, match=r"tables of another program \(runs\)"):
        await Records.open(f"sqlite:///{tmp_path}/x.db")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "is no database URL"),
        ("postgresql://host/x", "SQLite, not postgresql; write sqlite:///path"),
    ],
)
async def test_a_wrong_url_is_refused(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        await Records.open(url)


async def test_a_full_disk_is_said(records: Records, url: str) -> None:
    with records._engine.connect() as connection:  # pyright: ignore[reportPrivateUsage]
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
    await records.create_run(row("a"))
    with pytest.raises(ConfigurationError, match="the disk is full; make room"):
        await records.append_events("a", [event(1, text="x" * 500_000)])


async def test_events_of_many_runs_are_saved_together(records: Records) -> None:
    names = [f"run{number}" for number in range(50)]
    for name in names:
        await records.create_run(row(name))
    commits: list[Any] = []
    engine = records._engine  # pyright: ignore[reportPrivateUsage]
    listen_to(engine, "commit", commits.append)
    await asyncio.gather(*(records.append_events(name, [event(1, name)]) for name in names))
    assert len(commits) <= 2  # the first one, and all that came meanwhile
    assert [await records.last_seq(name) for name in names] == [1] * len(names)


async def test_a_call_after_closing_is_refused_in_one_sentence(url: str) -> None:
    records = await Records.open(url)
    await records.close()
    with pytest.raises(ConfigurationError, match="is closed; open it again"):
        await records.get_run("a")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="nothing tells what is open")
async def test_opening_that_is_cancelled_leaves_nothing_open(url: str) -> None:
    await (await Records.open(url)).close()
    before = threading.active_count()
    path = url.removeprefix("sqlite:///")
    for turns in range(1, 8):
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")  # until it ends, nobody can be done with opening
        opening = asyncio.create_task(Records.open(url))
        for _ in range(turns):
            await asyncio.sleep(0)
        opening.cancel()
        other.close()
        await asyncio.wait([opening])
        assert opening.cancelled()
    assert threading.active_count() == before
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert [link for link in links if "records.db" in os.readlink(link)] == []


async def test_events_that_are_saved_together_fail_alone(records: Records) -> None:
    await records.create_run(row("a"))
    await records.create_run(row("b"))
    names = ("a", "gone", "b")  # of which the first is under way when the others come
    calls = (records.append_events(name, [event(1, name)]) for name in ("b", *names))
    first, *ends = await asyncio.gather(*calls, return_exceptions=True)
    assert [first, ends[0], ends[2]] == [None] * 3
    assert isinstance(ends[1], IntegrityError)
    assert [await records.last_seq(name) for name in names] == [1, 0, 1]


WRITER = """
import asyncio, sys
from stretto.engine.records import Records, RunRow
from stretto.events import RunEvent
async def main():
    records = await Records.open(sys.argv[1])
    await records.save_workflow("flow", "Flow", "1.0.0", "d" * 64, {})
    for number in range(100000):
        name = f"run{number}"
        await records.create_run(RunRow(run_id=name, workflow_id="flow", workflow_name="Flow",
            version="1.0.0", digest="d" * 64, created_at=float(number), input={"n": number}))
        await records.append_events(name, [RunEvent("workflow_started", name, 1, 1.0)])
        print(name, flush=True)
asyncio.run(main())
"""


async def test_every_acknowledged_run_survives_a_kill(url: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    told = [process.stdout.readline().strip() for _ in range(40)]
    os.kill(process.pid, signal.SIGKILL)
    told += process.stdout.read().split()
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    records = await Records.open(url)
    kept = {r.run_id: r for r in await records.list_runs(limit=1_000_000)}
    # The last line may be cut short by the kill.
    whole = [name for name in told if name in kept or name != told[-1]]
    assert len(whole) >= 40
    rows = [await records.get_run(name) for name in whole]
    assert [row and row.input for row in rows] == [{"n": n} for n in range(len(whole))]
    assert [await records.last_seq(name) for name in whole] == [1] * len(whole)
    await records.close()
