"""What is asked of a memory, and how the answer is chosen."""

from dataclasses import dataclass
from typing import Any

from stretto.errors import MemoryFault
from stretto.memory.item import Kind
from stretto.memory.recollection.filters import View
from stretto.memory.recollection.forms import MAX_CHARACTERS

MAX_RECENCY = 10.0


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
    shares = {"diversity": question.diversity, "min_score": question.min_score}
    for name, value in shares.items():
        if not 0 <= value <= 1:
            raise MemoryFault(f"{name} is from 0 to 1, not {value}", code="query_invalid")
    least = {"k": (question.k, 1), "neighbours": (question.neighbours, 0)}
    least |= {"budget_tokens": (1 if question.budget is None else question.budget, 1)}
    for name, (number, low) in least.items():
        if number < low:
            raise MemoryFault(f"{name} is {low} or more, not {number}", code="query_invalid")
    if not 0 <= question.recency <= MAX_RECENCY:
        told = f"recency is from 0 to {MAX_RECENCY}, not {question.recency}"
        raise MemoryFault(told, code="query_invalid")
    if len(question.query) > MAX_CHARACTERS:
        told = f"a query has at most {MAX_CHARACTERS:,} characters; ask more briefly"
        raise MemoryFault(told, code="text_too_long")
