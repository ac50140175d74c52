"""The memory as a LangGraph store: what a graph is compiled with as ``store``."""

from stretto.memory.store.opening import open_store
from stretto.memory.store.preparing import StoreIndex
from stretto.memory.store.store import QdrantStore

__all__ = ["QdrantStore", "StoreIndex", "open_store"]
