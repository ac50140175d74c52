"""Cutting what is long into what is short."""

import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
READ_PIECE = 256
BRIEF_WRITE = 4
"""Points that whoever writes them may give to the engine: a few milliseconds at most."""
BREATH_SECONDS = 0.000_05


def pieces(things: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut ``things`` into runs of at most ``size``, and let other threads run between them."""
    for start in range(0, len(things), size):
        if start:
            time.sleep(BREATH_SECONDS)
        yield things[start : start + size]
