"""Items as points: their payload, their words, their meaning."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

from stretto.errors import MemoryFault
from stretto.memory.backend.types import Point
from stretto.memory.embeddings import Embedder
from stretto.memory.embeddings.checked import vectors_of
from stretto.memory.item import Kind, MemoryItem
from stretto.memory.lexical import LexicalEncoder, smooth, smooth_dense
from stretto.memory.meaning import PENDING, Dense
from stretto.memory.recollection.drafts import content_hash

FAILED = "embedder_failed"
PAUSE_SECONDS = 30.0
"""How long an embedder that failed is left alone."""
logger = logging.getLogger(__name__)


def said(item: MemoryItem) -> str:
    """Give the text that an item is found by: who said it comes first."""
    author = item.source.author
    return f"{author}: {item.text}" if author and item.kind == Kind.MESSAGE else item.text


class Encoder:
    """Makes points of items."""

    def __init__(
        self, words: LexicalEncoder, embedder: Embedder | None, strict: bool = False
    ) -> None:
        """Encode words, and meaning if there is an embedder; a strict one does not do without."""
        self._strict = strict
        self.words = words
        self.embedder = embedder
        self._down_until = 0.0
        self.retired = False
        """Whether all vectors are made otherwise by now; what was begun goes on without meaning."""

    async def meanings(self, texts: Sequence[str]) -> list[Dense]:
        """Give the vectors of meaning of texts; None where they cannot be made now.

        Raises:
            MemoryFault: the embedder gives vectors that cannot be kept (``vector_invalid``).

        """
        if self.embedder is None or self.rests or not texts:
            return [None] * len(texts)
        found = await asyncio.to_thread(self.vectors, texts)
        return [None] * len(texts) if self.retired else found

    def vectors(self, texts: Sequence[str]) -> list[Dense]:
        """Do what ``meanings`` does, but for looking whether they fit by now; blocks."""
        if self.embedder is None or self.rests:
            return [None] * len(texts)
        try:
            return [*vectors_of(self.embedder, list(texts))]
        except Exception as error:
            self.pass_over(error)
            return [None] * len(texts)

    @property
    def rests(self) -> bool:
        """Whether the embedder failed a moment ago and is left alone."""
        return time.monotonic() < self._down_until

    def pass_over(self, error: Exception) -> None:
        """Leave an embedder that failed alone for a while: until then words are enough.

        Raises:
            MemoryFault: the error is another one: what the embedder gives cannot be kept.

        """
        if self._strict or (isinstance(error, MemoryFault) and error.code != FAILED):
            raise error
        logger.warning("memories are found by their words alone for now: %s", error)
        self._down_until = time.monotonic() + PAUSE_SECONDS

    def point(self, item: MemoryItem, dense: Dense = None) -> Point:
        """Make the point of an item that stands for itself."""
        lex = self.words.encode(said(item), item.valid_from)
        return Point(item.id, self.payload(item, dense), lex, None, dense)

    def turns(self, items: Sequence[MemoryItem], dense: Sequence[Dense]) -> list[Point]:
        """Make the points of turns that follow each other; each holds a part of its neighbours."""
        words = smooth([self.words.encode(said(item), item.valid_from) for item in items])
        whole = [vector for vector in dense if vector is not None]
        near: list[Dense] = [None] * len(items)
        if len(whole) == len(items):
            near = [*smooth_dense(whole)]
        return [
            Point(item.id, self.payload(item, vector), lex, None, vector)
            for item, lex, vector in zip(items, words, near, strict=True)
        ]

    def episode(self, item: MemoryItem, whole: str, own_words: bool, dense: Dense = None) -> Point:
        """Make the point of an episode.

        Args:
            item: what is told of it.
            whole: the text of all its parts.
            own_words: whether it is found by its own text too, beside its parts.
            dense: the meaning of its own text, which counts only with its own words.

        """
        lex = self.words.encode(item.text, item.valid_from) if own_words else None
        everything = self.words.encode_episode(whole, item.valid_from)
        own = dense if own_words else None
        payload = self.payload(item, own)
        if not own_words:
            payload.pop(PENDING, None)
        return Point(item.id, payload, lex, everything, own)

    def payload(self, item: MemoryItem, dense: Dense) -> dict[str, Any]:
        """Give what is kept of an item beside its vectors."""
        payload = item.to_payload() | {"content_hash": content_hash(item)}
        if self.embedder is not None and dense is None:
            payload[PENDING] = 1
        return payload
