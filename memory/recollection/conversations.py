"""Conversations: turns in order, and the episode that they make up."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from stretto.errors import MemoryFault
from stretto.memory.backend.protocol import Backend, Engine
from stretto.memory.backend.types import Point
from stretto.memory.item import Kind, MemoryItem, Scope, Source
from stretto.memory.meaning import Dense
from stretto.memory.recollection.encoding import Encoder, said
from stretto.memory.recollection.episodes import (
    Known,
    episode_item,
    grown,
    message_id,
    read_known,
    turn_id,
)
from stretto.memory.recollection.forms import Episode, Turn, check_text, current_time, seconds


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
    turns = _checked(given.turns)
    names = [turn.message_id for turn in turns]
    reading = partial(read_known, id=given.id, scope=given.scope, names=names)
    while True:  # until nobody else added turns while the embedder was at work
        known = await asyncio.wrap_future(backend.atomic(reading))
        new = _unknown(turns, known)
        items = [_item(given, turn, place, now) for place, turn in enumerate(new, known.next)]
        if not items:
            return Episode(given.id, 0, known.size)
        # The last turn gets a neighbour, whose words are a part of it from now on.
        window = [*known.turns[-2:], *items]
        dense = await encoder.meanings([said(item) for item in window])
        points = await asyncio.to_thread(_encode, encoder, given.id, known, items, dense)
        adding = _Adding(known, names, items, points)
        if await asyncio.wrap_future(backend.atomic(partial(_write, given=given, adding=adding))):
            return Episode(given.id, len(items), known.size + len(items))


def lone_turns(given: Conversation) -> list[MemoryItem]:
    """Make messages of their own of the turns of a conversation.

    Raises:
        MemoryFault: a turn cannot be remembered.

    """
    now = current_time()
    turns = _checked(given.turns)
    items = [_item(given, turn, place, now) for place, turn in enumerate(turns)]
    return [replace(item, id=str(uuid.uuid4()), episode_id=None, position=None) for item in items]


def _checked(turns: Sequence[Turn]) -> list[Turn]:
    """Give turns whose texts can be remembered, or say which cannot."""
    checked: list[Turn] = []
    for number, turn in enumerate(turns, start=1):
        try:
            checked.append(replace(turn, text=check_text(turn.text)))
        except MemoryFault as fault:
            told = f"turn {number} of {len(turns)}: {fault.message}"
            raise MemoryFault(told, code=fault.code) from None
    return checked


@dataclass(frozen=True, slots=True)
class _Adding:
    """Turns on their way into a conversation."""

    known: Known
    names: Sequence[str | None]
    items: Sequence[MemoryItem]
    points: Sequence[Point]


def _encode(
    encoder: Encoder,
    id: str,
    known: Known,
    items: Sequence[MemoryItem],
    dense: Sequence[Dense],
) -> list[Point]:
    """Make the points of new turns, of the one before them, and of all of what is known."""
    points = encoder.turns([*known.turns[-2:], *items], dense)
    if len(known.turns) > 1:
        points = points[1:]  # the turn before the last one has both neighbours already
    if not known.whole:
        return points
    turns = [*known.turns, *items]
    whole = "\n".join(said(turn) for turn in turns)
    return [*points, encoder.episode(episode_item(turns, id, known.held), whole, own_words=False)]


def _write(engine: Engine, given: Conversation, adding: _Adding) -> bool:
    """Write the points as one; False when the conversation is another one by now."""
    known = adding.known
    if not known.is_same(read_known(engine, given.id, given.scope, adding.names)):
        return False
    engine.upsert(adding.points)
    if (whole := grown(known, adding.items)) is not None:
        engine.set_payload([given.id], whole.fields_as_payload(("data", "updated_at")))
    return True


def _unknown(turns: Sequence[Turn], known: Known) -> list[Turn]:
    """Give the turns that are new, each once. What was forgotten among the known ones stays so."""
    places = [(item.position or 0, item) for item in known.turns]
    again = known.whole and all(at < len(turns) and _is(turns[at], item) for at, item in places)
    names = set(known.names)
    fresh: list[Turn] = []
    for turn in turns[known.next :] if again and places else turns:
        if turn.message_id is None or turn.message_id not in names:
            fresh.append(turn)
            names.add(turn.message_id)
    return fresh


def _is(turn: Turn, item: MemoryItem) -> bool:
    """Tell whether a turn is the one that is known, by their ids if both have one."""
    name = item.source.message_id
    if turn.message_id is not None and name is not None:
        return turn.message_id == name
    return (turn.author, turn.text) == (item.source.author, item.text)


def _item(given: Conversation, turn: Turn, position: int, now: float) -> MemoryItem:
    at = turn.at if turn.at is not None else given.at
    source = replace(given.source, author=turn.author, message_id=turn.message_id)
    own = turn.message_id and message_id(given.id, turn.message_id)
    return MemoryItem(
        id=own or turn_id(given.id, position, turn.author, turn.text),
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
