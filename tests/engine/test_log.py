import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stretto.engine.log import BATCH, EventLog
from stretto.engine.records import Records, RunRow
from stretto.errors import ConfigurationError, RunConflict
from stretto.events import RunEvent


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "records.db"


@pytest.fixture
async def records(database: Path) -> AsyncIterator[Records]:
    opened = await Records.open(f"sqlite:///{database}")
    await opened.save_workflow("flow", "Flow", "1.0.0", "d" * 64, {})
    made = RunRow(
        run_id="a",
        workflow_id="flow",
        workflow_name="Flow",
        version="1.0.0",
        digest="d" * 64,
        created_at=1.0,
    )
    await opened.create_run(made)
    yield opened
    await opened.close()


async def collect(log: EventLog, after: int = 0, until_waiting: bool = True) -> list[RunEvent]:
    return [event async for event in log.read(after, until_waiting)]


def held(log: EventLog) -> int:
    return len(log._memory)  # pyright: ignore[reportPrivateUsage]


async def test_events_are_numbered_without_gaps_and_carry_what_was_given(records: Records) -> None:
    log = EventLog("a", records, start_seq=7)
    first = log.emit("agent_started", "fetch", {"agent": "scout"})
    second = log.emit("workflow_completed")
    await log.close()
    assert (first.seq, first.event, first.step, first.data) == (
        8,
        "agent_started",
        "fetch",
        {"agent": "scout"},
    )
    assert (second.seq, second.step, second.data, second.run_id) == (9, None, {}, "a")


async def test_readers_replay_then_follow_live_and_end_with_the_run(records: Records) -> None:
    log = EventLog("a", records)
    log.emit("workflow_started")
    readers = [asyncio.create_task(collect(log, after)) for after in (0, 0, 1)]
    await asyncio.sleep(0)
    for _ in range(3):
        log.emit("agent_stream")
        await asyncio.sleep(0)
    log.emit("workflow_completed")
    seen = await asyncio.gather(*readers)
    await log.close()
    assert [[event.seq for event in events] for events in seen] == [
        [1, 2, 3, 4, 5],
        [1, 2, 3, 4, 5],
        [2, 3, 4, 5],
    ]


async def test_an_ending_that_the_run_went_on_from_ends_no_reader(records: Records) -> None:
    log = EventLog("a", records)
    log.emit("workflow_started")
    log.emit("workflow_waiting")
    log.emit("workflow_resumed")
    log.emit("workflow_completed")
    assert [event.seq for event in await collect(log)] == [1, 2, 3, 4]
    await log.close()


async def test_a_waiting_run_ends_a_reader_unless_it_wants_to_stay(records: Records) -> None:
    log = EventLog("a", records)
    log.emit("workflow_waiting")
    assert [event.seq for event in await collect(log)] == [1]
    staying = asyncio.create_task(collect(log, until_waiting=False))
    await asyncio.sleep(0)
    assert not staying.done()
    log.emit("workflow_cancelled")
    assert [event.seq for event in await staying] == [1, 2]
    await log.close()


async def test_closing_ends_readers_and_takes_no_more_events(records: Records) -> None:
    log = EventLog("a", records)
    log.emit("workflow_started")
    reader = asyncio.create_task(collect(log))
    await asyncio.sleep(0)
    await log.close()
    assert [event.seq for event in await reader] == [1]
    with pytest.raises(RunConflict, match="run a has ended"):
        log.emit("agent_stream")


async def test_events_are_saved_in_the_background_and_all_of_them_on_close(
    records: Records,
) -> None:
    log = EventLog("a", records)
    log.emit("workflow_started")
    async with asyncio.timeout(5):
        while await records.last_seq("a") < 1:
            await asyncio.sleep(0)
    log.emit("agent_stream", "s", {"content": "x"})
    await log.flush()
    assert await records.last_seq("a") == 2
    log.emit("workflow_completed")
    await log.close()
    assert await records.read_events("a") == await collect(log)
    assert log.failed is None


async def test_thousands_of_tokens_become_a_few_rows(records: Records, database: Path) -> None:
    log = EventLog("a", records)
    for _ in range(2000):
        log.emit("agent_stream", "s", {"content": "x"})
    await log.close()
    raw = sqlite3.connect(database)
    assert raw.execute("SELECT count(*), max(last_seq) FROM events").fetchone() == (
        2000 // BATCH,
        2000,
    )
    raw.close()


async def test_a_resumed_run_shows_its_stored_past_and_its_live_present(records: Records) -> None:
    before = EventLog("a", records)
    before.emit("workflow_started")
    before.emit("workflow_waiting")
    await before.close()
    log = EventLog("a", records, start_seq=await records.last_seq("a"))
    log.emit("workflow_resumed")
    log.emit("workflow_completed")
    assert [event.event for event in await collect(log)] == [
        "workflow_started",
        "workflow_waiting",
        "workflow_resumed",
        "workflow_completed",
    ]
    await log.close()


async def test_a_reader_that_comes_before_a_resumed_run_tells_anything_waits_for_it(
    records: Records,
) -> None:
    first = EventLog("a", records)
    first.emit("workflow_started")
    first.emit("workflow_cancelled")
    await first.close()
    log = EventLog("a", records, start_seq=2)
    reading = log.read()
    seen = [(await anext(reading)).event for _ in range(2)]
    third = asyncio.ensure_future(anext(reading))
    log.emit("workflow_resumed")
    seen.append((await third).event)
    log.emit("workflow_completed")
    seen += [event.event async for event in reading]
    assert seen == [
        "workflow_started",
        "workflow_cancelled",
        "workflow_resumed",
        "workflow_completed",
    ]
    await log.close()


async def test_a_stalled_reader_neither_grows_memory_nor_loses_an_event(records: Records) -> None:
    log = EventLog("a", records, keep=1000)
    stalled = aiter(log.read())
    log.emit("workflow_started")
    assert (await anext(stalled)).seq == 1
    most = 0
    for _ in range(100):
        for _ in range(500):
            log.emit("agent_stream", "s", {"content": "x"})
        await log.flush()
        most = max(most, held(log))
    log.emit("workflow_completed")
    rest = [event.seq async for event in stalled]
    await log.close()
    assert rest == list(range(2, 50_003))
    assert most <= 1000


async def test_memory_holds_what_is_not_saved_yet_beyond_its_bound(records: Records) -> None:
    log = EventLog("a", records, keep=100)
    for _ in range(5000):
        log.emit("agent_stream")
    assert held(log) == 5000
    await log.flush()
    assert held(log) <= 100
    await log.close()
    assert [event.seq for event in await collect(log)] == list(range(1, 5001))


async def test_any_thread_may_emit(records: Records) -> None:
    log = EventLog("a", records)
    reader = asyncio.create_task(collect(log))

    def work() -> None:
        for _ in range(500):
            log.emit("agent_stream", threading.current_thread().name)

    await asyncio.gather(*(asyncio.to_thread(work) for _ in range(4)))
    log.emit("workflow_completed")
    seqs = [event.seq for event in await reader]
    await log.close()
    assert seqs == list(range(1, 2002))


async def test_a_run_goes_on_when_saving_fails_and_the_cause_is_kept(records: Records) -> None:
    await records.delete_run("a")
    log = EventLog("a", records)
    log.emit("workflow_started")
    await log.flush()
    log.emit("workflow_completed")
    assert [event.seq for event in await collect(log)] == [1, 2]
    assert "FOREIGN KEY" in str(log.failed)
    await log.close()


async def test_saving_goes_on_once_the_database_is_back(records: Records) -> None:
    stored = await records.get_run("a")
    assert stored is not None
    await records.delete_run("a")
    log = EventLog("a", records)
    log.emit("workflow_started")
    await log.flush()
    assert log.failed is not None
    await records.create_run(stored)
    log.emit("workflow_completed")
    await log.close()
    assert log.failed is None
    assert await records.last_seq("a") == 2


async def test_memory_stays_bounded_when_saving_fails_and_lost_events_are_told(
    records: Records,
) -> None:
    await records.delete_run("a")
    log = EventLog("a", records, keep=100)
    log.emit("workflow_started")
    await log.flush()
    for _ in range(5000):
        log.emit("agent_stream")
    log.emit("workflow_failed")
    assert held(log) <= 100
    assert [event.seq for event in await collect(log, after=4950)] == list(range(4951, 5003))
    with pytest.raises(ConfigurationError, match="events after 0 of run a are lost"):
        await collect(log)
    await log.close()
    assert log.failed is not None
