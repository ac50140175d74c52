"""New items before anybody knows whether they are known already."""

import hashlib
import json
import math
import uuid
from collections.abc import Mapping
from typing import Any, cast

from stretto.errors import MemoryFault
from stretto.memory.item import MemoryItem, Scope, Source
from stretto.memory.recollection.checks import check_flag, check_number, id_of
from stretto.memory.recollection.forms import NewItem, check_text, kind_of, seconds

IDS = uuid.UUID("0b6f2f0e-33a5-5f0c-8a53-6a2d9c1b7e44")
"""The namespace of ids that follow from what they stand for."""


def id_from(*parts: str) -> str:
    """Give the id of what these texts stand for, always the same."""
    return str(uuid.uuid5(IDS, json.dumps(parts)))


def draft(new: Any, scope: Scope, source: Source, now: float) -> MemoryItem:
    """Make an item of what is to be remembered.

    Args:
        new: what is given.
        scope: whose it is.
        source: where it came from.
        now: the time, in seconds since 1970.

    Raises:
        MemoryFault: something about it is wrong.

    """
    if not isinstance(new, NewItem):
        told = f"what is to be remembered is a NewItem, not {str(new)[:100]!r}"
        raise MemoryFault(told, code="item_invalid")
    at = now if new.at is None else seconds(new.at)
    return MemoryItem(
        id=str(uuid.uuid4()),
        text=check_text(new.text),
        created_at=now,
        updated_at=now,
        scope=scope,
        kind=kind_of(new.kind),
        data=_json({} if new.data is None else new.data),
        key=check_name("key", new.key),
        subject=check_name("subject", new.subject),
        importance=round(check_number("importance", new.importance, 0, 1, "item_invalid"), 6),
        source=source,
        valid_from=at,
        expires_at=_expiry(new, now),
        supersedes=id_of(new.supersedes) or new.supersedes,
        pinned=check_flag("pinned", new.pinned),
    )


def _expiry(new: NewItem, now: float) -> float | None:
    if new.ttl is None:
        return None
    ttl = check_number("ttl", new.ttl, 0, math.inf, "item_invalid")
    if ttl <= 0:
        raise MemoryFault(f"a ttl is a number of seconds above 0, not {ttl}", code="item_invalid")
    return seconds(now + ttl)


def check_name(field: str, value: Any) -> str | None:
    """Give the key or subject of something, None if it has none.

    Raises:
        MemoryFault: it is no text, or a blank one; the code is ``item_invalid``.

    """
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        told = f"the {field} of a memory is a text, not {value!r}; leave it out if there is none"
        raise MemoryFault(told, code="item_invalid")
    return check_text(value)


def _json(data: Any) -> dict[str, Any]:
    """Give data as they will be read: names are texts, tuples are lists."""
    if not isinstance(data, Mapping):
        told = f"the data of a memory is a mapping of names to JSON values, not {str(data)[:100]!r}"
        raise MemoryFault(told, code="item_invalid")
    try:
        form = json.dumps(
            dict(cast("Mapping[str, Any]", data)), ensure_ascii=False, allow_nan=False
        )
        read: dict[str, Any] = json.loads(form.encode())
    except (TypeError, ValueError, RecursionError) as error:
        told = f"the data of a memory has to be JSON: {error}"
        raise MemoryFault(told, code="item_invalid") from None
    return read


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
