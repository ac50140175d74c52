"""``Memory`` as an application uses it: how fast it recalls and remembers, and what that takes."""

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import median
from typing import TypeAlias

from benchmarks.memory.figures import Figure, timed
from benchmarks.memory.stalls import stalls, watched
from stretto.memory.item import Scope
from stretto.memory.lexical import LexicalEncoder
from stretto.memory.recollection import Memory, NewItem, Turn
from stretto.memory.recollection.encoding import Encoder

DIMS = 384
TERMS, ASKED = 20_000, 5
TENANTS = 50
LARGEST = "t0"
"""The tenant that has 27% of everything."""
ASKING = (
    ("recall", 0, None),
    ("recall in the largest tenant", 0, LARGEST),
    ("recall with neighbours", 1, None),
)
"""What is asked, with how many neighbours, in which tenant; None is any, the large ones often."""
TURNS = 20
RECALLS, REMEMBERED = 400, 400
NODES, ROUNDS = 50, 20
IMPORTS = 5
Limits: TypeAlias = tuple[float | None, float | None]
"""Milliseconds at the median and at the 95th percentile."""
LIMITS: dict[tuple[int, str], Limits] = {
    (10_000, "lexical"): (0.5, 3),
    (10_000, "hybrid"): (1, 4),
    (100_000, "hybrid"): (6, 15),
}
"""Without the embedding of the question, which is added to them."""
NO_LIMITS: Limits = (None, None)


class FreeEmbedder:
    """Vectors that cost nothing: what is left is what recall itself costs."""

    name, dims, fingerprint = "free", DIMS, "free"

    def __init__(self) -> None:
        self._vectors = [[random.uniform(-1, 1) for _ in range(DIMS)] for _ in range(997)]

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Give each text one of a few vectors."""
        return [self._vectors[hash(text) % len(self._vectors)] for text in texts]


def measure(folder: Path, size: int) -> list[Figure]:
    """Measure a memory of ``size`` items, half of them facts and half turns of conversations."""
    figures = asyncio.run(_measure(folder / "lexical", size, None))
    return figures + asyncio.run(_measure(folder / "hybrid", size, FreeEmbedder()))


async def _measure(folder: Path, size: int, embedder: FreeEmbedder | None) -> list[Figure]:
    random.seed(size)
    kind = "hybrid" if embedder else "lexical"
    case, limits = f"{size:,} items, {kind}", LIMITS.get((size, kind), NO_LIMITS)
    async with Memory(folder, embedder=embedder, on_error="raise") as memory:
        facts, turns = await _fill(memory, size)
        figures = [
            Figure(case, "remember_many, items per second", facts, 3_000, "≥"),
            Figure(case, "conversations, turns per second", turns),
            Figure(case, "bytes on disk per item, log aside", _bytes(folder) / size, 3_072),
        ]
        if embedder:
            embedding = await _embedding(case, embedder, memory)
            p50, p95 = (
                None if limit is None else limit + each.value
                for limit, each in zip(limits, embedding, strict=False)
            )
            limits, figures = (p50, p95), figures + embedding
        for named, neighbours, tenant in ASKING:

            async def ask(near: int = neighbours, whose: str | None = tenant) -> None:
                scope = Scope(whose or _tenant())
                await memory.recall(_words(ASKED), scope=scope, neighbours=near)

            asked = limits if neighbours == 0 else NO_LIMITS
            figures += await _repeated(f"{case}, {named}", ask, RECALLS, asked)

        async def remember() -> None:
            await memory.remember(_text(), scope=Scope(_tenant()))

        figures += await _repeated(f"{case}, remember", remember, REMEMBERED)
        return figures + await _nodes(memory, case)


async def _embedding(case: str, embedder: FreeEmbedder, memory: Memory) -> list[Figure]:
    """Measure what a question's vector takes, which its embedder makes in another thread.

    That thread sleeps between two recalls, and takes longer to wake the longer it has slept.
    """
    encoder = Encoder(LexicalEncoder(), embedder)

    async def recall() -> None:
        await memory.recall(_words(ASKED), scope=Scope(_tenant()), neighbours=0)

    async def embed() -> None:
        await encoder.meanings([_words(ASKED)])

    return await _repeated(f"{case}, embedding alone", embed, RECALLS, before=recall)


async def _fill(memory: Memory, size: int) -> tuple[float, float]:
    """Remember everything; give facts and turns per second."""
    items = [NewItem(_text(), scope=Scope(_tenant())) for _ in range(size // 2)]
    talks = [_talk() for _ in range(size // 2 // TURNS)]
    begin = time.perf_counter()
    await memory.remember_many(items)
    between = time.perf_counter()
    for talk in talks:
        await memory.remember_conversation(talk, scope=Scope(_tenant()))
    end = time.perf_counter()
    return len(items) / (between - begin), len(talks) * TURNS / (end - between)


def _talk() -> list[Turn]:
    return [Turn(f"user{n % 2}", _text()) for n in range(TURNS)]


def _text() -> str:
    return _words(random.randint(6, 34))


def _words(number: int) -> str:
    """Give words of which few are frequent and most are rare."""
    return " ".join(f"word{int(TERMS * random.random() ** 3)}" for _ in range(number))


def _tenant() -> str:
    return f"t{int(TENANTS * random.random() ** 3)}"


async def _repeated(
    case: str,
    work: Callable[[], Awaitable[None]],
    times: int,
    limits: Limits = NO_LIMITS,
    before: Callable[[], Awaitable[None]] | None = None,
) -> list[Figure]:
    """Do something again and again; give its wall times, and the CPU time of all threads.

    Args:
        case: what it is called.
        work: what is measured.
        times: how often.
        limits: of its wall times.
        before: what is done before each time, and not measured.

    """
    wall: list[float] = []
    cpu: list[float] = []
    for _ in range(times):
        if before is not None:
            await before()
        began, used = time.perf_counter(), time.process_time()
        await work()
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    return [*timed(case, wall, *limits), Figure(case, "ms of CPU, p50", median(cpu) * 1e3)]


async def _nodes(memory: Memory, case: str) -> list[Figure]:
    """Let 50 nodes remember and recall at once, and see how late the event loop gets."""
    case = f"{case}, {NODES} nodes remember and recall"
    async with watched() as late:
        lost = sum(await asyncio.gather(*(_node(memory, number) for number in range(NODES))))
    return [Figure(case, "lost", lost, 0), *stalls(case, late)]


async def _node(memory: Memory, number: int) -> int:
    lost, scope = 0, Scope(tenant="nodes", user=f"u{number}")
    for turn in range(ROUNDS):
        item = await memory.remember(f"mark{turn} {_text()}", scope=scope)
        found = await memory.recall(f"mark{turn}", scope=scope)
        lost += item.id not in {each.item.id for each in found.items}
    return lost


def imports() -> list[Figure]:
    """Give what an import costs in CPU, in processes of their own; the smallest of some."""
    return [
        Figure("import stretto", "ms of CPU", _imported("pass", "import stretto")),
        Figure(
            "import memory after the engine",
            "ms of CPU",
            _imported("from stretto import Engine", "from stretto import Memory"),
            30,
        ),
    ]


def _imported(before: str, statement: str) -> float:
    """Import what is compiled, without the collector: which import sets it off is chance."""
    code = f"{before}\nimport gc, time\ngc.disable()\na = time.process_time()\n{statement}\n"
    code += "print(time.process_time() - a)"
    command = [sys.executable, "-c", code]
    writing = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    runs = (subprocess.check_output(command, env=writing) for _ in range(IMPORTS))
    return min(float(printed) for printed in runs) * 1e3


def _bytes(folder: Path) -> int:
    """Give what the files take on the disk, but for the log, whose size is bounded."""
    files = (Path(at, name) for at, _, names in os.walk(folder) for name in names)
    return sum(path.stat().st_blocks * 512 for path in files if path.parent.name != "wal")
