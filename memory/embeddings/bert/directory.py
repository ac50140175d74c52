"""A folder as sentence-transformers saves it, opened for embedding."""

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stretto.errors import ConfigurationError
from stretto.memory.embeddings.bert.wordpiece import WordPiece
from stretto.memory.embeddings.protocol import Compute

if TYPE_CHECKING:
    from stretto.memory.embeddings.bert.model import Bert

BATCH = 32
SHORTEST = 3
"""Tokens: begin, one piece of a word, and end."""
KNOWN_MODULES = ("Transformer", "Pooling", "Normalize")
FILES = ("config.json", "vocab.txt", "model.safetensors")


def open_directory(path: Path) -> Compute:
    """Open a BERT model of sentence-transformers; its vectors have length 1.

    Args:
        path: the folder with ``config.json``, ``vocab.txt`` and ``model.safetensors``.

    Raises:
        ConfigurationError: the folder or a file in it is missing, damaged, or of another kind of
            model; or NumPy is not installed.

    """
    if not path.is_dir():
        raise ConfigurationError(f"there is no folder {path} to take an embedding model from")
    missing = [name for name in FILES if not (path / name).is_file()]
    if missing:
        raise ConfigurationError(f"{path} is no BERT model to embed with: {missing[0]} is missing")
    try:
        return SentenceModel(path).embed
    except ImportError:
        told = "an embedding model in a folder needs NumPy: pip install 'stretto[embeddings]'"
        raise ConfigurationError(told) from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        told = f"the embedding model in {path} cannot be used: {error}"
        raise ConfigurationError(told) from error


class SentenceModel:
    """Tokens, BERT, and one vector out of its last states."""

    def __init__(self, path: Path) -> None:
        """Read the folder at ``path``."""
        options = _read(path / "tokenizer_config.json")
        vocabulary = _vocabulary(path)
        self._tokens = WordPiece(vocabulary, options.get("do_lower_case", True))
        self._bert = _bert(path)
        if max(vocabulary.values()) >= self._bert.shape.vocab_size:
            raise ValueError("vocab.txt has more words than config.json says")
        most = self._bert.shape.max_position_embeddings
        longest = _read(path / "sentence_bert_config.json").get("max_seq_length") or most
        if not isinstance(longest, int) or longest < SHORTEST:
            raise ValueError(f"its max_seq_length is {longest}, no room for a word")
        self._limit = min(longest, most)
        self._takes_first = _takes_first(path)

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Give one vector of length 1 per text; what is beyond the model's limit is not seen."""
        tokens = [self._tokens.tokens(text, self._limit) for text in texts]
        order = sorted(range(len(texts)), key=lambda place: len(tokens[place]))
        vectors: list[list[float]] = [[] for _ in texts]
        for start in range(0, len(order), BATCH):  # texts of one length share a batch
            places = order[start : start + BATCH]
            rows = self._pooled([tokens[place] for place in places])
            for place, vector in zip(places, rows, strict=True):
                vectors[place] = vector
        return vectors

    def _pooled(self, tokens: Sequence[Sequence[int]]) -> list[list[float]]:
        import numpy as np

        from stretto.memory.embeddings.bert.threads import ONE_THREAD

        with ONE_THREAD:
            states, mask = self._bert.forward(tokens)
        if self._takes_first:
            pooled = states[:, 0]
        else:
            pooled = (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
        found: list[list[float]] = (
            pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)
        ).tolist()
        return found


def _read(path: Path, kind: type[dict[str, Any]] | type[list[Any]] = dict) -> Any:
    """Give the content of a JSON file, nothing if there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return kind()
    except ValueError as error:
        raise ValueError(f"{path.name} is damaged ({error})") from None
    if not isinstance(content, kind):
        raise ValueError(f"{path.name} is damaged (no {kind.__name__} is in it)")
    return content


def _vocabulary(path: Path) -> dict[str, int]:
    try:
        lines = (path / "vocab.txt").read_text(encoding="utf-8").split("\n")
    except ValueError as error:
        raise ValueError(f"vocab.txt is damaged ({error})") from None
    words = lines[:-1] if lines[-1] == "" else lines
    vocabulary = {word: number for number, word in enumerate(words)}
    for marker in ("[UNK]", "[CLS]", "[SEP]"):
        if marker not in vocabulary:
            raise ValueError(f"vocab.txt is no vocabulary of BERT, it has no {marker}")
    return vocabulary


def _bert(path: Path) -> "Bert":
    from stretto.memory.embeddings.bert.model import Bert, Shape
    from stretto.memory.embeddings.bert.weights import read_weights

    config = _read(path / "config.json")
    expected = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
    for name, value in expected.items():
        if config.get(name, value) != value:
            raise ValueError(f"its {name} is '{config[name]}', and only '{value}' can be run")
    names = [field.name for field in fields(Shape)]
    try:
        shape = Shape(**{name: config[name] for name in names if name in config})
    except TypeError as error:
        raise ValueError(f"config.json is incomplete ({error})") from None
    if shape.hidden_size < 1 or shape.num_attention_heads not in range(1, shape.hidden_size + 1):
        raise ValueError("config.json has no heads or no size")
    if shape.hidden_size % shape.num_attention_heads:
        raise ValueError("config.json divides its size into heads of unequal size")
    try:
        weights = read_weights(path / "model.safetensors")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"model.safetensors is damaged: {error}") from None
    for name, dims in shape.tensors().items():
        if name not in weights or weights[name].shape != dims:
            has = weights[name].shape if name in weights else "missing"
            raise ValueError(
                f"model.safetensors has another '{name}' ({has}) than config.json says"
            )
    return Bert(shape, weights)


def _takes_first(path: Path) -> bool:
    """Tell whether the first state is the vector, else their mean; refuse any other way."""
    modules: list[dict[str, Any]] = _read(path / "modules.json", list)
    for module in modules:
        kind = module["type"].rpartition(".")[2]
        if kind not in KNOWN_MODULES:
            raise ValueError(f"modules.json names a '{kind}', which cannot be run")
    pooling = [m["path"] for m in modules if m["type"].endswith("Pooling")] or ["1_Pooling"]
    config = _read(path / pooling[0] / "config.json")
    chosen = [
        name for name, on in config.items() if name.startswith("pooling_mode_") and on is True
    ]
    if "pooling_mode" in config:  # newer versions write one word
        chosen.append(f"pooling_mode_{config['pooling_mode']}")
    known = {
        **dict.fromkeys(("pooling_mode_mean_tokens", "pooling_mode_mean"), False),
        **dict.fromkeys(("pooling_mode_cls_token", "pooling_mode_cls"), True),
    }
    if len(chosen) > 1 or (chosen and chosen[0] not in known):
        raise ValueError(
            f"its pooling is {', '.join(chosen)}; only the mean or the first state can be run"
        )
    return known[chosen[0]] if chosen else False
