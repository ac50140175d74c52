"""Summing up old episodes, and pointing at what may contradict itself; nothing is deleted."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from stretto.memory.backend.protocol import Backend
from stretto.memory.backend.types import Filter, Match, Missing, Range
from stretto.memory.item import Kind, MemoryItem, Scope, Source
from stretto.memory.recollection.drafts import id_from
from stretto.memory.recollection.encoding import Encoder, said
from stretto.memory.recollection.filters import EPISODES, expired, of_scope
from stretto.memory.recollection.forms import MAX_CHARACTERS, check_text, current_time
from stretto.memory.recollection.ledger import list_items

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

    Doing it again adds a summary only where there are new episodes.

    Raises:
        MemoryFault: the memory cannot be used, or a summary cannot be kept.

    """
    summaries: list[MemoryItem] = []
    for episodes in await _groups(backend, plan) if summarize else ():
        summary = _summary_of(episodes)
        if summarize and not await asyncio.wrap_future(backend.retrieve([summary.id])):
            texts = await _texts(backend, episodes)
            summary = replace(summary, text=check_text(await summarize(texts)))
            [dense] = await encoder.meanings([summary.text])
            await asyncio.wrap_future(backend.upsert([encoder.point(summary, dense)]))
            summaries.append(summary)
    pairs = await _alike(backend, plan.scope) if contradict else []
    found = [(a, b) for a, b in pairs if contradict and await contradict(a.text, b.text)]
    return Consolidation(tuple(summaries), tuple(found))


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


def _summary_of(episodes: Sequence[MemoryItem]) -> MemoryItem:
    last, now = episodes[-1], current_time()
    return MemoryItem(
        id=id_from("summary", *sorted(item.id for item in episodes)),
        text="",
        created_at=now,
        updated_at=now,
        scope=replace(last.scope, thread=None, workflow=None),
        kind=Kind.SUMMARY,
        data={"of": [item.id for item in episodes]},
        subject=last.subject,
        source=Source(tool="consolidate"),
        valid_from=last.valid_from,
    )


async def _texts(backend: Backend, episodes: Sequence[MemoryItem]) -> list[str]:
    """Give what was said in each episode, as far as a memory of its own could hold it."""
    texts: list[str] = []
    for episode in episodes:
        within = Filter((Match("stretto", "item"), Match("episode_id", episode.id)))
        parts = await asyncio.wrap_future(backend.atomic(partial(list_items, filter=within)))
        parts.sort(key=lambda item: item.position or 0)
        head = [] if "turns" in episode.data else [episode.text]
        texts.append("\n".join([*head, *map(said, parts)])[:MAX_CHARACTERS])
    return texts


async def _alike(backend: Backend, scope: Scope) -> list[tuple[MemoryItem, MemoryItem]]:
    """Pair facts that hold now and use much the same words, the older one first."""
    holding = Filter((*of_scope(scope), Match("kind", "fact"), Missing("valid_to")))
    facts = await asyncio.wrap_future(backend.atomic(partial(list_items, filter=holding)))
    facts.sort(key=lambda item: (item.valid_from or 0.0, item.id))
    bags = [frozenset(re.findall(r"\w+", fact.text.lower())) for fact in facts]
    pairs: list[tuple[MemoryItem, MemoryItem]] = []
    for place, fact in enumerate(facts):
        for other in range(place):
            same = facts[other].scope == fact.scope and facts[other].subject == fact.subject
            union = len(bags[place] | bags[other]) if same else 0
            if union and len(bags[place] & bags[other]) / union >= ALIKE:
                pairs.append((facts[other], fact))
    return pairs
