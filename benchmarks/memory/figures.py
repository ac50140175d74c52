"""One figure of memory next to its target, as JSON and as a row of Markdown."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure of one case."""

    case: str
    measure: str
    value: float
    limit: float | None = None
    sense: Literal["≤", "≥"] = "≤"
    """On which side of the limit the value should be."""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.limit is None:
            return None
        return self.value <= self.limit if self.sense == "≤" else self.value >= self.limit


def percentile(samples: Sequence[float], share: float) -> float:
    """Give the sample below which ``share`` (0 to 1) of all lie."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def timed(
    case: str, seconds: Sequence[float], p50: float | None, p95: float | None
) -> list[Figure]:
    """Give median and 95th percentile in milliseconds, with their limits."""
    return [
        Figure(case, f"ms, {name}", percentile(seconds, share) * 1e3, limit)
        for name, share, limit in (("p50", 0.5, p50), ("p95", 0.95, p95))
    ]


def to_json(figures: Sequence[Figure]) -> dict[str, Any]:
    """Give everything that was measured, with nothing that names the machine."""
    return {
        **_versions(),
        "figures": [
            {
                "case": f.case,
                "measure": f.measure,
                "value": float(f"{f.value:.4g}"),
                "target": None if f.limit is None else f"{f.sense} {f.limit:.4g}",
                "met": f.met,
            }
            for f in figures
        ],
    }


def to_markdown(figures: Sequence[Figure]) -> str:
    """Draw the table, with a line on what was measured."""
    versions = ", ".join(f"{name} {number}" for name, number in _versions().items())
    rows = [["case", "measure", "value", "target", "met"], ["---", "---", "---:", "---", "---"]]
    for f in figures:
        target = "" if f.limit is None else f"{f.sense} {f.limit:,.4g}"
        met = "" if f.met is None else "yes" if f.met else "**no**"
        shown = f"{f.value:,.0f}" if abs(f.value) >= 100 else f"{f.value:.3g}"
        rows.append([f.case, f.measure, shown, target, met])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{versions}.\n\n{table}\n"


def _versions() -> dict[str, str]:
    return {
        "Python": platform.python_version(),
        "qdrant-edge-py": version("qdrant-edge-py"),
        "Stretto": version("stretto"),
    }
