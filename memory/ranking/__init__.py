"""What of all that was found is worth telling, and why: pure functions on what a search gave."""

from stretto.memory.ranking.candidates import Candidate, Explanation, Ranked
from stretto.memory.ranking.duplicates import alike, collapse, words_of
from stretto.memory.ranking.fusion import rank
from stretto.memory.ranking.variety import diversify

__all__ = [
    "Candidate",
    "Explanation",
    "Ranked",
    "alike",
    "collapse",
    "diversify",
    "rank",
    "words_of",
]
