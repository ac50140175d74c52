"""What a search found, and how it was weighed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from stretto.memory.backend.types import Sparse


class Candidate(NamedTuple):
    """Something that a search found."""

    id: str
    text: str
    lexical: float = 0.0
    """BM25 of its words, from 0."""
    episode: float = 0.0
    """BM25 of the whole conversation or run that it is a part of, from 0."""
    dense: float | None = None
    """Cosine to the question, -1 to 1; None when it was not found by meaning."""
    importance: float = 0.5
    """From 0 to 1."""
    at: float = 0.0
    """When it was said, in seconds since 1970."""
    words: Sparse | None = None
    """Its sparse vector, for comparing it with others."""
    meaning: Sequence[float] | None = None
    """Its dense vector."""


@dataclass(slots=True)
class Explanation:
    """What a score is made of: relevance x importance x recency x scale."""

    lexical: float
    episode: float
    dense: float | None
    relevance: float
    """What the three come to, from 0 to 1; 1 is the best that was found."""
    importance: float
    """The factor for importance, 1 to 1.05."""
    recency: float
    """The factor for age, from 1."""
    scale: float = 1.0
    """The factor that brings the best of all that was found to 1, where it came to more."""

    def to_dict(self) -> dict[str, float | None]:
        """Give the JSON form, rounded."""
        values = asdict(self)
        return {name: None if v is None else round(v, 4) for name, v in values.items()}


class Ranked(NamedTuple):
    """A candidate with its score."""

    candidate: Candidate
    score: float
    """From 0 to 1; 1 is the best that was found."""
    why: Explanation
    seen: int = 1
    """How many that say nearly the same it stands for."""
