"""The store of a memory: LangGraph's values live by the same rules as what is remembered."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from langgraph.store.base import BaseStore

from stretto.errors import MemoryFault
from stretto.memory.recollection import Memory
from tests.fakes.embedders import WordEmbedder
from tests.memory.recollection.vectors import Same, Slow, dense

NOTES = ("notes",)


class Forgetful(WordEmbedder):
    """Gives a vector too few."""

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return super().embed(texts)[1:]


async def fill(store: BaseStore) -> None:
    await store.aput(NOTES, "one", {"text": "a saddle of leather"})
    await store.aput(NOTES, "several", {"a": "two tyres", "b": "a bell"}, index=["a", "b"])
    await store.aput(NOTES, "none", {"text": "a lamp"}, index=False)


async def test_a_value_that_has_expired_is_not_given_and_does_not_live_on(tmp_path: Path) -> None:
    with time_machine.travel(datetime(2026, 5, 4, 12, tzinfo=UTC), tick=True) as clock:
        async with Memory(tmp_path) as memory:
            store = memory.store
            await store.aput(NOTES, "code", {"text": "123456"}, ttl=10)
            clock.shift(timedelta(minutes=6))
            assert await store.aget(NOTES, "code") is not None
            clock.shift(timedelta(minutes=6))
            assert len(await store.asearch(NOTES, query="123456")) == 1
            clock.shift(timedelta(minutes=11))
            for _ in range(2):
                assert await store.aget(NOTES, "code") is None
                assert await store.asearch(NOTES) == []
                assert await store.asearch(NOTES, query="123456") == []
                assert await store.alist_namespaces() == []
            assert await memory.sweep() == 1
            assert (await memory.stats()).values == 0


async def test_words_go_on_alone_while_the_embedder_is_away(tmp_path: Path) -> None:
    embedder = WordEmbedder()
    async with Memory(tmp_path / "away", embedder=embedder) as memory:
        await memory.store.aput(NOTES, "before", {"text": "leather boots"})
        embedder.away = True
        await fill(memory.store)
        found = await memory.store.asearch(NOTES, query="leather saddle")
        assert (await memory.stats()).dense_pending == 3
    async with Memory(tmp_path / "words") as memory:
        await memory.store.aput(NOTES, "before", {"text": "leather boots"})
        await fill(memory.store)
        expected = await memory.store.asearch(NOTES, query="leather saddle")
    assert [item.key for item in found] == ["one", "before", "several", "none"]
    assert [item.score for item in found] == [item.score for item in expected]


@pytest.mark.parametrize("by", ["sweep", "reindex"])
async def test_values_put_meanwhile_get_their_vectors_later(tmp_path: Path, by: str) -> None:
    embedder = WordEmbedder()
    embedder.away = True
    async with Memory(tmp_path / "late", embedder=embedder) as memory:
        await fill(memory.store)
        assert await memory.sweep() == 0
        assert (await memory.stats()).dense_pending == 3
    embedder.away = False
    async with Memory(tmp_path / "late", embedder=embedder) as memory:
        await (memory.sweep() if by == "sweep" else memory.reindex())
        assert (await memory.stats()).dense_pending == 0
        assert len(await memory.store.asearch(NOTES)) == 3
    async with Memory(tmp_path / "always", embedder=WordEmbedder()) as memory:
        await fill(memory.store)
    vectors = await dense(tmp_path / "late")
    assert vectors == await dense(tmp_path / "always")
    assert sum(vector is not None for vector in vectors.values()) == 3


async def test_a_value_put_anew_waits_for_nothing(tmp_path: Path) -> None:
    embedder = WordEmbedder()
    embedder.away = True
    async with Memory(tmp_path, embedder=embedder) as memory:
        await fill(memory.store)
    embedder.away = False
    async with Memory(tmp_path, embedder=embedder) as memory:
        await memory.store.aput(NOTES, "several", {"a": "two tyres", "b": "a bell"}, index=["b"])
        await memory.store.adelete(NOTES, "one")
        assert (await memory.stats()).dense_pending == 0


async def test_an_embedder_that_gives_too_few_vectors_is_named(tmp_path: Path) -> None:
    async with Memory(tmp_path, embedder=Forgetful()) as memory:
        store = memory.store
        for call in (memory.remember("tea"), store.aput(NOTES, "k", {"text": "tea"})):
            with pytest.raises(MemoryFault, match="'words-16' gave 0 vectors for 1 texts") as fault:
                await call
            assert fault.value.code == "vector_invalid"
        with pytest.raises(MemoryFault, match="gave 0 vectors"):
            await store.asearch(NOTES, query="tea")


@pytest.mark.parametrize("first", [None, WordEmbedder()], ids=["words", "other"])
@pytest.mark.parametrize("then", [Same(), WordEmbedder(8)], ids=["as long", "shorter"])
async def test_a_store_that_somebody_holds_goes_on_with_the_new_embedder(
    tmp_path: Path, first: WordEmbedder | None, then: WordEmbedder
) -> None:
    async with Memory(tmp_path / "changed", embedder=first) as memory:
        held = memory.store
        await held.aput(NOTES, "before", {"text": "a red door"})
        await memory.reindex(then)
        await fill(held)
        held.put(NOTES, "blocking", {"text": "a blue door"})
        found = await held.asearch(NOTES, query="red door")
        assert memory.store is held
    async with Memory(tmp_path / "always", embedder=then) as memory:
        await memory.store.aput(NOTES, "before", {"text": "a red door"})
        await fill(memory.store)
        memory.store.put(NOTES, "blocking", {"text": "a blue door"})
        expected = await memory.store.asearch(NOTES, query="red door")
    assert [(i.key, i.score) for i in found] == [(i.key, i.score) for i in expected]
    assert await dense(tmp_path / "changed") == await dense(tmp_path / "always")


@pytest.mark.parametrize("then", [Same(), WordEmbedder(8)], ids=["as long", "shorter"])
async def test_what_was_being_put_and_asked_meanwhile_fits_the_new_vectors(
    tmp_path: Path, then: WordEmbedder
) -> None:
    slow = Slow()
    async with Memory(tmp_path / "changed", embedder=slow) as memory:
        await memory.store.aput(NOTES, "before", {"text": "a boat"})
        slow.hold()
        putting = asyncio.create_task(memory.store.aput(NOTES, "meanwhile", {"text": "a red boat"}))
        asking = asyncio.create_task(memory.store.asearch(NOTES, query="boat"))
        try:
            assert await asyncio.to_thread(slow.asked.wait, 60)
            await memory.reindex(then)
        finally:
            slow.may.set()
        await putting
        assert (await asking)[0].key in ("before", "meanwhile")
        assert (await memory.stats()).dense_pending == 1
        await memory.sweep()
        assert (await memory.stats()).dense_pending == 0
    async with Memory(tmp_path / "always", embedder=then) as memory:
        await memory.store.aput(NOTES, "before", {"text": "a boat"})
        await memory.store.aput(NOTES, "meanwhile", {"text": "a red boat"})
    assert await dense(tmp_path / "changed") == await dense(tmp_path / "always")
