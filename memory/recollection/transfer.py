"""Copies of a memory: one JSON line for each item."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from functools import partial
from itertools import islice
from typing import Any

from pydantic import TypeAdapter, ValidationError

from stretto.errors import MemoryFault
from stretto.memory.backend.protocol import Backend, Engine
from stretto.memory.backend.types import Filter, Point
from stretto.memory.item import EVERYTHING, TIMES, Kind, MemoryItem, Scope, Source
from stretto.memory.recollection.checks import check_count, check_number, id_of
from stretto.memory.recollection.drafts import check_name, id_from
from stretto.memory.recollection.encoding import Encoder, said
from stretto.memory.recollection.filters import of_scope
from stretto.memory.recollection.forgetting import rewrite_conversation
from stretto.memory.recollection.forms import check_text, seconds
from stretto.memory.recollection.ledger import Ledger
from stretto.memory.recollection.timeline import begin
from stretto.memory.recollection.writing import new_points

PAGE = 256
MOST = 2**53
IDS = ("id", "episode_id", "supersedes", "superseded_by")


async def export(backend: Backend, scope: Scope) -> AsyncIterator[dict[str, Any]]:
    """Give every item of a scope in its JSON form, also what no longer holds."""
    cursor: str | None = None
    while True:
        page = backend.scroll(Filter(of_scope(scope)), PAGE, cursor)
        records, cursor = await asyncio.wrap_future(page)
        for record in records:
            yield line_of(MemoryItem.from_payload(record.payload))
        if cursor is None:
            return


def line_of(item: MemoryItem) -> dict[str, Any]:
    """Give the JSON form of an item, without what is not set."""
    scope, source = item.scope.to_payload(), item.source.to_payload()
    own = {"kind": str(item.kind), "data": dict(item.data), "scope": scope, "source": source}
    values: dict[str, Any] = asdict(item) | own
    values["said_again"] = [*item.said_again] or None
    return {name: value for name, value in values.items() if value is not None}


async def import_lines(
    backend: Backend, encoder: Encoder, lines: Iterable[Mapping[str, Any] | str], outer: Scope
) -> int:
    """Add the items of a copy that are not there yet, and count them.

    Of a key one fact holds at a time afterwards too: the one that is there ends where one of the
    copy begins, or the other way round; of two from one time the one that was told last holds.

    Args:
        backend: where.
        encoder: makes the vectors.
        lines: what ``export`` gave, as mappings or as JSON texts.
        outer: whose memory this is; its fields win.

    Raises:
        MemoryFault: a line is no item; nothing is added then.

    """
    read = [item_of(line, number, outer) for number, line in enumerate(lines, start=1)]
    first = {item.id: item for item in reversed(read)}
    items = sorted(reversed(first.values()), key=_order)
    added: set[str] = set()
    rest, parts = iter(items), parts_of(items)
    while page := list(islice(rest, PAGE)):
        found = await asyncio.wrap_future(backend.retrieve([item.id for item in page]))
        known = {record.id for record in found}
        new = [item for item in page if item.id not in known]
        points = {point.id: point for point in await encode(encoder, new, parts)}
        added |= await asyncio.wrap_future(backend.atomic(partial(_add, encoder, new, points)))
    turns = [item for item in items if item.kind == Kind.MESSAGE and item.id in added]
    for episode in {turn.episode_id for turn in turns} - {None}:
        await rewrite_conversation(backend, encoder, str(episode))
    return len(added)


def _order(item: MemoryItem) -> float:
    """Order facts of keys by when they begin, so that few that are there are met by some."""
    return -math.inf if item.key is None else begin(item)


def _add(
    encoder: Encoder, items: Sequence[MemoryItem], points: dict[str, Point], engine: Engine
) -> set[str]:
    """Write those items that nobody else has written meanwhile, and give their ids."""
    known = {record.id for record in engine.retrieve([item.id for item in items])}
    new = [item for item in items if item.id not in known]
    ledger = Ledger(engine)
    if facts := [item for item in new if item.key is not None]:
        ledger.take_copies(facts)
    placed = new_points(engine, encoder, ledger, facts, points)
    if new:
        engine.upsert([*placed, *(points[item.id] for item in new if item.key is None)])
    ledger.write_changes()
    return {item.id for item in new}


async def encode(
    encoder: Encoder, items: Sequence[MemoryItem], parts: Mapping[str, list[str]]
) -> list[Point]:
    """Make the points of items; turns of conversations without their neighbours.

    Args:
        encoder: makes the vectors.
        items: any.
        parts: the texts of what episodes are made of, by the episode.

    """
    dense = await encoder.meanings([said(item) for item in items])
    points: list[Point] = []
    for item, vector in zip(items, dense, strict=True):
        if item.kind == Kind.EPISODE:
            whole = "\n".join((item.text, *parts.get(item.id, ())))
            own_words = not item.is_conversation
            points.append(encoder.episode(item, whole, own_words, vector))
        else:
            points.append(encoder.point(item, vector))
    return points


def parts_of(items: Iterable[MemoryItem]) -> dict[str, list[str]]:
    """Give the texts of what episodes are made of, by the episode."""
    parts: dict[str, list[str]] = {}
    for item in items:
        if item.episode_id is not None:
            parts.setdefault(item.episode_id, []).append(said(item))
    return parts


def item_of(line: Mapping[str, Any] | str, number: int, outer: Scope = EVERYTHING) -> MemoryItem:
    """Read an item from its JSON form.

    Args:
        line: the form, as a mapping or as a JSON text.
        number: of the line, from 1, for the message.
        outer: fields that win over those of its scope.

    Raises:
        MemoryFault: it is none; the code is ``item_invalid``.

    """
    try:
        values: Any = json.loads(line) if isinstance(line, str) else dict(line)
        return _read(values, outer)
    except MemoryFault as fault:
        raise MemoryFault(f"line {number}: {fault.message}", code=fault.code) from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        told = f"line {number} is no memory ({error}); import what 'stretto memory export' wrote"
        raise MemoryFault(told, code="item_invalid") from None


def _read(values: dict[str, Any], outer: Scope) -> MemoryItem:
    _refuse_strange(values, MemoryItem)
    _refuse_strange(values.get("scope", {}), Scope)
    _refuse_strange(values.get("source", {}), Source)
    text = json.dumps(values, allow_nan=False)
    try:
        item = _FORM.validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{where}: {first['msg']}") from None
    return _moved(_checked(item), outer)


def _checked(item: MemoryItem) -> MemoryItem:
    """Give an item as it is kept, when all of it can be meant."""
    times: dict[str, float | None] = {name: getattr(item, name) for name in TIMES - {"importance"}}
    ids: dict[str, Any] = {name: _known_id(name, getattr(item, name)) for name in IDS}
    check_count("seen_count", item.seen_count, 1, MOST, "item_invalid")
    check_count("position", item.position or 0, 0, MOST, "item_invalid")
    importance = check_number("importance", item.importance, 0, 1, "item_invalid")
    check_text(item.text)
    check_name("key", item.key)
    check_name("subject", item.subject)
    kept: dict[str, Any] = {
        name: None if time is None else seconds(time) for name, time in times.items()
    }
    again = tuple(sorted({seconds(at) for at in item.said_again}))
    return replace(item, **ids, **kept, said_again=again, importance=round(importance, 6))


def _known_id(name: str, given: Any) -> str | None:
    known = id_of(given)
    if known is None and (given is not None or name == "id"):
        raise ValueError(f"its {name} is no UUID")
    return known


def _moved(item: MemoryItem, outer: Scope) -> MemoryItem:
    """Give an item as a part of a memory: what was somebody else's gets other ids there."""
    scope = item.scope.within(outer)
    if scope == item.scope:
        return item

    def copy_of(id: str | None) -> str | None:
        return id and id_from("copy", *scope.namespace(), id)

    own: dict[str, Any] = {name: copy_of(getattr(item, name)) for name in IDS}
    if item.made_of:
        own["data"] = {**item.data, "of": [copy_of(id) for id in item.made_of]}
    return replace(item, scope=scope, **own)


def _refuse_strange(values: dict[str, Any], form: type[Any]) -> None:
    if strange := sorted(values.keys() - {each.name for each in fields(form)}):
        raise ValueError(f"it has a field '{strange[0]}'")


_FORM = TypeAdapter(MemoryItem)
