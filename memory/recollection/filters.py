"""What a question may see: whose, of what kind, of which time."""

from collections.abc import Collection
from dataclasses import dataclass

from stretto.memory.backend.types import Condition, Filter, Match, MatchAny, Range
from stretto.memory.item import Scope
from stretto.memory.recollection.forms import kind_of

ITEMS = Match("stretto", "item")
EPISODES = Match("kind", "episode")
ENDED = Range("valid_to", gte=-1e15)
"""What does not hold any more; to ask whether the field is missing takes longer."""


@dataclass(frozen=True, slots=True)
class View:
    """What is looked at; None does not narrow it. Times are seconds since 1970."""

    scope: Scope
    kinds: Collection[str] | None = None
    subject: str | None = None
    key: str | None = None
    as_of: float | None = None
    since: float | None = None
    until: float | None = None

    def filter(self, now: float) -> Filter:
        """Give the filter of the items that can answer."""
        must: list[Condition] = [*of_scope(self.scope)]
        if self.kinds is not None:
            must.append(MatchAny("kind", tuple(str(kind_of(kind)) for kind in self.kinds)))
        for name in ("subject", "key"):
            if (value := getattr(self, name)) is not None:
                must.append(Match(name, value))
        if self.since is not None or self.until is not None:
            must.append(Range("valid_from", gte=self.since, lte=self.until))
        ended = ENDED
        if self.as_of is not None:
            must.append(Range("valid_from", lte=self.as_of))
            ended = Range("valid_to", lte=self.as_of)
        return Filter(tuple(must), (ended, expired(now)))

    def episodes(self, now: float) -> Filter:
        """Give the filter of the conversations and runs that they are a part of."""
        return Filter((*of_scope(self.scope), EPISODES), (expired(now),))


def of_scope(scope: Scope) -> tuple[Condition, ...]:
    """Give the conditions for the items of a scope, and of all narrower ones."""
    return (ITEMS, *(Match(name, value) for name, value in scope.to_payload().items()))


def expired(now: float) -> Filter:
    """Give the condition for what has expired; what is pinned does not."""
    return Filter((Range("expires_at", lte=now), Match("pinned", "b:false")))
