"""What is remembered while a server is away: kept on disk as it is, put in its place later."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from stretto.errors import MemoryFault
from stretto.memory.backend.protocol import Backend, Engine
from stretto.memory.backend.types import Filter, Match, Point
from stretto.memory.item import MemoryItem
from stretto.memory.recollection.encoding import Encoder, said
from stretto.memory.recollection.ledger import DEFERRED, Ledger
from stretto.memory.recollection.writing import new_points

PAGE = 64
AWAY = "memory_unreachable"
"""The code of a server that does not answer."""


def is_away(fault: MemoryFault) -> bool:
    """Tell whether a fault is one that what is written can wait out on disk."""
    return fault.code == AWAY


async def defer(
    backend: Backend, encoder: Encoder, drafts: Sequence[MemoryItem]
) -> list[MemoryItem]:
    """Keep drafts on disk until the server answers again.

    Nobody knows now what is known already or replaced, and by whom vectors of meaning are made;
    ``settle`` sees to that.
    """
    points = [encoder.point(draft) for draft in drafts]
    marked = [replace(point, payload={**point.payload, DEFERRED: 1}) for point in points]
    await asyncio.wrap_future(backend.upsert(marked))
    return list(drafts)


async def settle(backend: Backend, encoder: Encoder) -> None:
    """Treat what was deferred as if it came now: what is known is counted, older facts end."""
    waiting = Filter((Match("stretto", "item"), Match(DEFERRED, 1)))
    while True:
        # As one, which comes after the writes that wait on disk; a read alone would not.
        found = backend.atomic(lambda on: on.scroll(waiting, PAGE))
        records, _ = await asyncio.wrap_future(found)
        if not records:
            return
        items = [MemoryItem.from_payload(record.payload) for record in records]
        dense = await encoder.meanings([said(item) for item in items])
        pairs = zip(items, dense, strict=True)
        points = {item.id: encoder.point(item, vector) for item, vector in pairs}
        await asyncio.wrap_future(backend.atomic(partial(_settle, items, points, encoder)))


def _settle(
    found: Sequence[MemoryItem], points: dict[str, Point], encoder: Encoder, engine: Engine
) -> None:
    # Somebody else may have put some in their place or forgotten them since they were read.
    held = engine.retrieve([item.id for item in found])
    waiting = {record.id for record in held if record.payload.get(DEFERRED)}
    items = sorted((i for i in found if i.id in waiting), key=lambda item: item.created_at)
    replaced = {
        record.id for record in engine.retrieve([i.supersedes for i in items if i.supersedes])
    }
    items = [i if i.supersedes in replaced else replace(i, supersedes=None) for i in items]
    ledger = Ledger(engine, items)
    taken = {item.id: ledger.take(item) for item in items}
    # Under the ids that they were deferred under.
    engine.upsert(new_points(engine, encoder, ledger, found, points))
    ledger.write_changes()
    if known := [id for id, item in taken.items() if item.id != id]:
        engine.delete(known)
