"""Embedders for tests: words hashed into a few dimensions, without a model."""

import hashlib
import re
from collections.abc import Sequence

from stretto.errors import MemoryFault


class WordEmbedder:
    """Gives texts with the same words the same vectors."""

    def __init__(self, dims: int = 16) -> None:
        self.name = f"words-{dims}"
        self.dims = dims
        self.fingerprint = self.name
        self.away = False

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        if self.away:
            raise MemoryFault("the embedder is away", code="embedder_failed")
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        vector = [0.0] * self.dims
        for word in re.findall(r"\w+", text.lower()) or [text]:
            vector[hashlib.sha256(word.encode()).digest()[0] % self.dims] += 1.0
        return vector
