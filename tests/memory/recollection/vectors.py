"""The vectors of meaning that a folder holds, and an embedder that waits."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

from stretto.memory.backend.edge import EdgeBackend
from tests.fakes.embedders import WordEmbedder


async def dense(folder: Path) -> dict[str, list[float] | None]:
    """Give the vectors of meaning of everything in a folder, by the text it is found by."""
    backend = EdgeBackend(folder)
    try:
        records, _ = await asyncio.wrap_future(backend.scroll(None, 1000, with_vectors=True))
        texts = {each.payload.get("text", ""): each.vectors for each in records}
        vectors = {text: held.dense if held else None for text, held in texts.items()}
        return {
            text: None if vector is None else [round(each, 4) for each in vector]
            for text, vector in vectors.items()
        }
    finally:
        await asyncio.to_thread(backend.close)


class Slow(WordEmbedder):
    """Answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.may, self.asked = threading.Event(), threading.Event()
        self.may.set()

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.asked.set()
        assert self.may.wait(60)
        return super().embed(texts)

    def hold(self) -> None:
        """Answer nothing until it may."""
        self.may.clear()
        self.asked.clear()


class Same(WordEmbedder):
    """Another embedder, whose vectors are as long."""

    def __init__(self) -> None:
        super().__init__()
        self.fingerprint = "same"

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[1.0] + [0.0] * (self.dims - 1) for _ in texts]
