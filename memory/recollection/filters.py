"""What a question may see: whose, of what kind, of which time."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from stretto.memory.backend.types import Condition, Filter, Match, MatchAny, Missing, Range
from stretto.memory.item import SCOPE_FIELDS, TAKES_OVER, Scope
from stretto.memory.recollection.forms import kind_of

ITEMS = Match("stretto", "item")
EPISODES = Match("kind", "episode")


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
        moment = now if self.as_of is None else self.as_of
        ended = Range("valid_to", lte=moment)
        return Filter((ITEMS, *self._named()), (ended, Range(TAKES_OVER, gt=moment), expired(now)))

    def likely(self) -> Filter:
        """Give the filter of the items that can answer unless they have ended or expired.

        A value of LangGraph's store has no scope, kind or subject, so it is met by none of them; it
        has a key.
        """
        named = self._named()
        return Filter((ITEMS, *named) if self.key is not None or not named else named)

    def holds(self, payload: Mapping[str, Any], now: float) -> bool:
        """Tell whether an item that ``likely`` lets through has neither ended nor expired."""
        end, expiry = payload.get("valid_to"), payload.get("expires_at")
        moment = now if self.as_of is None else self.as_of
        ended = end is not None and end <= moment
        to_come = payload.get(TAKES_OVER, moment) > moment
        return not (ended or to_come) and (
            expiry is None or expiry > now or payload["pinned"] != "b:false"
        )

    def _named(self) -> tuple[Condition, ...]:
        must: list[Condition] = [
            Match(name, value) for name, value in self.scope.to_payload().items()
        ]
        if self.kinds is not None:
            must.append(MatchAny("kind", tuple(str(kind_of(kind)) for kind in self.kinds)))
        for name in ("subject", "key"):
            if (value := getattr(self, name)) is not None:
                must.append(Match(name, value))
        if self.since is not None or self.until is not None:
            must.append(Range("valid_from", gte=self.since, lte=self.until))
        if self.as_of is not None:
            must.append(Range("valid_from", lte=self.as_of))
        return tuple(must)

    def episodes(self) -> Filter:
        """Give the filter of the conversations and runs that they are a part of."""
        return Filter(of_scope(self.scope)[1:])


def of_scope(scope: Scope) -> tuple[Condition, ...]:
    """Give the conditions for the items of a scope, and of all narrower ones."""
    return (ITEMS, *(Match(name, value) for name, value in scope.to_payload().items()))


def exactly(scope: Scope) -> tuple[Condition, ...]:
    """Give the conditions for the items of a scope, and of no narrower one."""
    unset = (Missing(name) for name in SCOPE_FIELDS if getattr(scope, name) is None)
    return (*of_scope(scope), *unset)


def expired(now: float) -> Filter:
    """Give the condition for what has expired; what is pinned does not."""
    return Filter((Range("expires_at", lte=now), Match("pinned", "b:false")))
