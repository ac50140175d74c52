"""Forgetting: what is named is gone, and what was next to it no longer holds a part of it."""

import asyncio
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stretto.errors import MemoryFault
from stretto.memory.backend.protocol import Backend, Engine
from stretto.memory.backend.types import Condition, Filter, HasId, Match
from stretto.memory.item import Kind, MemoryItem, Scope
from stretto.memory.recollection.encoding import Dense, Encoder, said
from stretto.memory.recollection.episodes import episode_item, read_episode
from stretto.memory.recollection.filters import of_scope
from stretto.memory.recollection.ledger import read_items
from stretto.memory.recollection.receipts import Receipt, files_with, make_receipt

VECTORS = "vectors.db"
"""The file of vectors that need not be computed again."""


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
    derived = _summaries_of(engine, found)
    left: list[str] = []
    for episode in {item.episode_id for item in found.values()} - found.keys() - {None}:
        parts_gone = [item for item in found.values() if item.episode_id == episode]
        # Before they are deleted: a process that is killed in between forgets too little, but
        # what it has deleted does not live on in the rest.
        if (empty := _leave_out(engine, encoder, str(episode), parts_gone)) is not None:
            found[empty.id] = empty
        else:
            left.append(str(episode))
    if found or derived:
        engine.delete((*found, *derived))
    return Forgotten([*found.values(), *derived.values()], len(derived)), left


def _summaries_of(engine: Engine, found: Mapping[str, MemoryItem]) -> dict[str, MemoryItem]:
    """Give the summaries that were made of what is found or of what that is a part of."""
    sources = {*found, *(item.episode_id for item in found.values())}
    summaries = read_items(engine, Filter((Match("stretto", "item"), Match("kind", "summary"))))
    made = (item for item in summaries if found and item.id not in found)
    return {item.id: item for item in made if not sources.isdisjoint(item.made_of)}


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


async def purge(backend: Backend, folder: Path, gone: Sequence[MemoryItem], embedded: bool) -> bool:
    """Store everything else anew, and tell whether nothing of what is gone is left in a folder.

    A text that somebody else remembers too is left, since that was not to be forgotten.

    Args:
        backend: where everything else is stored.
        folder: the memory's; that of a server's holds what waits for it.
        gone: what was forgotten.
        embedded: whether the folder holds all there is; only a server could tell of its own files.

    Raises:
        MemoryFault: something is left that should not be.

    """
    if embedded:  # on a server it would lose what other processes write meanwhile
        await asyncio.wrap_future(backend.rebuild())
    if not folder.is_dir():
        return False
    await asyncio.to_thread(_drop_vectors, folder)
    texts = {item.text for item in gone if len(item.text) > 3}
    kept = await asyncio.wrap_future(backend.atomic(lambda on: _still_held(on, texts)))
    left = await asyncio.to_thread(files_with, folder, texts - kept)
    if left:
        told = f"what was forgotten still stands in {left[0]}; delete that file by hand"
        raise MemoryFault(told, code="memory_failed")
    return embedded


def _drop_vectors(folder: Path) -> None:
    """Delete the kept vectors, from which words could be guessed; they are computed again."""
    for path in folder.glob(f"{VECTORS}*"):
        path.unlink(missing_ok=True)


def _still_held(engine: Engine, texts: set[str]) -> set[str]:
    """Give those texts that stand in something else that is remembered."""
    held: set[str] = set()
    for item in read_items(engine, Filter((Match("stretto", "item"),))):
        held |= {text for text in texts - held if text in item.text}
    return held


def receipt_of(gone: Forgotten, selection: Selection, purged: bool) -> Receipt:
    """Make the receipt for what was forgotten."""
    ids = [item.id for item in gone.items]
    return make_receipt(ids, selection.named(), purged, gone.derived)
