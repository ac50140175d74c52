"""What new items change: what is known already, what a newer one takes the place of."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from stretto.errors import MemoryFault
from stretto.memory.backend.protocol import Engine
from stretto.memory.backend.types import Condition, Filter, Match, MatchAny, Missing, Range
from stretto.memory.item import USUAL, MemoryItem
from stretto.memory.recollection.drafts import content_hash, same_source
from stretto.memory.recollection.filters import ITEMS, exactly
from stretto.memory.recollection.timeline import Timeline, begin, holds_ever, with_time

DEFERRED = "deferred"
"""The payload's field, 1 where an item waits to be put in its place."""
PAGE = 128
"""Items that are read at once: the engine keeps Python's lock meanwhile."""


class Ledger(Timeline):
    """The items that new ones meet, as they are and as they will be.

    All of its work is done as one: nobody else writes meanwhile.
    """

    def __init__(self, engine: Engine, drafts: Sequence[MemoryItem] = ()) -> None:
        """Read what the drafts may meet."""
        super().__init__()
        self._engine = engine
        if drafts:
            self._read_for(drafts)

    def _read_for(self, drafts: Sequence[MemoryItem]) -> None:
        hashes = {content_hash(each) for each in drafts}
        self._read(MatchAny("content_hash", tuple(hashes)), Missing("valid_to"))
        keyed = [each for each in drafts if each.key is not None]
        self._read_lines(keyed, Missing("valid_to"))
        self._read_lines([each for each in keyed if not self._comes_last(each)])
        named = {each.supersedes for each in drafts if each.supersedes is not None}
        for record in self._engine.retrieve(tuple(named)) if named else ():
            self._add(MemoryItem.from_payload(record.payload))
        self._mend()

    def _read_lines(self, drafts: Sequence[MemoryItem], *conditions: Condition) -> None:
        """Read the facts of the same keys, subjects and scopes."""
        for scope in {each.scope for each in drafts}:
            own = [each for each in drafts if each.scope == scope]
            keys = {each.key for each in own if each.key is not None}
            subjects = {each.subject for each in own if each.subject is not None}
            about: list[Condition] = [MatchAny("subject", tuple(subjects))] if subjects else []
            about += [Missing("subject")] if any(each.subject is None for each in own) else []
            same = (*exactly(scope), MatchAny("key", tuple(keys)))
            self._read(*same, Filter(should=tuple(about)), *conditions)

    def _comes_last(self, draft: MemoryItem) -> bool:
        """Tell whether a fact only meets the one that holds now; histories may be long."""
        held = [self.items[id] for _, _, id in self._line(draft)]
        return len(held) == 1 and held[0].valid_to is None and begin(held[0]) <= begin(draft)

    def _read(self, *conditions: Condition) -> None:
        placed = Filter((ITEMS, *conditions), (Match(DEFERRED, 1),))
        for item in read_items(self._engine, placed):
            self._add(item)

    def take(self, draft: MemoryItem) -> MemoryItem:
        """Enter a draft, and give the item that it became or that was there already.

        Raises:
            MemoryFault: it takes the place of what is not there.

        """
        known = self._known(draft)
        if known is not None and draft.supersedes in (None, known.supersedes):
            known = self._seen_again(known, draft)
            if draft.supersedes in self.items:  # a process that was killed may not have ended it
                self._end(self.items[draft.supersedes], known)
            return known
        replaced = None if draft.supersedes is None else self._superseded(draft)
        if draft.key is None:
            self._enter(draft)
        else:
            fact = draft if draft.supersedes is None else replace(draft, supersedes=None)
            self._place(fact, follows=True)
        if replaced is not None:
            self._replace(draft.id, *replaced)
        return self.items[draft.id]

    def take_copies(self, facts: Sequence[MemoryItem]) -> None:
        """Enter facts of a copy, each as it is where none that is here holds at that time.

        What had ended before the first of them is not read: histories may be long.
        """
        late = Range("valid_to", gt=min(map(begin, facts)))
        self._read_lines(facts, Filter(should=(Missing("valid_to"), late)))
        self._mend()
        for fact in facts:
            if fact.id in self.items:  # what goes on here as it does there
                continue
            if holds_ever(fact):
                self._place(fact)
            else:
                self._enter(fact)

    def _known(self, draft: MemoryItem) -> MemoryItem | None:
        same = (self.items[id] for id in self._by_content.get(content_hash(draft), ()))
        return next((item for item in same if _holds(item, draft)), None)

    def _seen_again(self, known: MemoryItem, draft: MemoryItem) -> MemoryItem:
        changes: dict[str, Any] = {}
        if draft.importance not in (USUAL, known.importance):
            changes["importance"] = draft.importance
        if _says_more(known, draft):
            changes["data"] = draft.data
        if changes:  # so whoever forgets what came from there forgets this
            changes |= {"source": draft.source, "updated_at": draft.updated_at}
        if not same_source(known, draft):
            changes |= {"seen_count": known.seen_count + 1, "updated_at": draft.updated_at}
        if draft.pinned and not known.pinned:
            changes["pinned"] = True
        if _told_of_another_time(known, draft):
            changes["said_again"] = with_time(known.said_again, begin(draft))
        if known.expires_at is not None and _lasts_longer(draft, known.expires_at):
            changes["expires_at"] = draft.expires_at
        return self._change(known, **changes) if changes else known

    def _superseded(self, draft: MemoryItem) -> tuple[MemoryItem, MemoryItem | None]:
        """Give the item whose place is taken, and the one that took it from then on.

        Of one that was replaced already it is the last that begins before the draft.
        """
        id = draft.supersedes or ""
        if (item := self._read_one(id)) is None:
            told = f"no memory has the id '{id}', so nothing can take its place"
            raise MemoryFault(told, code="item_unknown")
        seen = {item.id}
        while item.superseded_by is not None and item.superseded_by not in seen:
            heir = self._read_one(item.superseded_by)
            if heir is None or heir.scope != item.scope:
                break
            if begin(heir) > begin(draft):
                return item, heir
            item = heir
            seen.add(item.id)
        return item, None

    def _read_one(self, id: str) -> MemoryItem | None:
        if id not in self.items:
            for record in self._engine.retrieve([id]):
                self._add(MemoryItem.from_payload(record.payload))
        return self.items.get(id)

    def _replace(self, id: str, before: MemoryItem, after: MemoryItem | None) -> None:
        """Let an item that was entered follow one by its id, and lead to the one that is there."""
        item = self._change(self.items[id], supersedes=before.id)
        self._end(self.items[before.id], item)
        if after is not None and item.valid_to is None:
            self._change(self.items[after.id], supersedes=id)
            self._end(item, after)

    def write_changes(self) -> None:
        """Write what became of the items that were there."""
        for id, names in self._changed.items():
            self._engine.set_payload([id], self.items[id].fields_as_payload(names))


def _holds(item: MemoryItem, draft: MemoryItem) -> bool:
    """Tell whether a draft that says the same as an item says nothing new.

    A fact with a key is told of a time: it is known if the item held then.
    """
    now, end = draft.created_at, item.valid_to
    if item.expires_at is not None and item.expires_at <= now and not item.pinned:
        return False
    if item.key is None:
        return end is None
    held = begin(item) <= begin(draft) and (end is None or begin(draft) < end)
    return held and not _says_more(item, draft)


def _says_more(item: MemoryItem, draft: MemoryItem) -> bool:
    """Tell whether a draft that says the same has other data."""
    one, other = (json.dumps(each.data, sort_keys=True) for each in (item, draft))
    return bool(draft.data) and one != other


def _told_of_another_time(item: MemoryItem, draft: MemoryItem) -> bool:
    """Tell whether it is to be kept that a fact was said again, since an older one may be to come.

    The same source that says it of no time of its own says it once, as after a crash.
    """
    later = item.key is not None and begin(draft) > begin(item)
    again = same_source(item, draft) and begin(draft) == draft.created_at
    return later and not again and begin(draft) not in item.said_again


def _lasts_longer(item: MemoryItem, end: float) -> bool:
    return item.pinned or item.expires_at is None or item.expires_at > end


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
