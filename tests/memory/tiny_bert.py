"""A BERT model of random weights in a folder, and what it has to compute, written down plainly."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Weights = dict[str, NDArray[np.float32]]

LAYERS, SIZE, HEADS, WIDE, PLACES = 2, 32, 4, 64, 24
WORDS = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] the red ink ##s press un ##aff ##able paper is dry"
    " , . ! ' - $ 北 京 cafe 7 ##7 i"
).split()
CONFIG = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "hidden_size": SIZE,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": WIDE,
    "vocab_size": len(WORDS),
    "max_position_embeddings": PLACES,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
}
MODULES = [
    {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
]


def random_weights(seed: int = 0) -> Weights:
    random = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(WORDS), SIZE),
        "embeddings.position_embeddings.weight": (PLACES, SIZE),
        "embeddings.token_type_embeddings.weight": (2, SIZE),
    }
    shapes |= _normal("embeddings.LayerNorm")
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        for name in ("query", "key", "value"):
            shapes |= _dense(f"{at}.attention.self.{name}", SIZE, SIZE)
        shapes |= _dense(f"{at}.attention.output.dense", SIZE, SIZE)
        shapes |= _dense(f"{at}.intermediate.dense", WIDE, SIZE)
        shapes |= _dense(f"{at}.output.dense", SIZE, WIDE)
        shapes |= _normal(f"{at}.attention.output.LayerNorm") | _normal(f"{at}.output.LayerNorm")
    return {name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}


def _dense(name: str, outputs: int, inputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _normal(name: str) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (SIZE,), f"{name}.bias": (SIZE,)}


def write_weights(path: Path, weights: Weights, kind: str = "F32", prefix: str = "") -> None:
    types = {"F32": np.float32, "F16": np.float16, "F64": np.float64}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, values in weights.items():
        data = values.astype(types[kind]).tobytes()
        offsets = [len(body), len(body) + len(data)]
        told = {"dtype": kind, "shape": list(values.shape), "data_offsets": offsets}
        header[prefix + name] = told
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


def write_model(folder: Path, weights: Weights | None = None, **config: Any) -> Path:
    """Lay out a folder as sentence-transformers does; ``config`` overrides ``config.json``."""
    (folder / "1_Pooling").mkdir(parents=True)
    pooling = {"word_embedding_dimension": SIZE, "pooling_mode_mean_tokens": True}
    files: dict[str, Any] = {
        "config.json": CONFIG | config,
        "modules.json": MODULES,
        "tokenizer_config.json": {"do_lower_case": True},
        "sentence_bert_config.json": {"max_seq_length": 16},
        "1_Pooling/config.json": pooling,
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    write_weights(folder / "model.safetensors", random_weights() if weights is None else weights)
    return folder


def reference(weights: Weights, tokens: Sequence[int], first: bool = False) -> Numbers:
    """Compute the vector of one text in 64 bits, a head and a token at a time."""
    w: dict[str, Numbers] = {name: values.astype(np.float64) for name, values in weights.items()}

    def dense(name: str, x: Numbers) -> Numbers:
        return np.einsum("ti,oi->to", x, w[f"{name}.weight"]) + w[f"{name}.bias"]

    def normal(name: str, x: Numbers) -> Numbers:
        scaled = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-12)
        return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]

    ids = list(tokens)
    x = w["embeddings.word_embeddings.weight"][ids]
    x = x + w["embeddings.position_embeddings.weight"][: len(ids)]
    x = normal("embeddings.LayerNorm", x + w["embeddings.token_type_embeddings.weight"][0])
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        q, k, v = (dense(f"{at}.attention.self.{name}", x) for name in ("query", "key", "value"))
        mixed = np.zeros_like(x)
        for head in range(HEADS):
            own = slice(head * SIZE // HEADS, (head + 1) * SIZE // HEADS)
            for token in range(len(ids)):
                parts = np.exp(k[:, own] @ q[token, own] / math.sqrt(SIZE // HEADS))
                mixed[token, own] = parts / parts.sum() @ v[:, own]
        near = dense(f"{at}.attention.output.dense", mixed)
        x = normal(f"{at}.attention.output.LayerNorm", x + near)
        wide = np.vectorize(exact_gelu)(dense(f"{at}.intermediate.dense", x))
        x = normal(f"{at}.output.LayerNorm", x + dense(f"{at}.output.dense", wide))
    pooled: Numbers = x[0] if first else x.mean(0)
    return pooled / np.linalg.norm(pooled)


def exact_gelu(x: float) -> float:
    return x * (1 + math.erf(x / math.sqrt(2))) / 2
