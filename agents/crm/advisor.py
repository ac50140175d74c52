"""The agent that tells the owner of an account what to do next."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stretto.agents.agent import Task
from stretto.agents.crm.advice import recommend
from stretto.agents.llm import LLMAgent
from stretto.errors import StepFailed

if TYPE_CHECKING:
    from stretto.agents.llm import ModelSource

Row = Mapping[str, Any]
TELLING = 0.25
"""From which value on a factor is told as a driver of the risk."""
STRENGTHS = ("adoption", "satisfaction", "revenue", "deal_momentum", "engagement")
"""The factors whose absence of trouble is worth telling, the most telling first."""
MOST_DRIVERS, MOST_STRENGTHS, MOST_EVENTS = 4, 2, 4


class AccountAdvisor(LLMAgent):
    """Chooses next steps by rules and lets a model put them into words."""

    def __init__(self, model: "ModelSource" = None) -> None:
        """Take the model that writes the text; its name or the model itself."""
        super().__init__(
            "account_advisor", "account_advice", model, capabilities={"recommendation"}
        )

    async def recommend(self, task: Task) -> dict[str, Any]:
        """Advise on one account.

        Args:
            task: ``params`` has ``account``, ``risk`` (what ``assess_risk`` gave), and where there
                are any ``deals`` and ``history`` (items of ``recall_history``).

        Returns:
            ``summary`` (one sentence), ``recommendations`` (``action``, ``reason``, ``owner``,
            ``due``), ``text``, ``model`` and ``offline``. Only ``text`` comes from the model.

        Raises:
            StepFailed: ``account`` or ``risk`` is missing (``incomplete_record``), or the model's
                answer is not complete.

        """
        missing = [name for name in ("account", "risk") if not task.params.get(name)]
        if missing:
            message = f"Advice needs {' and '.join(missing)} in the step's params."
            raise StepFailed(message, code="incomplete_record")
        account, risk = task.params["account"], task.params["risk"]
        steps = recommend(risk, account, task.params.get("deals") or ())
        history = task.params.get("history") or ()
        answer = await self.answer(task, prompt_values(account, risk, history, steps))
        return {"summary": risk["summary"], "recommendations": steps, **answer}

    run = recommend


def prompt_values(
    account: Row, risk: Row, history: Sequence[Row], steps: Sequence[Row]
) -> dict[str, Any]:
    """Give the values of the prompt ``account_advice``, cut to what is worth telling."""
    factors: list[Row] = list(risk["factors"])
    drivers = [row["evidence"] for row in factors if row["value"] >= TELLING][:MOST_DRIVERS]
    good = [row for row in factors if row["name"] in STRENGTHS and not row["value"]]
    good.sort(key=lambda row: STRENGTHS.index(row["name"]))
    strengths = [row["evidence"] for row in good[: MOST_STRENGTHS if drivers else MOST_DRIVERS]]
    return {
        "account": {
            "account_id": _harmless(str(account.get("account_id"))),
            "name": _harmless(str(account.get("name"))),
            "headline": _harmless(headline(account)),
        },
        "level": risk["level"],
        "score": f"{risk['score']:.2f}",
        "confidence": f"{risk['confidence']:.2f}",
        "as_of": risk["as_of"],
        "drivers": [_harmless(text) for text in drivers],
        "strengths": [_harmless(text) for text in strengths],
        "history": [_event(row) for row in _newest_first(history)],
        "steps": [
            {"number": place, **step, "owner": _harmless(step["owner"])}
            for place, step in enumerate(steps, start=1)
        ],
    }


def headline(account: Row) -> str:
    """Say in one sentence who the customer is and what is at stake."""
    industry = f" {account['industry'].lower()}" if account.get("industry") else ""
    country = account.get("country") or ""
    the = "the " if country.startswith("United ") or country == "Netherlands" else ""
    where = f" in {the}{country}" if country else ""
    article = "An" if (industry or " c").lstrip()[0] in "aeiou" else "A"
    parts = [f"{article}{industry} customer{where}"]
    if account.get("created"):
        parts.append(f"since {account['created'][:4]}")
    if account.get("plan"):
        parts.append(f"on the {account['plan']} plan")
    worth = f", worth €{account['arr']:,.0f} a year" if account.get("arr") else ""
    return f"{' '.join(parts)}{worth}."


def _newest_first(history: Sequence[Row]) -> list[Row]:
    told = sorted(history, key=lambda row: (row["kind"] != "ticket", row["date"]), reverse=True)
    return sorted(told[:MOST_EVENTS], key=lambda row: row["date"])


def _event(row: Row) -> dict[str, Any]:
    return {**row, "text": _harmless(row["text"])}


def _harmless(text: str) -> str:
    """Put a text on one line and keep it from closing the data section of a prompt."""
    return " ".join(text.replace("<", "‹").replace(">", "›").split())
