"""BM25: a text as the words it is made of, weighed by how often each occurs."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from stretto.errors import ConfigurationError
from stretto.memory.backend.types import Sparse

if TYPE_CHECKING:
    from qdrant_edge import Bm25

TURN: dict[str, float] = {"k": 0.4, "b": 0.4, "avg_len": 24.0}
"""For short texts, in which a word seldom occurs twice."""
EPISODE: dict[str, float] = {"k": 1.2, "b": 0.75, "avg_len": 500.0}
"""For whole conversations and runs."""
WHOLE_WORDS = "any"
"""The language of texts in several languages: words are not cut to their stem."""
MONTHS = (
    "January February March April May June July August September October November December"
).split()


class LexicalEncoder:
    """Makes sparse vectors of texts; how rare a word is comes in when the engine searches.

    Okapi BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond",
    2009), with the term weights in the stored vector and the inverse document frequency in the
    engine. Words are cut to their stem by Snowball, and words that say nothing are left out.
    """

    def __init__(self, language: str = "english") -> None:
        """Encode texts of a language.

        Args:
            language: a language of Snowball in English (``english``, ``german``, ...), or ``any``.

        Raises:
            ConfigurationError: the language is not known.

        """
        self.language = language
        self._turn = _encoder(language, TURN)
        self._episode = _encoder(language, EPISODE)

    def encode(self, text: str, at: float | None = None) -> Sparse:
        """Make the vector of a text; it is empty when the text has no word that counts.

        Args:
            text: what is to be found by its words.
            at: when it was said, in seconds since 1970; it is then found by the date too.

        """
        return _sparse(self._turn.embed_document(_dated(text, at)))

    def encode_episode(self, text: str, at: float | None = None) -> Sparse:
        """Make the vector of a whole conversation or run; see ``encode``."""
        return _sparse(self._episode.embed_document(_dated(text, at)))

    def encode_query(self, text: str) -> Sparse:
        """Make the vector to search by; it is empty when no word of the question counts."""
        return _sparse(self._turn.embed_query(_whole(text)))


def _encoder(language: str, weights: dict[str, float]) -> "Bm25":
    from qdrant_edge import Bm25, Bm25Config, DisabledStemmer, StopwordsSet, TokenizerType

    options: dict[str, Any] = {"language": language, **weights}
    if language == WHOLE_WORDS:
        nothing = StopwordsSet(languages=set(), custom=set())
        options = {"stopwords": nothing, "stemmer": DisabledStemmer(), **weights}
        options["tokenizer"] = TokenizerType.Multilingual
    try:
        return Bm25(Bm25Config(**options))
    except ValueError as error:
        told = f"memory knows no language '{language}' ({error}); 'any' works for every language"
        raise ConfigurationError(told) from None


def _dated(text: str, at: float | None) -> str:
    """Put the date behind a text, in words as people ask for it; the day is that of UTC."""
    if at is None:
        return _whole(text)
    try:
        day = datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):  # no day of the calendar, so nobody asks for it
        return _whole(text)
    return f"{_whole(text)} {day.day} {MONTHS[day.month - 1]} {day.year}"


def _whole(text: str) -> str:
    """Replace halves of characters, which models write now and then and the engine refuses."""
    return text.encode(errors="replace").decode()


def _sparse(vector: Any) -> Sparse:
    terms = sorted(zip(vector.indices, vector.values, strict=True))
    return [index for index, _ in terms], [weight for _, weight in terms]
