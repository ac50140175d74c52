"""The events of one small workflow of each kind, as readers of a run see them."""

from typing import Any

from inline_snapshot import snapshot
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from stretto.agents.agent import FunctionAgent, Task
from tests.graphs.running import Cast, Counting, Event, Stage, flow

Steps = list[dict[str, Any]]
INPUT = {"items": ["x", "y"], "kind": "k"}


SHIFTING = ("step", "duration", "delay")


def lines(events: list[Event]) -> list[str]:
    """Write events one per line, without what differs from run to run."""
    return [f"{e.event} {e.step} {_facts(e.data)}" for e in events]


def _facts(data: dict[str, Any]) -> str:
    shown = {k: v for k, v in data.items() if k not in SHIFTING}
    who = [f"{shown.pop('agent') or '-'}.{shown.pop('task')}", f"#{shown.pop('attempt', '-')}"]
    return " ".join(
        [*who, *(f"{key.removeprefix('error_')}={value}" for key, value in shown.items())]
    )


async def story(steps: Steps, *agents: Any, **more: Any) -> list[str]:
    _, events = await Stage(steps, [*Cast(), *agents], mode="sequential", **more).narrate(INPUT)
    assert all(event.data["step"] == event.step for event in events)
    return lines(events)


def ok(step: str, **more: Any) -> dict[str, Any]:
    return {"id": step, "agent": "ok", **more}


async def test_an_agent_that_streams() -> None:
    async def talk(task: Task) -> Any:
        yield "Hello "
        yield "Ada"

    steps = [{"id": "a", "agent": "talk", "action": "greet", "stream": "answer"}]
    assert await story(steps, FunctionAgent(talk)) == snapshot(
        [
            "agent_started a talk.greet #1",
            "agent_stream a talk.greet #1 stream=answer content=Hello ",
            "agent_stream a talk.greet #1 stream=answer content=Ada",
            "agent_completed a talk.greet #1",
        ]
    )


async def test_nothing_is_streamed_from_a_step_that_says_none() -> None:
    async def talk(task: Task) -> str:
        await task.emit("secret")
        return "done"

    steps = [{"id": "a", "agent": "talk", "stream": "none"}]
    assert await story(steps, FunctionAgent(talk)) == snapshot(
        ["agent_started a talk.agent #1", "agent_completed a talk.agent #1"]
    )


async def test_a_call_that_is_tried_again() -> None:
    steps = [{"id": "a", "agent": "counting", "retry": {"attempts": 2, "delay": 0.001}}]
    assert await story(steps, Counting([OSError("reset")])) == snapshot(
        [
            "agent_started a counting.agent #1",
            "agent_retry a counting.agent #1 code=agent_failed message=OSError: reset",
            "agent_started a counting.agent #2",
            "agent_completed a counting.agent #2",
        ]
    )


async def test_a_failure_and_what_follows_it() -> None:
    steps: Steps = [
        ok("a", compensate={"agent": "undo"}),
        {"id": "b", "agent": "boom", "depends_on": ["a"]},
        ok("c", depends_on=["b"]),
    ]
    assert await story(steps, on_failure=[ok("clean")]) == snapshot(
        [
            "agent_started a ok.agent #1",
            "agent_completed a ok.agent #1",
            "agent_started b boom.agent #1",
            "agent_error b boom.agent #1 code=boom message=boom",
            "agent_skipped c -.agent #0 state=not_run reason='b' failed before it could start",
            "step_compensated a undo.None #- message=None",
            "agent_started on_failure/clean ok.agent #1",
            "agent_completed on_failure/clean ok.agent #1",
        ]
    )


async def test_a_step_that_is_skipped() -> None:
    steps = [ok("a", when="has(input.no)"), ok("b", depends_on=["a"])]
    assert await story(steps) == snapshot(
        [
            "agent_skipped a -.agent #0 state=skipped reason=its condition is false: has(input.no)",
            "agent_skipped b -.agent #0 state=skipped reason='a' did not complete",
        ]
    )


async def test_a_fallback_value() -> None:
    steps: Steps = [{"id": "a", "agent": "boom", "on_error": {"fallback": 1}}]
    assert await story(steps) == snapshot(
        ["agent_started a boom.agent #1", "agent_completed a boom.agent #1 code=boom message=boom"]
    )


async def test_another_agent() -> None:
    steps: Steps = [{"id": "a", "agent": "boom", "on_error": {"agent": "ok"}}]
    assert await story(steps) == snapshot(
        [
            "agent_started a boom.agent #1",
            "agent_started a ok.agent #2",
            "agent_completed a ok.agent #2",
        ]
    )


async def test_a_loop() -> None:
    body = {"steps": [ok("a")], "until": "iteration == 2", "max_iterations": 3}
    assert await story([{"id": "l", "loop": body}]) == snapshot(
        [
            "agent_started l -.loop #1",
            "agent_started l#1/a ok.agent #1",
            "agent_completed l#1/a ok.agent #1",
            "agent_started l#2/a ok.agent #1",
            "agent_completed l#2/a ok.agent #1",
            "agent_completed l -.loop #1",
        ]
    )


async def test_a_branch() -> None:
    body = {"on": "input.kind", "cases": {"k": {"steps": [ok("a")]}}}
    assert await story([{"id": "b", "branch": body}]) == snapshot(
        [
            "agent_started b -.branch #1",
            "agent_started b/a ok.agent #1",
            "agent_completed b/a ok.agent #1",
            "agent_completed b -.branch #1",
        ]
    )


async def test_a_map_of_an_agent() -> None:
    steps: Steps = [{"id": "m", "map": {"over": "input.items", "agent": "ok", "action": "do"}}]
    assert await story(steps) == snapshot(
        [
            "agent_started m -.map #1",
            "agent_started m[0] ok.do #1",
            "agent_completed m[0] ok.do #1",
            "agent_started m[1] ok.do #1",
            "agent_completed m[1] ok.do #1",
            "agent_completed m -.map #1",
        ]
    )


async def test_a_map_of_steps() -> None:
    steps: Steps = [{"id": "m", "map": {"over": "input.items", "steps": [ok("a")]}}]
    assert await story(steps) == snapshot(
        [
            "agent_started m -.map #1",
            "agent_started m[0] -.agent #1",
            "agent_started m[0]/a ok.agent #1",
            "agent_completed m[0]/a ok.agent #1",
            "agent_completed m[0] -.agent #1",
            "agent_started m[1] -.agent #1",
            "agent_started m[1]/a ok.agent #1",
            "agent_completed m[1]/a ok.agent #1",
            "agent_completed m[1] -.agent #1",
            "agent_completed m -.map #1",
        ]
    )


async def test_a_workflow_as_a_step() -> None:
    inner = flow([ok("a")]).model_copy(update={"name": "inner"})
    steps: Steps = [{"id": "n", "workflow": "inner", "input": {}}]
    assert await story(steps, others=[inner]) == snapshot(
        [
            "agent_started n -.workflow #1",
            "agent_started n/a ok.agent #1",
            "agent_completed n/a ok.agent #1",
            "agent_completed n -.workflow #1",
        ]
    )


async def test_a_transform() -> None:
    steps: Steps = [{"id": "t", "input": "${input.items}", "transform": [{"aggregate": "count"}]}]
    assert await story(steps) == snapshot(
        ["agent_started t -.transform #1", "agent_completed t -.transform #1"]
    )


async def test_an_approval() -> None:
    steps: Steps = [{"id": "q", "approval": {"message": "?"}}, ok("z", depends_on=["q"])]
    stage = Stage(steps, Cast(), saver=InMemorySaver())
    events: list[Event] = []
    await stage.enter({"input": {}}, context=stage.scope(events))
    assert lines(events) == snapshot(["agent_started q -.approval #1"])
    events.clear()
    await stage.enter(Command(resume="approve"), context=stage.scope(events))
    assert lines(events) == snapshot(
        [
            "agent_started q -.approval #1",
            "agent_completed q -.approval #1",
            "agent_started z ok.agent #1",
            "agent_completed z ok.agent #1",
        ]
    )
