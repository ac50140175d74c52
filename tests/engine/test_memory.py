"""Memory in an engine: who reaches it, what it costs, and runs that go on without it."""

import logging
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from langgraph.config import get_store
from langgraph.store.memory import InMemoryStore

from stretto import Engine, RunEvent, Step, Task, Workflow, agent
from stretto.agents.crm import crm_agents
from stretto.agents.llm import LLMAgent
from stretto.agents.shipped import shipped_agents
from stretto.config import Settings
from stretto.memory.item import Scope
from stretto.memory.recollection import Memory
from tests.fakes.holding import held


@agent
async def keep(task: Task) -> str:
    assert task.memory is not None
    return (await task.memory.remember(task.params["text"])).id


@agent
async def look(task: Task) -> list[str]:
    assert task.memory is not None
    found = await task.memory.recall(task.params["query"])
    return [one.item.text for one in found.items]


@agent
async def idle(task: Task) -> None:
    pass


@agent
async def has_none(task: Task) -> bool:
    return task.memory is None


@agent
async def through_store(task: Task) -> str:
    store = get_store()
    await store.aput(("notes", "a"), "k", {"text": "in the store"})
    found = await store.aget(("notes", "a"), "k")
    return str(found and found.value["text"])


def flow(name: str, called: str, **params: Any) -> Workflow:
    return Workflow(name=name, steps=(Step(id="only", agent=called, params=params),))


KEEP = flow("keep", "keep", text="Ann likes tea.")
LOOK = flow("look", "look", query="tea")
ACCOUNT = {"account_id": "ACC-1188"}


async def test_what_a_run_remembers_a_later_engine_recalls(tmp_path: Path) -> None:
    async with Engine([keep], home=tmp_path) as engine:
        assert (await engine.run(KEEP)).success
    async with Engine([look], home=tmp_path) as engine:
        assert (await engine.run(LOOK)).output == ["Ann likes tea."]


async def test_memory_is_that_of_the_person_in_the_context(tmp_path: Path) -> None:
    ann, bob = {"tenant": "acme", "user": "ann"}, {"tenant": "acme", "user": "bob"}
    async with Engine([keep, look], home=tmp_path) as engine:
        kept = await engine.run(KEEP, context=ann, session_id="c1")
        assert (await engine.run(LOOK, context=bob)).output == []
        assert (await engine.run(LOOK, context=ann, session_id="c2")).output == ["Ann likes tea."]
        assert engine.memory is not None
        item = await engine.memory.get(kept.output)
    assert item is not None
    assert item.scope == Scope(tenant="acme", user="ann")
    assert (item.source.run_id, item.source.node) == (kept.run_id, "only")


async def test_a_run_that_uses_no_memory_opens_none(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with Engine([idle], home=home) as engine, Engine([idle], home=home) as other:
        assert (await engine.run(flow("f", "idle"))).success
        assert (await other.run(flow("f", "idle"))).success
        assert not (home / "memory").exists()


async def test_an_engine_may_have_no_memory(tmp_path: Path) -> None:
    async with Engine([has_none], home=tmp_path, memory=False) as engine:
        assert (await engine.run(flow("f", "has_none"))).output is True
        assert engine.memory is None


async def test_a_memory_of_the_program_stays_open(tmp_path: Path) -> None:
    async with Memory(tmp_path / "own", scope=Scope(tenant="acme")) as memory:
        async with Engine([keep], home=tmp_path, memory=memory) as engine:
            await engine.run(KEEP, context={"tenant": "other"})
        found = await memory.recall("tea")
        assert [one.item.scope.tenant for one in found.items] == ["acme"]
    assert not (tmp_path / "memory").exists()


async def test_nodes_have_the_memory_as_their_store(tmp_path: Path) -> None:
    async with Engine([through_store, look], home=tmp_path) as engine:
        assert (await engine.run(flow("f", "through_store"))).output == "in the store"
        assert engine.memory is not None
        kept = await engine.memory.store.aget(("notes", "a"), "k")
        assert kept is not None
        assert (await engine.run(LOOK)).output == []


async def test_steps_inside_containers_have_the_store_too(tmp_path: Path) -> None:
    each = {"id": "each", "map": {"over": "[1]", "agent": "through_store"}}
    nested = Workflow.from_dict({"name": "nested", "steps": [each]})
    async with Engine([through_store], home=tmp_path) as engine:
        result = await engine.run(nested)
    assert result.outputs["each"] == ["in the store"]


async def test_a_compiled_graph_has_no_store_unless_it_is_given_one(tmp_path: Path) -> None:
    @agent
    async def which(task: Task) -> list[bool]:
        from langgraph.runtime import get_runtime

        return [get_runtime().store is None, task.memory is None]

    async def found(**given: Any) -> list[bool]:
        graph: Any = flow("f", "which").compile(agents=[which], **given)
        ended: dict[str, Any] = await graph.ainvoke({"input": {}})
        missing: list[bool] = ended["outputs"]["only"]
        return missing

    assert await found() == [True, True]
    assert await found(store=InMemoryStore()) == [False, True]
    async with Memory(tmp_path / "memory") as memory:
        assert await found(memory=memory) == [False, False]


async def events_of(engine: Engine, run_id: str) -> list[RunEvent]:
    return [event async for event in engine.events(run_id)]


async def test_tools_of_a_model_reach_the_memory_of_the_runs_person(tmp_path: Path) -> None:
    clerk = LLMAgent("clerk", "{{ask}}", "offline", tools=["recall", "remember"])
    keeps = flow("keeps", "clerk", ask="remember(text='Ann likes green tea.')")
    looks = flow("looks", "clerk", ask="recall(query='tea')")
    ann, bob = {"user": "ann"}, {"user": "bob"}
    async with Engine([clerk], home=tmp_path) as engine:
        await engine.run(keeps, context=ann)
        mine = await engine.run(looks, context=ann)
        theirs = await engine.run(looks, context=bob)
        events = await events_of(engine, mine.run_id)
    assert "Ann likes green tea." in mine.output["text"]
    assert theirs.output["text"] == "Nothing is known about that."
    told = [event.data for event in events if event.data.get("kind")]
    assert [(data["kind"], data["tool"]) for data in told] == [
        ("tool_call", "recall"),
        ("tool_result", "recall"),
    ]


async def test_the_history_of_an_account_is_remembered_once(tmp_path: Path) -> None:
    async with Engine(home=tmp_path, model="offline") as engine:
        first = await engine.run("account_analysis", ACCOUNT)
        assert engine.memory is not None
        before = [line async for line in engine.memory.export()]
        second = await engine.run("account_analysis", ACCOUNT)
        after = [line async for line in engine.memory.export()]
        events = await events_of(engine, second.run_id)
    rows = first.outputs["fetch"]
    assert len(before) == len(rows["notes"]) + len(rows["tickets"])
    assert before == after
    assert first.outputs["history"] == second.outputs["history"]
    assert {line["subject"] for line in before} == {"ACC-1188"}
    assert {line["scope"]["tenant"] for line in before} == {"crm"}
    assert "memory_degraded" not in [event.event for event in events]


async def test_the_history_is_weighed_as_it_is_where_there_is_no_memory(tmp_path: Path) -> None:
    async with Engine(home=tmp_path / "a", model="offline") as engine:
        known = await engine.run("account_analysis", ACCOUNT)
    agents = shipped_agents("offline")
    async with Engine(agents, home=tmp_path / "b", memory=False) as engine:
        without = await engine.run("account_analysis", ACCOUNT)
        events = await events_of(engine, without.run_id)
    told = [event for event in events if event.event == "memory_degraded"]
    assert [(e.step, e.data["agent"]) for e in told] == [("history", "account_historian")]
    assert without.success
    ids = [{item["id"] for item in run.outputs["history"]["items"]} for run in (known, without)]
    assert ids[0] == ids[1]
    assert set(known.outputs["history"]) == set(without.outputs["history"])


async def test_of_two_processes_the_second_goes_on_without_memory(tmp_path: Path) -> None:
    with held(tmp_path / "memory") as other:
        async with Engine(home=tmp_path, model="offline") as engine:
            result = await engine.run("account_analysis", ACCOUNT)
            events = await events_of(engine, result.run_id)
            logs = [line.message for line in await engine.logs(result.run_id)]
    assert result.success
    assert result.outputs["history"]["found"] == 8
    (told,) = [event for event in events if event.event == "memory_degraded"]
    assert str(other) in told.data["reason"]
    assert "QDRANT_URL" in told.data["reason"]
    assert any("goes on without memory" in line for line in logs)


DYING = """
import asyncio, os, signal, sys
from stretto import Engine, Step, Task, Workflow, agent

@agent
async def keep(task: Task):
    await task.memory.remember("Ann likes tea.")
    turns = [{"author": "ann", "text": "I like tea."}]
    await task.memory.remember_conversation(turns, id=task.idempotency_key)
    if len(sys.argv) > 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return "kept"

async def main():
    flow = Workflow(name="f", steps=[Step(id="kept", agent="keep")])
    async with Engine([keep], home=sys.argv[1]) as engine:
        await engine.run(flow, run_id="r")
        print((await engine.result("r")).status)

asyncio.run(main())
"""


async def test_a_step_that_is_killed_and_runs_again_remembers_nothing_twice(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", DYING, str(tmp_path), "die"], timeout=60)
    assert killed.returncode == -signal.SIGKILL
    again = subprocess.run(
        [sys.executable, "-c", DYING, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert again.stdout == "completed\n", again.stderr
    async with Memory(tmp_path / "memory") as memory:
        lines = [line async for line in memory.export() if line["kind"] != "episode"]
    assert sorted(line["text"] for line in lines) == ["Ann likes tea.", "I like tea."]
    assert [line.get("seen_count", 1) for line in lines] == [1, 1]


async def test_a_run_that_has_ended_is_remembered_as_an_episode(tmp_path: Path) -> None:
    told = flow("tell", "say", what="The pump of plant 4 leaks.")

    @agent
    async def say(task: Task) -> str:
        return str(task.params["what"])

    context = {"tenant": "acme", "user": "ann"}
    async with Engine([say], home=tmp_path, remember_runs=True) as engine:
        done = await engine.run(told, context=context, session_id="c1")
    async with Memory(tmp_path / "memory") as memory:
        found = await memory.recall("pump", scope=Scope(tenant="acme", user="ann"))
        nobody = await memory.recall("pump", scope=Scope(tenant="other"))
    assert any("The pump of plant 4 leaks." in one.item.text for one in found.items)
    assert {one.item.source.run_id for one in found.items} == {done.run_id}
    assert {(one.item.scope.workflow, one.item.scope.thread) for one in found.items} == {
        ("tell", "c1")
    }
    assert nobody.items == ()


async def test_runs_are_not_remembered_unless_somebody_wants_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert settings.remember_runs is False
    async with Engine([has_none], home=tmp_path, memory=None, settings=settings) as engine:
        await engine.run(flow("f", "has_none"))
    assert not (tmp_path / "memory").exists()


async def test_a_run_that_cannot_be_remembered_is_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with held(tmp_path / "memory"):
        caplog.set_level(logging.WARNING, "stretto.engine.episodes")
        async with Engine([has_none], home=tmp_path, remember_runs=True) as engine:
            result = await engine.run(flow("f", "has_none"))
    assert result.success
    (line,) = [record.getMessage() for record in caplog.records]
    assert f"stretto memory remember --run {result.run_id}" in line


def test_the_agents_of_the_crm_keep_their_names() -> None:
    names = [one.name for one in crm_agents("offline")]
    assert names == ["crm_scout", "risk_analyzer", "account_historian", "account_advisor"]
    able = [one.name for one in shipped_agents("offline") if "memory" in one.capabilities]
    assert able == ["memory"]
