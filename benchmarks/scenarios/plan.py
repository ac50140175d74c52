"""How thoroughly a scenario measures."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Row


@dataclass(frozen=True, slots=True)
class Plan:
    """The rounds, the sizes, and where files may be put."""

    folder: Path
    """An empty folder; it is deleted at the end."""
    rounds: int = 7
    quick: bool = False
    """Small sizes that show that everything works, and no figures worth reading."""

    @property
    def warmups(self) -> int:
        """Rounds that do not count."""
        return 0 if self.quick else 1

    def size(self, full: int, quick: int) -> int:
        """Choose between the two sizes of a scenario."""
        return quick if self.quick else full


Scenario = Callable[[Plan], Awaitable[list[Row]]]
