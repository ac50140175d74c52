"""Many at once, and processes that end in the middle: nothing is lost, nothing is told twice."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stretto.errors import MemoryFault
from stretto.memory.item import Scope
from stretto.memory.recollection import Memory, NewItem, Turn
from tests.fakes.embedders import WordEmbedder
from tests.fakes.holding import held

WRITER = """
import asyncio, sys
from stretto.memory.recollection import Memory, NewItem, Turn

async def write():
    async with Memory(sys.argv[1]) as memory:
        for batch in range(1000):
            await memory.remember_many(
                NewItem(f"thing {n} of batch {batch}", key="last" if n == 0 else None)
                for n in range(300)
            )
            await memory.remember_conversation([Turn("ann", f"turn {batch}")], id="c")
            print(batch, flush=True)

asyncio.run(write())
"""


@pytest.mark.parametrize("batches", [1, 3])
def test_what_was_acknowledged_outlives_a_kill(tmp_path: Path, batches: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        for batch in range(batches):
            assert writer.stdout.readline() == f"{batch}\n"
        os.kill(writer.pid, signal.SIGKILL)
        more = len(writer.stdout.readlines())

    async def check() -> None:
        async with Memory(tmp_path) as memory:
            texts = {line["text"] async for line in memory.export()}
            for batch in range(batches + more):
                assert {f"thing {n} of batch {batch}" for n in range(300)} <= texts
                assert f"turn {batch}" in texts
            await memory.remember("the last thing", key="last")
            now = await memory.recall("thing batch last", key="last", k=20)
            assert [each.item.text for each in now.items] == ["the last thing"]
            again = await memory.remember_conversation([Turn("ann", "the end")], id="c")
            assert again.added == 1

    asyncio.run(check())


async def test_fifty_that_recall_at_once_find_each_their_own(tmp_path: Path) -> None:
    async with Memory(tmp_path, embedder=WordEmbedder()) as memory:
        await memory.remember_many(
            NewItem(f"the {n}th parcel is in hall{n % 50}", scope=Scope(user=str(n % 50)))
            for n in range(3000)
        )
        asked = (
            memory.recall(f"which parcels are in hall{n}", scope=Scope(user=str(n)), k=5)
            for n in range(50)
        )
        for n, found in enumerate(await asyncio.gather(*asked)):
            assert found.degraded is None
            assert len(found.items) == 5
            assert {each.item.scope.user for each in found.items} == {str(n)}


async def test_fifty_that_remember_the_same_at_once_remember_it_once(tmp_path: Path) -> None:
    async with Memory(tmp_path, embedder=WordEmbedder()) as memory:
        items = await asyncio.gather(*(memory.remember("tea is hot") for _ in range(50)))
        assert sorted(item.seen_count for item in items) == [*range(1, 51)]
        assert (await memory.stats()).items == 1


async def test_of_many_that_replace_the_same_at_once_one_holds(memory: Memory) -> None:
    old = await memory.remember("in town 0", at=0.0)
    times = [float(n * 7 % 20 + 1) for n in range(20)]
    await asyncio.gather(*(memory.supersede(old.id, f"in town {at:g}", at=at) for at in times))
    for moment in (0.5, *sorted(times), None):
        found = await memory.recall("town", as_of=moment)
        town = 20 if moment is None else int(moment)
        assert [each.item.text for each in found.items] == [f"in town {town}"]


async def test_who_is_cancelled_leaves_a_memory_that_works(tmp_path: Path) -> None:
    async with Memory(tmp_path, embedder=WordEmbedder()) as memory:
        for delay in range(6):
            many = [NewItem(f"thing {delay} {n}") for n in range(600)]
            writing = asyncio.create_task(memory.remember_many(many))
            for _ in range(delay):
                await asyncio.sleep(0)
            writing.cancel()
            await asyncio.wait([writing])
            assert len(await memory.remember_many(many)) == 600
        assert (await memory.stats()).items == 3600


async def test_each_view_is_told_once_that_another_process_has_the_memory(tmp_path: Path) -> None:
    with held(tmp_path) as other:
        told: list[list[str]] = [[], []]
        async with Memory(tmp_path) as memory:
            views = [memory.within(Scope(user="ann"), on_degraded=each.append) for each in told]
            for view in views * 3:
                found = await view.recall("tea")
                assert found.degraded is not None
                with pytest.raises(MemoryFault) as fault:
                    await view.remember("tea")
                assert fault.value.code == "memory_locked"
    assert [len(each) for each in told] == [1, 1]
    assert all(str(other) in each[0] for each in told)


async def test_many_that_open_a_memory_at_once_all_find_it(tmp_path: Path) -> None:
    async with Memory(tmp_path, embedder=WordEmbedder()) as memory:
        turns = [[Turn("ann", f"turn {n}")] for n in range(20)]
        await asyncio.gather(
            *(memory.remember(f"fact {n}") for n in range(20)),
            *(memory.remember_conversation(turn, id=str(n)) for n, turn in enumerate(turns)),
        )
        assert (await memory.stats()).kinds == {"fact": 20, "message": 20, "episode": 20}
        assert (await memory.stats()).dense_pending == 0
