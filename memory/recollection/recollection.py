"""What was recalled."""

from dataclasses import dataclass
from datetime import UTC, datetime

from stretto.memory.item import MemoryItem
from stretto.memory.ranking import Explanation

CHARACTERS_PER_TOKEN = 4
"""The usual estimate for English text; a model's own count may differ by a fifth."""


def estimate_tokens(text: str) -> int:
    """Estimate how many tokens of a model a text takes."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class Recalled:
    """One thing that was recalled."""

    item: MemoryItem
    score: float
    """From 0 to 1; 1 is the best that was found."""
    why: Explanation
    seen: int = 1
    """How many times nearly the same was said."""
    neighbour: bool = False
    """Whether it is there only because it stands next to something that was found."""

    @property
    def tokens(self) -> int:
        """Estimate of what its line takes."""
        return estimate_tokens(self.line() + "\n")

    def line(self) -> str:
        """Write it as one line with its date and author."""
        at = self.item.valid_from if self.item.valid_from is not None else self.item.created_at
        day = datetime.fromtimestamp(at, UTC).date().isoformat()
        author = f"{self.item.source.author}: " if self.item.source.author else ""
        often = f" (said {self.seen} times)" if self.seen > 1 else ""
        return f"[{day}] {author}{' '.join(self.item.text.split())}{often}"


@dataclass(frozen=True, slots=True)
class Recollection:
    """Everything that was recalled: the best first, then what stands next to it."""

    query: str
    items: tuple[Recalled, ...] = ()
    degraded: str | None = None
    """Why the memory could not be asked; None when it could."""

    @property
    def tokens(self) -> int:
        """Estimate of what ``text`` takes."""
        return sum(each.tokens for each in self.items)

    def text(self) -> str:
        """Write everything for a prompt, a line each, oldest first."""
        return "\n".join(recalled.line() for recalled in sorted(self.items, key=_time_order))


def _time_order(recalled: Recalled) -> tuple[float, int, str]:
    item = recalled.item
    at = item.valid_from if item.valid_from is not None else item.created_at
    return at, item.position or 0, item.id
