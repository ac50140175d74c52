"""Conversations: turns in order, and the episode that they make up."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from stretto.memory.backend.protocol import Backend, Engine
from stretto.memory.backend.types import Point
from stretto.memory.item import Kind, MemoryItem, Scope, Source
from stretto.memory.recollection.drafts import id_from
from stretto.memory.recollection.encoding import Dense, Encoder, said
from stretto.memory.recollection.forms import Episode, Turn, check_text, current_time, seconds
from stretto.memory.recollection.ledger import episode_turns

HEAD_CHARACTERS = 400
"""How much of a conversation stands in its episode's own text."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns that are to be remembered, and what they belong to."""

    id: str
    scope: Scope
    source: Source
    turns: Sequence[Turn]
    subject: str | None = None
    at: float | None = None
    """When it took place, for turns that do not say it; in seconds since 1970."""


def episode_id(scope: Scope, name: str | None) -> str:
    """Give the id of a conversation by its name in a scope; a new one has one of its own."""
    return str(uuid.uuid4()) if name is None else id_from("episode", *scope.namespace(), name)


async def add_turns(backend: Backend, encoder: Encoder, given: Conversation) -> Episode:
    """Remember the turns of a conversation that are not known yet.

    A turn with an id is known by it. One without is known when the conversation begins with the
    turns that were given before.

    Args:
        backend: where.
        encoder: makes the vectors.
        given: the turns, all or only those since the last time.

    Raises:
        MemoryFault: a turn cannot be remembered, or the memory cannot be used.

    """
    now = current_time()
    turns = [replace(turn, text=check_text(turn.text)) for turn in given.turns]
    while True:  # until nobody else added turns while the embedder was at work
        known, held = await asyncio.wrap_future(backend.atomic(partial(read_episode, id=given.id)))
        start = _place(known[-1]) + 1 if known else 0
        new = _unknown(turns, known)
        items = [_item(given, turn, place, now) for place, turn in enumerate(new, start)]
        if not items:
            return Episode(given.id, 0, len(known))
        # The last turn gets a neighbour, whose words are a part of it from now on.
        window = [*known[-2:], *items]
        dense = await encoder.meanings([said(item) for item in window])
        whole = episode_item([*known, *items], given.id, held)
        points = await asyncio.to_thread(_encode, encoder, whole, known, items, dense)
        adding = partial(_write, id=given.id, known=known, points=points)
        if await asyncio.wrap_future(backend.atomic(adding)):
            return Episode(given.id, len(items), len(known) + len(items))


def lone_turns(given: Conversation) -> list[MemoryItem]:
    """Make messages of their own of the turns of a conversation.

    Raises:
        MemoryFault: a turn cannot be remembered.

    """
    now = current_time()
    turns = [replace(turn, text=check_text(turn.text)) for turn in given.turns]
    items = [_item(given, turn, place, now) for place, turn in enumerate(turns)]
    return [replace(item, id=str(uuid.uuid4()), episode_id=None, position=None) for item in items]


def _encode(
    encoder: Encoder,
    episode: MemoryItem,
    known: Sequence[MemoryItem],
    items: Sequence[MemoryItem],
    dense: Sequence[Dense],
) -> list[Point]:
    """Make the points of new turns, of the one before them, and of the whole conversation."""
    points = encoder.turns([*known[-2:], *items], dense)
    if len(known) > 1:
        points = points[1:]  # the turn before the last one has both neighbours already
    whole = "\n".join(said(item) for item in (*known, *items))
    return [*points, encoder.episode(episode, whole, own_words=False)]


def _write(engine: Engine, id: str, known: Sequence[MemoryItem], points: Sequence[Point]) -> bool:
    """Write the points as one; False when the conversation is another one by now."""
    if [turn.id for turn in read_episode(engine, id)[0]] != [turn.id for turn in known]:
        return False
    engine.upsert(points)
    return True


def read_episode(engine: Engine, id: str) -> tuple[list[MemoryItem], MemoryItem | None]:
    """Give the turns of a conversation in order, and what stands for the whole, if it is there.

    Turns that somebody else calls a part of it are none.
    """
    turns, found = episode_turns(engine, id), engine.retrieve([id])
    held = MemoryItem.from_payload(found[0].payload) if found else None
    owner = held.scope if held else turns[0].scope if turns else None
    return [turn for turn in turns if turn.scope == owner], held


def episode_item(
    turns: Sequence[MemoryItem], id: str, held: MemoryItem | None = None
) -> MemoryItem:
    """Make the item that stands for a whole conversation.

    Args:
        turns: all of them, in order; at least one.
        id: the episode's.
        held: what stood for it until now: whether it is pinned, say, stays.

    """
    if held is not None:
        kept: dict[str, Any] = {
            "importance": held.importance,
            "pinned": held.pinned,
            "expires_at": held.expires_at,
        }
        return replace(episode_item(turns, id), **kept, seen_count=held.seen_count)
    first, last = turns[0], turns[-1]
    head = "\n".join(said(turn) for turn in turns[:20])
    return replace(
        first,
        id=id,
        kind=Kind.EPISODE,
        text=head if len(head) <= HEAD_CHARACTERS else f"{head[:HEAD_CHARACTERS]}...",
        data={"turns": len(turns)},
        updated_at=last.updated_at,
        source=replace(first.source, author=None, message_id=None),
        episode_id=None,
        position=None,
        seen_count=1,
    )


def _unknown(turns: Sequence[Turn], known: Sequence[MemoryItem]) -> list[Turn]:
    """Give the turns that are new, each once. What was forgotten among the known ones stays so."""
    places = [(_place(item), item) for item in known]
    again = known and all(at < len(turns) and _is(turns[at], item) for at, item in places)
    rest = turns[places[-1][0] + 1 :] if again else turns
    ids = {item.source.message_id for item in known}
    fresh: list[Turn] = []
    for turn in rest:
        if turn.message_id is None or turn.message_id not in ids:
            fresh.append(turn)
            ids.add(turn.message_id)
    return fresh


def _is(turn: Turn, item: MemoryItem) -> bool:
    """Tell whether a turn is the one that is known, by their ids if both have one."""
    name = item.source.message_id
    if turn.message_id is not None and name is not None:
        return turn.message_id == name
    return (turn.author, turn.text) == (item.source.author, item.text)


def _place(turn: MemoryItem) -> int:
    return turn.position or 0


def _item(given: Conversation, turn: Turn, position: int, now: float) -> MemoryItem:
    at = turn.at if turn.at is not None else given.at
    source = replace(given.source, author=turn.author, message_id=turn.message_id)
    return MemoryItem(
        id=id_from("turn", given.id, turn.message_id or f"#{position}"),
        text=turn.text,
        created_at=now,
        updated_at=now,
        scope=given.scope,
        kind=Kind.MESSAGE,
        subject=given.subject,
        source=source,
        valid_from=now if at is None else seconds(at),
        episode_id=given.id,
        position=position,
    )
