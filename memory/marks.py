"""How the vectors of a memory are made: kept beside them, so that no others come among them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from stretto.errors import MemoryFault
from stretto.memory.backend.protocol import Backend
from stretto.memory.embeddings import Embedder
from stretto.memory.lexical import LexicalEncoder

Marks: TypeAlias = dict[str, Any]
UNDER_WAY = "reindexing"
"""Stands in the metadata while vectors are made anew."""
REMEDY = "run 'stretto memory reindex' to make all vectors anew"


def marks_of(words: LexicalEncoder, embedder: Embedder | None) -> Marks:
    """Tell how vectors are made, as it is kept beside them; the embedder may be asked."""
    return {"embedder": embedder.fingerprint if embedder else None, "language": words.language}


def check_marks(backend: Backend, folder: Path, marks: Marks, embedder: Embedder | None) -> None:
    """Check that the vectors that are there were made as new ones will be; blocks.

    Args:
        backend: where they are; a new memory is marked.
        folder: what it is called by.
        marks: how new ones will be made, as far as that is known now.
        embedder: makes those of meaning.

    Raises:
        MemoryFault: they were not (``embedder_mismatch``), or the memory cannot be used.

    """
    held = backend.metadata().result()
    if held.get(UNDER_WAY):
        told = f"the vectors of {folder} are only partly made; {REMEDY}"
        raise MemoryFault(told, code="embedder_mismatch")
    for name, mark in marks.items():
        if held.get(name, mark) != mark:
            told = (
                f"the memory in {folder} was made with {name} {_named(held[name])}, not "
                f"{_named(mark)}; set it as it was, or {REMEDY}"
            )
            raise MemoryFault(told, code="embedder_mismatch")
    _keep(backend, {name: mark for name, mark in marks.items() if name not in held}, embedder)


def _keep(backend: Backend, marks: Mapping[str, Any], embedder: Embedder | None) -> None:
    """Note how the vectors of a new memory are made, and let it have some of meaning."""
    if embedder is not None and "embedder" in marks:
        backend.rebuild(None, embedder.dims, marks).result()
    elif marks:
        backend.set_metadata(marks).result()


def _named(mark: Any) -> str:
    return "none" if mark is None else f"'{mark}'"
