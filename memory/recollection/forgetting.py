"""Forgetting: what is named is gone, and what was next to it no longer holds a part of it."""

import asyncio
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from stretto.memory.backend.protocol import Backend, Engine
from stretto.memory.backend.types import Condition, Filter, HasId, Match
from stretto.memory.item import Kind, MemoryItem, Scope
from stretto.memory.meaning import Dense
from stretto.memory.recollection.encoding import Encoder, said
from stretto.memory.recollection.episodes import emptied, episode_item, read_episode
from stretto.memory.recollection.filters import of_scope
from stretto.memory.recollection.ledger import read_items
from stretto.memory.recollection.receipts import Receipt, make_receipt


@dataclass(frozen=True, slots=True)
class Selection:
    """What is to be forgotten: what fits all that is named."""

    scope: Scope
    ids: Sequence[str] | None = None
    subject: str | None = None
    run: str | None = None

    def filter(self) -> Filter:
        """Give the filter of what is meant."""
        must: list[Condition] = [*of_scope(self.scope)]
        if self.ids is not None:
            must.append(HasId(tuple(self.ids)))
        if self.subject is not None:
            must.append(Match("subject", self.subject))
        if self.run is not None:
            must.append(Match("run_id", self.run))
        return Filter(tuple(must))

    def named(self) -> dict[str, Any]:
        """Give what is named, for the receipt."""
        own = {"ids": self.ids, "subject": self.subject, "run": self.run}
        return own | {"scope": "/".join(self.scope.namespace()) if self.scope != Scope() else None}


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What is gone."""

    items: Sequence[MemoryItem]
    derived: int = 0
    """How many of them are summaries that were made of the others."""


async def forget(backend: Backend, encoder: Encoder, selection: Selection) -> Forgotten:
    """Delete what is meant, and give what it was.

    With a conversation its turns go, and with anything that was summed up its summaries. Where
    only a part of an episode goes, what is left is encoded anew, since its vectors and the text
    of the episode hold a part of what is gone.
    """
    gone, left = await asyncio.wrap_future(
        backend.atomic(lambda on: _delete(on, encoder, selection))
    )
    for episode in left if encoder.embedder is not None else ():
        await rewrite_conversation(backend, encoder, episode)
    return gone


def _delete(engine: Engine, encoder: Encoder, selection: Selection) -> tuple[Forgotten, list[str]]:
    """Delete what is meant; give it, and the conversations that have turns left."""
    found = {item.id: item for item in read_items(engine, selection.filter())}
    for item in [item for item in found.values() if item.kind == Kind.EPISODE]:
        own = Filter((*of_scope(selection.scope), Match("episode_id", item.id)))
        parts = {part.id: part for part in read_items(engine, own)}
        if selection.ids is not None:
            found |= parts
        elif item.is_conversation and parts.keys() - found.keys():
            del found[item.id]  # it has turns of other runs and subjects, which stay
    parts_gone = _parts_by_episode(engine, found)
    derived = _summaries_of(engine, [*found.values()])
    left: list[str] = []
    stay: list[MemoryItem] = []
    for episode in parts_gone.keys() - found.keys():
        # Before they are deleted: a process that is killed in between forgets too little, but
        # what it has deleted does not live on in the rest.
        if (held := _leave_out(engine, encoder, episode, parts_gone[episode])) is None:
            left.append(episode)
            continue
        found[held.id] = held
        if (empty := emptied(held, parts_gone[episode])) is not None:
            stay.append(empty)
    engine.upsert([encoder.episode(empty, "", own_words=False) for empty in stay])
    kept = {empty.id for empty in stay}
    if gone := [id for id in (*found, *derived) if id not in kept]:
        engine.delete(gone)
    return Forgotten([*found.values(), *derived.values()], len(derived)), left


def _parts_by_episode(
    engine: Engine, found: Mapping[str, MemoryItem]
) -> dict[str, list[MemoryItem]]:
    """Sort parts by what they are a part of, leaving out what only says that it is."""
    ids = [*{item.episode_id for item in found.values() if item.episode_id is not None}]
    owners = {
        record.id: MemoryItem.from_payload(record.payload).scope for record in engine.retrieve(ids)
    }
    parts: dict[str, list[MemoryItem]] = {}
    for item in found.values():
        episode = item.episode_id
        if episode is not None and owners.get(episode, item.scope) == item.scope:
            parts.setdefault(episode, []).append(item)
    return parts


def _summaries_of(engine: Engine, found: Sequence[MemoryItem]) -> dict[str, MemoryItem]:
    """Give the summaries that were made of some items or of what those are a part of.

    What another scope calls a part of the same is none.
    """
    scopes: dict[str, set[Scope]] = {}
    for item in found:
        for source in (item.id, item.episode_id or item.id):
            scopes.setdefault(source, set()).add(item.scope)
    ids = {item.id for item in found}
    summaries = read_items(engine, Filter((Match("stretto", "item"), Match("kind", "summary"))))
    return {
        summary.id: summary
        for summary in (summaries if found else ())
        if summary.id not in ids
        and any(
            scope.within(summary.scope) == scope
            for source in summary.made_of
            for scope in scopes.get(source, ())
        )
    }


def _leave_out(
    engine: Engine, encoder: Encoder, id: str, gone: Sequence[MemoryItem]
) -> MemoryItem | None:
    """Encode what is left of an episode without some of its parts; give it if nothing is left."""
    deleted = {item.id for item in gone}
    turns, held = read_episode(engine, id)
    if held is not None and not held.is_conversation:
        _leave_out_outputs(engine, encoder, id, deleted)
        return None
    if held is not None and turns and all(turn.id in deleted for turn in turns):
        return held
    own = [turn for turn in gone if turn.kind == Kind.MESSAGE]
    rewrite(engine, encoder, id, {}, own)
    return None


def _leave_out_outputs(engine: Engine, encoder: Encoder, id: str, deleted: Set[str]) -> None:
    """Encode a run anew by what is left of its outputs."""
    for record in engine.retrieve([id], with_vectors=True):
        run = MemoryItem.from_payload(record.payload)
        if run.kind == Kind.EPISODE and record.vectors is not None:
            filter = Filter((Match("stretto", "item"), Match("episode_id", id)))
            parts = [part for part in read_items(engine, filter) if part.scope == run.scope]
            left = [part.text for part in parts if part.id not in deleted]
            dense = record.vectors.dense
            whole = "\n".join([run.text, *left])
            engine.upsert([encoder.episode(run, whole, own_words=True, dense=dense)])


async def rewrite_conversation(backend: Backend, encoder: Encoder, id: str) -> None:
    """Make the vectors of a conversation's turns and of its episode anew."""
    turns, _ = await asyncio.wrap_future(backend.atomic(lambda on: read_episode(on, id)))
    vectors = await encoder.meanings([said(turn) for turn in turns])
    dense = {turn.id: vector for turn, vector in zip(turns, vectors, strict=True)}
    await asyncio.wrap_future(backend.atomic(lambda on: rewrite(on, encoder, id, dense)))


def rewrite(
    engine: Engine,
    encoder: Encoder,
    id: str,
    dense: Mapping[str, Dense],
    gone: Sequence[MemoryItem] = (),
) -> None:
    """Write what is left of a conversation with the vectors of meaning of its turns."""
    turns, held = read_episode(engine, id)
    deleted = {turn.id for turn in gone}
    turns = [turn for turn in turns if turn.id not in deleted]
    if not turns or (held is not None and not held.is_conversation):
        return
    episode = episode_item(turns, id, held, gone)
    whole = "\n".join(said(turn) for turn in turns)
    points = encoder.turns(turns, [dense.get(turn.id) for turn in turns])
    engine.upsert([*points, encoder.episode(episode, whole, own_words=False)])


def receipt_of(gone: Forgotten, selection: Selection, purged: bool) -> Receipt:
    """Make the receipt for what was forgotten."""
    ids = [item.id for item in gone.items]
    return make_receipt(ids, selection.named(), purged, gone.derived)
