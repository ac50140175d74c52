"""What holds when: facts of one key follow each other, whatever order they come in."""

import asyncio
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stretto.errors import MemoryFault
from stretto.memory.backend.edge import EdgeBackend
from stretto.memory.item import MemoryItem, Source
from stretto.memory.lexical import LexicalEncoder
from stretto.memory.recollection import Memory, NewItem
from stretto.memory.recollection.encoding import Encoder

FACTS = st.lists(st.tuples(st.integers(1, 9), st.sampled_from("abc")), min_size=1, max_size=8)
Told = list[tuple[int, str]]
SLOW = settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])


def held_at(facts: Sequence[tuple[int, str]], moment: int) -> str | None:
    """Give what holds at a time: the newest fact up to then, of several the last to be told."""
    told = [(at, place, town) for place, (at, town) in enumerate(facts) if at <= moment]
    return max(told)[2] if told else None


def holds(item: MemoryItem, moment: float) -> bool:
    assert item.valid_from is not None
    return item.valid_from <= moment and (item.valid_to is None or moment < item.valid_to)


@SLOW
@given(FACTS, st.booleans())
def test_what_held_at_a_time_is_the_newest_fact_up_to_then(
    tmp_path_factory: pytest.TempPathFactory, facts: Told, at_once: bool
) -> None:
    async def play(folder: Path) -> None:
        async with Memory(folder) as memory:
            news = [NewItem(f"ann lives in {t}town", key="town", at=float(at)) for at, t in facts]
            for batch in [news] if at_once else [[one] for one in news]:
                await memory.remember_many(batch)
            ids = [line["id"] async for line in memory.export()]
            kept = [item for id in ids if (item := await memory.get(id))]
            for moment in range(11):
                found = (await memory.recall("where ann lives", as_of=float(moment), k=20)).items
                held = held_at(facts, moment)
                texts = [] if held is None else [f"ann lives in {held}town"]
                assert [each.item.text for each in found] == texts, (facts, moment)
                assert [item.text for item in kept if holds(item, moment)] == texts
            now = await memory.recall("where ann lives", k=20)
            assert [e.item.text[-5] for e in now.items] == [held_at(facts, 10)]

    asyncio.run(play(tmp_path_factory.mktemp("memory") / "memory"))


async def test_a_history_that_is_told_again_changes_nothing(memory: Memory) -> None:
    source = Source(run_id="r1")
    towns = enumerate(("oslo", "bergen", "oslo"))
    history = [NewItem(t, key="town", at=float(at), source=source) for at, t in towns]
    first = await memory.remember_many(history)
    assert await memory.remember_many(history) == [await memory.get(item.id) for item in first]
    assert (await memory.stats()).items == 3


@pytest.mark.parametrize("key", [None, "town"])
async def test_what_replaces_something_that_was_replaced_replaces_what_holds_now(
    memory: Memory, key: str | None
) -> None:
    oslo = await memory.remember("she is in oslo", key=key, at=1.0)
    bergen = await memory.supersede(oslo.id, "she is in bergen", at=2.0)
    paris = await memory.supersede(oslo.id, "she is in paris", at=3.0)
    found = await memory.recall("oslo bergen paris")
    assert [each.item.text for each in found.items] == ["she is in paris"]
    held = await memory.get(bergen.id)
    assert held is not None
    assert (held.valid_to, held.superseded_by) == (3.0, paris.id)


@pytest.mark.parametrize("key", [None, "town"])
async def test_what_replaces_something_late_holds_until_the_next_one(
    memory: Memory, key: str | None
) -> None:
    oslo = await memory.remember("she is in oslo", key=key, at=0.0)
    await memory.supersede(oslo.id, "she is in bergen", at=10.0)
    await memory.supersede(oslo.id, "she is in paris", at=5.0)
    asked = [await memory.recall("oslo bergen paris", as_of=at) for at in (4.9, 5.0, 9.9, 10.0)]
    towns = [each.item.text.split()[-1] for found in asked for each in found.items]
    assert towns == ["oslo", "paris", "paris", "bergen"]
    now = await memory.recall("oslo bergen paris")
    assert [each.item.text for each in now.items] == ["she is in bergen"]


async def test_a_fact_holds_until_the_day_on_which_another_one_is_to_take_its_place(
    memory: Memory,
) -> None:
    now, year = time.time(), 365 * 86_400.0
    await memory.remember("the plan is basic", key="plan", at=now - year)
    await memory.remember("the plan is pro", key="plan", at=now + year)
    asked = [await memory.recall("plan", k=k) for k in (1, 8)]
    asked += [await memory.recall("plan", as_of=now + 2 * year)]
    with time_machine.travel(now + 2 * year):
        asked.append(await memory.recall("plan"))
    plans = [[each.item.text.split()[-1] for each in found.items] for found in asked]
    assert plans == [["basic"], ["basic"], ["pro"], ["pro"]]


async def test_a_long_history_of_one_fact_is_only_read_by_who_is_late(memory: Memory) -> None:
    await memory.remember_many(NewItem(f"city {n}", key="city", at=float(n)) for n in range(300))
    await memory.remember("city 300", key="city")
    await memory.remember("a late city", key="city", at=100.5)
    found = [await memory.recall("city", as_of=at) for at in (100.2, 100.7, 101.0, time.time())]
    held = [each.item.text for each in (one for asked in found for one in asked.items)]
    assert held == ["city 100", "a late city", "city 101", "city 300"]


async def test_a_fact_that_a_killed_process_left_open_is_ended(tmp_path: Path) -> None:
    encoder = Encoder(LexicalEncoder("english"), None)
    facts = [
        MemoryItem(str(uuid.uuid4()), town, at, at, key="town", valid_from=at)
        for at, town in ((1.0, "in oslo"), (2.0, "in bergen"))
    ]
    backend = EdgeBackend(tmp_path)
    backend.upsert([encoder.point(fact) for fact in facts]).result()
    backend.close()
    async with Memory(tmp_path) as memory:
        both = (await memory.recall("oslo bergen")).items
        assert len(both) == 2
        await memory.remember("in bergen", key="town")
        now = await memory.recall("oslo bergen")
        assert [each.item.text for each in now.items] == ["in bergen"]


async def test_what_has_expired_is_not_there_and_then_swept(memory: Memory) -> None:
    brief, pinned = await memory.remember_many(
        [NewItem("the shop is shut", ttl=60), NewItem("the shop is far", ttl=60, pinned=True)]
    )
    with time_machine.travel(time.time() + 3600):
        assert [e.item.id for e in (await memory.recall("shop")).items] == [pinned.id]
        assert await memory.get(brief.id) is None
        assert (await memory.sweep(), await memory.sweep()) == (1, 0)
        await memory.pin(pinned.id, pinned=False)
        assert (await memory.recall("shop")).items == ()
        assert await memory.sweep() == 1
    assert (await memory.stats()).items == 0


async def test_a_replaced_item_is_kept_and_points_to_what_replaced_it(memory: Memory) -> None:
    old = await memory.remember("the offer is 10 euros", subject="acme", importance=0.9)
    new = await memory.supersede(old.id, "the offer is 12 euros")
    kept = await memory.get(old.id)
    assert kept is not None
    assert (kept.superseded_by, kept.valid_to) == (new.id, new.valid_from)
    assert (new.supersedes, new.subject, new.importance) == (old.id, "acme", 0.9)
    assert [each.item.id for each in (await memory.recall("offer")).items] == [new.id]


@pytest.mark.parametrize("call", ["supersede", "pin"])
async def test_what_is_not_there_is_said_so(memory: Memory, call: str) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(MemoryFault, match=unknown) as fault:
        await (memory.pin(unknown) if call == "pin" else memory.supersede(unknown, "text"))
    assert fault.value.code == "item_unknown"
