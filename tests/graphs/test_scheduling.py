"""Who gets the next slot: run priority, then the rules' boost, then the mode of the workflow."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from stretto.agents.agent import FunctionAgent, Task
from stretto.graphs.compile import make_services
from stretto.graphs.runtime import ReadyStep, Services
from stretto.graphs.spec import Workflow
from tests.graphs.running import Cast, Stage, perform

Steps = list[dict[str, Any]]
# "short" comes first in the document; "long" leads to the longest way to the end.
FORK: Steps = [
    {"id": "first", "agent": "ok"},
    {"id": "short", "agent": "ok", "depends_on": ["first"], "estimated_duration": 2},
    {"id": "medium", "agent": "ok", "depends_on": ["first"], "estimated_duration": 3},
    {"id": "long", "agent": "ok", "depends_on": ["first"], "estimated_duration": 1},
    {"id": "end", "agent": "ok", "depends_on": ["long"], "estimated_duration": 9},
]


class Line:
    """Agents with one slot, which is held until everything else waits for it."""

    def __init__(self, **more: Any) -> None:
        self.cast = Cast()
        self.opened = asyncio.Event()
        self.agent = FunctionAgent(self.work, name="ok", max_concurrent_tasks=1)
        self.services = replace(make_services([self.agent]), **more)

    async def work(self, task: Task) -> str:
        self.cast.note(task)
        if len(self.cast.log) == 1:
            await self.opened.wait()
        return task.step_id

    async def wait_for(self, count: int) -> None:
        while self.services.dispatcher.waiting() < count:
            await asyncio.sleep(0)

    async def open_when_waiting(self, count: int) -> None:
        await self.wait_for(count)
        self.opened.set()

    def stage(self, steps: Steps, **more: Any) -> Stage:
        return Stage(steps, [], services=self.services, **more)


def spread(prefix: str, durations: Sequence[float]) -> Steps:
    return [
        {"id": f"{prefix}{n}", "agent": "ok", "estimated_duration": seconds}
        for n, seconds in enumerate(durations)
    ]


async def contest(steps: Steps, mode: str, **services: Any) -> list[str]:
    """Let steps wait behind a first one for a single slot, and give the order of their turns."""
    line = Line(**services)
    blocked = [{"id": "a_block", "agent": "ok", "estimated_duration": 1000}, *steps]
    running = asyncio.create_task(line.stage(blocked, mode=mode).run())
    await line.open_when_waiting(len(steps))
    await running
    return line.cast.log[1:]


async def test_adaptive_takes_the_longest_remaining_path_first() -> None:
    assert await contest(spread("s", [1, 5, 3]), "adaptive") == ["s1", "s2", "s0"]


async def test_parallel_takes_what_came_first() -> None:
    assert await contest(spread("s", [1, 5, 3]), "parallel") == ["s0", "s1", "s2"]


async def test_adaptive_follows_the_critical_path_under_one_slot() -> None:
    cast = Cast()
    ran = await perform(FORK, cast, max_parallel_steps=1, mode="adaptive")
    assert ran.success
    assert cast.log.index("long") < cast.log.index("medium") < cast.log.index("short")


async def test_equal_paths_are_taken_in_order() -> None:
    assert await contest(spread("s", [2, 2, 2]), "adaptive") == ["s0", "s1", "s2"]


async def test_learned_durations_count_more_than_estimated_ones() -> None:
    line = Line()
    steps = [{"id": "a_block", "agent": "ok", "estimated_duration": 1000}, *spread("s", [1, 5])]
    stage = line.stage(steps)
    scope = stage.scope([])
    scope.remaining = {"s0": 60.0, "s1": 2.0}
    running = asyncio.create_task(stage.enter({"input": {}}, context=scope))
    await line.open_when_waiting(2)
    await running
    assert line.cast.log[1:] == ["s0", "s1"]


def boost_last(workflow: Workflow, ready_steps: Sequence[ReadyStep]) -> None:
    for step in ready_steps:
        if step.id == "s2":
            step.priority_boost = 10


def boost_critical(workflow: Workflow, ready_steps: Sequence[ReadyStep]) -> None:
    for step in ready_steps:
        if any(step == found for found in workflow.critical_path()):
            step.priority_boost += 1


@pytest.mark.parametrize("mode", ["parallel", "adaptive", "pipeline"])
async def test_a_rule_moves_a_step_to_the_front(mode: str) -> None:
    order = await contest(spread("s", [1, 1, 1, 1]), mode, rules=(boost_last,))
    assert order[0] == "s2"


async def test_rules_add_up_and_see_the_workflow() -> None:
    steps = spread("s", [1, 1, 1])
    steps[1]["estimated_duration"] = 2000
    order = await contest(steps, "parallel", rules=(boost_critical,))
    assert order == ["s1", "s0", "s2"]


async def test_a_rule_that_fails_fails_the_step_that_was_looked_at() -> None:
    def wrong(workflow: Workflow, ready_steps: Sequence[ReadyStep]) -> None:
        raise KeyError("typo")

    services = replace(make_services(list(Cast())), rules=(wrong,))
    ran = await Stage([{"id": "a", "agent": "ok"}], [], services=services).run()
    assert (ran.errors, services.dispatcher.load()) == ([("a", "agent_failed")], {})


async def test_an_urgent_run_goes_before_one_that_came_earlier() -> None:
    line = Line()
    low = line.stage(spread("low", [1, 1, 1]), priority="low")
    high = line.stage(spread("high", [1, 1]), priority="critical")
    first = asyncio.create_task(low.run())
    while not line.cast.log:
        await asyncio.sleep(0)
    second = asyncio.create_task(high.run())
    await line.open_when_waiting(4)
    await asyncio.gather(first, second)
    assert line.cast.log == ["low0", "high0", "high1", "low1", "low2"]


ORDERS = {"parallel": [0, 1, 2], "adaptive": [0, 2, 1]}
"""The turns of three steps by mode, where the last one leads to a longer way than the second."""


@pytest.mark.parametrize("modes", [("adaptive", "parallel"), ("parallel", "adaptive")])
async def test_between_runs_of_one_priority_arrival_decides_whatever_their_modes(
    modes: tuple[str, str],
) -> None:
    line = Line()
    one = line.stage(spread("one", [9, 1, 5]), mode=modes[0])
    two = line.stage(spread("two", [9, 1, 5]), mode=modes[1])
    first = asyncio.create_task(one.run())
    await line.wait_for(2)
    second = asyncio.create_task(two.run())
    await line.open_when_waiting(5)
    await asyncio.gather(first, second)
    assert line.cast.log == [
        f"{run}{n}" for run, mode in zip(("one", "two"), modes, strict=True) for n in ORDERS[mode]
    ]


async def test_a_slot_between_two_runs_is_never_used_twice() -> None:
    cast = Cast()
    agent = FunctionAgent(cast.yielding, name="yielding", max_concurrent_tasks=2)
    services: Services = make_services([agent])
    steps = [{"id": f"s{n}", "agent": "yielding"} for n in range(6)]
    stages = [Stage(steps, [], services=services) for _ in range(4)]
    runs = await asyncio.gather(*(stage.run() for stage in stages))
    assert all(run.success for run in runs)
    assert (cast.most, len(cast.log)) == (2, 24)


async def test_a_pipeline_moves_items_on_before_it_takes_new_ones() -> None:
    cast = Cast()

    async def stage_work(task: Task) -> Any:
        cast.log.append(f"{task.step_id}{task.params['item']}")
        return 1

    body = [
        {"id": name, "agent": "work", "depends_on": needs, "params": {"item": "${item}"}}
        for name, needs in (("x", []), ("y", ["x"]), ("z", ["y"]))
    ]
    steps: Steps = [{"id": "m", "map": {"over": "input.items", "steps": body}}]
    agent = FunctionAgent(stage_work, name="work", max_concurrent_tasks=1)
    await perform(steps, [agent], mode="pipeline", input={"items": [0, 1, 2]})
    assert cast.log == ["x0", "y0", "z0", "x1", "y1", "z1", "x2", "y2", "z2"]
