"""What memory keeps: one item with its scope, its origin and the time in which it holds."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, cast

TAKES_OVER = "takes_over_at"
"""The payload's field, since when an item that took the place of another one holds.

One field of its own is much faster to filter by than the two that it is made of.
"""
USUAL = 0.5
"""The importance of what nobody says is more or less important than the rest."""
FLAGS = {"b:true": True, "b:false": False}


class Kind(StrEnum):
    """What sort of thing is remembered."""

    MESSAGE = "message"
    FACT = "fact"
    EPISODE = "episode"
    PROCEDURE = "procedure"
    SUMMARY = "summary"
    ARTIFACT = "artifact"


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose memory it is; None means not narrowed by this."""

    tenant: str | None = None
    user: str | None = None
    agent: str | None = None
    workflow: str | None = None
    thread: str | None = None

    def namespace(self) -> tuple[str, ...]:
        """Give one ``field=value`` per field that is set, in field order; ("memory",) for none."""
        parts = tuple(f"{name}={value}" for name, value in self.to_payload().items())
        return parts or ("memory",)

    def to_payload(self) -> dict[str, str]:
        """Give the fields that are set."""
        return _set_fields(self, SCOPE_FIELDS)

    def within(self, outer: "Scope") -> "Scope":
        """Give this scope as it holds inside another one, whose fields win."""
        wins = outer.to_payload()
        return replace(self, **wins) if wins else self


EVERYTHING = Scope()
"""Nobody's in particular, so everybody's."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where an item came from."""

    run_id: str | None = None
    node: str | None = None
    message_id: str | None = None
    tool: str | None = None
    author: str | None = None

    def to_payload(self) -> dict[str, str]:
        """Give the fields that are set."""
        return _set_fields(self, SOURCE_FIELDS)

    def filled_from(self, other: "Source") -> "Source":
        """Give this source with what another one says where this one says nothing."""
        return replace(other, **self.to_payload())


@dataclass(frozen=True, slots=True)
class MemoryItem:
    """One thing that is remembered; times are seconds since 1970, to the microsecond."""

    id: str
    """A UUID as text."""
    text: str
    created_at: float
    updated_at: float
    scope: Scope = Scope()
    kind: Kind = Kind.FACT
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """JSON values."""
    key: str | None = None
    """The name of a fact of which one holds at a time, such as ``user.city``."""
    subject: str | None = None
    """Whom or what it is about, to forget by."""
    importance: float = USUAL
    """Between 0 and 1."""
    source: Source = Source()
    valid_from: float | None = None
    valid_to: float | None = None
    expires_at: float | None = None
    supersedes: str | None = None
    """The id of the item that this one replaced."""
    superseded_by: str | None = None
    pinned: bool = False
    seen_count: int = 1
    said_again: tuple[float, ...] = ()
    """The later times, in order, of which a fact with a key was told again."""
    episode_id: str | None = None
    position: int | None = None
    """The number of the turn in its episode."""

    @property
    def is_conversation(self) -> bool:
        """Whether it stands for turns, as opposed to the outputs of a run."""
        return self.kind == Kind.EPISODE and "turns" in self.data

    @property
    def made_of(self) -> tuple[str, ...]:
        """The ids of the episodes that a summary sums up."""
        given: Any = self.data.get("of") if self.kind == Kind.SUMMARY else None
        return tuple(map(str, cast("list[object]", given))) if isinstance(given, list) else ()

    def to_payload(self) -> dict[str, Any]:
        """Give the payload of its point: flat, without what is None, and filterable.

        ``data`` is one JSON text, since the engine's numbers have 64 bits, ``said_again`` one since
        that is read faster; ``pinned`` is a keyword.

        Raises:
            TypeError: ``data`` holds what JSON has no form for.
            ValueError: ``data`` holds a number that is not finite.

        """
        named = ((name, getattr(self, name)) for name in PLAIN)
        plain = {name: value for name, value in named if value is not None}
        if {"supersedes", "valid_from"} <= plain.keys():
            plain[TAKES_OVER] = plain["valid_from"]
        if self.said_again:
            plain["said_again"] = json.dumps(self.said_again)
        if self.data:
            plain["data"] = json.dumps(self.data, ensure_ascii=False, allow_nan=False)
        return {
            "stretto": "item",
            **plain,
            "text": self.text,
            "kind": self.kind.value,
            "pinned": f"b:{str(self.pinned).lower()}",
            **self.scope.to_payload(),
            **self.source.to_payload(),
        }

    def fields_as_payload(self, names: Collection[str]) -> dict[str, Any]:
        """Give the part of the payload that holds these fields; None removes what was there."""
        whole = self.to_payload()
        part = {name: whole.get(name) for name in names if name != "source"}
        part |= {TAKES_OVER: whole.get(TAKES_OVER)} if "supersedes" in names else {}
        if "source" in names:
            part |= {name: getattr(self.source, name) for name in SOURCE_FIELDS}
        return part

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "MemoryItem":
        """Give the item that ``to_payload`` wrote, the very same.

        Raises:
            KeyError: the payload is not that of an item.

        """
        # Written out, since every recall reads many: a loop over the fields takes twice as long.
        get = payload.get
        return cls(
            id=payload["id"],
            text=payload["text"],
            created_at=_exact(payload["created_at"]),
            updated_at=_exact(payload["updated_at"]),
            scope=_scope(*map(get, SCOPE_FIELDS)),
            kind=KINDS[payload["kind"]],
            data=json.loads(payload["data"]) if "data" in payload else {},
            key=get("key"),
            subject=get("subject"),
            importance=_exact(get("importance", USUAL)),
            source=Source(*map(get, SOURCE_FIELDS)),
            valid_from=_exact_or_none(get("valid_from")),
            valid_to=_exact_or_none(get("valid_to")),
            expires_at=_exact_or_none(get("expires_at")),
            supersedes=get("supersedes"),
            superseded_by=get("superseded_by"),
            pinned=FLAGS[payload["pinned"]],
            seen_count=get("seen_count", 1),
            said_again=tuple(json.loads(payload["said_again"])) if "said_again" in payload else (),
            episode_id=get("episode_id"),
            position=get("position"),
        )


_scope = lru_cache(maxsize=1024)(Scope)
"""Scopes are few, and equal ones may be one."""


def _exact_or_none(value: float | None) -> float | None:
    return None if value is None else _exact(value)


def _exact(value: float) -> float:
    """Give a number of six digits after the point as it was, though the last one read may differ.

    The shorter way takes a quarter of the time, and is exact where a float tells halves of a
    millionth apart: up to the year 2106.
    """
    return round(value * 1e6) / 1e6 if -EXACT < value < EXACT else round(float(value), 6)


def _set_fields(record: Scope | Source, names: tuple[str, ...]) -> dict[str, str]:
    named = ((name, getattr(record, name)) for name in names)
    return {name: value for name, value in named if value is not None}


SCOPE_FIELDS = tuple(each.name for each in fields(Scope))
SOURCE_FIELDS = tuple(each.name for each in fields(Source))
OWN_FORM = {"scope", "source", "kind", "text", "data", "pinned", "said_again"}
PLAIN = tuple(each.name for each in fields(MemoryItem) if each.name not in OWN_FORM)
TIMES = {"created_at", "updated_at", "valid_from", "valid_to", "expires_at", "importance"}
EXACT = 2.0**32
KINDS = {kind.value: kind for kind in Kind}
