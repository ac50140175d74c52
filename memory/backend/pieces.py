"""Cutting what is long into what is short."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
READ_PIECE = 256


def pieces(things: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut ``things`` into runs of at most ``size``."""
    return (things[i : i + size] for i in range(0, len(things), size))
