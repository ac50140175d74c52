"""Whoever is asked is reminded, once per time, whatever happens to the process meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import time_machine

from stretto import Engine, Task, Workflow
from stretto.agents.agent import Agent
from stretto.agents.human import HumanAgent, Question
from stretto.engine.records import Records
from stretto.errors import InputInvalid
from tests.fakes.players import Players, collect, flow, on_stage, step

HOUR, DAY = 3600.0, 86_400.0


def asking(**approval: Any) -> Workflow:
    return flow({"id": "ask", "approval": {"message": "?", **approval}}, step("after", "ask"))


async def reminders(engine: Engine, run_id: str) -> list[tuple[str, int]]:
    """List the reminders that were given: the step that asks, and which one it was."""
    events = await collect(engine.events(run_id))
    return [
        (event.data["interrupts"][0]["step"], event.data["reminder"])
        for event in events
        if event.event == "workflow_waiting" and "reminder" in event.data
    ]


async def reminded(engine: Engine, run_id: str, count: int) -> list[tuple[str, int]]:
    """Wait until so many reminders were given."""
    while len(given := await reminders(engine, run_id)) < count:
        await asyncio.sleep(0.01)
    return given


async def ended(engine: Engine, run_id: str) -> Any:
    while (result := await engine.result(run_id)).status == "waiting":
        await asyncio.sleep(0.01)
    return result


async def test_an_open_engine_reminds_until_the_answer_is_there(engine: Engine) -> None:
    waiting = await engine.run(asking(remind_after=0.1, remind_every=1))
    run_id = waiting.run_id
    assert await reminded(engine, run_id, 2) == [("ask", 1), ("ask", 2)]
    events = await collect(engine.events(run_id))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[-1].data["interrupts"] == list(waiting.interrupts)
    assert (await engine.status(run_id)).state == "waiting"
    assert (await engine.logs(run_id))[-1].message == "reminder 2: ask still waits for a person"
    result = await (await engine.resume(run_id, "approve")).result()
    assert result.outputs["ask"] == {"choice": "approve"}
    (row,) = await engine.runs()
    assert row.deadline_at is None


async def test_without_a_repetition_there_is_one_reminder(engine: Engine) -> None:
    waiting = await engine.run(asking(remind_after=0.1))
    assert await reminded(engine, waiting.run_id, 1) == [("ask", 1)]
    await looked_at(engine, float("inf"))  # the row is written after the event
    assert await reminders(engine, waiting.run_id) == [("ask", 1)]


async def test_a_reminder_comes_before_the_deadline_and_then_the_default(engine: Engine) -> None:
    waiting = await engine.run(asking(remind_after=0.1, deadline=0.4, on_deadline="reject"))
    result = await ended(engine, waiting.run_id)
    assert result.outputs["ask"] == {"choice": "reject", "expired": True}
    assert await reminders(engine, waiting.run_id) == [("ask", 1)]


async def looked_at(engine: Engine, moment: float) -> None:
    """Wait until nothing of the only run is due any more at a moment."""
    while True:
        (row,) = await engine.runs()
        if row.deadline_at is None or row.deadline_at > moment:
            return
        await asyncio.sleep(0.01)


async def after(
    waiting: Any, seconds: float, players: Players, home: Path
) -> list[tuple[str, int]]:
    """Recover in a new process so long after the question was put; give the reminders so far."""
    asked = waiting.interrupts[0]["value"]["remind_at"] - HOUR
    with time_machine.travel(asked + seconds, tick=True):
        async with on_stage(players, home) as engine:
            assert await engine.recover() == []
            await looked_at(engine, asked + seconds)
            return await reminders(engine, waiting.run_id)


async def test_a_restart_neither_forgets_nor_repeats_a_reminder(
    players: Players, tmp_path: Path
) -> None:
    async with on_stage(players, tmp_path) as engine:
        waiting = await engine.run(asking(remind_after="1h", remind_every="1d"))
    first, second = ("ask", 1), ("ask", 2)
    assert await after(waiting, 0.5 * HOUR, players, tmp_path) == []
    assert await after(waiting, 1.5 * HOUR, players, tmp_path) == [first]
    assert await after(waiting, 2.5 * HOUR, players, tmp_path) == [first]
    assert await after(waiting, DAY + 2 * HOUR, players, tmp_path) == [first, second]
    # Of those that nobody was there to give, the last one stands for all.
    assert await after(waiting, 9 * DAY + 2 * HOUR, players, tmp_path) == [
        first,
        second,
        ("ask", 10),
    ]


async def test_a_crash_right_after_a_reminder_does_not_repeat_it(
    players: Players, tmp_path: Path
) -> None:
    async with on_stage(players, tmp_path) as engine:
        waiting = await engine.run(asking(remind_after="1h"))
    assert await after(waiting, 1.5 * HOUR, players, tmp_path) == [("ask", 1)]
    records = await Records.open(f"sqlite:///{tmp_path / 'stretto.db'}")
    due = waiting.interrupts[0]["value"]["remind_at"]
    await records.update_run(waiting.run_id, deadline_at=due)  # as if it had died in between
    await records.close()
    assert await after(waiting, 2 * HOUR, players, tmp_path) == [("ask", 1)]


async def test_two_engines_give_each_reminder_once(players: Players, tmp_path: Path) -> None:
    async with on_stage(players, tmp_path) as one, on_stage(players, tmp_path) as two:
        waiting = await one.run(asking(remind_after=0.2, remind_every=1))
        await two.recover()
        assert await reminded(two, waiting.run_id, 3) == [("ask", 1), ("ask", 2), ("ask", 3)]


async def test_an_answer_elsewhere_neither_moves_nor_repeats_a_reminder(engine: Engine) -> None:
    two = flow(
        {"id": "x", "approval": {"message": "?"}},
        {"id": "y", "approval": {"message": "?", "remind_after": 0.1, "remind_every": "1d"}},
        step("after", "x"),
    )
    waiting = await engine.run(two)
    run_id = waiting.run_id
    await reminded(engine, run_id, 1)
    still = await (await engine.resume(run_id, {"x": "approve"})).result()
    (question,) = still.interrupts
    assert question["value"] == waiting.interrupts[1]["value"]
    await looked_at(engine, question["value"]["remind_at"])
    assert await reminders(engine, run_id) == [("y", 1)]
    (row,) = await engine.runs()
    assert row.deadline_at == question["value"]["remind_at"] + DAY


async def test_parallel_questions_are_reminded_of_by_themselves(engine: Engine) -> None:
    approval = {"message": "${item}?", "remind_after": 0.1}
    body = [{"id": "q", "approval": approval}]
    each = flow({"id": "m", "map": {"over": "input.names", "steps": body}})
    waiting = await engine.run(each, {"names": [str(n) for n in range(11)]})
    paths = [f"m[{n}]/q" for n in range(11)]
    assert [q["step"] for q in waiting.interrupts] == paths
    given = await reminded(engine, waiting.run_id, 11)
    assert sorted(given) == sorted((path, 1) for path in paths)
    answers = {path: "approve" for path in paths}
    result = await (await engine.resume(waiting.run_id, answers)).result()
    assert [item["q"]["choice"] for item in result.output] == ["approve"] * 11


async def test_the_default_leaves_the_value_as_it_was(engine: Engine) -> None:
    whole = asking(edit={"a": 1}, comment="required", deadline=0.2, on_deadline="reject")
    result = await ended(engine, (await engine.run(whole)).run_id)
    assert result.outputs["ask"] == {
        "choice": "reject",
        "expired": True,
        "comment": None,
        "value": {"a": 1},
        "edited": False,
    }


async def test_nobody_can_say_that_a_question_expired_before_it_did(engine: Engine) -> None:
    for approval in ({"deadline": "1h", "on_deadline": "approve"}, {}):
        waiting = await engine.run(asking(**approval))
        with pytest.raises(InputInvalid, match="has not expired"):
            await engine.resume(waiting.run_id, {"expired": True})
        assert (await engine.status(waiting.run_id)).state == "waiting"


async def test_an_expired_question_is_asked_anew_by_a_retry(engine: Engine) -> None:
    waiting = await engine.run(asking(deadline=0.2))
    assert (await ended(engine, waiting.run_id)).errors[0].code == "approval_expired"
    again = await (await engine.retry(waiting.run_id)).result()
    first, second = (r.interrupts[0]["value"]["deadline_at"] for r in (waiting, again))
    assert second > first


async def test_a_refused_answer_leaves_the_run_waiting(engine: Engine, players: Players) -> None:
    waiting = await engine.run(asking(edit="${run.id}", edit_schema={"type": "string"}))
    for wrong in ("perhaps", {"choice": "approve", "edited": 5}, {"edited": "x"}):
        with pytest.raises(InputInvalid, match="is no answer to 'ask'; "):
            await engine.resume(waiting.run_id, wrong)
    assert (await engine.result(waiting.run_id)).interrupts == waiting.interrupts
    answer = {"choice": "approve", "edited": "x"}
    result = await (await engine.resume(waiting.run_id, answer)).result()
    assert (result.outputs["ask"]["value"], players.calls) == ("x", ["after"])


class Drafter(Agent):
    """An agent that words something else whenever it is called, and lets a person check it."""

    name = "drafter"

    def __init__(self) -> None:
        self.calls = 0

    async def run(self, task: Task) -> Question:
        self.calls += 1
        return Question(message="Good?", edit={"draft": self.calls}, deadline=60, remind_after=30)


async def test_what_an_agent_asked_stands_and_it_is_not_called_again(
    players: Players, tmp_path: Path
) -> None:
    drafter = Drafter()
    once = flow({"id": "ask", "agent": "drafter"}, step("after", "ask"))
    async with Engine([players, drafter], home=tmp_path) as engine:
        waiting = await engine.run(once)
    async with Engine([players, drafter], home=tmp_path) as engine:
        result = await (await engine.resume(waiting.run_id, "approve")).result()
        assert result.outputs["ask"] == {
            "choice": "approve",
            "value": {"draft": 1},
            "edited": False,
        }
        assert drafter.calls == 1
        status = await engine.status(waiting.run_id)
    assert [(s.id, s.state, s.agent) for s in status.steps][0] == ("ask", "completed", "drafter")


@pytest.fixture
async def with_reviewer(players: Players, tmp_path: Path) -> AsyncIterator[Engine]:
    reviewer = HumanAgent("reviewer", "Fine?", deadline=0.5, on_deadline="reject", remind_after=0.1)
    async with Engine([players, reviewer], home=tmp_path) as engine:
        yield engine


async def test_a_person_as_an_agent_is_reminded_and_has_a_deadline(with_reviewer: Engine) -> None:
    waiting = await with_reviewer.run(flow({"id": "ask", "agent": "reviewer"}))
    result = await ended(with_reviewer, waiting.run_id)
    assert result.outputs["ask"] == {"choice": "reject", "expired": True}
    assert await reminders(with_reviewer, waiting.run_id) == [("ask", 1)]
