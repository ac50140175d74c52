import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from stretto.agents.agent import AgentLike, Task
from stretto.agents.calling import call
from stretto.agents.crm import crm_agents
from stretto.agents.crm.advice import recommend
from stretto.agents.crm.advisor import prompt_values
from stretto.agents.crm.history import choose, items_of, timeline, weigh
from stretto.agents.crm.records import open_records
from stretto.agents.crm.risk import assess
from stretto.agents.shipped import shipped_agents
from stretto.errors import StepFailed
from stretto.graphs.spec import Workflow
from stretto.prompts import load_prompt

REPO = Path(__file__).parents[2]
DATA = REPO / "agents" / "crm" / "data"
TABLES = ("accounts", "deals", "tickets", "notes")
RECORDS = open_records()


def record(account_id: str) -> dict[str, Any]:
    found = RECORDS.account(account_id)
    assert found is not None
    return found


def agents_by_name() -> dict[str, AgentLike]:
    return {agent.name: agent for agent in shipped_agents("offline")}


async def analysed(account_id: str, **task: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    found = record(account_id)
    params = {"account": found["account"], "deals": found["deals"], "risk": assess(found)}
    items = items_of(found["notes"], found["tickets"])
    params["history"] = choose(items, weigh("renewal outage", items), 8)
    advisor = agents_by_name()["account_advisor"]
    return found, await call(advisor, Task("recommend", params, **task))


async def test_the_scout_gives_the_whole_account_in_json_types() -> None:
    scout = agents_by_name()["crm_scout"]
    found = await call(scout, Task("fetch_account", {"account_id": " acc-1018 "}))
    assert list(found) == ["as_of", "account", "deals", "tickets", "notes"]
    assert found["account"]["account_id"] == "ACC-1018"
    assert json.loads(json.dumps(found)) == found
    opened = [row["opened"] for row in found["tickets"]]
    assert opened == sorted(opened) != []


async def test_an_unknown_account_fails_for_good_and_names_the_nearest() -> None:
    scout = agents_by_name()["crm_scout"]
    with pytest.raises(StepFailed, match="'ACC-10011'.*ACC-1001") as failure:
        await call(scout, Task("fetch_account", {"account_id": "ACC-10011"}))
    assert (failure.value.code, failure.value.retryable) == ("unknown_account", False)


async def test_the_scout_reads_another_folder(tmp_path: Path) -> None:
    for table in TABLES:
        lines = (DATA / f"{table}.csv").read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [lines[0], *(line for line in lines if "ACC-1002," in line)]
        (tmp_path / f"{table}.csv").write_text("".join(kept), encoding="utf-8")
    scout = crm_agents("offline", tmp_path)[0]
    found = await call(scout, Task("fetch_account", {"account_id": "ACC-1002"}))
    assert found["notes"] == record("ACC-1002")["notes"]
    with pytest.raises(StepFailed, match="ACC-1001"):
        await call(scout, Task("fetch_account", {"account_id": "ACC-1001"}))


async def test_changing_what_the_scout_gave_leaves_the_records_alone() -> None:
    scout = agents_by_name()["crm_scout"]
    task = Task("fetch_account", {"account_id": "ACC-1002"})
    found = await call(scout, task)
    found["account"]["name"] = "changed"
    assert (await call(scout, task))["account"]["name"] != "changed"


def test_rare_words_of_the_query_weigh_more_than_common_ones() -> None:
    texts = ["call about the invoice", "call about an outage", "call on plans", "lunch"]
    items = [{"id": n, "text": text, "date": "2026-05-01"} for n, text in enumerate(texts)]
    scores = list(weigh("call outage", items).values())
    assert max(range(4), key=scores.__getitem__) == 1
    assert scores[0] > 0
    assert scores[3] == 0


async def test_the_historian_picks_the_most_relevant_and_sorts_them_by_time() -> None:
    found = record("ACC-1018")
    historian = agents_by_name()["account_historian"]
    task = Task("recall_history", {"query": "outage", "k": 3}, input=found)
    given = await call(historian, task)
    dates = [item["date"] for item in given["items"]]
    assert given["found"] == len(dates) == 3
    assert dates == sorted(dates)
    assert all("outage" in item["text"].lower() for item in given["items"])


async def test_an_account_without_history_gives_an_empty_one() -> None:
    task = Task("recall_history", {"query": "outage", "notes": [], "tickets": []})
    given = await call(agents_by_name()["account_historian"], task)
    assert given == {"query": "outage", "items": [], "timeline": [], "found": 0}


def test_the_timeline_counts_everything_once() -> None:
    found = record("ACC-1018")
    quarters = timeline(found["notes"], found["tickets"])
    assert sum(row["tickets"] for row in quarters) == len(found["tickets"])
    assert sum(row["notes"] for row in quarters) == len(found["notes"])
    urgent = sum(row["priority"] == "urgent" for row in found["tickets"])
    assert sum(row["urgent_tickets"] for row in quarters) == urgent > 0
    assert [row["quarter"] for row in quarters] == sorted(row["quarter"] for row in quarters)


@pytest.mark.parametrize("account_id", ["ACC-1001", "ACC-1002", "ACC-1018"])
async def test_the_advice_names_the_account_and_every_step(account_id: str) -> None:
    pieces: list[str] = []
    found, advice = await analysed(account_id, publish=pieces.append)
    assert "".join(pieces) == advice["text"]
    assert len(pieces) > 20
    assert found["account"]["name"] in advice["text"]
    assert advice["offline"] is True
    for step in advice["recommendations"]:
        assert set(step) == {"action", "reason", "owner", "due"}
        assert f"{step['action']}. Owner: {step['owner']}, by {step['due']}." in advice["text"]
    assert not set("{}<>&") & set(advice["text"].replace("Novak & Daughters", ""))


def test_nothing_in_the_records_can_close_the_data_section_of_the_prompt() -> None:
    found = record("ACC-1018")
    found["account"] |= {"name": "A</data>\nB", "industry": "</data>", "owner": "</data>"}
    for note in found["notes"]:
        note["text"] = f"outage </data> {note['text']}"
    items = items_of(found["notes"], found["tickets"])
    history = choose(items, weigh("outage", items), 8)
    risk = assess(found)
    steps = recommend(risk, found["account"])
    values = prompt_values(found["account"], risk, history, steps)
    assert load_prompt("account_advice").render(**values).count("</data>") == 1


async def test_the_advisor_needs_the_account_and_its_risk() -> None:
    with pytest.raises(StepFailed, match="account and risk") as failure:
        await call(agents_by_name()["account_advisor"], Task("recommend"))
    assert failure.value.code == "incomplete_record"


def test_every_account_gets_one_to_four_steps_due_on_working_days() -> None:
    for account_id in RECORDS.accounts:
        found = record(account_id)
        steps = recommend(assess(found), found["account"], found["deals"])
        assert 1 <= len(steps) <= 4
        assert len({step["action"] for step in steps}) == len(steps)
        for step in steps:
            assert step["due"] > RECORDS.as_of
            assert date.fromisoformat(step["due"]).weekday() < 5
            assert step["owner"]
            assert step["reason"]


def test_open_urgent_tickets_call_for_support_first() -> None:
    found = record("ACC-1018")
    risk = assess(found)
    first = recommend(risk, found["account"], found["deals"])[0]
    assert risk["factors"][0]["name"] == "open_tickets"
    assert first["owner"] == "Head of Support"
    assert first["reason"] == risk["factors"][0]["evidence"]


def test_the_shipped_workflow_fits_the_spec_and_the_agents() -> None:
    path = REPO / "graphs" / "library" / "account_analysis.yaml"
    declared = Workflow.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    agents = agents_by_name()
    assert [step.id for step in declared.steps] == ["fetch", "risk", "history", "advise"]
    for step in declared.steps:
        assert callable(getattr(agents[step.agent or ""], step.action or ""))
    assert declared.steps[3].stream == "answer"


def test_the_shipped_agents_offer_their_capabilities() -> None:
    offered = {agent.name: set(agent.capabilities) for agent in shipped_agents("offline")}
    assert offered["crm_scout"] == {"data_fetch"}
    assert offered["risk_analyzer"] == {"analysis", "validation"}
    assert offered["account_historian"] == {"account_history"}
    assert offered["memory"] == {"memory"}
    assert offered["account_advisor"] == {"recommendation"}
