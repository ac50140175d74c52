"""Vectors fit each other, or the memory says what to do; those that are missing are made later."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from stretto.errors import MemoryFault
from stretto.memory.recollection import Memory, NewItem, RunMemory, Turn
from tests.fakes.embedders import WordEmbedder
from tests.memory.recollection.vectors import Same, Slow, dense

TALK = [Turn("ann", "my boots are yellow"), Turn("bot", "where from"), Turn("ann", "bergen")]
ROOT = Path(__file__).parents[3]
KILLED = """
import asyncio, os, signal, sys
from stretto.memory.recollection import Memory
from tests.fakes.embedders import WordEmbedder

class Fatal(WordEmbedder):
    calls = 0
    def embed(self, texts):
        self.calls += 1
        if self.calls == 3:  # the first asks whether it answers at all
            os.kill(os.getpid(), signal.SIGKILL)
        return super().embed(texts)

async def reindex():
    async with Memory(sys.argv[1]) as memory:
        await memory.reindex(Fatal())

asyncio.run(reindex())
"""


class WrongEmbedder(WordEmbedder):
    """Answers the question whether it answers, and nothing after that."""

    def __init__(self) -> None:
        super().__init__()
        self.fingerprint = "wrong"
        self.calls = 0

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.calls += 1
        if self.calls > 1:
            raise MemoryFault("it is away", code="embedder_failed")
        return super().embed(texts)


async def fill(memory: Memory) -> None:
    await memory.remember("a bicycle in the rain")
    await memory.remember_conversation(TALK, id="c")
    await memory.remember_run(RunMemory("r", "w", {}, {"step": "two tyres"}, "fixed", at=5.0))
    await memory.store.aput(("notes",), "n", {"text": "a saddle of leather"})


@pytest.mark.parametrize("first", [None, WordEmbedder(8)], ids=["words", "other"])
async def test_a_reindexed_memory_is_as_one_that_was_always_so(
    tmp_path: Path, first: WordEmbedder | None
) -> None:
    async with Memory(tmp_path / "changed", embedder=first) as memory:
        await fill(memory)
        assert await memory.reindex(WordEmbedder()) == 7
        found = await memory.store.asearch(("notes",), query="leather saddle")
        assert [item.key for item in found] == ["n"]
    async with Memory(tmp_path / "always", embedder=WordEmbedder()) as memory:
        await fill(memory)
    assert await dense(tmp_path / "changed") == await dense(tmp_path / "always")


@pytest.mark.parametrize(
    ("changed", "told"),
    [({"embedder": WordEmbedder(8)}, "embedder"), ({"language": "german"}, "language")],
    ids=["embedder", "language"],
)
async def test_what_made_the_vectors_is_not_changed_silently(
    tmp_path: Path, changed: dict[str, Any], told: str
) -> None:
    async with Memory(tmp_path, embedder=WordEmbedder()) as memory:
        await memory.remember("the boats of the harbour")
    given: dict[str, Any] = {"embedder": WordEmbedder(), **changed}
    async with Memory(tmp_path, **given) as memory:
        for call in (memory.remember("a text"), memory.store.aget(("a",), "b")):
            with pytest.raises(MemoryFault, match=f"made with {told}.*stretto memory reindex") as f:
                await call
            assert f.value.code == "embedder_mismatch"
        assert "stretto memory reindex" in ((await memory.recall("boats")).degraded or "")
        assert await memory.reindex() == 1
        assert [e.item.text for e in (await memory.recall("boats")).items] == [
            "the boats of the harbour"
        ]


async def test_a_reindex_that_was_killed_is_found_out_and_done_again(tmp_path: Path) -> None:
    async with Memory(tmp_path) as memory:
        await memory.remember_many(NewItem(f"thing number {number}") for number in range(600))
    killed = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", KILLED, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    async with Memory(tmp_path, embedder=WordEmbedder(), on_error="raise") as memory:
        with pytest.raises(MemoryFault, match="only partly made; run") as fault:
            await memory.recall("thing")
        assert fault.value.code == "embedder_mismatch"
        assert await memory.reindex() == 600
        assert (await memory.stats()).dense_pending == 0
        assert len((await memory.recall("number", k=600)).items) == 600


async def test_an_embedder_that_does_not_answer_changes_nothing(tmp_path: Path) -> None:
    away = WordEmbedder(8)
    away.away = True
    async with Memory(tmp_path, embedder=WordEmbedder()) as memory:
        await memory.remember("a bicycle")
        with pytest.raises(MemoryFault, match="is away"):
            await memory.reindex(away)
        await memory.remember("a boat")
        assert (await memory.stats()).dense_pending == 0
        assert len((await memory.recall("bicycle boat")).items) == 2


async def test_an_embedder_that_stops_halfway_mixes_nothing(tmp_path: Path) -> None:
    async with Memory(tmp_path, embedder=WordEmbedder()) as memory:
        await memory.remember("a bicycle")
        with pytest.raises(MemoryFault, match="is away"):
            await memory.reindex(WrongEmbedder())
        with pytest.raises(MemoryFault, match="only partly made"):
            await memory.remember("a boat")
        assert await memory.reindex() == 1
        await memory.remember("a boat")
        assert (await memory.stats()).dense_pending == 0


async def test_what_has_no_vector_yet_gets_it_when_the_embedder_is_back(tmp_path: Path) -> None:
    embedder = WordEmbedder()
    embedder.away = True
    async with Memory(tmp_path / "late", embedder=embedder) as memory:
        await memory.remember("a bicycle in the rain")
        await memory.remember_conversation(TALK, id="c")
        await memory.remember_run(RunMemory("r", "w", {}, {"step": "two tyres"}, "fixed", at=5.0))
        assert len((await memory.recall("bicycle")).items) == 1
        assert (await memory.stats()).dense_pending > 0
    embedder.away = False
    async with Memory(tmp_path / "late", embedder=embedder) as memory:
        assert await memory.sweep() == 0
        assert (await memory.stats()).dense_pending == 0
    async with Memory(tmp_path / "always", embedder=WordEmbedder()) as memory:
        await memory.remember("a bicycle in the rain")
        await memory.remember_conversation(TALK, id="c")
        await memory.remember_run(RunMemory("r", "w", {}, {"step": "two tyres"}, "fixed", at=5.0))
    assert await dense(tmp_path / "late") == await dense(tmp_path / "always")


class Nameless(WordEmbedder):
    """Cannot say who it is, as a service that is away."""

    asked = 0

    @property
    def fingerprint(self) -> str:
        self.asked += 1
        raise MemoryFault("it is away", code="embedder_failed")

    @fingerprint.setter
    def fingerprint(self, value: str) -> None:
        """Leave it unsaid."""


async def test_an_embedder_that_is_away_is_asked_once_and_then_left_alone(tmp_path: Path) -> None:
    embedder = Nameless()
    async with Memory(tmp_path, embedder=embedder) as memory:
        for number in range(3):
            await memory.remember(f"boat {number}")
            await memory.store.aput(("boats",), f"{number}", {"text": "a boat"})
            assert len((await memory.recall("boat")).items) == number + 1
    assert embedder.asked == 1


async def test_a_turn_of_nobodys_conversation_does_not_keep_others_from_their_vectors(
    tmp_path: Path,
) -> None:
    embedder = WordEmbedder()
    embedder.away = True
    async with Memory(tmp_path, embedder=embedder) as memory:
        fact = await memory.remember("a bicycle in the rain")
        turn = {"id": "00000000-0000-4000-8000-000000000000", "text": "a turn", "kind": "message"}
        times = {"created_at": 1.0, "updated_at": 1.0}
        await memory.import_([{**turn, **times, "episode_id": fact.id, "position": 0}])
    embedder.away = False
    async with Memory(tmp_path, embedder=embedder) as memory:
        await memory.sweep()
        assert (await memory.stats()).dense_pending == 0


async def test_what_was_being_remembered_meanwhile_gets_the_new_vectors(tmp_path: Path) -> None:
    slow = Slow()
    async with Memory(tmp_path, embedder=slow) as memory:
        await memory.remember("a bicycle")
        slow.hold()
        writing = asyncio.create_task(memory.remember("a boat"))
        try:
            assert await asyncio.to_thread(slow.asked.wait, 60)
            await memory.reindex(Same())
        finally:
            slow.may.set()
        await writing
        await memory.sweep()
        assert (await memory.stats()).dense_pending == 0
    vectors = await dense(tmp_path)
    assert vectors["a boat"] == vectors["a bicycle"] == [1.0] + [0.0] * 15
