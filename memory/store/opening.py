"""Opening a store of its own, in a folder or on a server."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from langgraph.store.base import IndexConfig, TTLConfig
from pydantic import SecretStr

from stretto.memory.backend.opening import open_backend
from stretto.memory.embeddings import Embedder, open_embedder
from stretto.memory.lexical import LexicalEncoder
from stretto.memory.store.embedding import embedder_of
from stretto.memory.store.preparing import StoreIndex
from stretto.memory.store.store import QdrantStore


def open_store(
    folder: str | Path,
    url: str | None = None,
    api_key: SecretStr | str | None = None,
    *,
    embedder: Embedder | str | None = None,
    language: str = "english",
    index: StoreIndex | IndexConfig | None = None,
    ttl: TTLConfig | None = None,
) -> QdrantStore:
    """Open a store that has its backend to itself; nothing is read before its first use.

    Args:
        folder: where the embedded engine keeps its files, and caches are.
        url: the Qdrant server to use instead of the embedded engine.
        api_key: the key for the server.
        embedder: what turns text into vectors of meaning, or its name; None for none.
        language: the language whose words are stemmed.
        index: which ``fields`` are indexed, by what (``embed``), and ``retrieval``.
        ttl: how long values live, in minutes.

    Raises:
        ConfigurationError: the settings contradict each other, or the embedder is not known.

    """
    settings = cast("Mapping[str, Any]", index or {})
    path = Path(folder)
    named = open_embedder(embedder, path / "vectors.db") if isinstance(embedder, str) else embedder
    found = embedder_of(named, settings)
    backend = open_backend(
        path,
        url,
        SecretStr(api_key) if isinstance(api_key, str) else api_key,
        found.dims if found is not None else None,
    )
    return QdrantStore(backend, LexicalEncoder(language), named, index=index, ttl=ttl)
