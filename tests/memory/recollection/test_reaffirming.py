"""What is said again holds again: the answer is that of who was told in order of time."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stretto.memory.item import MemoryItem, Source
from stretto.memory.recollection import Memory, NewItem
from stretto.memory.recollection.timeline import MOST_TIMES, with_time
from tests.fakes.embedders import WordEmbedder

Told = Sequence[tuple[int, str]]
TOLD = st.lists(st.tuples(st.integers(1, 12), st.sampled_from("abc")), min_size=1, max_size=10)
MOMENTS = range(14)
SLOW = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])


def holding(told: Told, moment: int) -> list[str]:
    """Give what holds at a time: the latest that was told of it or before, of equals the last."""
    known = [(at, place, plan) for place, (at, plan) in enumerate(told) if at <= moment]
    return [max(known)[2]] if known else []


def plan_of(item: MemoryItem) -> str:
    return item.text.split()[-1]


def is_held(item: MemoryItem, moment: float) -> bool:
    assert item.valid_from is not None
    return item.valid_from <= moment and (item.valid_to is None or moment < item.valid_to)


async def told_of(memory: Memory, moments: Sequence[float]) -> list[list[str]]:
    asked = [await memory.recall("which plan", key="plan", as_of=at, k=20) for at in moments]
    return [[plan_of(each.item) for each in found.items] for found in asked]


async def history(memory: Memory) -> list[MemoryItem]:
    """Give the facts in order, after a look at what they say of each other."""
    lines = [line async for line in memory.export()]
    items = [item for line in lines if (item := await memory.get(line["id"])) is not None]
    items.sort(key=lambda item: (item.valid_from, item.valid_to or 1e12))
    for item in items:
        assert item.said_again == tuple(sorted({*item.said_again}))
        assert all(is_held(item, at) and at > (item.valid_from or 0) for at in item.said_again)
    there = [item for item in items if item.valid_from != item.valid_to]
    for item, follower in zip(there, there[1:], strict=False):
        assert (item.valid_to, item.superseded_by is None) == (follower.valid_from, False)
    return there


def a_plan(at: float, plan: str) -> NewItem:
    return NewItem(f"the plan is {plan}", key="plan", at=float(at))


@SLOW
@given(TOLD, st.booleans(), st.booleans())
def test_what_holds_is_what_was_told_last_of_that_time_in_whatever_order(
    tmp_path_factory: pytest.TempPathFactory, told: Told, at_once: bool, replay: bool
) -> None:
    async def play(folder: Path) -> None:
        async with Memory(folder) as memory:
            news = [a_plan(at, plan) for at, plan in told]
            if replay:  # one that is told by one source at once, and then by all of it again
                news = [
                    NewItem(new.text, key=new.key, at=new.at, source=Source(run_id="r"))
                    for new in news
                ]
            for batch in [news] if at_once else [[new] for new in news]:
                await memory.remember_many(batch)
            assert await told_of(memory, MOMENTS) == [holding(told, at) for at in MOMENTS]
            now = (await memory.recall("which plan", k=20)).items
            assert [plan_of(each.item) for each in now] == holding(told, 12)
            facts = await history(memory)
            held = [[plan_of(f) for f in facts if is_held(f, at)] for at in MOMENTS]
            assert held == [holding(told, at) for at in MOMENTS]

    asyncio.run(play(tmp_path_factory.mktemp("memory") / "memory"))


async def test_an_older_fact_that_comes_late_ends_where_the_one_before_was_said_again(
    memory: Memory,
) -> None:
    pro = await memory.remember("the plan is pro", key="plan", at=1000)
    again = await memory.remember("the plan is pro", key="plan", at=5000)
    assert (again.id, again.seen_count, again.said_again) == (pro.id, 2, (5000.0,))
    basic = await memory.remember("the plan is basic", key="plan", at=3000)
    first, second, third = await history(memory)
    assert [plan_of(item) for item in (first, second, third)] == ["pro", "basic", "pro"]
    assert [item.valid_to for item in (first, second, third)] == [3000.0, 5000.0, None]
    assert (first.id, second.id) == (pro.id, basic.id)
    assert [item.seen_count for item in (first, third)] == [1, 1]
    assert [item.supersedes for item in (second, third)] == [first.id, second.id]
    assert [item.superseded_by for item in (first, second)] == [second.id, third.id]
    now = (await memory.recall("which plan", key="plan")).items
    assert [each.item for each in now] == [third]


async def test_the_one_that_followed_follows_what_was_said_again(memory: Memory) -> None:
    await memory.remember_many([a_plan(1, "pro"), a_plan(5, "pro"), a_plan(8, "gold")])
    await memory.remember_many([a_plan(3, "basic")])
    facts = await history(memory)
    assert [plan_of(item) for item in facts] == ["pro", "basic", "pro", "gold"]
    assert [item.supersedes for item in facts[1:]] == [item.id for item in facts[:-1]]
    assert [item.superseded_by for item in facts[:-1]] == [item.id for item in facts[1:]]


@pytest.mark.parametrize("at_once", [True, False])
async def test_what_goes_on_is_found_by_meaning_too(tmp_path: Path, at_once: bool) -> None:
    async with Memory(tmp_path, embedder=WordEmbedder()) as memory:
        news = [a_plan(1, "pro"), a_plan(5, "pro"), a_plan(3, "basic")]
        for batch in [news] if at_once else [[new] for new in news]:
            await memory.remember_many(batch)
        assert (await memory.stats()).dense_pending == 0
        [found] = (await memory.recall("the plan is pro")).items
        assert (plan_of(found.item), found.item.valid_from) == ("pro", 5.0)
        assert found.why.dense == pytest.approx(1.0, abs=0.01)


async def test_a_source_that_says_it_again_of_no_time_of_its_own_changes_nothing(
    memory: Memory,
) -> None:
    step = Source(run_id="r1", node="note")
    once = await memory.remember("the plan is pro", key="plan", source=step)
    assert await memory.remember("the plan is pro", key="plan", source=step) == once
    assert await memory.get(once.id) == once
    other = await memory.remember("the plan is pro", key="plan", source=Source(run_id="r2"))
    assert (other.id, len(other.said_again), other.seen_count) == (once.id, 1, 2)


async def test_what_was_said_very_often_keeps_few_times_and_the_last_one(memory: Memory) -> None:
    start = time.time() - 1e6
    await memory.remember_many([a_plan(start + 1000 * n, "pro") for n in range(100)])
    [pro] = await history(memory)
    assert (pro.seen_count, len(pro.said_again)) == (100, MOST_TIMES)
    assert pro.said_again[-1] == pytest.approx(start + 99_000)
    await memory.remember_many([a_plan(start + 98_500, "basic")])
    assert [plan_of(item) for item in await history(memory)] == ["pro", "basic", "pro"]


@given(st.lists(st.integers(0, 10**6), max_size=80))
def test_the_times_that_are_kept_are_some_of_those_of_all_the_time(given: list[int]) -> None:
    kept: tuple[float, ...] = ()
    for at in given:
        kept = with_time(kept, at)
    assert {*kept} <= {*given}
    assert len(kept) == min(len({*given}), MOST_TIMES)
    assert list(kept) == sorted(kept)
    assert kept[-1:] == tuple(sorted(given)[-1:])
    assert kept[:1] == tuple(sorted(given)[:1])


async def test_what_was_said_again_moves_with_its_copy(memory: Memory, tmp_path: Path) -> None:
    await memory.remember_many([a_plan(1, "pro"), a_plan(5, "pro")])
    lines = [line async for line in memory.export()]
    assert [line["said_again"] for line in lines] == [[5.0]]
    async with Memory(tmp_path / "other") as other:
        await other.import_(lines)
        assert [line async for line in other.export()] == lines
        await other.remember_many([a_plan(3, "basic")])
        assert await told_of(other, (2, 4, 6)) == [["pro"], ["basic"], ["pro"]]
