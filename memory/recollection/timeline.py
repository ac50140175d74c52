"""Facts in order of time: of one key, one holds at a time."""

from bisect import bisect, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeAlias

from stretto.memory.item import MemoryItem
from stretto.memory.recollection.drafts import content_hash, id_from, slot

MOST_TIMES = 32
"""Times that one fact keeps of when it was said again; every recall reads them."""

Told: TypeAlias = tuple[float, float, str]
"""From when a fact holds, when it was told, and its id."""


class Timeline:
    """Items as they are and as they will be, the facts of one key one after the other."""

    def __init__(self) -> None:
        """Begin without any."""
        self.items: dict[str, MemoryItem] = {}
        self.new: dict[str, MemoryItem] = {}
        self.origins: dict[str, str] = {}
        """By the id of a new item that goes on with what another one said, the id of that one."""
        self._changed: dict[str, set[str]] = {}
        self._by_content: dict[str, set[str]] = {}
        self._lines: dict[tuple[str, ...], list[Told]] = {}
        """The facts of each key of a subject in a scope, in order, also those that never held."""

    def _add(self, item: MemoryItem) -> None:
        if item.id not in self.items and item.key is not None:
            insort(self._line(item), (*_told(item), item.id))
        self.items[item.id] = item
        self._by_content.setdefault(content_hash(item), set()).add(item.id)

    def _enter(self, item: MemoryItem) -> None:
        self._add(item)
        self.new[item.id] = item

    def _change(self, item: MemoryItem, **changes: Any) -> MemoryItem:
        changed = replace(item, **changes)
        self.items[item.id] = changed
        if item.id in self.new:
            self.new[item.id] = changed
        else:
            self._changed.setdefault(item.id, set()).update(changes)
        return changed

    def _end(self, item: MemoryItem, follower: MemoryItem) -> None:
        """Let an item end where another one takes its place, unless it ended before."""
        if _lasts_beyond(item, begin(follower)):
            self._change(item, **_ended(item, follower))

    def _line(self, fact: MemoryItem) -> list[Told]:
        return self._lines.setdefault(slot(fact) or (), [])

    def _held(self, line: Iterable[Told]) -> Iterator[MemoryItem]:
        """Give those facts of a line that hold at some time."""
        return (item for _, _, id in line if holds_ever(item := self.items[id]))

    def _mend(self) -> None:
        """End facts that a process which was killed had no time to end."""
        for line in self._lines.values():
            for item, follower in pairwise([*self._held(line)]):
                self._end(item, follower)

    def _place(self, fact: MemoryItem, follows: bool = False) -> None:
        """Enter a fact between the one that held before it and the one that holds after it.

        What was said again later than what takes its place holds again from then on. Of several
        from one time the one that was told last holds.

        Args:
            fact: of a key; it may have ended, though not when it began.
            follows: whether it follows the one before it also when that ended earlier.

        """
        rest: list[MemoryItem] = []
        line = self._line(fact)
        here = bisect(line, _told(fact), key=lambda told: told[:2])
        before = next(self._held(line[n] for n in range(here - 1, -1, -1)), None)
        after = next(self._held(line[n] for n in range(here, len(line))), None)
        if after is not None and _lasts_beyond(fact, begin(after)):
            rest += self._said_later(fact, begin(after))
            fact = replace(fact, **_ended(fact, after))
            self._change(after, supersedes=fact.id)
        if before is not None and (follows or _lasts_beyond(before, begin(fact))):
            rest += self._said_later(before, begin(fact))
            self._end(before, fact)
            fact = replace(fact, supersedes=before.id)
        self._enter(fact)
        for item in rest:
            self._place(item)
            placed = self.items[item.id]
            heir = self.items.get(placed.superseded_by or "")
            if heir is not None and begin(heir) == placed.valid_to:
                self._change(heir, supersedes=placed.id)

    def _said_later(self, fact: MemoryItem, moment: float) -> list[MemoryItem]:
        """Give what a fact that ends at a time goes on as, from when it was said again."""
        times = [at for at in fact.said_again if at > moment and _lasts_beyond(fact, at)]
        if not times or (id := id_from("again", fact.id, str(times[0]))) in self.items:
            return []
        self.origins[id] = self.origins.get(fact.id, fact.id)
        later = replace(fact, id=id, supersedes=None, seen_count=len(times))
        return [replace(later, valid_from=times[0], said_again=tuple(times[1:]))]


def begin(item: MemoryItem) -> float:
    """Give the time from which an item holds."""
    return item.created_at if item.valid_from is None else item.valid_from


def with_time(times: Sequence[float], at: float) -> tuple[float, ...]:
    """Add to the times at which a fact was said again; of too many the closest one is left out.

    The last one stays whatever comes: it tells what holds now.
    """
    kept = sorted({*times, at})
    if len(kept) > MOST_TIMES:
        del kept[min(range(1, MOST_TIMES), key=lambda n: kept[n + 1] - kept[n - 1])]
    return tuple(kept)


def _ended(item: MemoryItem, follower: MemoryItem) -> dict[str, Any]:
    """Give what is different of an item whose place another one takes."""
    end = begin(follower)
    changes: dict[str, Any] = {"valid_to": end, "superseded_by": follower.id}
    if item.said_again and item.said_again[-1] >= end:
        kept = tuple(at for at in item.said_again if at < end)
        times = len(item.said_again) - len(kept)
        changes |= {"said_again": kept, "seen_count": max(item.seen_count - times, 1)}
    return changes


def _lasts_beyond(item: MemoryItem, moment: float) -> bool:
    return item.valid_to is None or item.valid_to > moment


def holds_ever(item: MemoryItem) -> bool:
    """Tell whether an item has a time in which it holds; its place may be taken at once."""
    return _lasts_beyond(item, begin(item))


def _told(item: MemoryItem) -> tuple[float, float]:
    """Order facts by the time of which they were told, and then by when they were."""
    return begin(item), item.created_at
