"""What is remembered again, replaced, or given wrongly to a memory."""

import math
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import time_machine

from stretto.errors import MemoryFault
from stretto.memory.item import Scope, Source
from stretto.memory.recollection import Memory, NewItem


class AwayEmbedder:
    """Tells what it is, and embeds nothing."""

    name = "away"
    dims = 4
    fingerprint = "away-4"

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        raise MemoryFault(f"no answer for {len(texts)} texts", code="embedder_failed")


@pytest.fixture
async def memory(tmp_path: Path) -> AsyncIterator[Memory]:
    async with Memory(tmp_path) as opened:
        yield opened


async def test_what_expired_is_remembered_anew(memory: Memory) -> None:
    await memory.remember("the offer ends on friday", ttl=60)
    with time_machine.travel(time.time() + 3600):
        again = await memory.remember("the offer ends on friday")
        [found] = (await memory.recall("offer friday")).items
    assert found.item.id == again.id
    assert again.seen_count == 1


async def test_what_is_said_again_for_longer_lasts_longer(memory: Memory) -> None:
    await memory.remember("the office is closed", ttl=60)
    again = await memory.remember("the office is closed")
    assert again.expires_at is None
    kept = await memory.get(again.id)
    assert kept is not None
    assert (kept.expires_at, kept.seen_count) == (None, 2)


@pytest.mark.parametrize(
    ("source", "times"), [(None, 2), (Source(run_id="r1"), 1), (Source(message_id="m1"), 1)]
)
async def test_only_the_same_known_source_is_a_repetition(
    memory: Memory, source: Source | None, times: int
) -> None:
    await memory.remember("ann lives in oslo", source=source)
    assert (await memory.remember("ann lives in oslo", source=source)).seen_count == times


async def test_what_is_said_again_with_other_data_has_those(memory: Memory) -> None:
    first, second = Source(run_id="r1", author="ann"), Source(run_id="r2")
    old = await memory.remember("a boat", data={"berth": 1}, importance=0.9, source=first)
    new = await memory.remember("a boat", data={"berth": True}, importance=0.2, source=second)
    assert await memory.remember("a boat", source=second) == new == await memory.get(old.id)
    assert (new.data, new.importance, new.seen_count) == ({"berth": True}, 0.2, 2)
    assert isinstance(new.data["berth"], bool)
    assert (await memory.forget(run="r1")).count == 0
    assert (await memory.forget(run="r2")).count == 1


async def test_a_fact_with_a_key_keeps_the_data_of_before_as_history(memory: Memory) -> None:
    for moment, plan in ((1.0, "basic"), (2.0, "pro"), (3.0, "pro")):
        await memory.remember("the plan", key="plan", data={"plan": plan}, at=moment)
    found = [(await memory.recall("plan", as_of=moment)).items for moment in (1.5, 9.0)]
    assert [[each.item.data["plan"] for each in items] for items in found] == [["basic"], ["pro"]]
    assert (await memory.stats()).items == 2


async def test_what_takes_a_place_lasts_as_long_as_what_it_replaced(memory: Memory) -> None:
    old = await memory.remember("the code is 1234", ttl=60)
    new = await memory.supersede(old.id, "the code is 9999")
    assert new.expires_at == pytest.approx(old.expires_at)


async def test_what_a_killed_process_left_open_is_ended_when_it_is_replaced_again(
    memory: Memory,
) -> None:
    ids = [str(uuid.UUID(int=n)) for n in (1, 2)]
    lines: list[dict[str, Any]] = [
        {"id": id, "text": f"in town {n}", "created_at": 1.0, "updated_at": 1.0, "valid_from": n}
        for n, id in enumerate(ids, start=1)
    ]
    lines[1]["supersedes"] = ids[0]
    await memory.import_(lines)
    await memory.supersede(ids[0], "in town 2")
    assert [each.item.text for each in (await memory.recall("town")).items] == ["in town 2"]


async def test_facts_of_one_batch_replace_each_other(memory: Memory) -> None:
    cities = [NewItem(f"city {n}", key="city", at=float(n)) for n in range(20)]
    await memory.remember_many(cities)
    [held] = (await memory.recall("city", key="city", as_of=12.5)).items
    assert held.item.text == "city 12"


async def test_nobody_replaces_what_another_tenant_remembers(memory: Memory) -> None:
    ours, theirs = memory.within(Scope(tenant="a")), memory.within(Scope(tenant="b"))
    secret = await ours.remember("the door code is 4711")
    with pytest.raises(MemoryFault) as caught:
        await theirs.remember("there is no code", supersedes=secret.id)
    assert caught.value.code == "item_unknown"
    held = await ours.get(secret.id)
    assert held is not None
    assert held.valid_to is None


async def test_words_are_enough_while_the_embedder_is_away(tmp_path: Path) -> None:
    async with Memory(tmp_path, embedder=AwayEmbedder()) as memory:
        item = await memory.remember("the invoice was paid")
        found = await memory.recall("invoice")
        assert [each.item.id for each in found.items] == [item.id]
        assert found.degraded is None
        assert (await memory.stats()).dense_pending == 1


@pytest.mark.parametrize(
    "wrong",
    [{"subject": 3}, {"key": " "}, {"at": 1e18}, {"at": math.nan}, {"importance": math.nan}],
    ids=str,
)
async def test_what_cannot_be_meant_is_refused(memory: Memory, wrong: dict[str, Any]) -> None:
    with pytest.raises(MemoryFault) as caught:
        await memory.remember("a fact", **wrong)
    assert caught.value.code == "item_invalid"
    assert (await memory.stats()).items == 0


async def test_a_query_is_a_text(memory: Memory) -> None:
    nothing: Any = None
    with pytest.raises(MemoryFault) as caught:
        await memory.recall(nothing)
    assert caught.value.code == "query_invalid"


async def test_a_purge_drops_the_vectors_that_were_kept(memory: Memory, tmp_path: Path) -> None:
    item = await memory.remember("a secret")
    kept = tmp_path / "vectors.db"
    kept.write_bytes(b"vectors")
    await memory.forget(ids=[item.id], purge=True)
    assert not kept.exists()
