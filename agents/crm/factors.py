"""The parts of an account's risk: each looks at one side of the record and says what it saw.

Every value lies between 0 (no sign of trouble) and 1; money is in euros. ``clamp`` cuts a
number to that range. A part that the record says nothing about is None and takes no part in the
score.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

Row = dict[str, Any]
DAYS_RECENT = 90
DAYS_OF_SIGNALS = 200
GRACE = 7
"""Days after which an invoice counts as late."""
POINTS = {"urgent": 1.0, "high": 0.35}
SIGNALS: dict[str, str] = {
    "champion": r"has left|left the company|leaving|goodbye|took over from|who inherited",
    "competitor": r"quote from|benchmark with|pilot of|switch to|migration|look elsewhere|vendors",
    "price": r"expensive|discount|pricing|price (?:objection|increase)|cheaper|% off|costs to cut",
    "outage": r"outage|was down|crisis|escalation|service credits|root.cause|very unhappy",
    "adoption": r"postponed|stalled|not in use|behind|too complicated|stop the project|below plan",
    "silence": r"no reply|no answer|no reaction|bounced|twice by phone|fell again|exports its data",
    "notice": r"notice period|way out of the contract|cancel the contract|decide about the renewal",
}
"""What words in a note point to; case does not matter."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one side of the record says: how bad it is, and the evidence in one sentence."""

    value: float
    evidence: str


def clamp(number: float) -> float:
    """Cut a number to the range 0 to 1."""
    return max(0.0, min(1.0, number))


def age(day: str | None, today: date) -> int:
    """Count the days from an ISO date to today; 0 when there is no date."""
    return (today - date.fromisoformat(day)).days if day else 0


def many(count: int, noun: str) -> str:
    """Write a count with its noun: ``1 ticket``, ``2 tickets``, ``no tickets``."""
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"


def unresolved(tickets: Sequence[Row]) -> list[Row]:
    """List the tickets that are not solved yet."""
    return [row for row in tickets if not row["resolved"] and row["status"] != "solved"]


def open_tickets(record: Row, today: date) -> Part:
    """Weigh the unresolved urgent and high tickets.

    ``1 - 0.5 ** points``, where an urgent ticket counts 1 and a high one 0.35, each up to twice as
    much with its age: ``x (1 + min(days, 60) / 60)``.
    """
    waiting = [row for row in unresolved(record["tickets"]) if row["priority"] in POINTS]
    points = 0.0
    for row in waiting:
        points += POINTS[row["priority"]] * (1 + min(max(age(row["opened"], today), 0), 60) / 60)
    if not waiting:
        return Part(0.0, "No urgent or high ticket is open.")
    urgent = sum(row["priority"] == "urgent" for row in waiting)
    oldest = min(waiting, key=lambda row: row["opened"])
    kinds = f"{many(urgent, 'urgent ticket')} and {many(len(waiting) - urgent, 'high ticket')}"
    days = many(age(oldest["opened"], today), "day")
    evidence = (
        f"{kinds} {'is' if len(waiting) == 1 else 'are'} still open; the oldest "
        f"({oldest['ticket_id']}, “{oldest['subject']}”) has waited {days}."
    )
    return Part(1 - 0.5**points, evidence[0].upper() + evidence[1:])


def ticket_load(record: Row, today: date) -> Part:
    """Compare the tickets of the last 90 days with the usual number.

    ``clamp((recent - usual) / max(2 * usual, 4))``; usual is the mean per 90 days of the tickets
    solved from the 270 days before. Old unsolved tickets do not make the usual number look larger.
    """
    ages = [(age(row["opened"], today), row) for row in record["tickets"]]
    recent = sum(days < DAYS_RECENT for days, _ in ages)
    earlier = [row for days, row in ages if DAYS_RECENT <= days < 4 * DAYS_RECENT]
    usual = (len(earlier) - len(unresolved(earlier))) / 3
    evidence = (
        f"{many(recent, 'ticket')} came in during the last {DAYS_RECENT} days, "
        f"where {usual:.1f} are usual."
    )
    value = clamp((recent - usual) / max(2 * usual, 4.0))
    return Part(value, evidence[0].upper() + evidence[1:])


def satisfaction(record: Row, today: date) -> Part | None:
    """Weigh the ratings after tickets (1 to 5) and where they are going.

    ``clamp(0.7 * (4.5 - recent) / 2.5 + 0.3 * (before - recent) / 2)``: recent is the mean of the
    last 180 days (of the last three ratings when there are none), before the mean of those earlier.
    """
    rated = [row for row in record["tickets"] if row["csat"]]
    if not rated:
        return None
    recent = [row["csat"] for row in rated if age(row["opened"], today) < 180]
    recent = recent or [row["csat"] for row in rated[-3:]]
    before = [row["csat"] for row in rated][: len(rated) - len(recent)]
    now = sum(recent) / len(recent)
    then = sum(before) / len(before) if before else now
    trend = f", after {then:.1f} before" if before else ""
    evidence = f"Support is rated {now:.1f} of 5 ({many(len(recent), 'recent rating')}){trend}."
    return Part(clamp(0.7 * (4.5 - now) / 2.5 + 0.3 * (then - now) / 2), evidence)


def deal_momentum(record: Row, today: date) -> Part | None:
    """Weigh what was lost against what was won and what is under way, over one year.

    ``lost / (lost + won + 0.5 * open + 0.1 * ARR)`` in money; deals closed in the last 365 days.
    """
    totals = {"won": 0.0, "lost": 0.0, "open": 0.0}
    reasons: list[str] = []
    for deal in record["deals"]:
        outcome = deal["stage"].removeprefix("closed_")
        outcome = outcome if outcome in totals else "open"
        if outcome == "open" or 0 <= age(deal["close_date"], today) < 365:
            totals[outcome] += deal["amount"] or 0
            reasons += [deal["lost_reason"]] if outcome == "lost" and deal["lost_reason"] else []
    if not any(totals.values()):
        return None
    basis = totals["lost"] + totals["won"] + 0.5 * totals["open"]
    basis += 0.1 * (record["account"]["arr"] or 0)
    why = f" ({', '.join(sorted(set(reasons)))})" if reasons else ""
    told = [("won", " won"), ("lost", f" lost{why}"), ("open", " still open")]
    sums = [f"€{totals[kind]:,.0f}{words}" for kind, words in told if totals[kind]]
    evidence = f"Deals of the last year: {', '.join(sums)}."
    return Part(clamp(totals["lost"] / basis) if basis else 0.0, evidence)


def engagement(record: Row, today: date) -> Part | None:
    """Weigh how long ago the last contact was: ``clamp((days - 21) / 120)``."""
    if not record["notes"]:
        return None
    last = max(record["notes"], key=lambda row: row["date"])
    days = age(last["date"], today)
    return Part(
        clamp((days - 21) / 120),
        f"The last recorded contact was {many(days, 'day')} ago ({last['kind']}, {last['date']}).",
    )


def adoption(record: Row, today: date) -> Part | None:
    """Weigh the share of bought seats that are in use: ``clamp((0.75 - share) / 0.6)``."""
    seats, used = record["account"].get("seats"), record["account"].get("active_seats")
    if not seats or used is None:
        return None
    share = used / seats
    evidence = f"{used} of {seats} seats are in use ({share:.0%})."
    return Part(clamp((0.75 - share) / 0.6), evidence)


def renewal(record: Row, today: date) -> Part | None:
    """Weigh how near the renewal is: ``clamp((210 - days) / 180)``; 1 from 30 days on."""
    day = record["account"].get("renewal_date")
    if not day:
        return None
    days = -age(day, today)
    when = f"is in {many(days, 'day')}" if days > 0 else f"was due {many(-days, 'day')} ago"
    return Part(clamp((210 - days) / 180), f"The renewal {when} ({day}).")


def revenue(record: Row, today: date) -> Part | None:
    """Weigh shrinking revenue and late payment, the worse of both.

    ``max(clamp(shrink / 0.2), clamp((days overdue - 7) / 45))``; shrink is the part of last year's
    ARR that is gone.
    """
    account = record["account"]
    now, before = account.get("arr"), account.get("arr_previous")
    late = account.get("invoice_days_overdue")
    change = now / before - 1 if now is not None and before else None
    if change is None and late is None:
        return None
    moved = "is unchanged" if not change else f"{'grew' if change > 0 else 'shrank'} by "
    moved += f"{abs(change):.0%}" if change else ""
    grown = f"Yearly revenue {moved}" if change is not None else "Last year's revenue is not known"
    paid = f"; the last invoice is {many(late, 'day')} overdue" if late and late > GRACE else ""
    value = max(clamp(-(change or 0) / 0.2), clamp(((late or 0) - GRACE) / 45))
    return Part(value, f"{grown}{paid}.")


def warnings(record: Row, today: date) -> Part:
    """Weigh words of trouble in the notes of the last 200 days.

    ``1 - 0.6 ** n`` for n kinds of signal (see ``SIGNALS``); the evidence quotes the newest.
    """
    found = signals(record["notes"], today)
    if not found:
        return Part(0.0, "No note of the last 200 days points to trouble.")
    newest = max(found.values(), key=lambda row: row["date"])
    kinds = ", ".join(sorted(found))
    evidence = f"Recent notes point to trouble ({kinds}): “{newest['text']}” ({newest['date']})."
    return Part(1 - 0.6 ** len(found), evidence)


def signals(notes: Sequence[Row], today: date) -> dict[str, Row]:
    """Find the newest note of the last 200 days for every kind of signal."""
    found: dict[str, Row] = {}
    for row in sorted(notes, key=lambda row: row["date"]):
        if age(row["date"], today) < DAYS_OF_SIGNALS:
            for kind, pattern in SIGNALS.items():
                if re.search(pattern, row["text"], re.IGNORECASE):
                    found[kind] = row
    return found
