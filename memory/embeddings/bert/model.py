"""The forward pass of BERT."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from stretto.memory.embeddings.bert.weights import Floats

Numbers = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model is made of, from its ``config.json``."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    vocab_size: int
    max_position_embeddings: int
    type_vocab_size: int
    layer_norm_eps: float = 1e-12

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Give the shape of every tensor that is used, by name."""
        size, wide = self.hidden_size, self.intermediate_size
        found: dict[str, tuple[int, ...]] = {
            "embeddings.word_embeddings.weight": (self.vocab_size, size),
            "embeddings.position_embeddings.weight": (self.max_position_embeddings, size),
            "embeddings.token_type_embeddings.weight": (self.type_vocab_size, size),
        }
        normal = {"embeddings.LayerNorm"}
        dense: dict[str, tuple[int, int]] = {}
        for layer in range(self.num_hidden_layers):
            at = f"encoder.layer.{layer}"
            normal |= {f"{at}.attention.output.LayerNorm", f"{at}.output.LayerNorm"}
            dense |= {f"{at}.attention.self.{n}": (size, size) for n in ("query", "key", "value")}
            dense[f"{at}.attention.output.dense"] = (size, size)
            dense[f"{at}.intermediate.dense"] = (wide, size)
            dense[f"{at}.output.dense"] = (size, wide)
        for name, shape in dense.items():
            found |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
        for name in normal:
            found |= {f"{name}.weight": (size,), f"{name}.bias": (size,)}
        return found


class Bert:
    """Vaswani et al., "Attention Is All You Need", 2017, as BERT lays its layers out (2018)."""

    def __init__(self, shape: Shape, weights: Mapping[str, Floats]) -> None:
        """Use weights by the names that the library transformers gives them."""
        self.shape = shape
        self._weights = weights

    def forward(self, tokens: Numbers) -> tuple[Floats, Floats]:
        """Give the last hidden states (texts x tokens x size), and 1 where a token is, else 0."""
        width = max(map(len, tokens))
        ids = np.array([[*row, *[0] * (width - len(row))] for row in tokens])
        lengths = np.array([len(row) for row in tokens])
        mask = (np.arange(width) < lengths[:, None]).astype(np.float32)
        table = self._weights["embeddings.word_embeddings.weight"]
        places = self._weights["embeddings.position_embeddings.weight"]
        kind = self._weights["embeddings.token_type_embeddings.weight"][0]
        states = self._normal("embeddings.LayerNorm", table[ids] + places[:width] + kind)
        unseen = ((mask - 1) * 1e9)[:, None, None, :]
        for layer in range(self.shape.num_hidden_layers):
            states = self._layer(f"encoder.layer.{layer}", states, unseen)
        return states, mask

    def _layer(self, at: str, states: Floats, unseen: Floats) -> Floats:
        near = self._dense(f"{at}.attention.output.dense", self._attention(at, states, unseen))
        states = self._normal(f"{at}.attention.output.LayerNorm", states + near)
        wide = gelu(self._dense(f"{at}.intermediate.dense", states))
        return self._normal(
            f"{at}.output.LayerNorm", states + self._dense(f"{at}.output.dense", wide)
        )

    def _attention(self, at: str, states: Floats, unseen: Floats) -> Floats:
        texts, width, size = states.shape
        heads = self.shape.num_attention_heads

        def projected(name: str) -> Any:
            rows = self._dense(f"{at}.attention.self.{name}", states)
            return rows.reshape(texts, width, heads, size // heads).transpose(0, 2, 1, 3)

        query, key, value = map(projected, ("query", "key", "value"))
        scores = query @ key.transpose(0, 1, 3, 2) / sqrt(size // heads) + unseen
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ value
        joined: Floats = mixed.transpose(0, 2, 1, 3).reshape(texts, width, size)
        return joined

    def _dense(self, name: str, states: Floats) -> Floats:
        weights = self._weights[f"{name}.weight"]
        # One product of all tokens, not one per text, and with the weights first: for batches and
        # for a short question it takes half as long.
        made = weights @ states.reshape(-1, states.shape[-1]).T
        rows: Floats = np.ascontiguousarray(made.T) + self._weights[f"{name}.bias"]
        return rows.reshape(*states.shape[:-1], len(weights))

    def _normal(self, name: str, states: Floats) -> Floats:
        centred: Any = states - states.mean(-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(-1, keepdims=True) + self.shape.layer_norm_eps)
        scaled = centred / spread * self._weights[f"{name}.weight"]
        shifted: Floats = scaled + self._weights[f"{name}.bias"]
        return shifted


def gelu(x: Floats) -> Floats:
    """Give x times the part of a normal distribution below x.

    The error function is that of Abramowitz and Stegun, "Handbook of Mathematical Functions",
    1964, 7.1.26: right to 1.5e-7, which is what 32 bits tell apart.
    """
    size: Any = np.abs(x)
    far = size * sqrt(0.5)
    t = 1 / (1 + 0.3275911 * far)
    beyond: Any = np.zeros_like(x)
    for factor in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        beyond += factor
        beyond *= t
    far *= -far
    beyond *= np.exp(far)
    below: Floats = np.maximum(x, 0) - size * beyond / 2
    return below
