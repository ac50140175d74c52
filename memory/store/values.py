"""How the store writes a value as a point, and reads it back."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

from langgraph.store.base import Item, PutOp, SearchItem

from stretto.errors import InputInvalid
from stretto.memory.backend.types import Point, Record, Sparse
from stretto.memory.meaning import PENDING, Dense
from stretto.memory.store.filters import MIRROR
from stretto.memory.store.paths import Namespace, join, prefixes, split, suffixes

VALUE: Final = "value"
"""What ``stretto`` says in the payload of a value."""
PART: Final = "part"
"""What it says where one of several texts of a value has its own vector; ``parent`` names it."""
MINUTE: Final = 60.0
_IDS: Final = uuid.UUID("6d1f2a38-54c2-5c8b-9a55-0b5f6f0f7b1e")


@dataclass(frozen=True, slots=True)
class Put:
    """One value on its way into the store, or out of it when ``value_json`` is None."""

    id: str
    namespace: Namespace
    key: str
    value_json: str | None = None
    mirror: Any = None
    ttl: float | None = None
    """Minutes."""
    texts: tuple[str, ...] = ()
    lex: Sparse | None = None
    dense: tuple[Dense, ...] = ()
    """One for each text, or nothing where none is to have any."""


def id_of(namespace: Namespace, key: str) -> str:
    """Give the id of the point that holds a value."""
    check_unicode((*namespace, key))
    # A label holds no NUL, so this text has one reading.
    return str(uuid.uuid5(_IDS, f"{join(namespace)}\x00{key}"))


def check_unicode(labels: Sequence[str]) -> None:
    """Refuse halves of characters, which the engine cannot find again.

    Raises:
        InputInvalid: a label or key has one.

    """
    try:
        "".join(labels).encode()
    except UnicodeEncodeError as error:
        raise InputInvalid(
            f"{(*labels,)!r} is no valid text: {error.reason}; give it as Unicode"
        ) from error


def part_ids(id: str, count: int) -> list[str]:
    """Give the ids of the ``count`` points beside a value that hold the vectors of its texts."""
    return [str(uuid.uuid5(uuid.UUID(id), str(number))) for number in range(count)]


def exact_json(op: PutOp) -> str:
    """Write the value of an operation as JSON that reads back the same.

    Raises:
        InputInvalid: the value is not JSON.

    """
    where = f"the value of {op.key!r} in {tuple(op.namespace)!r}"
    if not isinstance(op.value, Mapping):
        raise InputInvalid(f"{where} is a {type(op.value).__name__}; give a mapping, or None")
    try:
        _check_keys(op.value)
        text = json.dumps(dict(op.value), ensure_ascii=False, separators=(",", ":"))
        return text if text.isascii() or _is_unicode(text) else json.dumps(dict(op.value))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputInvalid(
            f"{where} cannot be written as JSON: {error}; use text, numbers, booleans, None, "
            "lists and mappings with text as keys"
        ) from error


def points_of(
    put: Put, created_at: float, updated_at: float, expires_at: float | None
) -> list[Point]:
    """Give the points that hold a value: one, and one more for each of several texts."""
    shared: dict[str, Any] = {"ns_prefixes": prefixes(put.namespace)}
    if put.mirror is not None:
        shared[MIRROR] = put.mirror
    if expires_at is not None:
        shared |= {"expires_at": expires_at, "ttl_minutes": put.ttl}
    payload = shared | {
        "stretto": VALUE,
        "ns_path": join(put.namespace),
        "ns_suffixes": suffixes(put.namespace),
        "ns_depth": len(put.namespace),
        "key": put.key,
        "created_at": created_at,
        "updated_at": updated_at,
        "value_json": put.value_json,
    }
    if put.texts:
        payload["text"] = "\n".join(put.texts)
    if len(put.dense) < 2:
        payload |= _waiting(put.dense)
        return [Point(put.id, payload, put.lex, None, put.dense[0] if put.dense else None)]
    payload["parts"] = len(put.dense)
    parts = zip(part_ids(put.id, len(put.dense)), put.texts, put.dense, strict=True)
    return [
        Point(put.id, payload, put.lex, None, None),
        *(
            Point(id, shared | _part(put, text) | _waiting([dense]), None, None, dense)
            for id, text, dense in parts
        ),
    ]


def _part(put: Put, text: str) -> dict[str, Any]:
    return {"stretto": PART, "parent": put.id, "text": text}


def _waiting(dense: Sequence[Dense]) -> dict[str, Any]:
    """Mark a point whose vector could not be made, so that it is made later."""
    return {PENDING: 1} if any(each is None for each in dense) else {}


def value_of(record: Record) -> dict[str, Any]:
    """Read the value that a point holds."""
    return cast("dict[str, Any]", json.loads(record.payload["value_json"]))


def item_of(record: Record) -> Item:
    """Read the item that a point holds."""
    return Item(**_fields(record))


def search_item_of(record: Record, score: float | None) -> SearchItem:
    """Read the item that a point holds, as a search gives it."""
    return SearchItem(**_fields(record), score=score)


def _fields(record: Record) -> dict[str, Any]:
    payload = record.payload
    return {
        "namespace": split(payload["ns_path"]),
        "key": payload["key"],
        "value": value_of(record),
        "created_at": datetime.fromtimestamp(payload["created_at"], UTC),
        "updated_at": datetime.fromtimestamp(payload["updated_at"], UTC),
    }


def _check_keys(value: Any) -> None:
    if isinstance(value, Mapping):
        for key, part in cast("Mapping[object, Any]", value).items():
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is no text")
            _check_keys(part)
    elif isinstance(value, (list, tuple)):
        for item in cast("Sequence[Any]", value):
            _check_keys(item)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
