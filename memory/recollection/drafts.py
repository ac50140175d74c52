"""New items before anybody knows whether they are known already."""

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any

from stretto.errors import MemoryFault
from stretto.memory.item import MemoryItem, Scope, Source
from stretto.memory.recollection.forms import NewItem, check_text, kind_of, seconds

IDS = uuid.UUID("0b6f2f0e-33a5-5f0c-8a53-6a2d9c1b7e44")
"""The namespace of ids that follow from what they stand for."""


def id_from(*parts: str) -> str:
    """Give the id of what these texts stand for, always the same."""
    return str(uuid.uuid5(IDS, json.dumps(parts)))


def draft(new: NewItem, scope: Scope, source: Source, now: float) -> MemoryItem:
    """Make an item of what is to be remembered.

    Args:
        new: what is given.
        scope: whose it is.
        source: where it came from.
        now: the time, in seconds since 1970.

    Raises:
        MemoryFault: something about it is wrong.

    """
    at = now if new.at is None else seconds(new.at)
    return MemoryItem(
        id=str(uuid.uuid4()),
        text=check_text(new.text),
        created_at=now,
        updated_at=now,
        scope=scope,
        kind=kind_of(new.kind),
        data=_json(new.data or {}),
        key=_name("key", new.key),
        subject=_name("subject", new.subject),
        importance=_share(new.importance),
        source=source,
        valid_from=at,
        expires_at=_expiry(new, now),
        supersedes=new.supersedes,
        pinned=new.pinned,
    )


def _expiry(new: NewItem, now: float) -> float | None:
    if new.ttl is None:
        return None
    ttl = seconds(new.ttl)
    if ttl <= 0:
        raise MemoryFault(f"a ttl is a number of seconds above 0, not {ttl}", code="item_invalid")
    return now + ttl


def _name(field: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        told = f"the {field} of a memory is a text, not {value!r}; leave it out if there is none"
        raise MemoryFault(told, code="item_invalid")
    return check_text(value)


def _share(importance: float) -> float:
    value = seconds(importance)
    if not 0 <= value <= 1:
        raise MemoryFault(f"importance is from 0 to 1, not {value}", code="item_invalid")
    return value


def _json(data: Mapping[str, object]) -> dict[str, object]:
    try:
        json.dumps(dict(data), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        told = f"the data of a memory has to be JSON: {error}"
        raise MemoryFault(told, code="item_invalid") from None
    return dict(data)


def content_hash(item: MemoryItem) -> str:
    """Give what two items of one scope have in common that say the same of the same."""
    said = [item.scope.namespace(), item.kind, item.key, item.subject, item.text]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]


def slot(item: MemoryItem) -> tuple[str, ...] | None:
    """Give what only one item can hold at a time: a key of a subject in a scope."""
    if item.key is None:
        return None
    return (*item.scope.namespace(), item.subject or "", item.key)


def same_source(one: MemoryItem, other: MemoryItem) -> bool:
    """Tell whether two items came from the very same place, as far as that is known at all."""
    return one.source == other.source != Source()
