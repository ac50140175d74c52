import asyncio
from pathlib import Path
from typing import Any

import time_machine

from stretto import Engine, Workflow
from tests.fakes.players import Players, collect, flow, on_stage, step, told

DAY = 86_400.0


def asking(deadline: Any, on_deadline: str | None = None, **more: Any) -> Workflow:
    approval = {"message": "?", "deadline": deadline, "on_deadline": on_deadline}
    return flow({"id": "ask", "approval": approval}, step("after", "ask"), **more)


async def ended(engine: Engine, run_id: str) -> Any:
    """Follow a run past its question to its end."""
    while True:
        result = await engine.result(run_id)
        if result.status != "waiting":
            return result
        await asyncio.sleep(0.01)


async def test_an_open_engine_answers_by_itself_at_the_deadline(
    engine: Engine, players: Players
) -> None:
    waiting = await engine.run(asking(0.3, "reject"))
    question = waiting.interrupts[0]["value"]
    assert (waiting.status, question["on_deadline"]) == ("waiting", "reject")
    (row,) = await engine.runs()
    assert row.deadline_at == question["deadline_at"]
    result = await ended(engine, waiting.run_id)
    assert result.outputs["ask"] == {"choice": "reject", "expired": True}
    assert players.calls == ["after"]
    (row,) = await engine.runs()
    assert row.deadline_at is None


async def test_a_question_without_a_default_fails_at_its_deadline(engine: Engine) -> None:
    waiting = await engine.run(asking(0.2))
    result = await ended(engine, waiting.run_id)
    assert result.status == "failed"
    assert [(e.step, e.code) for e in result.errors] == [("ask", "approval_expired")]


async def test_an_answer_in_time_is_the_only_one(engine: Engine) -> None:
    waiting = await engine.run(asking(1.0, "reject"))
    result = await (await engine.resume(waiting.run_id, "approve")).result()
    assert result.outputs["ask"] == {"choice": "approve"}
    await asyncio.sleep(1.1)
    events = told(await collect(engine.events(waiting.run_id)))
    assert events.count(("workflow_resumed", None)) == 1


async def test_only_the_question_that_expired_is_answered(engine: Engine, players: Players) -> None:
    two = flow(
        {"id": "soon", "approval": {"message": "?", "deadline": 0.2, "on_deadline": "approve"}},
        {"id": "later", "approval": {"message": "?", "deadline": "1d"}},
        step("after", "soon"),
    )
    waiting = await engine.run(two)
    assert [q["step"] for q in waiting.interrupts] == ["soon", "later"]
    await players.entered("after")
    async for event in engine.events(waiting.run_id):
        assert event.event != "workflow_failed"
    still = await engine.result(waiting.run_id)
    assert (still.status, [q["step"] for q in still.interrupts]) == ("waiting", ["later"])
    assert still.outputs["soon"] == {"choice": "approve", "expired": True}


async def test_a_deadline_stays_what_it_was_when_the_run_goes_on(engine: Engine) -> None:
    two = flow(
        {"id": "x", "approval": {"message": "?", "deadline": "1d"}},
        {"id": "y", "approval": {"message": "?", "deadline": "2d"}},
        step("after", "x"),
    )
    waiting = await engine.run(two)
    asked = {q["step"]: q["value"]["deadline_at"] for q in waiting.interrupts}
    assert list(asked) == ["x", "y"]
    still = await (await engine.resume(waiting.run_id, {"x": "approve"})).result()
    assert [(q["step"], q["value"]["deadline_at"]) for q in still.interrupts] == [("y", asked["y"])]
    (row,) = await engine.runs()
    assert row.deadline_at == asked["y"]


async def test_an_engine_that_comes_after_the_deadline_makes_up_for_it(
    players: Players, tmp_path: Path
) -> None:
    async with on_stage(players, tmp_path) as engine:
        late = await engine.run(asking("1h", "approve"))
        open_still = await engine.run(asking("3d", "approve"))
    with time_machine.travel(late.interrupts[0]["value"]["deadline_at"] + DAY, tick=True):
        async with on_stage(players, tmp_path) as engine:
            assert (await engine.status(late.run_id)).state == "waiting"
            assert [handle.id for handle in await engine.recover()] == [late.run_id]
            assert (await ended(engine, late.run_id)).output["path"] == "after"
            assert (await engine.status(open_still.run_id)).state == "waiting"


async def test_recovering_sets_the_timers_of_runs_that_wait(
    players: Players, tmp_path: Path
) -> None:
    async with on_stage(players, tmp_path) as engine:
        waiting = await engine.run(asking(1.0, "approve"))
    async with on_stage(players, tmp_path) as engine:
        assert await engine.recover() == []
        assert (await ended(engine, waiting.run_id)).success


async def test_two_engines_with_the_same_deadline_answer_once(
    players: Players, tmp_path: Path
) -> None:
    async with on_stage(players, tmp_path) as first, on_stage(players, tmp_path) as second:
        waiting = await first.run(asking(0.3, "approve"))
        await second.recover()
        assert (await ended(first, waiting.run_id)).success
        assert (await ended(second, waiting.run_id)).success
        await asyncio.sleep(0.1)
        events = told(await collect(first.events(waiting.run_id)))
    assert events.count(("workflow_resumed", None)) == 1
    assert players.calls == ["after"]
