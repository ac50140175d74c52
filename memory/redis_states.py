"""A LangGraph store in a plain Redis, without modules.

Each namespace is a hash of its items, and one set names all namespaces. Redis finds and filters
nothing: what is asked for is fetched, and LangGraph's store in memory answers.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchOp,
)
from langgraph.store.memory import InMemoryStore

Namespace = tuple[str, ...]
PREFIX = "stretto:{store}"
"""The braces keep all keys on one node of a cluster."""
NAMESPACES = f"{PREFIX}:namespaces"


class RedisStates(BaseStore):
    """Keeps items in Redis; writes of a batch are done as a whole or not at all.

    Reads of a batch see what was there before its writes. Nothing expires, and nothing is indexed.
    """

    def __init__(self, client: Any) -> None:
        """Keep items through an open client of ``redis.asyncio``."""
        self._client = client

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Refuse: the client is asynchronous."""
        raise NotImplementedError("the store in Redis is asynchronous; use 'abatch', 'aget', ...")

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations.

        Raises:
            redis.RedisError: Redis failed.
            OSError: Redis is away.

        """
        listed = list(ops)
        reads = [op for op in listed if not isinstance(op, PutOp)]
        puts = [op for op in listed if isinstance(op, PutOp)]
        known = await self._known(reads) if reads else _Known()
        if puts:
            await self._write(puts)
        return await known.abatch(listed)

    async def _known(self, reads: Sequence[Op]) -> "_Known":
        """Fetch every namespace that the operations look into."""
        wanted = {op.namespace for op in reads if isinstance(op, GetOp)}
        if any(not isinstance(op, GetOp) for op in reads):
            names: set[bytes] = await self._client.smembers(NAMESPACES)
            namespaces = [tuple(json.loads(name)) for name in names]
            wanted.update(space for space in namespaces if any(_covers(op, space) for op in reads))
        known, ordered = _Known(), sorted(wanted)
        # No transaction: a Redis that is full takes none, but can still be read.
        async with self._client.pipeline(transaction=False) as pipe:
            for namespace in ordered:
                pipe.hgetall(_key(namespace))
            found: list[dict[bytes, bytes]] = await pipe.execute()
        for namespace, items in zip(ordered, found, strict=True):
            for key, text in items.items():
                known.hold(_item(namespace, key.decode(), text))
        return known

    async def _write(self, puts: Sequence[PutOp]) -> None:
        now = datetime.now(UTC).isoformat()
        async with self._client.pipeline(transaction=True) as pipe:
            for op in puts:
                if op.value is None:
                    pipe.hdel(_key(op.namespace), op.key)
                else:
                    entry = {"value": op.value, "created_at": now, "updated_at": now}
                    pipe.hset(_key(op.namespace), op.key, json.dumps(entry))
                    pipe.sadd(NAMESPACES, json.dumps(op.namespace))
            await pipe.execute()


class _Known(InMemoryStore):
    """What was fetched, so that LangGraph's own store can answer from it."""

    def hold(self, item: Item) -> None:
        """Add an item as it is, with its times."""
        self._data[item.namespace][item.key] = item


def _covers(op: Op, namespace: Namespace) -> bool:
    """Tell whether an operation looks into a namespace."""
    if isinstance(op, SearchOp):
        return namespace[: len(op.namespace_prefix)] == op.namespace_prefix
    return isinstance(op, ListNamespacesOp)


def _key(namespace: Namespace) -> str:
    return f"{PREFIX}:{json.dumps(namespace)}"


def _item(namespace: Namespace, key: str, text: bytes) -> Item:
    entry: dict[str, Any] = json.loads(text)
    return Item(
        namespace=namespace,
        key=key,
        value=entry["value"],
        created_at=datetime.fromisoformat(entry["created_at"]),
        updated_at=datetime.fromisoformat(entry["updated_at"]),
    )
