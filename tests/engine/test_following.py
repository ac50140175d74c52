import asyncio
from pathlib import Path

import pytest

from stretto import Engine
from tests.fakes.players import CHAIN, Players, collect, flow, on_stage, step, told


async def test_readers_that_come_early_late_and_afterwards_see_the_same(
    engine: Engine, players: Players
) -> None:
    go_on = players.hold("b")
    handle = await engine.start(CHAIN)
    early = asyncio.create_task(collect(handle.events()))
    await players.entered("b")
    late = asyncio.create_task(collect(handle.events()))
    from_third = asyncio.create_task(collect(handle.events(after=3)))
    await asyncio.sleep(0)
    go_on.set()
    await handle.result()
    afterwards = await collect(handle.events())
    assert [event.seq for event in afterwards] == list(range(1, 9))
    assert await early == await late == afterwards
    assert await from_third == afterwards[3:]
    assert await collect(handle.events(after=6)) == afterwards[6:]
    assert await collect(handle.events(after=99)) == []


async def test_a_reader_that_reads_nothing_does_not_stop_the_run(
    engine: Engine, players: Players
) -> None:
    handle = await engine.start(flow(step("a", params={"tokens": ["x"] * 3000}), step("b", "a")))
    slow = handle.events()
    first = await anext(slow)
    result = await handle.result()
    assert result.success
    rest = [event async for event in slow]
    assert (first.seq, len(rest), rest[-1].event) == (1, 3005, "workflow_completed")


async def test_a_reader_that_goes_away_does_not_stop_the_run(
    engine: Engine, players: Players
) -> None:
    go_on = players.hold("b")
    async for event in engine.stream(CHAIN, run_id="one"):
        if event.event == "agent_completed":
            break
    go_on.set()
    assert (await engine.result("one")).success


async def test_a_caller_that_is_cancelled_does_not_stop_the_run(
    engine: Engine, players: Players
) -> None:
    go_on = players.hold("b")
    caller = asyncio.create_task(engine.run(CHAIN, run_id="one"))
    await players.entered("b")
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go_on.set()
    assert (await engine.result("one")).success


async def test_events_go_on_counting_after_an_answer(engine: Engine) -> None:
    handle = await engine.start(flow({"id": "ask", "approval": {"message": "?"}}))
    asked = await collect(handle.events())
    assert told(asked)[-1] == ("workflow_waiting", None)
    assert asked[-1].data["interrupts"][0]["value"]["options"] == ["approve", "reject"]
    await engine.resume(handle.id, "approve")
    rest = await collect(handle.events(after=asked[-1].seq))
    assert [event.seq for event in rest] == list(range(asked[-1].seq + 1, asked[-1].seq + 5))
    assert told(rest) == [
        ("workflow_resumed", None),
        ("agent_started", "ask"),
        ("agent_completed", "ask"),
        ("workflow_completed", None),
    ]
    assert rest[0].data["attempt"] == 2


async def test_the_time_that_a_run_waits_is_not_counted(engine: Engine) -> None:
    run_id = (await engine.run(flow({"id": "ask", "approval": {"message": "?"}}))).run_id
    await asyncio.sleep(0.5)
    result = await (await engine.resume(run_id, "approve")).result()
    status = await engine.status(run_id)
    assert result.duration_seconds < 0.45
    assert status.total_execution_time < 0.45


async def test_another_engine_follows_a_run_and_gets_its_result(
    players: Players, tmp_path: Path
) -> None:
    async with on_stage(players, tmp_path) as worker, on_stage(Players(), tmp_path) as watcher:
        go_on = players.hold("b")
        handle = await worker.start(CHAIN)
        await players.entered("b")
        seen = asyncio.create_task(collect(watcher.events(handle.id)))
        ended = asyncio.create_task(watcher.result(handle.id))
        status = await watcher.status(handle.id)
        assert (status.state, status.run_id) == ("running", handle.id)
        go_on.set()
        result = await handle.result()
        assert told(await seen) == told(await collect(handle.events()))
        assert (await ended).outputs == result.outputs
        assert (await ended).success


async def test_another_engine_stops_a_run(players: Players, tmp_path: Path) -> None:
    async with (
        on_stage(players, tmp_path, max_concurrent_workflows=1) as worker,
        on_stage(Players(), tmp_path) as other,
    ):
        players.hold("b")
        running, queued = await worker.start(CHAIN), await worker.start(CHAIN)
        await players.entered("b")
        for handle in (queued, running):
            await other.cancel(handle.id)
            assert (await other.result(handle.id)).status == "cancelled"
        assert players.calls == ["a", "b"]


async def test_a_result_that_is_asked_for_while_a_run_goes_on_is_never_that_its_process_died(
    players: Players, tmp_path: Path
) -> None:
    asking = flow({"id": "ask", "approval": {"message": "?"}})
    async with on_stage(players, tmp_path) as first, on_stage(players, tmp_path) as second:

        async def end_seen_by_second(run_id: str) -> str:
            while (result := await second.result(run_id)).status == "waiting":
                pass
            return result.status

        for _ in range(15):
            waiting = await first.run(asking)
            seen = [asyncio.create_task(end_seen_by_second(waiting.run_id)) for _ in range(4)]
            await first.resume(waiting.run_id, "approve")
            assert set(await asyncio.gather(*seen)) == {"completed"}


@pytest.mark.parametrize(("after", "first"), [(-5, 1), (0, 1), (2, 3), (10**30, None)])
async def test_events_are_read_after_any_number(
    after: int, first: int | None, engine: Engine
) -> None:
    handle = await engine.start(CHAIN)
    live = await collect(engine.events(handle.id, after))
    await handle.result()
    kept = await collect(engine.events(handle.id, after))
    assert [events[0].seq if events else None for events in (live, kept)] == [first, first]
