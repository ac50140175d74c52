"""What is done with operations before the engine is asked: checks, JSON, and vectors."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, Literal, cast

from langgraph.store.base import (
    GetOp,
    IndexConfig,
    ListNamespacesOp,
    Op,
    PutOp,
    SearchOp,
    validate_op_namespace,
)

from stretto.errors import ConfigurationError, InputInvalid
from stretto.memory.lexical import LexicalEncoder
from stretto.memory.meaning import Meaning
from stretto.memory.store.batch import Batch, Clock, Get
from stretto.memory.store.filters import check, mirrored
from stretto.memory.store.search import Search, Using, Vector
from stretto.memory.store.texts import WHOLE, texts_of
from stretto.memory.store.values import MINUTE, Put, check_unicode, exact_json, id_of

Retrieval = Literal["hybrid", "lexical", "dense"]
KINDS: Final[dict[Retrieval, tuple[Using, ...]]] = {
    "hybrid": ("lex", "dense"),
    "lexical": ("lex",),
    "dense": ("dense",),
}


class StoreIndex(IndexConfig, total=False):
    """How values are indexed: LangGraph's settings, and one more."""

    retrieval: Retrieval
    """What ranks a search: words and meaning (with an embedder the default), or one of them."""


class Preparing:
    """Makes batches out of operations, the way a store is set up."""

    def __init__(
        self,
        encoder: LexicalEncoder,
        meaning: Meaning | None,
        index: Mapping[str, Any],
    ) -> None:
        """Prepare with these vectors and settings.

        Args:
            encoder: turns text into BM25 vectors.
            meaning: turns text into vectors of meaning; None for none.
            index: a ``StoreIndex``, of which ``embed`` was seen to.

        Raises:
            ConfigurationError: the settings contradict each other.

        """
        self._encoder = encoder
        self._meaning = meaning
        self._fields = tuple(index.get("fields") or (WHOLE,))
        retrieval = index.get("retrieval") or ("hybrid" if meaning else "lexical")
        self._kinds = _checked(retrieval, meaning)

    def batch(self, ops: Iterable[Op], clock: Clock, omit_expired: bool) -> Batch:
        """Check operations, and make one batch of them; vectors of meaning are still missing.

        Raises:
            InvalidNamespaceError: a label of a namespace is empty, no text, or holds a period.
            InputInvalid: anything else about an operation is wrong.

        """
        batch = Batch(clock, omit_expired, self._meaning)
        for op in ops:
            validate_op_namespace(op)
            self._add(batch, op)
            batch.size += 1
        return batch

    def needs_embedding(self, batch: Batch) -> bool:
        """Say whether anything of a batch is to have a vector of meaning."""
        return "dense" in self._kinds and (
            any(put.texts for put in batch.puts.values())
            or any(search.op.query for search in batch.searches.values())
        )

    def embed(self, batch: Batch) -> None:
        """Add the vectors of meaning, as far as they can be made; this may take long."""
        if self._meaning is None or not self.needs_embedding(batch):
            return
        asked = {position: s for position, s in batch.searches.items() if s.op.query}
        texts = dict.fromkeys(text for put in batch.puts.values() for text in put.texts)
        texts |= dict.fromkeys(str(search.op.query) for search in asked.values())
        vectors = dict(zip(texts, self._meaning.vectors(list(texts)), strict=True))
        for id, put in batch.puts.items():
            batch.puts[id] = replace(put, dense=tuple(vectors[text] for text in put.texts))
        for position, search in asked.items():
            batch.searches[position] = search.meaning(vectors[str(search.op.query)])

    def _add(self, batch: Batch, op: Op) -> None:
        match op:
            case GetOp():
                batch.gets[batch.size] = Get(id_of(tuple(op.namespace), str(op.key)), op)
            case SearchOp():
                batch.searches[batch.size] = self._search(op)
            case ListNamespacesOp():
                _check_page(op.limit, op.offset)
                for condition in op.match_conditions or ():
                    check_unicode(condition.path)
                batch.lists[batch.size] = op
            case PutOp():
                put = self._put(op)
                batch.puts[put.id] = put
            case _:
                raise InputInvalid(f"a store knows no operation {type(op).__name__}")

    def _search(self, op: SearchOp) -> Search:
        _check_page(op.limit, op.offset)
        check_unicode(op.namespace_prefix)
        check(op.filter or {})
        if not isinstance(cast("object", op.query), str | None):
            raise InputInvalid(f"a query is text, not a {type(op.query).__name__}")
        vectors: dict[Using, Vector] = {}
        if op.query and "lex" in self._kinds:
            words = self._encoder.encode_query(op.query)
            if words[0]:
                vectors["lex"] = words
        return Search(op, vectors, self._kinds)

    def _put(self, op: PutOp) -> Put:
        namespace, key = tuple(op.namespace), str(op.key)
        id = id_of(namespace, key)
        if op.value is None:
            return Put(id, namespace, key)
        if op.ttl is not None and not (math.isfinite(op.ttl * MINUTE) and op.ttl >= 0):
            raise InputInvalid(f"a value cannot live {op.ttl} minutes; give 0 or more, or None")
        value_json = exact_json(op)
        texts = tuple(texts_of(op.value, op.index, self._fields))
        lex = self._encoder.encode("\n".join(texts)) if texts else None
        return Put(id, namespace, key, value_json, mirrored(op.value), op.ttl, texts, lex)


def _checked(retrieval: Any, meaning: Meaning | None) -> tuple[Using, ...]:
    if retrieval not in KINDS:
        raise ConfigurationError(
            f"a store cannot retrieve by {retrieval!r}; use one of {', '.join(KINDS)}"
        )
    if meaning is None and retrieval != "lexical":
        raise ConfigurationError(
            f"{retrieval} retrieval needs an embedder; name one, or leave it out"
        )
    return KINDS[retrieval]


def _check_page(limit: int, offset: int) -> None:
    if limit < 0 or offset < 0:
        raise InputInvalid(f"limit {limit} and offset {offset} must not be below 0")
