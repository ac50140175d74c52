"""The embedder of a store, which LangGraph's settings of an index may name as well."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from langchain_core.embeddings import Embeddings
from langgraph.store.base import ensure_embeddings

from stretto.errors import ConfigurationError
from stretto.memory.embeddings import Embedder, open_embedder

Vectors = list[list[float]]


class Borrowed:
    """An embedder out of LangChain's embeddings, or of a function."""

    def __init__(self, embeddings: Embeddings, dims: int) -> None:
        """Embed with ``embeddings``, which give ``dims`` numbers."""
        self._embeddings = embeddings
        self.dims = dims
        model = getattr(embeddings, "model", None) or type(embeddings).__name__
        self.name = str(model)
        self.fingerprint = f"{self.name}:{dims}"

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Give one vector for each text."""
        return self._embeddings.embed_documents(list(texts))


def embedder_of(embedder: Embedder | None, index: Mapping[str, Any]) -> Embedder | None:
    """Give the embedder that a store was given, in either way.

    Args:
        embedder: the embedder; None for the one of the index, if any.
        index: LangGraph's settings: ``embed`` (embeddings, a function, or a name) and ``dims``.

    Raises:
        ConfigurationError: the two contradict each other, or ``dims`` is missing.

    """
    embed, dims = index.get("embed"), index.get("dims")
    if embedder is not None and embed is not None:
        raise ConfigurationError("a store was given an embedder and index['embed']; leave one out")
    if isinstance(embed, str):
        embedder = open_embedder(embed)
    if embedder is not None and dims is not None and dims != embedder.dims:
        raise ConfigurationError(
            f"the index is to have {dims} dimensions, and {embedder.name} gives {embedder.dims}"
        )
    if embed is None or embedder is not None:
        return embedder
    if dims is None:
        raise ConfigurationError("index['embed'] needs index['dims'], the size of its vectors")
    return Borrowed(ensure_embeddings(_blocking(embed)), int(dims))


def _blocking(embed: Any) -> Any:
    """Make a function that blocks out of one that is awaited; leave anything else."""
    if isinstance(embed, Embeddings) or not _is_async(embed):
        return embed
    awaited = cast("Callable[[Sequence[str]], Awaitable[Vectors]]", embed)

    def embed_texts(texts: Sequence[str]) -> Vectors:
        async def run() -> Vectors:
            return await awaited(texts)

        # The caller's thread may run an event loop, which cannot run another one.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(run())).result()

    return embed_texts


def _is_async(embed: Any) -> bool:
    return inspect.iscoroutinefunction(embed) or inspect.iscoroutinefunction(
        getattr(embed, "__call__", None)  # noqa: B004
    )
