"""Remembering, recalling and forgetting: the door to what is known from earlier."""

from stretto.memory.recollection.consolidation import Consolidation
from stretto.memory.recollection.forms import (
    Episode,
    MemoryStats,
    NewItem,
    RunMemory,
    Turn,
)
from stretto.memory.recollection.memory import Memory
from stretto.memory.recollection.receipts import Receipt
from stretto.memory.recollection.recollection import Recalled, Recollection

__all__ = [
    "Consolidation",
    "Episode",
    "Memory",
    "MemoryStats",
    "NewItem",
    "Recalled",
    "Receipt",
    "Recollection",
    "RunMemory",
    "Turn",
]
