"""What memory needs of whatever turns texts into vectors."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

Compute: TypeAlias = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""One vector per text, in their order; blocks."""


class Embedder(Protocol):
    """Turns texts into vectors of one length; similar meanings lie close to each other."""

    @property
    def name(self) -> str:
        """The name it was opened by."""
        ...

    @property
    def dims(self) -> int:
        """Numbers per vector; the first look may call a service, and blocks."""
        ...

    @property
    def fingerprint(self) -> str:
        """Differs for embedders whose vectors cannot be compared; may block like ``dims``."""
        ...

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Give one vector per text, in their order; blocks, from any thread.

        Raises:
            MemoryFault: the embedder failed (``embedder_failed``), or what it gave is not a
                vector for every text, each finite and ``dims`` long (``vector_invalid``).

        """
        ...
