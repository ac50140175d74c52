"""Steps start when their needs have ended, and come to what the reference interpreter says."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from stretto.agents.agent import FunctionAgent, Task
from stretto.graphs.topology import order
from tests.graphs.reference import Play, check, interpret
from tests.graphs.running import Cast, Stage, perform

MODES = ("sequential", "parallel", "adaptive", "pipeline")


@st.composite
def plays(draw: st.DrawFn, failing: bool = True) -> dict[str, Play]:
    """Draw an acyclic workflow of up to nine steps, each needing only earlier ones."""
    found: dict[str, Play] = {}
    for number in range(draw(st.integers(1, 9))):
        step = f"s{number}"
        needs = draw(st.lists(st.sampled_from(list(found)), unique=True)) if found else []
        found[step] = Play(
            step,
            tuple(needs),
            draw(st.sampled_from(["all", "all", "any", "done"])),
            failing and draw(st.integers(0, 3)) == 0,
            draw(st.sampled_from(["fail", "continue", "fallback"])),
            draw(st.sampled_from([None, None, True, False])),
        )
    return found


def declare(drawn: Mapping[str, Play], backwards: bool = False) -> list[dict[str, Any]]:
    steps = [play.declare("yielding") for play in drawn.values()]
    return steps[::-1] if backwards else steps


class Diary:
    """When each call began and ended, in one sequence."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str]] = []
        self.cast = Cast()

    async def yielding(self, task: Task) -> Any:
        self.entries.append(("start", task.step_id))
        try:
            return await self.cast.yielding(task)
        finally:
            self.entries.append(("end", task.step_id))

    def agents(self) -> list[FunctionAgent]:
        return [FunctionAgent(self.yielding, name="yielding", max_concurrent_tasks=100)]

    def early(self, drawn: Mapping[str, Play]) -> list[str]:
        """List the steps that began before a need of theirs had ended, though they wait for all."""
        found: list[str] = []
        ended: set[str] = set()
        begun = {step for kind, step in self.entries if kind == "start"}
        for kind, step in self.entries:
            if kind == "end":
                ended.add(step)
            elif drawn[step].join != "any" and (begun & set(drawn[step].needs)) - ended:
                found.append(step)
            elif drawn[step].join == "any" and drawn[step].needs:
                found += [] if ended & set(drawn[step].needs) else [step]
        return found


async def play_out(drawn: Mapping[str, Play], **more: Any) -> tuple[Diary, Any]:
    diary = Diary()
    stage = Stage(declare(drawn, more.pop("backwards", False)), diary.agents(), **more)
    return diary, await stage.run({"yes": True})


def assert_as_expected(drawn: Mapping[str, Play], diary: Diary, ran: Any) -> None:
    expected = interpret(drawn)
    assert check(drawn, ran.statuses) == []
    assert ran.success is expected.success
    assert diary.early(drawn) == []
    called = [step for kind, step in diary.entries if kind == "start"]
    assert sorted(called) == sorted(
        step for step, status in ran.statuses.items() if status in ("completed", "failed")
    )
    done = {s: out for s, out in expected.outputs.items() if ran.statuses[s] == "completed"}
    assert ran.summary.outputs == done


@settings(max_examples=120)
@given(plays(), st.booleans(), st.sampled_from(MODES))
async def test_random_workflows_come_to_what_the_reference_says(
    drawn: dict[str, Play], backwards: bool, mode: str
) -> None:
    diary, ran = await play_out(drawn, backwards=backwards, mode=mode)
    assert_as_expected(drawn, diary, ran)


@settings(max_examples=15)
@given(plays())
async def test_random_workflows_come_to_the_same_when_they_are_saved(
    tmp_path_factory: pytest.TempPathFactory, drawn: dict[str, Play]
) -> None:
    path: Path = tmp_path_factory.mktemp("saved") / "runs.db"
    async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
        diary, ran = await play_out(drawn, saver=saver)
    assert_as_expected(drawn, diary, ran)


@settings(max_examples=60)
@given(plays(failing=False), st.booleans())
async def test_sequential_mode_takes_one_step_at_a_time_in_topological_order(
    drawn: dict[str, Play], backwards: bool
) -> None:
    diary, ran = await play_out(drawn, backwards=backwards, mode="sequential")
    steps = Stage(declare(drawn, backwards), diary.agents()).workflow.steps
    called = [step for step in order(steps) if ran.statuses[step] == "completed"]
    assert diary.entries == [(kind, step) for step in called for kind in ("start", "end")]


@settings(max_examples=40)
@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from(MODES[1:]))
async def test_neither_the_run_nor_the_agent_works_on_more_than_allowed(
    parallel: int, concurrent: int, mode: str
) -> None:
    cast = Cast()
    agent = FunctionAgent(cast.yielding, name="yielding", max_concurrent_tasks=concurrent)
    steps = [{"id": f"s{n}", "agent": "yielding"} for n in range(12)]
    ran = await perform(steps, [agent], max_parallel_steps=parallel, mode=mode)
    assert ran.success
    assert cast.most == min(parallel, concurrent)


async def test_a_step_starts_though_an_unrelated_slow_one_still_runs() -> None:
    cast = Cast()
    steps = [
        {"id": "slow", "agent": "gated"},
        {"id": "a", "agent": "ok"},
        {"id": "b", "agent": "ok", "depends_on": ["a"]},
        {"id": "last", "agent": "open", "depends_on": ["b"]},
    ]

    async def release(task: Task) -> None:
        cast.note(task)
        cast.gate("slow").set()

    ran = await perform(steps, [*cast, FunctionAgent(release, name="open")])
    assert ran.success
    assert cast.ended == ["a", "b", "slow"]


async def test_a_step_inside_a_container_starts_though_a_neighbour_of_it_still_runs() -> None:
    cast = Cast()

    async def release(task: Task) -> None:
        cast.gate("slow").set()

    body = [{"id": "a", "agent": "ok"}, {"id": "b", "agent": "open", "depends_on": ["a"]}]
    steps = [
        {"id": "slow", "agent": "gated"},
        {"id": "round", "loop": {"until": "iteration == 3", "max_iterations": 3, "steps": body}},
    ]
    ran = await perform(steps, [*cast, FunctionAgent(release, name="open")])
    assert ran.statuses == {"round": "completed", "slow": "completed"}
    assert cast.log == ["slow", "a", "a", "a"]


async def test_any_starts_with_the_first_need_and_sees_only_that() -> None:
    cast = Cast()

    async def release(task: Task) -> Any:
        cast.gate("slow").set()
        return dict(task.inputs)

    steps = [
        {"id": "quick", "agent": "ok"},
        {"id": "slow", "agent": "gated"},
        {"id": "first", "agent": "open", "depends_on": ["slow", "quick"], "join": "any"},
    ]
    ran = await perform(steps, [*cast, FunctionAgent(release, name="open")])
    assert ran.summary.outputs["first"] == {"quick": "quick"}


async def test_a_step_is_given_what_it_needs_or_what_it_names() -> None:
    cast = Cast()
    steps: list[dict[str, Any]] = [
        {"id": "a", "agent": "ok", "output_to": "alpha"},
        {"id": "b", "agent": "ok"},
        {"id": "none", "agent": "echo"},
        {"id": "all", "agent": "echo", "depends_on": ["a", "b"]},
        {"id": "one", "agent": "echo", "input_from": "alpha", "depends_on": ["b"]},
        {"id": "two", "agent": "echo", "input_from": ["a", "b"]},
        {"id": "own", "agent": "echo", "depends_on": ["a"], "input": {"x": "${a}", "n": 1}},
    ]
    ran = await perform(steps, cast, input={"k": 1})
    assert {s: ran.summary.outputs[s] for s in ("none", "all", "one", "two", "own")} == {
        "none": {"k": 1},
        "all": {"a": "a", "b": "b"},
        "one": "a",
        "two": {"a": "a", "b": "b"},
        "own": {"x": "a", "n": 1},
    }


async def test_a_hundred_steps_that_need_one_start_together() -> None:
    barrier = asyncio.Barrier(100)

    async def meet(task: Task) -> int:
        return await barrier.wait()

    steps: list[dict[str, Any]] = [{"id": "first", "agent": "ok"}]
    steps += [{"id": f"s{n}", "agent": "meet", "depends_on": ["first"]} for n in range(100)]
    agent = FunctionAgent(meet, name="meet", max_concurrent_tasks=100)
    ran = await perform(steps, [*Cast(), agent])
    assert sorted(ran.summary.outputs[f"s{n}"] for n in range(100)) == list(range(100))


async def test_the_input_of_the_run_can_be_the_input_of_a_step() -> None:
    ran = await perform(
        [{"id": "a", "agent": "echo", "input_from": "input"}], Cast(), input={"k": 1}
    )
    assert (ran.success, ran.output) == (True, {"k": 1})
