"""The agent that weighs how likely an account is to be lost."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, cast

from stretto.agents.agent import Agent, Task
from stretto.agents.crm import factors
from stretto.agents.crm.factors import Part, Row
from stretto.errors import StepFailed

COMPONENTS: tuple[tuple[str, float, Callable[[Row, date], Part | None]], ...] = (
    ("open_tickets", 0.18, factors.open_tickets),
    ("warnings", 0.18, factors.warnings),
    ("engagement", 0.14, factors.engagement),
    ("adoption", 0.12, factors.adoption),
    ("satisfaction", 0.10, factors.satisfaction),
    ("ticket_load", 0.08, factors.ticket_load),
    ("revenue", 0.08, factors.revenue),
    ("renewal", 0.07, factors.renewal),
    ("deal_momentum", 0.05, factors.deal_momentum),
)
"""Name, weight and formula of every part; the weights add up to 1."""
LEVELS = ((0.76, "critical"), (0.60, "high"), (0.40, "medium"), (0.0, "low"))
"""From which score on a level holds."""
ENOUGH_RECORDS = 12


def assess(record: Row) -> Row:
    """Weigh an account.

    ``mean = sum(weight * value) / sum(weight)`` over the parts that the record says something
    about; ``score = 1 - (1 - mean) ** 3``, since an account is lost for one or two reasons and not
    for all nine, so half of the score is reached at a mean of 0.21. A factor's contribution is its
    share of the score. ``confidence = sum(weight) * (0.5 + 0.5 * min(1, records / 12))``.

    Args:
        record: ``as_of``, ``account``, ``deals``, ``tickets`` and ``notes``.

    Returns:
        ``score`` and ``confidence`` (0 to 1), ``level``, ``factors`` by falling contribution,
        ``signals`` (kinds of trouble named in notes), ``as_of`` and ``summary``.

    """
    today = date.fromisoformat(record["as_of"])
    parts = [(name, weight, part(record, today)) for name, weight, part in COMPONENTS]
    known = [(name, weight, part) for name, weight, part in parts if part is not None]
    total = sum(weight for _, weight, _ in known)
    mean = sum(weight * part.value for _, weight, part in known) / total
    score = round(1 - (1 - mean) ** 3, 4)
    scale = score / mean / total if mean else 0.0
    weighed = [_factor(name, weight / total, part, weight * scale) for name, weight, part in known]
    weighed.sort(key=lambda factor: -factor["contribution"])
    level = level_of(score)
    count = len(record["deals"]) + len(record["tickets"]) + len(record["notes"])
    return {
        "score": score,
        "level": level,
        "factors": weighed,
        "confidence": round(total * (0.5 + 0.5 * min(1.0, count / ENOUGH_RECORDS)), 2),
        "signals": sorted(factors.signals(record["notes"], today)),
        "as_of": record["as_of"],
        "summary": f"{record['account']['name']} is at {level} risk ({score:.2f} of 1).",
    }


def level_of(score: float) -> str:
    """Name the level that a score belongs to."""
    return next(level for least, level in LEVELS if score >= least)


def _factor(name: str, weight: float, part: Part, share: float) -> Row:
    return {
        "name": name,
        "value": round(part.value, 4),
        "weight": round(weight, 4),
        "contribution": round(share * part.value, 4),
        "evidence": part.evidence,
    }


class RiskAnalyzer(Agent):
    """Computes an account's risk from its records, with the evidence for every part."""

    name = "risk_analyzer"
    capabilities = frozenset({"analysis", "validation"})
    max_concurrent_tasks = 4

    def assess_risk(self, task: Task) -> dict[str, Any]:
        """Weigh the account in ``params`` (or in the input); see ``assess``.

        Raises:
            StepFailed: parts of the record are missing (``incomplete_record``).

        """
        return assess(record_of(task))

    run = assess_risk


def mapping_of(value: Any) -> Mapping[str, Any]:
    """Give a mapping as it is, and an empty one for anything else."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def record_of(task: Task) -> Row:
    """Take the account's record from the params, else from the input.

    Raises:
        StepFailed: ``as_of``, ``account``, ``deals``, ``tickets`` or ``notes`` is missing.

    """
    given = mapping_of(task.input)
    names = ("as_of", "account", "deals", "tickets", "notes")
    record = {name: task.params.get(name, given.get(name)) for name in names}
    if missing := [name for name in names if record[name] is None]:
        message = f"The record of the account has no {', '.join(missing)}."
        raise StepFailed(message, code="incomplete_record")
    return record
