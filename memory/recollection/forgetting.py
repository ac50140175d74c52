"""Forgetting: what is named is gone, and what was next to it no longer holds a part of it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stretto.errors import MemoryFault
from stretto.memory.backend.protocol import Backend, Engine
from stretto.memory.backend.types import Condition, Filter, HasId, Match
from stretto.memory.item import Kind, MemoryItem, Scope
from stretto.memory.recollection.conversations import episode_item, read_episode
from stretto.memory.recollection.encoding import Dense, Encoder, said
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


async def forget(backend: Backend, encoder: Encoder, selection: Selection) -> list[MemoryItem]:
    """Delete what is meant, and give what it was.

    With a conversation its turns go; where only some turns go, those left are encoded anew, since
    their vectors hold a part of their neighbours.
    """
    gone = await asyncio.wrap_future(backend.atomic(lambda on: _delete(on, selection)))
    deleted = {item.id for item in gone}
    touched = {item.episode_id for item in gone if item.kind == Kind.MESSAGE} - deleted - {None}
    for episode in touched:
        await rewrite_conversation(backend, encoder, str(episode))
    return gone


def _delete(engine: Engine, selection: Selection) -> list[MemoryItem]:
    found = {item.id: item for item in read_items(engine, selection.filter())}
    for item in [item for item in found.values() if item.kind == Kind.EPISODE]:
        own = Filter((*of_scope(selection.scope), Match("episode_id", item.id)))
        parts = {part.id: part for part in read_items(engine, own)}
        if selection.ids is not None:
            found |= parts
        elif item.is_conversation and parts.keys() - found.keys():
            del found[item.id]  # it has turns of other runs and subjects, which stay
    if found:
        engine.delete(tuple(found))
    return [*found.values()]


async def rewrite_conversation(backend: Backend, encoder: Encoder, id: str) -> None:
    """Make the vectors of a conversation's turns and of its episode anew."""
    turns, _ = await asyncio.wrap_future(backend.atomic(lambda on: read_episode(on, id)))
    vectors = await encoder.meanings([said(turn) for turn in turns])
    dense = {turn.id: vector for turn, vector in zip(turns, vectors, strict=True)}
    await asyncio.wrap_future(backend.atomic(lambda on: _rewrite(on, encoder, id, dense)))


def _rewrite(engine: Engine, encoder: Encoder, id: str, dense: Mapping[str, Dense]) -> None:
    turns, held = read_episode(engine, id)
    if not turns:
        engine.delete((id,))
        return
    episode = episode_item(turns, id, held)
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


def receipt_of(gone: Sequence[MemoryItem], selection: Selection, purged: bool) -> Receipt:
    """Make the receipt for what was forgotten."""
    return make_receipt([item.id for item in gone], selection.named(), purged)
