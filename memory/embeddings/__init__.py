"""Texts as dense vectors of their meaning: by a service, or by a model in a folder."""

from stretto.memory.embeddings.opening import open_embedder
from stretto.memory.embeddings.protocol import Embedder

__all__ = ["Embedder", "open_embedder"]
