"""The stores of these tests, and a small embedder of letters."""

import math
from collections import Counter
from collections.abc import Sequence
from string import ascii_lowercase
from typing import Any, Protocol

from stretto.memory.store import QdrantStore


class Opener(Protocol):
    """Opens a store on the backend that a test runs on; it is closed after the test."""

    def __call__(self, **settings: Any) -> QdrantStore: ...


class Letters:
    """Embeds a text as how often it holds each letter, on the unit sphere."""

    name = "letters"
    dims = len(ascii_lowercase)
    fingerprint = "letters-1"

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.calls.append(list(texts))
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> list[float]:
        counts = Counter(text.lower())
        vector = [float(counts[letter]) for letter in ascii_lowercase]
        length = math.hypot(*vector) or 1.0
        return [part / length for part in vector]


def dims_of(settings: dict[str, Any]) -> int | None:
    """Give the size of the vectors that a store with these settings writes."""
    embedder: Letters | None = settings.get("embedder")
    index: dict[str, Any] = settings.get("index") or {}
    return embedder.dims if embedder else index.get("dims")
