"""Summing up old episodes, and pointing at what may contradict itself; nothing is deleted."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from stretto.memory.backend.protocol import Backend, Engine
from stretto.memory.backend.types import Filter, Match, Missing, Point, Range
from stretto.memory.item import Kind, MemoryItem, Scope, Source
from stretto.memory.ranking import alike, words_of
from stretto.memory.recollection.drafts import id_from
from stretto.memory.recollection.encoding import Encoder, said
from stretto.memory.recollection.filters import EPISODES, expired, of_scope
from stretto.memory.recollection.forms import MAX_CHARACTERS, check_text, current_time
from stretto.memory.recollection.ledger import list_items, read_items

Summarize = Callable[[Sequence[str]], Awaitable[str]]
"""Sums up texts, oldest first."""
Contradict = Callable[[str, str], Awaitable[bool]]
"""Tells whether the second of two facts contradicts the first."""
ALIKE = 0.5
"""Jaccard index of the words of two facts from which they may be about the same."""


@dataclass(frozen=True, slots=True)
class Consolidation:
    """What came of it."""

    summaries: tuple[MemoryItem, ...]
    contradictions: tuple[tuple[MemoryItem, MemoryItem], ...]
    """An older fact and a newer one that contradicts it: ``supersede`` settles it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is looked at."""

    scope: Scope
    before: float
    """Episodes up to this time are summed up; seconds since 1970."""
    least: int = 2
    """How many episodes there have to be for a summary."""


async def consolidate(
    backend: Backend,
    encoder: Encoder,
    plan: Plan,
    summarize: Summarize | None,
    contradict: Contradict | None,
) -> Consolidation:
    """Sum up old episodes by scope and subject, and find facts that contradict each other.

    Doing it again adds a summary only where there are new episodes; it takes the place of the one
    before it, and forgetting any of its episodes forgets it.

    Raises:
        MemoryFault: the memory cannot be used, or a summary cannot be kept.

    """
    summaries: list[MemoryItem] = []
    for episodes in await _groups(backend, plan) if summarize else ():
        summary = _summary_of(episodes, plan.scope)
        if summarize and not await asyncio.wrap_future(backend.retrieve([summary.id])):
            texts = await asyncio.wrap_future(backend.atomic(partial(_texts, episodes=episodes)))
            summary = replace(summary, text=check_text(await summarize(texts)))
            [dense] = await encoder.meanings([summary.text])
            point = encoder.point(summary, dense)
            putting = partial(_put, episodes=episodes, texts=texts, point=point)
            if await asyncio.wrap_future(backend.atomic(putting)):
                summaries.append(summary)
    pairs = await _alike(backend, plan.scope) if contradict else []
    found = [(a, b) for a, b in pairs if contradict and await contradict(a.text, b.text)]
    return Consolidation(tuple(summaries), tuple(found))


def _put(
    engine: Engine, episodes: Sequence[MemoryItem], texts: Sequence[str], point: Point
) -> bool:
    """Write a summary in the place of those of fewer episodes; False if those are others now."""
    there = engine.retrieve([episode.id for episode in episodes])
    if len(there) < len(episodes) or _texts(engine, episodes) != texts:
        return False  # a part of it was forgotten while the model was at work
    engine.upsert([point])
    summary = MemoryItem.from_payload(point.payload)
    same = (*of_scope(summary.scope), Match("kind", "summary"), Missing("valid_to"))
    for old in list_items(engine, Filter(same)):
        less = old.made_of and {*old.made_of} < {*summary.made_of}
        if less and old.scope == summary.scope:
            ended = replace(old, valid_to=summary.created_at, superseded_by=summary.id)
            engine.set_payload([old.id], ended.fields_as_payload(("valid_to", "superseded_by")))
    return True


async def _groups(backend: Backend, plan: Plan) -> list[list[MemoryItem]]:
    old = Filter(
        (*of_scope(plan.scope), EPISODES, Range("valid_from", lte=plan.before)),
        (expired(current_time()),),
    )
    found = await asyncio.wrap_future(backend.atomic(partial(list_items, filter=old)))
    groups: dict[tuple[Scope, str | None], list[MemoryItem]] = {}
    for item in sorted(found, key=lambda item: (item.valid_from or 0.0, item.id)):
        own = replace(item.scope, thread=None, workflow=None)
        groups.setdefault((own, item.subject), []).append(item)
    return [group for group in groups.values() if len(group) >= plan.least]


def _summary_of(episodes: Sequence[MemoryItem], scope: Scope) -> MemoryItem:
    """Make what is to sum up episodes, wider than each of them but not than who asks for it."""
    last, now = episodes[-1], current_time()
    return MemoryItem(
        id=id_from("summary", *sorted(item.id for item in episodes)),
        text="",
        created_at=now,
        updated_at=now,
        scope=replace(last.scope, thread=None, workflow=None).within(scope),
        kind=Kind.SUMMARY,
        data={"of": [item.id for item in episodes]},
        subject=last.subject,
        source=Source(tool="consolidate"),
        valid_from=last.valid_from,
    )


def _texts(engine: Engine, episodes: Sequence[MemoryItem]) -> list[str]:
    """Give what was said in each episode, as far as a memory of its own could hold it."""
    texts: list[str] = []
    for episode in episodes:
        within = Filter((Match("stretto", "item"), Match("episode_id", episode.id)))
        parts = [part for part in read_items(engine, within) if part.scope == episode.scope]
        parts.sort(key=lambda item: item.position or 0)
        head = [] if episode.is_conversation else [episode.text]
        texts.append("\n".join([*head, *map(said, parts)])[:MAX_CHARACTERS])
    return texts


async def _alike(backend: Backend, scope: Scope) -> list[tuple[MemoryItem, MemoryItem]]:
    """Pair facts that hold now and use much the same words, the older one first."""
    holding = Filter((*of_scope(scope), Match("kind", "fact"), Missing("valid_to")))
    facts = await asyncio.wrap_future(backend.atomic(partial(list_items, filter=holding)))
    return await asyncio.to_thread(_pairs, facts)


def _pairs(facts: list[MemoryItem]) -> list[tuple[MemoryItem, MemoryItem]]:
    pairs: list[tuple[MemoryItem, MemoryItem]] = []
    before: dict[tuple[Scope, str | None], list[tuple[MemoryItem, set[str]]]] = {}
    for fact in sorted(facts, key=lambda item: (item.valid_from or 0.0, item.id)):
        words = words_of(fact.text)
        others = before.setdefault((fact.scope, fact.subject), [])
        for other, bag in others:
            if alike(words, bag, ALIKE):
                pairs.append((other, fact))
        others.append((fact, words))
    return pairs
