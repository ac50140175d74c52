"""Vectors of meaning as points have them: made by somebody, or still missing."""

from collections.abc import Sequence
from typing import Final, Protocol, TypeAlias

from stretto.memory.embeddings import Embedder
from stretto.memory.embeddings.checked import vectors_of

PENDING: Final = "dense_pending"
"""The payload's field, 1 where a vector of meaning could not be made yet, else absent."""
Dense: TypeAlias = Sequence[float] | None
"""A vector of meaning; None where it could not be made."""


class Meaning(Protocol):
    """Makes the vectors of what is put into a store, and of what it is asked."""

    @property
    def retired(self) -> bool:
        """Whether all vectors are made otherwise by now, so that none of these fits them."""
        ...

    def vectors(self, texts: Sequence[str]) -> Sequence[Dense]:
        """Give one vector for each text, None where it cannot be made now; blocks."""
        ...


class Always:
    """The meaning of an embedder that nothing is put without."""

    retired = False

    def __init__(self, embedder: Embedder) -> None:
        """Ask this embedder; what it raises is raised."""
        self._embedder = embedder

    def vectors(self, texts: Sequence[str]) -> Sequence[Dense]:
        """Give one vector for each text."""
        return vectors_of(self._embedder, texts)
