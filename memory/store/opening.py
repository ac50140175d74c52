"""Opening a store of its own, in a folder or on a server."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any, cast

from langgraph.store.base import IndexConfig, TTLConfig
from pydantic import SecretStr

from stretto.memory.backend.opening import open_backend
from stretto.memory.backend.protocol import Backend
from stretto.memory.embeddings import Embedder, open_embedder
from stretto.memory.lexical import LexicalEncoder
from stretto.memory.marks import check_marks, marks_of
from stretto.memory.store.embedding import embedder_of
from stretto.memory.store.preparing import StoreIndex
from stretto.memory.store.store import QdrantStore


class OwnStore(QdrantStore):
    """A store that has its backend to itself, whose vectors are checked before its first use."""

    def __init__(
        self,
        folder: Path,
        backend: Backend,
        words: LexicalEncoder,
        embedder: Embedder | None,
        index: StoreIndex,
        ttl: TTLConfig | None,
    ) -> None:
        """Keep values in a backend; see ``open_store``."""
        super().__init__(backend, words, embedder, index=index, ttl=ttl)
        self._folder, self._words, self._embedder = folder, words, embedder
        self._checked, self._checking = False, Lock()

    def _check(self) -> None:
        with self._checking:  # of many first calls one is enough
            if not self._checked:
                marks = marks_of(self._words, self._embedder)
                check_marks(self._backend, self._folder, marks, self._embedder)
                self._checked = True

    async def _ready(self) -> None:
        if not self._checked:
            await asyncio.to_thread(self._check)


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

    Its first use raises MemoryFault (``embedder_mismatch``) where the folder was written by another
    embedder or in another language, as that of a memory does.

    Raises:
        ConfigurationError: the settings contradict each other, or the embedder is not known.

    """
    settings = cast("Mapping[str, Any]", index or {})
    path = Path(folder)
    named = open_embedder(embedder, path / "vectors.db") if isinstance(embedder, str) else embedder
    found = embedder_of(named, settings)
    key = SecretStr(api_key) if isinstance(api_key, str) else api_key
    backend, words = open_backend(path, url, key), LexicalEncoder(language)
    rest = cast("StoreIndex", {name: held for name, held in settings.items() if name != "embed"})
    return OwnStore(path, backend, words, found, rest, ttl)
