"""What stands for a conversation as a whole, and what is known of its turns."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from stretto.memory.backend.protocol import Engine
from stretto.memory.backend.types import Filter, Range
from stretto.memory.item import Kind, MemoryItem, Scope, Source
from stretto.memory.recollection.drafts import id_from
from stretto.memory.recollection.encoding import said
from stretto.memory.recollection.ledger import episode_turns, list_items, turns_of

HEAD_CHARACTERS = 400
"""How much of a conversation stands in its episode's own text."""
HEAD_TURNS = 20
SHORT = 100
"""Turns up to which all of a conversation is encoded anew whenever it grows."""
REACH = 32
"""How far back the last two turns of a long conversation are looked for."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a conversation."""

    turns: Sequence[MemoryItem]
    """In order: all, or the last two of a long conversation."""
    held: MemoryItem | None
    """What stands for the whole, if it is there."""
    names: Collection[str | None]
    """The ids of messages that are known, or that were forgotten and stay so."""
    whole: bool = True
    """Whether ``turns`` are all."""

    @property
    def size(self) -> int:
        """How many turns there are."""
        return len(self.turns) if self.whole else _number(self.held, "turns")

    @property
    def next(self) -> int:
        """The place of the next turn; that of a forgotten one is not given again."""
        return next_place(self.turns, self.held)

    def is_same(self, other: "Known") -> bool:
        """Tell whether nothing has changed in between."""
        ids = [[turn.id for turn in each.turns] for each in (self, other)]
        data = [each.held and each.held.data for each in (self, other)]
        return ids[0] == ids[1] and data[0] == data[1]


def episode_id(scope: Scope, name: str) -> str:
    """Give the id of a conversation by its name in a scope."""
    return id_from("episode", *scope.namespace(), name)


def message_id(episode: str, name: str) -> str:
    """Give the id of a turn that has one of its own."""
    return id_from("turn", episode, name)


def turn_id(episode: str, place: int, author: str | None, text: str) -> str:
    """Give the id of a turn by its place in the conversation and what was said there.

    Two processes that share a server may give the same place to what each of them was told.
    """
    return id_from("turn", episode, "", str(place), author or "", text)


def read_known(engine: Engine, id: str, scope: Scope, names: Sequence[str | None]) -> Known:
    """Read what has to be known of a conversation before turns are added to it.

    Args:
        engine: where.
        id: the episode's.
        scope: whose the conversation is.
        names: of the turns that were given, the ids of their messages; None for those without.

    """
    ids = {message_id(id, name): name for name in names if name}
    held = _held(engine, id, scope)
    if held is not None and _grows_little(held, len(names)):
        place = next_place((), held)
        last = (*turns_of(id).must, Range("position", gte=place - REACH))
        turns = sorted(list_items(engine, Filter(last)), key=_place)
        if len(turns) > 1 and _place(turns[-1]) < place:
            there: set[str | None] = {ids[each.id] for each in engine.retrieve(tuple(ids))}
            return Known(turns[-2:], held, there | _left_out(held, ids), whole=False)
    turns, held = read_episode(engine, id, scope)
    there = {turn.source.message_id for turn in turns}
    return Known(turns, held, there | _left_out(held, ids))


def read_episode(
    engine: Engine, id: str, owner: Scope | None = None
) -> tuple[list[MemoryItem], MemoryItem | None]:
    """Give the turns of a conversation in order, and what stands for the whole, if it is there.

    Turns that somebody else calls a part of it are none.

    Args:
        engine: where.
        id: the episode's.
        owner: whose it is; whoever's stands for the whole or began it if None.

    """
    turns, held = episode_turns(engine, id), _held(engine, id, owner)
    owner = owner or (held.scope if held else turns[0].scope if turns else None)
    return [turn for turn in turns if turn.scope == owner], held


def grown(known: Known, items: Sequence[MemoryItem]) -> MemoryItem | None:
    """Give what stands for a long conversation with some more turns; None if all is made anew."""
    if known.held is None or known.whole:
        return None
    data: dict[str, Any] = {**known.held.data, "turns": known.size + len(items)}
    data |= {"next": known.next + len(items)} if "next" in data else {}
    return replace(known.held, data=data, updated_at=items[-1].updated_at)


def episode_item(
    turns: Sequence[MemoryItem],
    id: str,
    held: MemoryItem | None = None,
    gone: Sequence[MemoryItem] = (),
) -> MemoryItem:
    """Make the item that stands for a whole conversation.

    Args:
        turns: all of them, in order; at least one.
        id: the episode's.
        held: what stood for it until now: whether it is pinned, say, stays.
        gone: turns that are forgotten now, and not to be added again.

    """
    first, last = turns[0], turns[-1]
    head = "\n".join(said(turn) for turn in turns[:HEAD_TURNS])
    item = replace(
        first,
        id=id,
        kind=Kind.EPISODE,
        text=head if len(head) <= HEAD_CHARACTERS else f"{head[:HEAD_CHARACTERS]}...",
        data=_data(turns, held, gone),
        updated_at=last.updated_at,
        source=replace(first.source, author=None, message_id=None),
        episode_id=None,
        position=None,
        seen_count=1,
    )
    if held is None or held.scope != item.scope:
        return item
    kept: dict[str, Any] = {"importance": held.importance, "pinned": held.pinned}
    return replace(item, **kept, expires_at=held.expires_at, seen_count=held.seen_count)


def next_place(turns: Sequence[MemoryItem], held: MemoryItem | None) -> int:
    """Give the place of the next turn of a conversation, after all that were ever there."""
    places = [_place(turn) + 1 for turn in turns]
    return max(*places, _number(held, "next"), _number(held, "turns"))


def emptied(held: MemoryItem, gone: Sequence[MemoryItem]) -> MemoryItem | None:
    """Give what stays of a conversation without turns: which messages are not to be added again.

    Args:
        held: what stood for the whole.
        gone: the turns that are forgotten now.

    Returns:
        None when no message with an id was forgotten.

    """
    data = _data((), held, gone)
    if "forgotten" not in data:
        return None
    return replace(
        held, text="...", data=data, subject=None, source=Source(), valid_from=None, pinned=False
    )


def _data(
    turns: Sequence[MemoryItem], held: MemoryItem | None, gone: Sequence[MemoryItem]
) -> dict[str, Any]:
    """Tell of a conversation what its turns do not; see ``episode_item``."""
    place = next_place([*turns, *gone], held)
    forgotten = [*_forgotten(held), *(turn.id for turn in gone if turn.source.message_id)]
    data: dict[str, Any] = {"turns": len(turns)}
    data |= {"next": place} if place != len(turns) else {}
    return data | ({"forgotten": forgotten} if forgotten else {})


def _held(engine: Engine, id: str, owner: Scope | None = None) -> MemoryItem | None:
    found = (MemoryItem.from_payload(record.payload) for record in engine.retrieve([id]))
    return next((item for item in found if owner in (None, item.scope)), None)


def _grows_little(held: MemoryItem, more: int) -> bool:
    """Tell whether the words of a long conversation need not be encoded anew for a few turns.

    They are whenever it has grown by a hundredth to a tenth.
    """
    size = _number(held, "turns")
    step = 10 ** (len(str(size + more)) - 2)
    return size >= SHORT and more < size and size // step == (size + more) // step


def _number(held: MemoryItem | None, name: str) -> int:
    value = held.data.get(name) if held else None
    return value if isinstance(value, int) else 0


def _forgotten(held: MemoryItem | None) -> Sequence[str]:
    value: Any = held.data.get("forgotten") if held else None
    return cast("list[str]", value) if isinstance(value, list) else []


def _left_out(held: MemoryItem | None, names: Mapping[str, str]) -> set[str | None]:
    return {name for id, name in names.items() if id in _forgotten(held)}


def _place(turn: MemoryItem) -> int:
    return turn.position or 0
