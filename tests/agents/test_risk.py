import copy
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.agents.agent import Task
from stretto.agents.calling import call
from stretto.agents.crm.records import open_records
from stretto.agents.crm.risk import COMPONENTS, RiskAnalyzer, assess, level_of
from stretto.errors import StepFailed

AS_OF = date(2026, 6, 30)
RECORDS = open_records()
Record = dict[str, Any]
DAYS = st.integers(0, 720)
ACCOUNT_IDS = st.sampled_from(sorted(RECORDS.accounts))


def record(account_id: str) -> Record:
    found = RECORDS.account(account_id)
    assert found is not None
    return found


def day(ago: int) -> str:
    return (AS_OF - timedelta(days=ago)).isoformat()


def ticket(ago: int, priority: str = "urgent", **changes: Any) -> Record:
    return {
        "ticket_id": "TCK-1",
        "opened": day(ago),
        "resolved": None,
        "priority": priority,
        "status": "open",
        "subject": "Down",
        "csat": None,
    } | changes


def with_row(found: Record, table: str, row: Record) -> Record:
    changed = copy.deepcopy(found)
    changed[table].append(row)
    return changed


def empty() -> Record:
    account = {"account_id": "ACC-1", "name": "Kestrel", "arr": 1000, "arr_previous": None}
    return {"as_of": day(0), "account": account, "deals": [], "tickets": [], "notes": []}


def factor(found: Record, name: str) -> Record:
    return next(part for part in assess(found)["factors"] if part["name"] == name)


@given(ACCOUNT_IDS, DAYS, st.sampled_from(["urgent", "high", "normal", "low"]))
def test_an_unresolved_ticket_never_lowers_the_score(key: str, ago: int, priority: str) -> None:
    worse = with_row(record(key), "tickets", ticket(ago, priority))
    assert assess(worse)["score"] >= assess(record(key))["score"]


@given(ACCOUNT_IDS, DAYS)
def test_solving_an_urgent_ticket_never_raises_the_score(key: str, ago: int) -> None:
    waiting = with_row(record(key), "tickets", ticket(ago))
    solved = with_row(record(key), "tickets", ticket(ago, status="solved", resolved=day(0)))
    assert assess(solved)["score"] <= assess(waiting)["score"]


@given(ACCOUNT_IDS, st.integers(0, 60), st.integers(1, 5))
def test_a_worse_rating_never_lowers_the_score(key: str, ago: int, rating: int) -> None:
    def rated(stars: int) -> float:
        row = ticket(ago, "low", status="solved", resolved=day(0), csat=stars)
        score: float = assess(with_row(record(key), "tickets", row))["score"]
        return score

    assert rated(max(1, rating - 1)) >= rated(rating)


@given(ACCOUNT_IDS, st.integers(0, 364), st.integers(0, 90_000))
def test_a_lost_deal_never_weighs_less_than_a_won_one(key: str, ago: int, amount: int) -> None:
    deal = {"amount": amount, "close_date": day(ago), "lost_reason": None, "type": "expansion"}
    lost = with_row(record(key), "deals", deal | {"stage": "closed_lost"})
    won = with_row(record(key), "deals", deal | {"stage": "closed_won"})
    assert assess(lost)["score"] >= assess(won)["score"]


@given(ACCOUNT_IDS, st.integers(0, 400), st.integers(0, 400))
def test_a_nearer_renewal_never_lowers_the_score(key: str, one: int, other: int) -> None:
    def renewing(days: int) -> float:
        found = record(key)
        found["account"]["renewal_date"] = day(-days)
        score: float = assess(found)["score"]
        return score

    near, far = sorted((one, other))
    assert renewing(near) >= renewing(far)


@given(ACCOUNT_IDS)
def test_the_parts_add_up_and_stay_within_their_range(key: str) -> None:
    risk = assess(record(key))
    assert 0 <= risk["score"] <= 1
    assert 0 < risk["confidence"] <= 1
    assert risk["level"] == level_of(risk["score"])
    parts = risk["factors"]
    assert all(0 <= part["value"] <= 1 and part["evidence"].endswith(".") for part in parts)
    assert sum(part["weight"] for part in parts) == pytest.approx(1, abs=0.001)
    assert sum(part["contribution"] for part in parts) == pytest.approx(risk["score"], abs=0.001)
    contributions = [part["contribution"] for part in parts]
    assert contributions == sorted(contributions, reverse=True)


def test_the_weights_add_up_to_one() -> None:
    assert sum(weight for _, weight, _ in COMPONENTS) == pytest.approx(1)


@pytest.mark.parametrize(
    ("account_id", "levels"),
    [
        ("ACC-1010", {"low"}),  # grows steadily
        ("ACC-1031", {"low"}),  # busy every autumn, quiet now
        ("ACC-1002", {"low"}),  # had a bad year, recovered
        ("ACC-1001", {"medium", "high"}),  # its champion left
        ("ACC-1014", {"medium", "high"}),  # presses on the price
        ("ACC-1005", {"high", "critical"}),  # has gone silent
        ("ACC-1006", {"high", "critical"}),  # never got through onboarding
        ("ACC-1018", {"high", "critical"}),  # drowns in outages
    ],
)
def test_a_known_account_has_the_level_that_its_story_suggests(
    account_id: str, levels: set[str]
) -> None:
    assert assess(record(account_id))["level"] in levels


@pytest.mark.parametrize(
    ("account_id", "leading"),
    [("ACC-1005", "engagement"), ("ACC-1006", "adoption"), ("ACC-1018", "open_tickets")],
)
def test_what_ails_a_known_account_leads_its_factors(account_id: str, leading: str) -> None:
    assert assess(record(account_id))["factors"][0]["name"] == leading


def test_the_accounts_spread_over_all_levels() -> None:
    levels = [assess(record(key))["level"] for key in RECORDS.accounts]
    shares = {level: levels.count(level) / len(levels) for level in set(levels)}
    assert set(shares) == {"low", "medium", "high", "critical"}
    assert 0.3 < shares["low"] < 0.6
    assert shares["critical"] < 0.2


def test_an_account_of_which_little_is_known_is_weighed_with_little_confidence() -> None:
    risk = assess(empty())
    assert risk["score"] == 0
    assert {part["name"] for part in risk["factors"]} == {"open_tickets", "warnings", "ticket_load"}
    assert risk["confidence"] == pytest.approx(0.44 * 0.5)


def test_open_tickets_follow_the_documented_formula() -> None:
    found = with_row(with_row(empty(), "tickets", ticket(30)), "tickets", ticket(0, "high"))
    assert factor(found, "open_tickets")["value"] == pytest.approx(1 - 0.5**1.85, abs=1e-4)
    assert "30 days" in factor(found, "open_tickets")["evidence"]


def test_a_quotation_from_the_newest_note_is_the_evidence_of_a_warning() -> None:
    note = {"note_id": "N-1", "date": day(3), "kind": "call", "text": "Anna has left the company."}
    risk = assess(with_row(empty(), "notes", note))
    warnings = next(part for part in risk["factors"] if part["name"] == "warnings")
    assert risk["signals"] == ["champion"]
    assert warnings["value"] == 0.4
    assert f"“Anna has left the company.” ({day(3)})" in warnings["evidence"]


async def test_the_agent_takes_the_record_from_params_or_input() -> None:
    found = record("ACC-1018")
    by_params = await call(RiskAnalyzer(), Task("assess_risk", found))
    by_input = await call(RiskAnalyzer(), Task(input=found))
    assert by_params == by_input == assess(found)


async def test_an_incomplete_record_is_refused() -> None:
    with pytest.raises(StepFailed, match="has no tickets, notes") as failure:
        task = Task(input={"as_of": day(0), "account": {}, "deals": []})
        await call(RiskAnalyzer(), task)
    assert failure.value.code == "incomplete_record"
