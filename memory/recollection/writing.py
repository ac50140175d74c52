"""Writing items: what is known is counted, what is newer takes the place of the older."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from stretto.memory.backend.protocol import Backend, Engine
from stretto.memory.backend.types import Point
from stretto.memory.item import MemoryItem
from stretto.memory.meaning import Dense
from stretto.memory.recollection.encoding import Encoder, said
from stretto.memory.recollection.ledger import Ledger

TOGETHER = 256
"""Items that are written at once."""
FEW = 16
"""Items whose words are made into vectors without leaving the event loop."""


async def write(
    backend: Backend, encoder: Encoder, drafts: Sequence[MemoryItem]
) -> list[MemoryItem]:
    """Remember drafts, each as it turns out to be: new, known, or in the place of another.

    Args:
        backend: where.
        encoder: makes the vectors, before anything is locked.
        drafts: what is to be remembered.

    Returns:
        The items, in the order of the drafts.

    Raises:
        MemoryFault: the memory cannot be used, or a draft takes the place of nothing.

    """
    written: list[MemoryItem] = []
    for start in range(0, len(drafts), TOGETHER):
        page = drafts[start : start + TOGETHER]
        dense = await encoder.meanings([said(draft) for draft in page])
        encode = partial(_encode, encoder, page, dense)
        points = encode() if len(page) <= FEW else await asyncio.to_thread(encode)
        entry = _Entry(encoder, page, {point.id: point for point in points})
        written += await asyncio.wrap_future(backend.atomic(entry.make))
    return written


def _encode(encoder: Encoder, drafts: Sequence[MemoryItem], dense: Sequence[Dense]) -> list[Point]:
    pairs = zip(drafts, dense, strict=True)
    return [encoder.point(draft, vector) for draft, vector in pairs]


class _Entry:
    """Drafts whose vectors are there, on their way into the memory."""

    def __init__(
        self, encoder: Encoder, drafts: Sequence[MemoryItem], points: dict[str, Point]
    ) -> None:
        self._encoder = encoder
        self._drafts = drafts
        self._points = points

    def make(self, engine: Engine) -> list[MemoryItem]:
        """Write them as one."""
        ledger = Ledger(engine, self._drafts)
        taken = [ledger.take(draft).id for draft in self._drafts]
        points = new_points(engine, self._encoder, ledger, self._drafts, self._points)
        if points:
            engine.upsert(points)
        ledger.write_changes()
        return [ledger.items[id] for id in taken]


def new_points(
    engine: Engine,
    encoder: Encoder,
    ledger: Ledger,
    drafts: Iterable[MemoryItem],
    made: Mapping[str, Point],
) -> list[Point]:
    """Give the points of what is new in a ledger.

    Args:
        engine: where the vectors are of what is not new.
        encoder: makes the words of what goes on with something else.
        ledger: has taken the drafts.
        drafts: as they were before.
        made: their points, by their ids.

    """
    as_made = {draft.id: draft for draft in drafts}
    points: list[Point] = []
    for item in ledger.new.values():
        if (origin := ledger.origins.get(item.id)) is not None:
            known = made[origin].dense if origin in made else _dense_of(engine, origin)
            points.append(encoder.point(item, known))
        elif item is as_made.get(item.id):
            points.append(made[item.id])
        else:
            payload = encoder.payload(item, made[item.id].dense)
            points.append(replace(made[item.id], payload=payload))
    return points


def _dense_of(engine: Engine, id: str) -> Dense:
    [record] = engine.retrieve([id], with_vectors=True)
    return record.vectors.dense if record.vectors else None
