"""A memory on a server: the same memory, and an outage that loses nothing."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from stretto.errors import MemoryFault
from stretto.memory.item import Scope, Source
from stretto.memory.recollection import Memory, NewItem, RunMemory, Turn
from stretto.memory.recollection.drafts import draft
from tests.fakes.embedders import WordEmbedder
from tests.fakes.qdrant_server import QdrantServer, qdrant_server


class Gated(WordEmbedder):
    """Answers when it is let, and counts who asks."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()
        self.may.set()
        self.asked = 0

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        if not self.may.is_set():
            self.asked += 1
        assert self.may.wait(60)
        return super().embed(texts)


@pytest.fixture
def server() -> Iterator[QdrantServer]:
    with qdrant_server() as running:
        yield running


async def answering(memory: Memory) -> None:
    """Wait until a memory that left its server alone for a moment asks it again."""
    async with asyncio.timeout(30):
        while (await memory.recall("anything")).degraded is not None:
            await asyncio.sleep(0.02)


async def test_a_server_remembers_what_a_folder_does(server: QdrantServer, tmp_path: Path) -> None:
    found: list[list[tuple[str, float]]] = []
    for url in (None, server.url):
        folder = tmp_path / str(url is None)
        async with Memory(folder, url=url, embedder=WordEmbedder()) as memory:
            await memory.remember("ann lives in oslo", key="town", at=1.0)
            await memory.remember("ann lives in bergen", key="town", at=2.0)
            turns = [Turn("ann", f"the {word} is red", 5.0) for word in ("boat", "car", "door")]
            await memory.remember_conversation(turns, id="c")
            await memory.remember_run(RunMemory("r1", "paint", output="A red door", at=9.0))
            hits = (await memory.recall("where is the red door of ann", k=9)).items
            found.append([(each.item.text, round(each.score, 4)) for each in hits])
            assert (await memory.forget(run="r1")).count == 1
    assert found[0] == found[1]
    assert len(found[0]) == 5


async def test_an_outage_loses_nothing_and_ends_in_order(
    server: QdrantServer, tmp_path: Path
) -> None:
    told: list[str] = []
    scope = Scope(user="ann")
    async with Memory(tmp_path / "one", url=server.url) as memory:
        await memory.remember("ann lives in oslo", key="town", at=1.0, scope=scope)
        await memory.remember("ann likes tea", scope=scope)
        server.stop()
        try:
            view = memory.within(scope, on_degraded=told.append)
            assert (await view.recall("where does ann live")).degraded is not None
            assert server.url in told[0]
            await view.remember("ann lives in bergen", key="town", at=2.0)
            await view.remember("ann likes tea")
            await view.remember_conversation([Turn("ann", "my boots are yellow")], id="c")
            await view.remember_run(RunMemory("r1", "shoes", output="Boots were ordered"))
        finally:
            server.start()
        await answering(memory)
        await view.remember("ann has a dog")
        now = await view.recall("where does ann live, tea, dog, boots", k=20)
    assert sorted(each.item.text.splitlines()[0] for each in now.items) == [
        "Run of shoes: completed.",
        "ann has a dog",
        "ann likes tea",
        "ann lives in bergen",
        "my boots are yellow",
    ]
    [tea] = [each.item for each in now.items if "tea" in each.item.text]
    assert tea.seen_count == 2


async def test_what_waited_goes_before_what_was_said_again_later(
    server: QdrantServer, tmp_path: Path
) -> None:
    async with Memory(tmp_path / "one", url=server.url, embedder=WordEmbedder()) as memory:
        for at in (1.0, 5.0):
            await memory.remember("ann lives in oslo", key="town", at=at)
        server.stop()
        try:
            await memory.remember("ann lives in bergen", key="town", at=3.0)
        finally:
            server.start()
        await answering(memory)
        await memory.remember("ann has a dog")
        asked = [await memory.recall("ann lives", key="town", as_of=at) for at in (2, 4, 6)]
        towns = [[each.item.text.split()[-1] for each in found.items] for found in asked]
        assert towns == [["oslo"], ["bergen"], ["oslo"]]
        assert (await memory.stats()).dense_pending == 0


async def test_a_process_that_begins_in_an_outage_loses_nothing_either(
    server: QdrantServer, tmp_path: Path
) -> None:
    server.stop()
    try:
        async with Memory(tmp_path / "one", url=server.url) as memory:
            await memory.remember("the answer is 42", key="answer", at=1.0)
            with pytest.raises(MemoryFault) as fault:
                await memory.forget(subject="x")
            assert fault.value.code == "memory_unreachable"
    finally:
        server.start()
    async with Memory(tmp_path / "one", url=server.url) as memory:
        await memory.remember("the answer is 43", key="answer", at=2.0)
        found = await memory.recall("answer")
        assert [each.item.text for each in found.items] == ["the answer is 43"]
        before = await memory.recall("answer", as_of=1.5)
        assert [each.item.text for each in before.items] == ["the answer is 42"]


async def test_what_waited_is_put_in_its_place_once_and_not_after_it_was_forgotten(
    server: QdrantServer, tmp_path: Path
) -> None:
    embedder = Gated()
    async with Memory(tmp_path / "one", url=server.url, embedder=embedder) as memory:
        await memory.remember("the sky is blue")
        server.stop()
        try:
            kept, gone = await memory.remember_many([NewItem("tea is hot"), NewItem("ice is cold")])
        finally:
            server.start()
        await answering(memory)
        embedder.may.clear()
        writes = [asyncio.create_task(memory.remember(f"thing {n}")) for n in range(4)]
        try:
            async with asyncio.timeout(60):
                while embedder.asked < 2:
                    await asyncio.sleep(0.01)
            assert (await memory.forget(ids=[gone.id])).count == 1
        finally:
            embedder.may.set()
        await asyncio.gather(*writes)
        held = [await memory.get(id) for id in (kept.id, gone.id)]
        assert held[0] is not None
        assert (held[0].seen_count, held[1]) == (1, None)


async def test_what_waited_to_replace_something_forgotten_is_kept(
    server: QdrantServer, tmp_path: Path
) -> None:
    async with Memory(tmp_path / "one", url=server.url) as memory:
        lost = "00000000-0000-4000-8000-000000000000"
        new = NewItem("ann lives in bergen", supersedes=lost)
        await memory.stats()
        server.stop()
        try:  # as when the server goes away after it was asked for what is replaced
            await memory._core.write([draft(new, Scope(), Source(), time.time())])  # pyright: ignore
        finally:
            server.start()
        await answering(memory)
        await memory.remember("something else")
        found = await memory.recall("bergen")
        assert [each.item.text for each in found.items] == ["ann lives in bergen"]


async def test_a_memory_whose_server_comes_back_empty_begins_anew_with_the_same_embedder(
    server: QdrantServer, tmp_path: Path
) -> None:
    async with Memory(tmp_path, url=server.url, embedder=WordEmbedder()) as memory:
        await memory.remember("ann likes tea")
    async with Memory(tmp_path, url=server.url, embedder=WordEmbedder()) as memory:
        await memory.recall("tea")
        for name in ("stretto_memory-1", "stretto_memory-2"):
            server.collections.drop(name)
        server.collections.aliases.clear()
        assert not (await memory.recall("tea")).items
        await memory.remember("bob likes milk")
        found = await memory.recall("milk")
        assert (found.items[0].item.text, found.degraded) == ("bob likes milk", None)
    async with Memory(tmp_path, url=server.url) as other:
        assert "embedder" in str((await other.recall("milk")).degraded)


async def test_two_processes_that_tell_one_conversation_lose_no_turn(
    server: QdrantServer, tmp_path: Path
) -> None:
    memories = [Memory(tmp_path / name, url=server.url) for name in ("ann", "bo")]
    for memory in memories:
        await memory.stats()
    told: list[str] = []
    for number in range(8):
        turns = [Turn(name, f"{name} says {number}") for name in ("ann", "bo")]
        told += [turn.text for turn in turns]
        await asyncio.gather(
            *(m.remember_conversation([t], id="c") for m, t in zip(memories, turns, strict=True))
        )
    lines = [line async for line in memories[0].export()]
    assert sorted(line["text"] for line in lines if line["kind"] == "message") == sorted(told)
    for memory in memories:
        await memory.close()


async def test_on_error_raise_tells_the_caller(server: QdrantServer, tmp_path: Path) -> None:
    server.stop()
    try:
        async with Memory(tmp_path / "one", url=server.url, on_error="raise") as memory:
            with pytest.raises(MemoryFault, match=server.url):
                await memory.recall("anything")
    finally:
        server.start()
