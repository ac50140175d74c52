"""record_events: the events of a run as a list with questions."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from stretto import Engine, Step, Task, Workflow
from stretto.agents.agent import FunctionAgent
from stretto.testing import FakeAgent, Recording, record_events

FLOW = Workflow.from_dict(
    {
        "name": "play",
        "mode": "sequential",
        "steps": [
            {"id": "talk", "agent": "a", "stream": "answer"},
            {"id": "never", "agent": "a", "when": "talk.result == 2", "depends_on": ["talk"]},
            {"id": "break", "agent": "b", "depends_on": ["talk"]},
        ],
    }
)
OUTLINE = [
    "workflow_started",
    "agent_started talk",
    "agent_stream talk: One two",
    "agent_completed talk",
    "agent_skipped never",
    "agent_started break",
    "agent_error break: agent_failed",
    "workflow_failed",
]


def agents() -> list[FakeAgent]:
    return [FakeAgent("a", 1, tokens=["One ", "two"]), FakeAgent("b", raises=ValueError("no"))]


async def recorded(home: Path) -> Recording:
    database = f"sqlite:///{home / 'stretto.db'}"
    async with Engine(agents(), home=home, database=database) as engine:
        return await record_events(engine.stream(FLOW))


async def test_an_outline_has_no_times_and_ids(tmp_path: Path) -> None:
    assert (await recorded(tmp_path)).outline() == OUTLINE


async def test_events_can_be_asked_for_by_type_and_step(tmp_path: Path) -> None:
    events = await recorded(tmp_path)
    assert [event.step for event in events.of("agent_started")] == ["talk", "break"]
    assert [event.event for event in events.of("agent_started", "talk")] == ["agent_started"]
    assert events.text == "One two"
    assert events.types == [line.split()[0] for line in OUTLINE if "agent_stream" not in line]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    with pytest.raises(ValueError, match="there is no event 'agent_ended'"):
        events.of("agent_ended")  # type: ignore[arg-type]


async def test_a_handle_and_its_events_are_sources_too(tmp_path: Path) -> None:
    async with Engine(agents(), home=tmp_path, database=f"sqlite:///{tmp_path / 'db'}") as engine:
        handle = await engine.start(FLOW)
        whole = await record_events(handle)
        assert await record_events(handle.events(after=2)) == whole[2:]
    assert whole.outline() == OUTLINE


async def test_the_custom_stream_of_a_graph_is_a_source() -> None:
    graph: Any = FLOW.compile(agents=agents())
    events = await record_events(graph.astream({"input": {}}, stream_mode="custom"))
    inside = [line for line in OUTLINE if not line.startswith("workflow")]
    assert [line for line in events.outline() if not line.startswith("workflow")] == inside
    assert events.text == "One two"


async def test_another_stream_of_a_graph_is_refused() -> None:
    graph: Any = FLOW.compile(agents=agents())
    with pytest.raises(TypeError, match="is no event of a run; give engine.stream"):
        await record_events(graph.astream({"input": {}}, stream_mode="updates"))


async def test_an_outline_has_no_text_that_a_reset_took_back() -> None:
    async def again(task: Task) -> AsyncIterator[str]:
        yield "Wrong"
        task.notify("reset", {"reason": "fallback"})
        yield "Right"

    flow = Workflow(name="again", steps=(Step(id="say", agent="again"),))
    graph: Any = flow.compile(agents=[FunctionAgent(again, name="again")])
    events = await record_events(graph.astream({"input": {}}, stream_mode="custom"))
    assert [line for line in events.outline() if "stream" in line] == ["agent_stream say: Right"]
