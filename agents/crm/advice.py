"""What to do about an account's risk: rules from the factors to next steps, without a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

Row = Mapping[str, Any]
LEAST = {"low": 0.35, "medium": 0.3, "high": 0.25, "critical": 0.2}
"""The value from which a factor calls for a step, by the level of the account."""
PACE = {"low": 1.5, "medium": 1.0, "high": 0.7, "critical": 0.5}
"""How the usual time for a step shrinks or grows with the level."""
MOST = 4


@dataclass(frozen=True, slots=True)
class Remedy:
    """What helps against one factor or one kind of signal."""

    action: str
    owner: str
    """A role, or ``account`` for whoever owns the account."""
    days: int
    """How soon it is due at medium risk."""


REMEDIES: dict[str, Remedy] = {
    "open_tickets": Remedy(
        "Name one engineer for the open urgent and high tickets and send the customer a dated plan",
        "Head of Support",
        4,
    ),
    "ticket_load": Remedy(
        "Review the tickets of the last quarter for a common cause and share the result",
        "Head of Support",
        14,
    ),
    "satisfaction": Remedy(
        "Call the people who gave the low support ratings and agree on what has to change",
        "account",
        10,
    ),
    "engagement": Remedy(
        "Reach a decision maker by phone and agree on a date for a business review",
        "account",
        5,
    ),
    "adoption": Remedy(
        "Run a short adoption programme: pick one team, two use cases and a weekly usage target",
        "Customer Success",
        21,
    ),
    "renewal": Remedy(
        "Open the renewal conversation with a written proposal and a clear decision date",
        "account",
        10,
    ),
    "revenue": Remedy(
        "Settle the commercial points with finance: the open invoice and the shape of the contract",
        "account",
        10,
    ),
    "deal_momentum": Remedy(
        "Go through the lost deals with the customer and rework the offer around what they need",
        "Sales",
        21,
    ),
    "champion": Remedy(
        "Meet the new contact in person, show what was achieved, and find a second ally",
        "account",
        7,
    ),
    "competitor": Remedy(
        "Prepare a fair comparison with the competing offer, including the cost of a switch",
        "Sales",
        10,
    ),
    "price": Remedy(
        "Bring a value review and two priced options, one of them with a longer term",
        "account",
        10,
    ),
    "outage": Remedy(
        "Deliver the root-cause report for the incidents and go through it with their IT lead",
        "Head of Support",
        5,
    ),
    "adoption_plan": Remedy(
        "Restart the onboarding with a smaller scope, a lead on both sides and a go-live date",
        "Customer Success",
        10,
    ),
    "notice": Remedy(
        "Have an executive call the decision maker before the notice period runs out",
        "Head of Customer Success",
        4,
    ),
}
FROM_SIGNALS = {"silence": "engagement", "adoption": "adoption_plan"}
"""Signals whose remedy goes by another name."""
REPLACES = {"adoption_plan": "adoption", "price": "revenue", "outage": "ticket_load"}
"""The more specific remedy, and the general one that it makes superfluous."""
KEEP = Remedy("Keep the rhythm: hold the next business review as planned", "account", 45)
GROW = Remedy("Take up the open expansion while the relationship is good", "account", 30)


def recommend(risk: Row, account: Row, deals: Sequence[Row] = ()) -> list[dict[str, str]]:
    """Derive the next steps from an assessed risk.

    Every factor at or above the threshold of the account's level calls for its remedy, in the order
    of contribution; the factor ``warnings`` calls for one remedy per kind of signal. A specific
    remedy replaces the general one. An account without any of these is kept in rhythm and, with an
    open expansion, grown.

    Args:
        risk: ``level``, ``factors``, ``signals`` and ``as_of``, as ``assess`` gives them.
        account: who owns it.
        deals: its deals.

    Returns:
        At most four steps with ``action``, ``reason``, ``owner`` and ``due`` (ISO date).

    """
    wanted = _wanted(risk)
    for specific, general in REPLACES.items():
        if specific in wanted:
            wanted.pop(general, None)
    steps = [(REMEDIES[name], reason) for name, reason in wanted.items()][:MOST]
    return [_step(*step, risk, account) for step in steps or _in_good_times(risk, deals)]


def _wanted(risk: Row) -> dict[str, str]:
    least = LEAST[risk["level"]]
    wanted: dict[str, str] = {}
    for factor in risk["factors"]:
        if factor["value"] < least:
            continue
        names: list[str] = [factor["name"]]
        if factor["name"] == "warnings":
            names = [FROM_SIGNALS.get(kind, str(kind)) for kind in risk["signals"]]
        for name in names:
            wanted.setdefault(name, factor["evidence"])
    return wanted


def _in_good_times(risk: Row, deals: Sequence[Row]) -> list[tuple[Remedy, str]]:
    steps = [(KEEP, f"Nothing in the record stands out; the risk is {risk['level']}.")]
    growing = [
        deal
        for deal in deals
        if deal["type"] == "expansion" and not deal["stage"].startswith("closed")
    ]
    if growing:
        deal = max(growing, key=lambda deal: deal["amount"] or 0)
        worth = f" over €{deal['amount']:,}" if deal["amount"] else ""
        steps.append((GROW, f"“{deal['name']}”{worth} is in {deal['stage']}."))
    return steps


def _step(remedy: Remedy, reason: str, risk: Row, account: Row) -> dict[str, str]:
    days = max(2, round(remedy.days * PACE[risk["level"]]))
    due = _working_day(date.fromisoformat(risk["as_of"]) + timedelta(days=days))
    owner = account.get("owner") or "Account team" if remedy.owner == "account" else remedy.owner
    return {
        "action": remedy.action,
        "reason": reason,
        "owner": owner,
        "due": due.isoformat(),
    }


def _working_day(day: date) -> date:
    """Move a day on a weekend to the Monday after."""
    return day + timedelta(days=max(0, 7 - day.weekday()) if day.weekday() > 4 else 0)
