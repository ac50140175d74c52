"""Copies that meet what is there: what holds is what would, had all been told to one memory."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stretto.memory.item import Scope
from stretto.memory.recollection import Memory, NewItem
from tests.fakes.embedders import WordEmbedder

Told = list[tuple[int, str]]
PLANS = st.sampled_from("abc")
SLOW = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
MOMENTS = [moment / 2 for moment in range(28)]


def told_at(moments: range) -> st.SearchStrategy[Told]:
    return st.lists(st.tuples(st.sampled_from(moments), PLANS), max_size=7)


def holding(told: Told, moment: float) -> list[str]:
    known = [(at, place, plan) for place, (at, plan) in enumerate(told) if at <= moment]
    return [max(known)[2]] if known else []


async def tell(memory: Memory, told: Told, subject: str | None = "ann") -> None:
    for at, plan in told:
        news = [NewItem(f"the plan is {plan}", key="plan", subject=subject, at=float(at))]
        await memory.remember_many(news)


async def copied(memory: Memory) -> list[dict[str, Any]]:
    return sorted([line async for line in memory.export()], key=lambda line: str(line["id"]))


async def plans(memory: Memory, moments: list[float]) -> list[list[str]]:
    asked = [await memory.recall("which plan", key="plan", as_of=at, k=20) for at in moments]
    return [[each.item.text[-1] for each in found.items] for found in asked]


@SLOW
@given(told_at(range(0, 13, 2)), told_at(range(1, 13, 2)), st.booleans(), st.randoms())
def test_what_two_memories_were_told_is_what_one_was_told(
    tmp_path_factory: pytest.TempPathFactory,
    ours: Told,
    theirs: Told,
    one_by_one: bool,
    order: random.Random,
) -> None:
    async def play(folder: Path) -> None:
        async with (
            Memory(folder / "a") as here,
            Memory(folder / "b") as there,
            Memory(folder / "c") as empty,
        ):
            await tell(here, ours)
            await tell(there, theirs)
            lines = await copied(there)
            order.shuffle(lines)
            for batch in [[line] for line in lines] if one_by_one else [lines]:
                assert await here.import_(batch) == len(batch)
                await empty.import_(batch)
            whole = await copied(here)
            assert await plans(here, MOMENTS) == [holding(ours + theirs, at) for at in MOMENTS]
            now = (await here.recall("which plan", k=20)).items
            assert [each.item.text[-1] for each in now] == holding(ours + theirs, 99)
            assert await here.import_(lines) == 0
            assert await copied(here) == whole
            assert await copied(empty) == await copied(there)
            await there.import_(whole)
            assert await plans(there, MOMENTS) == await plans(here, MOMENTS)

    asyncio.run(play(tmp_path_factory.mktemp("memory")))


async def test_what_is_there_ends_where_a_fact_of_a_copy_begins(
    memory: Memory, tmp_path: Path
) -> None:
    basic = await memory.remember("the plan is basic", key="plan", subject="ann", at=1.7e9)
    async with Memory(tmp_path / "other") as other:
        pro = await other.remember("the plan is pro", key="plan", subject="ann", at=1.75e9)
        await other.remember("the plan is gold", key="plan", subject="bo", at=1.75e9)
        lines = await copied(other)
    assert [await memory.import_(lines) for _ in range(2)] == [2, 0]
    now = (await memory.recall("which plan", key="plan", subject="ann")).items
    assert [each.item.id for each in now] == [pro.id]
    before = await memory.get(basic.id)
    assert before is not None
    assert (before.valid_to, before.superseded_by) == (1.75e9, pro.id)
    assert now[0].item.supersedes == basic.id


async def test_of_two_facts_from_one_time_the_one_that_was_told_last_holds_on_both_sides(
    memory: Memory, tmp_path: Path
) -> None:
    async with Memory(tmp_path / "other") as other:
        for each, plan in ((memory, "a"), (other, "b")):
            await tell(each, [(5, plan)])
        ours, theirs = await copied(memory), await copied(other)
        await memory.import_(theirs)
        await other.import_(ours)
        assert await plans(memory, [6]) == await plans(other, [6]) == [["b"]]


async def test_a_newer_copy_of_the_same_memory_goes_on_where_the_older_one_ended(
    memory: Memory, tmp_path: Path
) -> None:
    async with Memory(tmp_path / "other") as other:
        await tell(other, [(1, "a"), (5, "a")])
        await memory.import_(await copied(other))
        await tell(other, [(3, "b"), (8, "c")])
        newer = await copied(other)
        assert [await memory.import_(newer) for _ in range(2)] == [3, 0]
        assert await plans(memory, MOMENTS) == await plans(other, MOMENTS)
        ids = [line["id"] for line in newer]
        assert [line["id"] for line in await copied(memory)] == ids


async def test_what_goes_on_after_a_fact_of_a_copy_is_found_by_meaning_too(tmp_path: Path) -> None:
    embedder = WordEmbedder()
    async with (
        Memory(tmp_path / "a", embedder=embedder) as here,
        Memory(tmp_path / "b", embedder=embedder) as there,
    ):
        await tell(here, [(1, "a"), (5, "a"), (9, "a")])
        await tell(there, [(3, "b"), (7, "b")])
        await here.import_(await copied(there))
        assert await plans(here, [2, 4, 6, 8, 10]) == [["a"], ["b"], ["a"], ["b"], ["a"]]
        assert (await here.stats()).dense_pending == 0
        [found] = (await here.recall("the plan is a")).items
        assert found.why.dense == pytest.approx(1.0, abs=0.01)


async def test_a_copy_takes_its_place_in_the_scope_that_it_goes_to(
    memory: Memory, tmp_path: Path
) -> None:
    ours, theirs = memory.within(Scope(tenant="a")), memory.within(Scope(tenant="b"))
    for each in (ours, theirs):
        await tell(each, [(1, "a")], subject=None)
    async with Memory(tmp_path / "other") as other:
        await tell(other, [(3, "b")], subject=None)
        await theirs.import_(await copied(other))
    assert (await plans(ours, [4]), await plans(theirs, [4])) == ([["a"]], [["b"]])
