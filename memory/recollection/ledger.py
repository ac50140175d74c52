"""What new items change: what is known already, what a newer one takes the place of."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from stretto.errors import MemoryFault
from stretto.memory.backend.protocol import Engine
from stretto.memory.backend.types import Condition, Filter, Match, MatchAny, Missing
from stretto.memory.item import MemoryItem
from stretto.memory.recollection.drafts import content_hash, same_source, slot
from stretto.memory.recollection.filters import ITEMS, of_scope

DEFERRED = "deferred"
"""The payload's field, 1 where an item waits to be put in its place."""
PAGE = 128
"""Items that are read at once: the engine keeps Python's lock meanwhile."""


class Ledger:
    """The items that new ones meet, as they are and as they will be.

    All of its work is done as one: nobody else writes meanwhile.
    """

    def __init__(self, engine: Engine, drafts: Sequence[MemoryItem]) -> None:
        """Read what the drafts may meet."""
        self._engine = engine
        self.items: dict[str, MemoryItem] = {}
        self.new: dict[str, MemoryItem] = {}
        self._changed: dict[str, dict[str, Any]] = {}
        self._by_content: dict[str, set[str]] = {}
        self._by_slot: dict[tuple[str, ...], set[str]] = {}
        hashes = {content_hash(each) for each in drafts}
        keys = {each.key for each in drafts if each.key is not None}
        named = {each.supersedes for each in drafts if each.supersedes is not None}
        self._read(MatchAny("content_hash", tuple(hashes)), Missing("valid_to"))
        for scope in {each.scope for each in drafts if each.key is not None}:
            self._read(MatchAny("key", tuple(keys)), *of_scope(scope))
        for record in engine.retrieve(tuple(named)) if named else ():
            self._add(MemoryItem.from_payload(record.payload))
        for line in (*self._by_slot.values(),):
            self._mend(line)

    def _mend(self, line: Iterable[str]) -> None:
        """End facts that a process which was killed had no time to end."""
        ordered = sorted((self.items[id] for id in line), key=_span)
        for item, follower in pairwise(ordered):
            if item.valid_to is None or item.valid_to > _begin(follower):
                self._change(item, valid_to=_begin(follower), superseded_by=follower.id)

    def _read(self, *conditions: Condition) -> None:
        placed = Filter((ITEMS, *conditions), (Match(DEFERRED, 1),))
        for item in read_items(self._engine, placed):
            self._add(item)

    def _add(self, item: MemoryItem) -> None:
        self.items[item.id] = item
        self._by_content.setdefault(content_hash(item), set()).add(item.id)
        if (line := slot(item)) is not None:
            self._by_slot.setdefault(line, set()).add(item.id)

    def take(self, draft: MemoryItem) -> MemoryItem:
        """Enter a draft, and give the item that it became or that was there already.

        Raises:
            MemoryFault: it takes the place of what is not there.

        """
        known = self._known(draft)
        if known is not None and draft.supersedes in (None, known.supersedes):
            return self._seen_again(known, draft)
        replaced = None if draft.supersedes is None else self._superseded(draft)
        if draft.key is not None:
            draft = self._in_line(draft)
        if replaced is not None:
            draft = self._follow(draft, self.items[replaced.id])
        self._add(draft)
        self.new[draft.id] = draft
        return draft

    def _known(self, draft: MemoryItem) -> MemoryItem | None:
        same = (self.items[id] for id in self._by_content.get(content_hash(draft), ()))
        return next((item for item in same if _holds(item, draft)), None)

    def _seen_again(self, known: MemoryItem, draft: MemoryItem) -> MemoryItem:
        changes: dict[str, Any] = {}
        if not same_source(known, draft):
            changes = {"seen_count": known.seen_count + 1, "updated_at": draft.updated_at}
        if draft.pinned and not known.pinned:
            changes["pinned"] = True
        if known.expires_at is not None and _lasts_longer(draft, known.expires_at):
            changes["expires_at"] = draft.expires_at
        return self._change(known, **changes) if changes else known

    def _superseded(self, draft: MemoryItem) -> MemoryItem:
        """Give the item whose place is taken: of one that was replaced already, the last."""
        id = draft.supersedes or ""
        if (item := self._read_one(id)) is None:
            told = f"no memory has the id '{id}', so nothing can take its place"
            raise MemoryFault(told, code="item_unknown")
        seen = {item.id}
        while item.superseded_by is not None and item.superseded_by not in seen:
            heir = self._read_one(item.superseded_by)
            if heir is None or heir.scope != item.scope or _begin(heir) > _begin(draft):
                return item
            item = heir
            seen.add(item.id)
        return item

    def _read_one(self, id: str) -> MemoryItem | None:
        if id not in self.items:
            for record in self._engine.retrieve([id]):
                self._add(MemoryItem.from_payload(record.payload))
        return self.items.get(id)

    def _in_line(self, draft: MemoryItem) -> MemoryItem:
        """Put a fact between the one that held before it and the one that holds after it."""
        same = self._by_slot.get(slot(draft) or (), ())
        line = sorted((self.items[id] for id in same), key=_span)
        before = [item for item in line if _begin(item) <= _begin(draft)]
        after = [item for item in line if _begin(item) > _begin(draft)]
        if after:
            follower = after[0]
            draft = replace(draft, valid_to=follower.valid_from, superseded_by=follower.id)
            self._change(follower, supersedes=draft.id)
        return self._follow(draft, before[-1]) if before else draft

    def _follow(self, draft: MemoryItem, before: MemoryItem) -> MemoryItem:
        if before.valid_to is None or before.valid_to > _begin(draft):
            self._change(before, valid_to=_begin(draft), superseded_by=draft.id)
        return replace(draft, supersedes=before.id)

    def _change(self, item: MemoryItem, **changes: Any) -> MemoryItem:
        changed = replace(item, **changes)
        self.items[item.id] = changed
        if item.id in self.new:
            self.new[item.id] = changed
        else:
            self._changed.setdefault(item.id, {}).update(_payload(changes))
        return changed

    def write_changes(self) -> None:
        """Write what became of the items that were there."""
        for id, payload in self._changed.items():
            self._engine.set_payload([id], payload)


def _holds(item: MemoryItem, draft: MemoryItem) -> bool:
    """Tell whether a draft that says the same as an item says nothing new.

    A fact with a key is told of a time: it is known if the item held then.
    """
    now, end = draft.created_at, item.valid_to
    if item.expires_at is not None and item.expires_at <= now and not item.pinned:
        return False
    if item.key is None:
        return end is None
    return _begin(item) <= _begin(draft) and (end is None or _begin(draft) < end)


def _lasts_longer(item: MemoryItem, end: float) -> bool:
    return item.pinned or item.expires_at is None or item.expires_at > end


def _begin(item: MemoryItem) -> float:
    return item.created_at if item.valid_from is None else item.valid_from


def _span(item: MemoryItem) -> tuple[float, float, float]:
    """Order facts by when they hold; of several from one time only the last still does."""
    end = math.inf if item.valid_to is None else item.valid_to
    return _begin(item), end, item.created_at


def _payload(changes: dict[str, Any]) -> dict[str, Any]:
    return {
        name: f"b:{str(value).lower()}" if isinstance(value, bool) else value
        for name, value in changes.items()
    }


def read_items(engine: Engine, filter: Filter) -> Iterable[MemoryItem]:
    """Give all items that a filter lets through."""
    cursor: str | None = None
    while True:
        records, cursor = engine.scroll(filter, PAGE, cursor)
        for record in records:
            yield MemoryItem.from_payload(record.payload)
        if cursor is None:
            return


def list_items(engine: Engine, filter: Filter) -> list[MemoryItem]:
    """List all items that a filter lets through."""
    return [*read_items(engine, filter)]


def turns_of(episode_id: str) -> Filter:
    """Give the filter of the turns of a conversation."""
    return Filter((ITEMS, Match("episode_id", episode_id), Match("kind", "message")))


def episode_turns(engine: Engine, episode_id: str) -> list[MemoryItem]:
    """Give the turns of a conversation in order."""
    return sorted(read_items(engine, turns_of(episode_id)), key=lambda item: item.position or 0)
