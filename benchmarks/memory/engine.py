"""The embedded engine behind the backend: how fast it searches, writes and opens, and its size."""

import asyncio
import random
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.memory.figures import Figure, timed
from benchmarks.memory.stalls import stalls, watched
from stretto.memory.backend.edge import EdgeBackend
from stretto.memory.backend.protocol import Backend
from stretto.memory.backend.types import Filter, Match, Point, Query, Sparse

DIMS = 384
TERMS = 20_000
TENANTS = 50
SEARCHES = 400
PUTS = 1_000
NODES, TURNS = 50, 20
PIECE = 1_000
LIMITS: dict[int, dict[str, float]] = {
    10_000: {"lexical p50": 0.5, "lexical p95": 3, "hybrid p50": 1, "hybrid p95": 4},
    100_000: {"hybrid p50": 6, "hybrid p95": 15},
}


def measure(folder: Path, size: int) -> list[Figure]:
    """Measure one memory of ``size`` items, 384 dimensions each, with sparse vectors."""
    random.seed(size)
    backend = EdgeBackend(folder, DIMS)
    backend.count(None).result()
    limits, name = LIMITS.get(size, {}), f"engine, {size:,} items"
    figures = [Figure(name, "bulk, items per second", _fill(backend, size), 3_000, "≥")]
    # This first: it waits for the flush that the last writes set off.
    whole = backend.stats().result().bytes_on_disk or 0
    log = sum(path.stat().st_blocks * 512 for path in folder.rglob("wal/*"))
    points = whole - log
    figures.append(Figure(name, "bytes on disk per item, log aside", points / size, 3_072))
    figures.append(Figure(name, "MB of log", log / 2**20, 64))
    for kind, query in (("lexical", lexical), ("hybrid", hybrid)):
        seconds = [_searched(backend, query()) for _ in range(SEARCHES)]
        p50, p95 = limits.get(f"{kind} p50"), limits.get(f"{kind} p95")
        figures += timed(f"{name}, {kind} in a tenant", seconds, p50, p95)
    puts = [_written(backend, [point(size + n)]) for n in range(PUTS)]
    figures += timed(f"{name}, put", puts, 0.3, None)
    figures += asyncio.run(_nodes(backend, name))
    backend.close()
    again = EdgeBackend(folder, DIMS)
    figures.append(Figure(name, "s to reopen", _clocked(lambda: again.count(None).result()), 2))
    again.close()
    return figures


def point(number: int) -> Point:
    """Give a point as memory writes them: some words, a tenant of uneven size, a vector."""
    tenant = f"t{_tenant()}"
    payload: dict[str, Any] = {
        "stretto": "item",
        "tenant": tenant,
        "kind": "fact",
        "created_at": float(number),
        "updated_at": float(number),
        "content_hash": f"{number:032x}",
        "text": " ".join(f"word{random.randrange(TERMS)}" for _ in range(25)),
    }
    dense = [random.uniform(-1, 1) for _ in range(DIMS)]
    return Point(str(uuid.UUID(int=number)), payload, sparse(25), dense=dense)


def sparse(terms: int) -> Sparse:
    """Give the vector of a text of ``terms`` words, frequent ones more often."""
    indices = sorted({int(TERMS * random.random() ** 3) for _ in range(terms)})
    return indices, [random.uniform(0.5, 2) for _ in indices]


def lexical() -> list[Query]:
    """Give a search by words in one tenant."""
    return [Query("lex", sparse(5), Filter((Match("tenant", f"t{_tenant()}"),)), 10)]


def hybrid() -> list[Query]:
    """Give a search by words and by vector in one tenant, as one batch."""
    [words] = lexical()
    vector = [random.uniform(-1, 1) for _ in range(DIMS)]
    return [words, Query("dense", vector, words.filter, 10)]


def _tenant() -> int:
    return int(TENANTS * random.random() ** 2)


def _fill(backend: Backend, size: int) -> float:
    seconds = 0.0
    for start in range(0, size, PIECE):
        points = [point(n) for n in range(start, min(start + PIECE, size))]
        seconds += _written(backend, points)
    return size / seconds


def _written(backend: Backend, points: list[Point]) -> float:
    return _clocked(lambda: backend.upsert(points).result())


def _searched(backend: Backend, queries: list[Query]) -> float:
    return _clocked(lambda: backend.query(queries).result())


def _clocked(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


async def _nodes(backend: Backend, name: str) -> list[Figure]:
    """Let 50 nodes put and search at once, and see how late the event loop gets."""
    work = [[_turn(node) for _ in range(TURNS)] for node in range(NODES)]
    async with watched() as late:
        lost = sum(await asyncio.gather(*(_node(backend, turns) for turns in work)))
    case = f"{name}, {NODES} nodes put and search"
    return [Figure(case, "lost", lost, 0), *stalls(case, late)]


async def _node(backend: Backend, turns: list[tuple[Point, list[Query]]]) -> int:
    lost = 0
    for written, queries in turns:
        await asyncio.wrap_future(backend.upsert([written]))
        [found, _] = await asyncio.wrap_future(backend.query(queries))
        lost += written.id not in {record.id for record in found}
    return lost


def _turn(node: int) -> tuple[Point, list[Query]]:
    """Give what a node puts, and the searches that must find it."""
    made = point(0)
    payload = {**made.payload, "run_id": f"node{node}"}
    written = Point(str(uuid.uuid4()), payload, made.lex, dense=made.dense)
    mine = Filter((Match("run_id", f"node{node}"),))
    return written, [Query("lex", made.lex or ([], []), mine, TURNS), *lexical()]
