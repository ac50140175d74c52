"""LangGraph's store on Qdrant: values by namespace and key, found by filter and by words."""

import asyncio
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self, cast

from langgraph.store.base import BaseStore, IndexConfig, Op, Result, TTLConfig

from stretto.memory.backend.protocol import Backend
from stretto.memory.embeddings import Embedder
from stretto.memory.lexical import LexicalEncoder
from stretto.memory.meaning import Always
from stretto.memory.store.batch import Batch, Clock, sweep
from stretto.memory.store.embedding import embedder_of
from stretto.memory.store.preparing import Preparing, StoreIndex
from stretto.memory.store.values import MINUTE


class QdrantStore(BaseStore):
    """A LangGraph store: what a graph is compiled with as ``store``.

    A search without a query gives the newest values first. With one it ranks them by their words
    (BM25), and by meaning too when there is an embedder; scores are from 0 to 1. Values that share
    nothing with the query (score 0), and those that are not indexed (score None), come last.
    """

    supports_ttl = True

    def __init__(
        self,
        backend: Backend,
        encoder: LexicalEncoder | None = None,
        embedder: Embedder | None = None,
        *,
        index: StoreIndex | IndexConfig | None = None,
        ttl: TTLConfig | None = None,
    ) -> None:
        """Keep values in a backend, which may hold other things too.

        Args:
            backend: where the points are; ``close`` closes it.
            encoder: turns text into BM25 vectors; the English one by default.
            embedder: turns text into vectors of meaning; None for none.
            index: which ``fields`` are indexed (the whole value by default), by what if there is no
                embedder (``embed`` and ``dims``), and ``retrieval``.
            ttl: how long values live, in minutes. What has expired is deleted by ``sweep_ttl``, and
                with ``sweep_interval_minutes`` by the first batch after each interval.

        Raises:
            ConfigurationError: the settings of the index contradict each other.

        """
        self.ttl_config = ttl
        interval = (ttl or {}).get("sweep_interval_minutes")
        self._clock = Clock(None if interval is None else interval * MINUTE)
        self._backend = backend
        settings = cast("Mapping[str, Any]", index or {})
        found = embedder_of(embedder, settings)
        meaning = Always(found) if found is not None else None
        self._preparing = Preparing(encoder or LexicalEncoder(), meaning, settings)

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Do all of ``ops`` as one, and give their results in order.

        What they read is the state before what they write; of several writes to one key the last
        one counts.

        Raises:
            InvalidNamespaceError: a label of a namespace is empty, no text, or holds a period.
            InputInvalid: anything else about an operation is wrong; nothing is done then.
            MemoryFault: the memory cannot be used; its message says why and what to do.

        """
        self._check()
        preparing = self._present()
        batch = self._batch(preparing, ops)
        preparing.embed(batch)
        if batch.size:
            self._backend.atomic(batch.run).result()
        return batch.results()

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Do what ``batch`` does, without blocking the event loop."""
        await self._ready()
        preparing = self._present()
        batch = self._batch(preparing, ops)
        if preparing.needs_embedding(batch):
            await asyncio.to_thread(preparing.embed, batch)
        if batch.size:
            await asyncio.wrap_future(self._backend.atomic(batch.run))
        return batch.results()

    def sweep_ttl(self) -> int:
        """Delete every value that has expired, and say how many there were."""
        return self._backend.atomic(sweep).result()

    async def asweep_ttl(self) -> int:
        """Do what ``sweep_ttl`` does, without blocking the event loop."""
        return await asyncio.wrap_future(self._backend.atomic(sweep))

    def _check(self) -> None:
        """Check what is to be checked before a batch, which is nothing here."""

    async def _ready(self) -> None:
        """Do what ``_check`` does, without blocking the event loop."""

    def _present(self) -> Preparing:
        """Give what makes a batch now."""
        return self._preparing

    def _batch(self, preparing: Preparing, ops: Iterable[Op]) -> Batch:
        omit_expired = (self.ttl_config or {}).get("omit_expired", False)
        return preparing.batch(ops, self._clock, omit_expired)

    def close(self) -> None:
        """Close the backend, for everything that uses it."""
        self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.close)
