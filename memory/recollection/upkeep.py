"""What keeps a memory in order: figures, what has expired, vectors made anew."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

from stretto.memory.backend.protocol import Backend, Engine
from stretto.memory.backend.types import Filter, Match, MatchAny, Point, Range, Record
from stretto.memory.item import EVERYTHING, Kind, MemoryItem, Scope
from stretto.memory.marks import UNDER_WAY, Marks
from stretto.memory.meaning import PENDING, Dense
from stretto.memory.recollection.encoding import Encoder
from stretto.memory.recollection.filters import ITEMS, expired, of_scope
from stretto.memory.recollection.forgetting import rewrite_conversation
from stretto.memory.recollection.forms import MemoryStats, current_time
from stretto.memory.recollection.transfer import encode, parts_of

PAGE = 256
VALUES = MatchAny("stretto", ("value", "part"))
ITEMS_AND_VALUES = MatchAny("stretto", ("item", "value", "part"))


async def stats(backend: Backend, encoder: Encoder, scope: Scope) -> MemoryStats:
    """Count what is there of a scope; values and files belong to the memory as a whole."""
    own = of_scope(scope)
    everything = scope == EVERYTHING
    kinds = await asyncio.wrap_future(backend.facet("kind", Filter(own), len(Kind)))
    pending = await asyncio.wrap_future(backend.count(_pending(scope)))
    whole = await asyncio.wrap_future(backend.stats())
    values = backend.count(Filter((Match("stretto", "value"),))) if everything else None
    return MemoryStats(
        items=sum(count for _, count in kinds),
        kinds=dict(kinds),
        values=0 if values is None else await asyncio.wrap_future(values),
        bytes_on_disk=whole.bytes_on_disk if everything else None,
        location=whole.location,
        embedder=encoder.embedder.name if encoder.embedder else None,
        language=encoder.words.language,
        dense_pending=pending,
        spooled=whole.spooled if everything else None,
    )


async def sweep(backend: Backend, encoder: Encoder, scope: Scope) -> int:
    """Delete what has expired of a scope, make its missing vectors; count the deleted."""
    now = current_time()
    swept = [Filter((*of_scope(scope), expired(now)))]
    if scope == EVERYTHING:
        swept.append(Filter((VALUES, Range("expires_at", lte=now))))
    count = sum([await asyncio.wrap_future(backend.delete(each)) for each in swept])
    if encoder.embedder is not None:
        await _make_pending(backend, encoder, scope)
    return count


def _pending(scope: Scope) -> Filter:
    """Give the filter of what waits for its vector of a scope; values are of everybody's."""
    own = (ITEMS_AND_VALUES,) if scope == EVERYTHING else of_scope(scope)
    return Filter((*own, Match(PENDING, 1)))


async def _make_pending(backend: Backend, encoder: Encoder, scope: Scope) -> None:
    while True:
        records, _ = await asyncio.wrap_future(backend.scroll(_pending(scope), PAGE))
        values = [record for record in records if record.payload["stretto"] != "item"]
        others = [record for record in records if record.payload["stretto"] == "item"]
        await _renew(backend, encoder, [MemoryItem.from_payload(each.payload) for each in others])
        await _renew_values(backend, encoder, values)
        if not records or await _still_pending(backend, records):
            return  # there is nothing more, or vectors of meaning still cannot be made


async def _renew(backend: Backend, encoder: Encoder, items: Sequence[MemoryItem]) -> None:
    """Store items with new vectors."""
    for episode in {i.episode_id for i in items if i.kind == Kind.MESSAGE and i.episode_id}:
        await rewrite_conversation(backend, encoder, episode)
    waiting = await _still_pending(backend, items)
    alone = [item for item in items if item.id in waiting]  # also turns that no episode counts
    parts = {e.id: await _parts(backend, e.id) for e in alone if e.kind == Kind.EPISODE}
    await renew(backend, await encode(encoder, alone, parts))


async def _still_pending(backend: Backend, those: Sequence[MemoryItem | Record]) -> set[str]:
    found = await asyncio.wrap_future(backend.retrieve([each.id for each in those]))
    return {record.id for record in found if record.payload.get(PENDING)}


async def _parts(backend: Backend, episode: str) -> list[str]:
    within = Filter((ITEMS, Match("episode_id", episode)))
    records, _ = await asyncio.wrap_future(backend.scroll(within, 10_000))
    items = [MemoryItem.from_payload(record.payload) for record in records]
    return parts_of(items).get(episode, [])


async def reindex(backend: Backend, encoder: Encoder, marks: Marks) -> int:
    """Make all vectors anew, and count the items.

    Args:
        backend: where.
        encoder: makes the vectors from now on.
        marks: how they were made, kept beside them.

    Raises:
        MemoryFault: the memory cannot be used, or the embedder does not answer, or gives what
            cannot be kept. Once some vectors are new, nothing but another attempt is accepted
            until all are.

    """
    encoder = Encoder(encoder.words, encoder.embedder, strict=True)
    await encoder.meanings(["Does the embedder answer?"])  # before anything is changed
    dims = encoder.embedder.dims if encoder.embedder else 0
    under_way = {**marks, UNDER_WAY: True}
    await asyncio.wrap_future(backend.rebuild(_without_meaning, dims, under_way))
    items = await _all_items(backend)
    conversations = {i.episode_id for i in items if i.kind == Kind.MESSAGE and i.episode_id}
    parts, rest = parts_of(items), iter(items)
    while page := list(islice(rest, PAGE)):
        await renew(backend, await encode(encoder, page, parts))
    for episode in conversations:
        await rewrite_conversation(backend, encoder, str(episode))
    await _reindex_values(backend, encoder)
    await asyncio.wrap_future(backend.set_metadata({UNDER_WAY: False}))
    return len(items)


def _without_meaning(point: Point) -> Point:
    return Point(point.id, point.payload, point.lex, point.lex_ep, None)


async def _all_items(backend: Backend) -> list[MemoryItem]:
    return [MemoryItem.from_payload(record.payload) async for record in _records(backend, ITEMS)]


async def _records(backend: Backend, which: Match | MatchAny) -> AsyncIterator[Record]:
    cursor: str | None = None
    while True:
        page = backend.scroll(Filter((which,)), PAGE, cursor)
        records, cursor = await asyncio.wrap_future(page)
        for record in records:
            yield record
        if cursor is None:
            return


async def _reindex_values(backend: Backend, encoder: Encoder) -> None:
    """Encode the values of LangGraph's store, and the parts that hold their vectors, anew."""
    waiting: list[Record] = []
    async for record in _records(backend, VALUES):
        waiting.append(record)
        if len(waiting) >= PAGE:
            await _renew_values(backend, encoder, waiting)
            waiting = []
    await _renew_values(backend, encoder, waiting)


async def _renew_values(backend: Backend, encoder: Encoder, records: Sequence[Record]) -> None:
    texted = [record for record in records if record.payload.get("text")]
    dense = await encoder.meanings([record.payload["text"] for record in texted])
    pairs = zip(texted, dense, strict=True)
    await renew(backend, [_value_point(encoder, record, vector) for record, vector in pairs])


def _value_point(encoder: Encoder, record: Record, dense: Dense) -> Point:
    """Make the point of a value, which has words, or of a part of one, which has none."""
    payload = {name: held for name, held in record.payload.items() if name != PENDING}
    lex = encoder.words.encode(payload["text"]) if payload["stretto"] == "value" else None
    if payload.get("parts"):
        return Point(record.id, payload, lex, None, None)
    waits = encoder.embedder is not None and dense is None
    return Point(record.id, payload | ({PENDING: 1} if waits else {}), lex, None, dense)


async def renew(backend: Backend, points: Sequence[Point]) -> None:
    """Give points new vectors; what was forgotten or changed meanwhile stays so."""
    if points:
        await asyncio.wrap_future(backend.atomic(partial(_renew_points, points)))


def _renew_points(points: Sequence[Point], engine: Engine) -> None:
    held = {each.id: each.payload for each in engine.retrieve([point.id for point in points])}
    there = [point for point in points if point.id in held]
    kept = [
        replace(point, payload=_as_pending(held[point.id], point.payload))
        for point in there
        if held[point.id].get("text") == point.payload.get("text")
    ]
    if kept:
        engine.upsert(kept)


def _as_pending(held: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Give a payload with the mark of another one."""
    kept = {name: value for name, value in held.items() if name != PENDING}
    return {**kept, PENDING: new[PENDING]} if PENDING in new else kept
