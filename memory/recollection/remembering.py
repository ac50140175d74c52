"""The side of a memory that takes things in."""

import asyncio
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from stretto.errors import MemoryFault
from stretto.memory.item import MemoryItem, Scope, Source
from stretto.memory.recollection.base import MemoryBase
from stretto.memory.recollection.checks import check_flag, check_several
from stretto.memory.recollection.conversations import (
    Conversation,
    add_turns,
    lone_turns,
)
from stretto.memory.recollection.deferring import is_away
from stretto.memory.recollection.drafts import check_name, draft
from stretto.memory.recollection.episodes import episode_id
from stretto.memory.recollection.forms import (
    Episode,
    Moment,
    NewItem,
    RunMemory,
    Turn,
    current_time,
    seconds,
)
from stretto.memory.recollection.runs import add_run, put_run


class MemoryWriting(MemoryBase):
    """Remembers."""

    async def remember(self, text: str, **given: Any) -> MemoryItem:
        """Remember a text; no model is asked.

        What is known already in that scope is counted as seen again, and left alone when it comes
        from the same source; other ``data``, or an importance other than 0.5, then replace those
        of before. A fact with a ``key`` takes the place of the one before it, also when only its
        ``data`` differ.

        Args:
            text: what is to be known.
            **given: the other fields of ``NewItem``: ``kind`` (fact), ``key``, ``subject``,
                ``data``, ``importance`` (0 to 1), ``source``, ``at`` since when it holds (now),
                ``ttl`` in seconds, ``pinned`` (does not expire), ``supersedes`` (an id).

        Raises:
            MemoryFault: the item cannot be remembered (``item_invalid``, ``text_too_long``).

        """
        [item] = await self.remember_many([NewItem(text, **given)])
        return item

    async def remember_many(self, items: Iterable[NewItem]) -> list[MemoryItem]:
        """Remember many things at once; see ``remember``. Nothing is, when one is invalid."""
        now = current_time()
        drafts = [self._draft(new, now) for new in check_several("items", items)]
        for id in {each.supersedes for each in drafts if each.supersedes is not None}:
            await self._known(id)  # what another scope remembers is not ours to end
        return await self._core.write(drafts)

    def _draft(self, new: NewItem, now: float) -> MemoryItem:
        scope, source = getattr(new, "scope", None), getattr(new, "source", None)
        return draft(new, self._of(scope), self._from(source), now)

    async def remember_conversation(
        self,
        turns: Sequence[Turn | Mapping[str, Any] | Any],
        *,
        id: str | None = None,
        scope: Scope | None = None,
        at: Moment | None = None,
        subject: str | None = None,
        source: Source | None = None,
    ) -> Episode:
        """Remember a conversation, or what is new in one.

        Args:
            turns: all of them or those that are new, in order: turns, mappings with ``author`` and
                ``text``, or LangChain messages, of which those without a text are left out.
            id: its name in the scope; None begins a new one.
            scope: whose it is.
            at: when it took place, for turns that do not say it.
            subject: whom or what it is about.
            source: where it comes from.

        """
        own, name = self._of(scope), check_name("id", id)
        given = Conversation(
            str(uuid.uuid4()) if name is None else episode_id(own, name),
            own,
            self._from(source),
            [
                Turn.of(turn)
                for turn in check_several("turns", turns)
                if not Turn.says_nothing(turn)
            ],
            check_name("subject", subject),
            None if at is None else seconds(at),
        )
        try:
            await self._core.ready()
            return await add_turns(self._core.backend, self._core.encoder, given)
        except MemoryFault as fault:
            if not is_away(fault):
                raise
            # Nobody knows now which turns are there: they are kept as messages of their own.
            alone = await self._core.write(lone_turns(given))
            return Episode(given.id, len(alone), len(alone))

    async def remember_run(self, run: RunMemory, *, scope: Scope | None = None) -> Episode:
        """Remember a run that has ended: what it was given, what came of it and of its steps."""
        try:
            await self._core.ready()
            return await add_run(self._core.backend, self._core.encoder, run, self._of(scope))
        except MemoryFault as fault:
            if not is_away(fault):
                raise
            return await put_run(self._core.backend, self._core.encoder, run, self._of(scope))

    async def supersede(self, id: str, text: str, **changes: Any) -> MemoryItem:
        """Let a new item take the place of another one, which is kept as it was until now.

        Args:
            id: the item that does not hold any more.
            text: what holds instead.
            **changes: what else is different, see ``remember``; the rest is as it was, also when
                it expires.

        """
        old = await self._known(id)
        same = {"kind": str(old.kind), "key": old.key, "subject": old.subject, "scope": old.scope}
        kept = {"importance": old.importance, "pinned": old.pinned, "data": old.data}
        if old.expires_at is not None:
            kept["ttl"] = max(old.expires_at - current_time(), 1e-3)
        return await self.remember(text, **{**same, **kept, **changes}, supersedes=id)

    async def pin(self, id: str, pinned: bool = True) -> MemoryItem:
        """Keep an item from expiring, or let it expire again."""
        flag = {"pinned": f"b:{str(check_flag('pinned', pinned)).lower()}"}
        item = await self._known(id)
        await asyncio.wrap_future(self._core.backend.set_payload([item.id], flag))
        return replace(item, pinned=pinned)
