"""Nobody sees, copies or forgets what is somebody else's."""

import asyncio
import time
import uuid
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stretto.errors import MemoryFault
from stretto.memory.item import Scope
from stretto.memory.recollection import Memory, NewItem, RunMemory, Turn
from stretto.memory.recollection.episodes import episode_id

NAMES = st.sampled_from([None, "a", "b"])
SCOPES = st.builds(Scope, tenant=NAMES, user=NAMES, agent=NAMES, workflow=NAMES, thread=NAMES)
SLOW = settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])


def sees(asked: Scope, own: Scope) -> bool:
    """Tell whether something of a scope is seen by whoever asks within another one."""
    wanted = asdict(asked)
    return all(value is None or asdict(own)[name] == value for name, value in wanted.items())


@SLOW
@given(st.lists(SCOPES, min_size=1, max_size=8), SCOPES, SCOPES)
def test_a_scope_shows_what_is_in_it_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, owned: list[Scope], asked: Scope, bound: Scope
) -> None:
    async def play(folder: Path) -> None:
        async with Memory(folder) as memory:
            items = await memory.remember_many(
                NewItem(f"secret number {place}", scope=scope) for place, scope in enumerate(owned)
            )
            view = memory.within(bound)
            seen = asked.within(bound)
            expected = {item.id for item in items if sees(seen, item.scope)}
            found = await view.recall("secret number", scope=asked, k=50)
            assert {each.item.id for each in found.items} == expected
            assert {line["id"] async for line in view.export(asked)} == expected
            for item in items:
                assert (await view.get(item.id) is not None) == sees(bound, item.scope)
            ids = [item.id for item in items]
            if seen != bound.within(asked):  # it is told to forget what is not its own
                with pytest.raises(MemoryFault, match="forgets nothing of"):
                    await view.forget(ids=ids, scope=asked)
                expected = set[str]()
            else:
                assert (await view.forget(ids=ids, scope=asked)).count == len(expected)
            left = {line["id"] async for line in memory.export()}
            assert left == {item.id for item in items} - expected

    asyncio.run(play(tmp_path_factory.mktemp("memory") / "memory"))


async def test_a_bound_memory_remembers_for_nobody_else(tmp_path: Path) -> None:
    async with Memory(tmp_path / "memory", scope=Scope(tenant="acme")) as memory:
        item = await memory.remember("a", scope=Scope(tenant="other", user="ann"))
        assert item.scope == Scope(tenant="acme", user="ann")


async def test_forgetting_needs_to_be_told_what(memory: Memory) -> None:
    await memory.remember("something")
    with pytest.raises(MemoryFault, match="say what to forget") as fault:
        await memory.forget()
    assert fault.value.code == "item_invalid"
    assert (await memory.stats()).items == 1


async def test_a_question_by_key_does_not_meet_the_values_of_the_store(memory: Memory) -> None:
    await memory.store.aput(("notes",), "plan", {"text": "the plan of the store"})
    item = await memory.remember("the plan is pro", key="plan")
    assert [e.item for e in (await memory.recall("plan", key="plan")).items] == [item]


async def test_figures_and_sweeping_are_those_of_the_view(memory: Memory) -> None:
    ours, theirs = memory.within(Scope(tenant="a")), memory.within(Scope(tenant="b"))
    await ours.remember("a brief one", ttl=60)
    await memory.store.aput(("notes",), "n", {"text": "a value"})
    await theirs.remember_many([NewItem("one"), NewItem("two", kind="procedure")])
    own, whole = await theirs.stats(), await memory.stats()
    assert (own.items, own.kinds, own.values) == (2, {"fact": 1, "procedure": 1}, 0)
    assert (own.bytes_on_disk, own.spooled) == (None, None)
    assert (whole.items, whole.values, whole.spooled) == (3, 1, 0)
    with time_machine.travel(time.time() + 3600):
        assert [await view.sweep() for view in (theirs, ours, memory)] == [0, 1, 0]


@pytest.mark.parametrize("own", [Scope(tenant="b"), Scope()], ids=["other", "own"])
async def test_a_turn_that_names_something_else_as_its_episode_changes_nothing_of_it(
    memory: Memory, own: Scope
) -> None:
    fact = await memory.remember("a fact", scope=Scope(tenant="a"))
    run = await memory.remember_run(RunMemory("r1", "w", {}, {"step": "an output"}, "the end"))
    before = [line async for line in memory.export()]
    view = memory.within(own)
    ids = [str(uuid.uuid4()) for _ in range(2)]
    lines: list[dict[str, Any]] = [
        {"id": id, "text": "a turn", "created_at": 1.0, "updated_at": 1.0, "kind": "message"}
        | {"episode_id": episode, "position": 0, "scope": own.to_payload()}
        for id, episode in zip(ids, (fact.id, run.id), strict=True)
    ]
    assert await view.import_(lines) == 2
    assert (await view.forget(ids=ids)).count == 2
    assert [line async for line in memory.export()] == before


async def test_an_imported_turn_gives_no_hold_on_the_conversation_of_another_scope(
    memory: Memory,
) -> None:
    theirs, evil = memory.within(Scope(tenant="v")), memory.within(Scope(tenant="evil"))
    turns = [Turn("ann", f"salary {number}", float(number)) for number in range(3)]

    def turn(place: int) -> dict[str, Any]:
        episode = episode_id(Scope(tenant="v"), "talk")  # anybody may compute it
        made: dict[str, Any] = {"id": str(uuid.uuid4()), "text": "hi", "kind": "message"}
        times = {"created_at": 1.0, "updated_at": 1.0, "valid_from": 1.0}
        made |= {"scope": {"tenant": "evil"}}  # as its own copy would have it
        return made | times | {"episode_id": episode, "position": place}

    early, late = turn(0), turn(9_000_000)
    assert await evil.import_([early]) == 1  # before there is a conversation
    episode = (await theirs.remember_conversation(turns, id="talk")).id
    summary = await theirs.remember("of a talk", kind="summary", data={"of": [episode]})
    assert await evil.import_([late]) == 1
    seen = [line async for line in evil.export()]
    assert {line["text"] for line in seen} == {"hi"}
    assert (await evil.recall("salary", kinds=["episode"])).items == ()
    forgotten = [await evil.forget(ids=[line["id"]]) for line in (early, late)]
    assert [(receipt.count, receipt.derived) for receipt in forgotten] == [(1, 0), (1, 0)]
    assert await theirs.get(summary.id) is not None
    turns.append(Turn("ann", "salary 3", 3.0))
    assert (await theirs.remember_conversation(turns, id="talk")).added == 1
    said = [line["position"] async for line in theirs.export() if line["kind"] == "message"]
    assert sorted(said) == [0, 1, 2, 3]
