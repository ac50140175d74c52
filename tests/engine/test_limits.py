"""What bounds a whole run: its time and its retries, over all entries into it."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stretto import Engine, RunResult, Task, Workflow
from stretto.agents.agent import FunctionAgent
from stretto.engine.earlier import look_back
from stretto.engine.handle import RunHandle
from stretto.events import EventType, RunEvent
from stretto.testing import FakeClock
from tests.fakes.crashing import KILLED, Journal, Order, open_nursery
from tests.fakes.players import Players, flow, step

QUICK = {"attempts": 5, "delay": 0.001, "jitter": False}
ASKING = {
    "name": "asking",
    "max_total_retries": 2,
    "steps": [
        {"id": "a", "agent": "work", "params": {"fails": 1}, "retry": QUICK},
        {"id": "ok", "depends_on": ["a"], "approval": {"message": "Go on?"}},
        {
            "id": "b",
            "agent": "work",
            "depends_on": ["ok"],
            "params": {"fails": 99},
            "retry": QUICK,
        },
    ],
}


async def test_a_run_that_took_too_long_gets_its_time_anew_when_it_is_retried(
    engine: Engine, players: Players
) -> None:
    go_on = players.hold("b")

    async def overdue(run: RunHandle) -> RunResult:
        await players.entered("b")
        with FakeClock() as clock:
            await clock.advance(6)
        return await run.result()

    failed = await overdue(await engine.start(flow(step("a"), step("b", "a"), timeout=5)))
    assert [(e.step, e.code) for e in failed.errors] == [("b", "run_timed_out")]
    players.forget()
    again = await overdue(await engine.retry(failed.run_id))
    assert [(e.step, e.code) for e in again.errors] == [("b", "run_timed_out")]
    assert players.calls == ["b"]
    go_on.set()
    assert (await (await engine.retry(failed.run_id)).result()).success


async def test_a_completed_run_gets_its_time_anew_when_it_is_run_again(
    engine: Engine, players: Players
) -> None:
    async def ended(run: RunHandle) -> RunResult:
        await players.entered("a")
        await clock.advance(3)
        go_on.set()
        return await run.result()

    with FakeClock() as clock:
        go_on = players.hold("a")
        first = await ended(await engine.start(flow(step("a"), timeout=5)))
        assert first.success
        players.forget()
        go_on = players.hold("a")
        again = await ended(await engine.retry(first.run_id, "a"))
    assert (again.status, again.errors, players.calls) == ("completed", (), ["a"])


class Flaky:
    """An agent whose first calls of each step fail as a network does."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    async def __call__(self, task: Task) -> str:
        self.calls[task.step_id] += 1
        if task.attempt <= task.params["fails"]:
            raise ConnectionError("unplugged")
        return "done"


async def test_the_retries_of_a_run_are_those_of_all_entries_together(tmp_path: Path) -> None:
    flaky = Flaky()
    async with Engine([FunctionAgent(flaky, name="work")], home=tmp_path) as engine:
        waiting = await engine.run(Workflow.from_dict(ASKING))
        assert (waiting.status, flaky.calls) == ("waiting", {"a": 2})
        failed = await (await engine.resume(waiting.run_id, "approve")).result()
        assert (failed.status, flaky.calls["b"]) == ("failed", 2)
        # Who asks for a retry allows the run as many retries as it had at first.
        await (await engine.retry(waiting.run_id)).result()
        assert flaky.calls == {"a": 2, "b": 5}


def test_retries_before_a_kill_count_too(tmp_path: Path) -> None:
    with open_nursery() as nursery:
        order = Order(str(tmp_path), workflow=ASKING)
        assert nursery.do(order).result["result"]["status"] == "waiting"
        answered = Order(str(tmp_path), do="resume", answer="approve", kill_in="b")
        assert nursery.do(answered).code == KILLED
        ended = nursery.do(Order(str(tmp_path), do="recover")).result["result"]
    assert (ended["status"], ended["errors"][0]["step"]) == ("failed", "b")
    calls = [line for line in Journal(str(tmp_path)).lines() if line[0] == "start"]
    assert Counter(line[1] for line in calls) == {"a": 2, "b": 1 + 2}


Line = tuple[float, EventType, str | None]
FIRST: list[Line] = [
    (0.0, "workflow_started", None),
    (1.0, "agent_retry", "a"),
    (2.0, "agent_retry", "sub/on_failure/tell"),
    (5.0, "workflow_waiting", None),
    (100.0, "workflow_resumed", None),
    (102.0, "agent_retry", "b"),
]


@pytest.mark.parametrize(
    ("then", "used"),
    [
        ([], (7.0, 2)),
        # Crashed: nothing tells of an end.
        ([(200.0, "workflow_resumed", None), (201.0, "agent_retry", "b")], (8.0, 3)),
        ([(103.0, "workflow_cancelled", None)], (8.0, 2)),
        ([(103.0, "workflow_failed", None)], (0.0, 0)),
        ([(103.0, "workflow_completed", None)], (0.0, 0)),
        # A retry that crashed has what it used itself.
        (
            [
                (103.0, "workflow_failed", None),
                (200.0, "workflow_resumed", None),
                (203.0, "agent_retry", "b"),
            ],
            (3.0, 1),
        ),
    ],
)
def test_what_is_used_up_counts_from_where_a_person_asked_for_the_run(
    then: list[Line], used: tuple[float, int]
) -> None:
    lines: list[Any] = [*FIRST, *then]
    events = [RunEvent(name, "r", n, at, step) for n, (at, name, step) in enumerate(lines, 1)]
    earlier = look_back(events, flow(step("a")), None)
    assert (earlier.seconds, earlier.retries) == used
