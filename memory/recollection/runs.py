"""Runs that have ended, as episodes: what they were given, what came of them, step by step."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from stretto.errors import MemoryFault
from stretto.memory.backend.protocol import Backend
from stretto.memory.backend.types import Filter, Match
from stretto.memory.item import Kind, MemoryItem, Scope, Source
from stretto.memory.recollection.checks import check_source
from stretto.memory.recollection.drafts import id_from
from stretto.memory.recollection.encoding import Encoder, said
from stretto.memory.recollection.forms import Episode, RunMemory, current_time, seconds

OUTPUT_CHARACTERS = 4_000
"""How much of an output is remembered."""


async def add_run(backend: Backend, encoder: Encoder, run: RunMemory, scope: Scope) -> Episode:
    """Remember a run that has ended; one that is remembered as it ended stays as it is.

    Args:
        backend: where.
        encoder: makes the vectors.
        run: what happened.
        scope: whose it is.

    Raises:
        MemoryFault: the memory cannot be used.

    """
    whole, *parts = items = _items(run, scope)
    found = await asyncio.wrap_future(backend.retrieve([item.id for item in items]))
    held = {record.id: MemoryItem.from_payload(record.payload) for record in found}
    if whole.id in held and all(map(_is_as_held, items, (held.get(item.id) for item in items))):
        return Episode(whole.id, 0, len(parts))
    if whole.id in held:  # it was tried again since
        await asyncio.wrap_future(backend.delete(Filter((Match("episode_id", whole.id),))))
    pins = {id for id, item in held.items() if item.pinned}
    kept = [replace(item, pinned=item.id in pins) for item in items]
    return await _put(backend, encoder, kept)


def _is_as_held(item: MemoryItem, held: MemoryItem | None) -> bool:
    """Tell whether it would change nothing; what is not there was forgotten, and stays so."""
    return held is None or (held.text, held.data) == (item.text, item.data)


async def put_run(backend: Backend, encoder: Encoder, run: RunMemory, scope: Scope) -> Episode:
    """Remember a run in the place of what was remembered of it; see ``add_run``."""
    return await _put(backend, encoder, _items(run, scope))


async def _put(backend: Backend, encoder: Encoder, items: Sequence[MemoryItem]) -> Episode:
    whole, *parts = items
    dense = await encoder.meanings([said(item) for item in items])
    points = [encoder.point(item, vector) for item, vector in zip(parts, dense[1:], strict=True)]
    everything = "\n".join(item.text for item in items)
    episode = encoder.episode(whole, everything, own_words=True, dense=dense[0])
    await asyncio.wrap_future(backend.upsert([*points, episode]))
    return Episode(whole.id, len(parts), len(parts))


def _items(run: RunMemory, scope: Scope) -> list[MemoryItem]:
    """Make the item that stands for a whole run, and one for each of its outputs."""
    whole = run_item(run, scope)
    outputs = enumerate(_told(run.outputs))
    return [whole, *(_part(whole, step, text, place) for place, (step, text) in outputs)]


def run_item(run: RunMemory, scope: Scope) -> MemoryItem:
    """Make the item that stands for a whole run."""
    given: Any = run
    outputs: Any = run.outputs if isinstance(given, RunMemory) else None
    if not isinstance(outputs, Mapping):
        told = f"a run that has ended is a RunMemory with outputs by step, not {str(run)[:100]!r}"
        raise MemoryFault(told, code="item_invalid")
    now = current_time()
    lines = [f"Run of {run.workflow}: {run.status}."]
    lines += [f"Input: {_text(run.input)}"] if run.input else []
    lines += [f"Outcome: {_text(run.output)}"] if run.output is not None else []
    return MemoryItem(
        id=id_from("run", *scope.namespace(), run.run_id),
        text="\n".join(lines),
        created_at=now,
        updated_at=now,
        scope=scope,
        kind=Kind.EPISODE,
        data={"status": run.status, "steps": [step for step, _ in _told(run.outputs)]},
        source=check_source(Source(run_id=run.run_id)),
        valid_from=now if run.at is None else seconds(run.at),
    )


def _part(whole: MemoryItem, step: str, text: str, position: int) -> MemoryItem:
    return replace(
        whole,
        id=id_from("output", whole.id, step),
        kind=Kind.ARTIFACT,
        text=text,
        data={},
        source=replace(whole.source, node=step),
        episode_id=whole.id,
        position=position,
    )


def _told(outputs: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give the outputs that say anything, as texts."""
    texts = ((step, _text(output)) for step, output in outputs.items() if output is not None)
    return [(step, text) for step, text in texts if any(c.isalpha() for c in text)]


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):  # it holds itself, or names that are no texts
        return str(value)


def _text(value: Any) -> str:
    """Write a value as text for people, not longer than what is remembered of one."""
    if isinstance(value, str):
        text = value
    else:
        text = _as_json(value)
    text = text.encode(errors="replace").decode()
    return text if len(text) <= OUTPUT_CHARACTERS else f"{text[:OUTPUT_CHARACTERS]}..."
