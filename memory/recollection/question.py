"""What is asked of a memory, and how the answer is chosen."""

import math
from dataclasses import dataclass
from typing import Any

from stretto.errors import MemoryFault
from stretto.memory.item import Kind
from stretto.memory.recollection.checks import check_count, check_number
from stretto.memory.recollection.filters import View
from stretto.memory.recollection.forms import MAX_CHARACTERS

MAX_RECENCY = 10.0
MAX_HITS = 10_000
"""The most hits, and the most neighbours of one."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and how the answer is chosen."""

    query: str
    view: View
    k: int = 8
    budget: int | None = None
    """Tokens that all of it may take."""
    neighbours: int = 1
    """How many turns before and after each hit are told too."""
    recency: float = 0.0
    diversity: float = 0.0
    min_score: float = 0.0

    @property
    def wants_episodes(self) -> bool:
        """Whether conversations and runs as a whole can be an answer."""
        return self.view.kinds is not None and Kind.EPISODE in self.view.kinds


def check_question(question: Question) -> None:
    """Refuse figures that cannot be meant.

    Raises:
        MemoryFault: one is out of its range; the code is ``query_invalid``.

    """
    query: Any = question.query
    if not isinstance(query, str):
        raise MemoryFault("a query is a text; give what is asked", code="query_invalid")
    check_number("diversity", question.diversity, 0, 1.0, "query_invalid")
    check_number("min_score", question.min_score, 0, 1.0, "query_invalid")
    check_number("recency", question.recency, 0, MAX_RECENCY, "query_invalid")
    check_count("k", question.k, 1, MAX_HITS, "query_invalid")
    check_count("neighbours", question.neighbours, 0, MAX_HITS, "query_invalid")
    if question.budget is not None:
        check_count("budget_tokens", question.budget, 1, math.inf, "query_invalid")
    if len(question.query) > MAX_CHARACTERS:
        told = f"a query has at most {MAX_CHARACTERS:,} characters; ask more briefly"
        raise MemoryFault(told, code="text_too_long")
