"""What holds when: facts of one key follow each other, whatever order they come in."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stretto.errors import MemoryFault
from stretto.memory.recollection import Memory, NewItem

FACTS = st.lists(st.tuples(st.integers(1, 9), st.sampled_from("abc")), min_size=1, max_size=8)
SLOW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def held_at(facts: Sequence[tuple[int, str]], moment: int) -> str | None:
    """Give what holds at a time: the newest fact up to then, of several the last to be told."""
    told = [(at, place, town) for place, (at, town) in enumerate(facts) if at <= moment]
    return max(told)[2] if told else None


@SLOW
@given(FACTS, st.booleans())
def test_what_held_at_a_time_is_the_newest_fact_up_to_then(
    tmp_path_factory: pytest.TempPathFactory, facts: list[tuple[int, str]], at_once: bool
) -> None:
    # The same fact twice in a row is one fact that goes on; distinct texts keep the model simple.
    facts = [(at, f"{town}{place}") for place, (at, town) in enumerate(facts)]

    async def play(folder: Path) -> None:
        async with Memory(folder) as memory:
            news = [NewItem(f"ann lives in {t}", key="town", at=float(at)) for at, t in facts]
            for batch in [news] if at_once else [[one] for one in news]:
                await memory.remember_many(batch)
            for moment in range(11):
                found = await memory.recall("where ann lives", as_of=float(moment), k=20)
                texts = [each.item.text.removeprefix("ann lives in ") for each in found.items]
                expected = held_at(facts, moment)
                assert texts == ([] if expected is None else [expected]), (facts, moment)
            now = await memory.recall("where ann lives", k=20)
            assert [it.item.text.split()[-1] for it in now.items] == [held_at(facts, 10)]

    asyncio.run(play(tmp_path_factory.mktemp("memory") / "memory"))


async def test_a_replaced_item_is_kept_and_points_to_what_replaced_it(memory: Memory) -> None:
    old = await memory.remember("the offer is 10 euros", subject="acme", importance=0.9)
    new = await memory.supersede(old.id, "the offer is 12 euros")
    kept = await memory.get(old.id)
    assert kept is not None
    assert (kept.superseded_by, kept.valid_to) == (new.id, new.valid_from)
    assert (new.supersedes, new.subject, new.importance) == (old.id, "acme", 0.9)
    assert [each.item.id for each in (await memory.recall("offer")).items] == [new.id]


async def test_what_is_pinned_does_not_expire(memory: Memory) -> None:
    item = await memory.remember("the office closes at six", ttl=3600, at=0.0)
    await memory.pin(item.id)
    assert (await memory.get(item.id)) is not None
    later = await memory.pin(item.id, pinned=False)
    assert not later.pinned


@pytest.mark.parametrize("call", ["supersede", "pin"])
async def test_what_is_not_there_is_said_so(memory: Memory, call: str) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(MemoryFault, match=unknown) as fault:
        await (memory.pin(unknown) if call == "pin" else memory.supersede(unknown, "text"))
    assert fault.value.code == "item_unknown"
