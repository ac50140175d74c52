"""Texts as sparse vectors of their words, so that recall needs no model."""

from stretto.memory.lexical.encoder import LexicalEncoder
from stretto.memory.lexical.smoothing import smooth, smooth_dense

__all__ = ["LexicalEncoder", "smooth", "smooth_dense"]
