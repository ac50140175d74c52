"""An embedder whose vectors are checked, told apart from those of others, and kept for reuse."""

import hashlib
from array import array
from collections.abc import Sequence
from functools import cached_property
from math import isfinite

from stretto.errors import MemoryFault
from stretto.memory.embeddings.protocol import Compute, Embedder
from stretto.memory.embeddings.vectors import VectorCache

DIRECTORY = "dir:"
PROBES = (
    "The ship left the harbour at dawn.",
    "Her invoice was paid twice in March.",
    "Wie spät ist es gerade in Tokio?",
    "def area(radius): return 3.14 * radius ** 2",
)
"""What every embedder is asked, to tell it apart from others."""


def vectors_of(embedder: Embedder, texts: Sequence[str]) -> list[list[float]]:
    """Give one vector per text of an embedder that anybody may have written; blocks.

    Raises:
        MemoryFault: it gave more or fewer (``vector_invalid``).

    """
    vectors = embedder.embed(texts)
    if len(vectors) != len(texts):
        raise _invalid(embedder.name, f"{len(vectors)} vectors for {len(texts)} texts")
    return vectors


def _invalid(name: str, what: str) -> MemoryFault:
    told = f"the embedder '{name}' gave {what}; check that it is a model for embeddings"
    return MemoryFault(told, code="vector_invalid")


class CheckedEmbedder:
    """Vectors of a model or service, checked before anything is made of them."""

    def __init__(self, name: str, compute: Compute, cache: VectorCache | None = None) -> None:
        """Embed by ``compute``, and not the same text twice while ``cache`` has its vector."""
        self.name = name
        self._compute = compute
        self._cache = cache

    @cached_property
    def _probes(self) -> list[list[float]]:
        return self._checked(PROBES, None)

    @property
    def dims(self) -> int:
        """Numbers per vector."""
        return len(self._probes[0])

    @property
    def fingerprint(self) -> str:
        """What differs for embedders whose vectors cannot be compared.

        A service is told by its name and dimensions: its numbers differ a little at every call, so
        that any hash of them would now and then tell it apart from itself.
        A folder is the same model wherever it lies, and another can come to lie there, so that in
        place of its path stands in which dimensions the probes differ most, and which way: numbers
        differ between machines in the seventh digit, and the largest of many stays the largest.
        """
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        if not self.name.startswith(DIRECTORY):
            return f"{self.name}/{self.dims}"
        first, *others = self._probes
        turns: list[str] = []
        for other in others:
            steps = [one - two for one, two in zip(other, first, strict=True)]
            place = max(range(len(steps)), key=lambda index: abs(steps[index]))
            turns.append(f"{place}{'+' if steps[place] > 0 else '-'}")
        digest = hashlib.sha256(" ".join(turns).encode()).hexdigest()
        return f"dir/{self.dims}/{digest[:12]}"

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Give one vector per text, in their order; blocks, from any thread.

        Raises:
            MemoryFault: the embedder failed, or a vector of it cannot be used.

        """
        wanted = {self._key(text): text for text in texts}
        known = self._cache.get(list(wanted), self.dims) if self._cache is not None else {}
        missing = {key: text for key, text in wanted.items() if key not in known}
        if missing:
            fresh = self._checked(list(missing.values()), self.dims)
            made = dict(zip(missing, fresh, strict=True))
            if self._cache is not None:
                self._cache.put(made)
            known |= made
        return [known[self._key(text)] for text in texts]

    def _key(self, text: str) -> bytes:
        return hashlib.sha256(f"{self.fingerprint}\0{text}".encode(errors="replace")).digest()

    def _checked(self, texts: Sequence[str], dims: int | None) -> list[list[float]]:
        # As in the cache and the engine, numbers have 32 bits: a vector is the same ever after.
        try:
            vectors = [array("f", vector).tolist() for vector in self._compute(texts)]
        except (TypeError, OverflowError) as error:
            raise self._invalid(f"something other than numbers ({error})") from None
        if len(vectors) != len(texts):
            raise self._invalid(f"{len(vectors)} vectors for {len(texts)} texts")
        length = dims or len(vectors[0])
        for vector in vectors:
            if len(vector) != length or not vector:
                raise self._invalid(f"a vector of {len(vector)} numbers instead of {length}")
            if not all(map(isfinite, vector)):
                raise self._invalid("a vector with a number that is not finite")
        return vectors

    def _invalid(self, what: str) -> MemoryFault:
        return _invalid(self.name, what)
