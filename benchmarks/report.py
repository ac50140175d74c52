"""What was measured, next to what is aimed at: as JSON, and as a Markdown table."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from benchmarks.measure import Samples, medians, ratio

LANGGRAPH, STRETTO, CLIENT = "LangGraph", "Stretto", "langchain-openai"
COLUMNS = ("asyncio", "langchain-openai", "LangGraph", "Stretto", "Stretto Engine")
START, END = "<!-- results: written by `python -m benchmarks --write-docs` -->", "<!-- /results -->"


@dataclass(frozen=True, slots=True)
class Target:
    """What is aimed at."""

    limit: float
    on: Literal["value", "ratio"] = "value"
    """Whether it bounds the figure itself or its ratio to that of the peer."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measure of one case, of everybody who was measured."""

    scenario: str
    """The letter of the scenario."""
    case: str
    unit: str
    samples: Samples
    target: Target | None = None
    subject: str = STRETTO
    """Whose figure is judged."""
    peer: str = LANGGRAPH
    """Whose figure it is compared with."""

    @property
    def ratio(self) -> float | None:
        """What the subject took over what the peer took in the same round."""
        return ratio(self.samples, self.subject, self.peer)

    @property
    def aim(self) -> str | None:
        """The target in words; None without one."""
        if self.target is None:
            return None
        return f"≤ {self.target.limit:g}" + (f" x {self.peer}" if self.target.on == "ratio" else "")

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        judged = self.ratio if self.target.on == "ratio" else medians(self.samples)[self.subject]
        return judged is not None and judged <= self.target.limit

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form."""
        return {
            "scenario": self.scenario,
            "case": self.case,
            "unit": self.unit,
            "medians": {name: _rounded(value) for name, value in medians(self.samples).items()},
            "rounds": {k: [_rounded(v) for v in values] for k, values in self.samples.items()},
            "subject": self.subject,
            "peer": self.peer,
            "ratio_to_peer": None if self.ratio is None else _rounded(self.ratio),
            "target": self.aim,
            "met": self.met,
        }


def to_json(rows: Sequence[Row], rounds: int) -> dict[str, Any]:
    """Give everything that was measured, with nothing that names the machine."""
    return {**_versions(), "rounds": rounds, "rows": [row.to_dict() for row in rows]}


def to_markdown(rows: Sequence[Row], rounds: int) -> str:
    """Draw the table, with a line on what was measured."""
    versions = _versions()
    head = ["", "case", "measure", *COLUMNS, "ratio", "target", "met"]
    align = ["---"] * 3 + ["---:"] * (len(COLUMNS) + 2) + ["---"]
    lines = [head, align, *map(_cells, rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    judged = [row.met for row in rows if row.met is not None]
    return (
        f"Python {versions['python']}, LangGraph {versions['langgraph']}, "
        f"Stretto {versions['stretto']}; {rounds} rounds; "
        f"{sum(judged)} of {len(judged)} targets met.\n\n{table}\n"
    )


def write_docs(path: Path, table: str) -> None:
    """Put the table between the two marker comments of a Markdown file.

    Args:
        path: the file; it has both markers.
        table: what stands between them from now on.

    Raises:
        ValueError: a marker is missing.

    """
    before, start, rest = path.read_text(encoding="utf-8").partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"{path.name} needs the lines {START!r} and {END!r}")
    path.write_text(f"{before}{START}\n\n{table}\n{END}{after}", encoding="utf-8")


def _cells(row: Row) -> list[str]:
    values = medians(row.samples)
    figures = [_shown(values[name]) if name in values else "" for name in COLUMNS]
    compared = "" if row.ratio is None else f"{row.ratio:.2f}"
    met = "" if row.met is None else "yes" if row.met else "**no**"
    return [row.scenario, row.case, row.unit, *figures, compared, row.aim or "", met]


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value < 1 else f"{value:.2f}"


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "langgraph": version("langgraph"),
        "stretto": version("stretto"),
    }
