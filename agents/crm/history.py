"""The agent that recalls what was said and reported about an account."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import log
from typing import TYPE_CHECKING, Any

from stretto.agents.agent import Agent, Task
from stretto.agents.crm.factors import Row
from stretto.agents.crm.risk import mapping_of
from stretto.agents.recall.degrading import ABSENT, or_without
from stretto.memory.item import Scope, Source

if TYPE_CHECKING:
    from stretto.memory.recollection import Memory, Recollection

TENANT = "crm"
"""Whose memory it is in a run that names no tenant."""


def weigh(query: str, items: Sequence[Row]) -> dict[str, float]:
    """Score items by how well they answer a query, as memory does, without one.

    Okapi BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond",
    2009) by the encoder of memory; the items are the whole collection.

    Args:
        query: the words looked for.
        items: what is searched; see ``items_of``.

    Returns:
        A score per item by its id: 1 for the best, 0 when no word of the query occurs.

    """
    from stretto.memory.lexical import LexicalEncoder

    encoder = LexicalEncoder()
    vectors = [encoder.encode(item["text"], _at(item["date"])) for item in items]
    bags = [dict(zip(*vector, strict=True)) for vector in vectors]
    spread = Counter(word for bag in bags for word in bag)
    wanted = dict(zip(*encoder.encode_query(query), strict=True))
    weights = {
        word: weight * log(1 + (len(bags) - spread[word] + 0.5) / (spread[word] + 0.5))
        for word, weight in wanted.items()
    }
    scores = [sum(weights[w] * bag[w] for w in weights if w in bag) for bag in bags]
    best = max(scores, default=0.0) or 1.0
    return {item["id"]: score / best for item, score in zip(items, scores, strict=True)}


def choose(items: Sequence[Row], scores: Mapping[str, float], k: int) -> list[Row]:
    """Pick what bears most on a query, then put it in order of time.

    Where scores are equal, as they are for words that nobody used, the newer one comes first.

    Args:
        items: notes and tickets; see ``items_of``.
        scores: by id; 0 for those that are not in it.
        k: how many at most.

    Returns:
        The items with their ``score``, oldest first.

    """
    scored = [{**item, "score": round(scores.get(item["id"], 0.0), 3)} for item in items]
    best = sorted(scored, key=lambda item: (item["score"], item["date"]), reverse=True)[: max(k, 0)]
    return sorted(best, key=lambda item: (item["date"], item["id"]))


def items_of(notes: Sequence[Row], tickets: Sequence[Row]) -> list[Row]:
    """Give notes and tickets in one form: ``id``, ``kind``, ``date`` and ``text``."""
    return [*map(_note, notes), *map(_ticket, tickets)]


def _note(row: Row) -> Row:
    return {"id": row["note_id"], "kind": row["kind"], "date": row["date"], "text": row["text"]}


def _ticket(row: Row) -> Row:
    end = f"solved {row['resolved']}" if row["resolved"] else "still open"
    text = f"{row['subject']} ({row['priority']} ticket, {end})"
    return {"id": row["ticket_id"], "kind": "ticket", "date": row["opened"], "text": text}


def _at(day: str) -> float:
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()


def timeline(notes: Sequence[Row], tickets: Sequence[Row]) -> list[Row]:
    """Count notes, tickets and urgent tickets per quarter, oldest first."""
    quarters: dict[str, Row] = {}
    dated = [(row["date"], "notes", row) for row in notes]
    dated += [(row["opened"], "tickets", row) for row in tickets]
    for day, kind, row in sorted(dated, key=lambda item: item[0]):
        name = f"{day[:4]}-Q{(int(day[5:7]) + 2) // 3}"
        counts = quarters.setdefault(
            name, {"quarter": name, "notes": 0, "tickets": 0, "urgent_tickets": 0}
        )
        counts[kind] += 1
        counts["urgent_tickets"] += row.get("priority") == "urgent"
    return list(quarters.values())


class AccountHistorian(Agent):
    """Recalls the notes and tickets of an account that bear on a question."""

    name = "account_historian"
    capabilities = frozenset({"account_history"})
    max_concurrent_tasks = 4

    async def recall_history(self, task: Task) -> dict[str, Any]:
        """Find what bears on ``params.query``.

        Notes and tickets are remembered the first time, and looked up in memory. Where that
        cannot be used they are weighed as they are given.

        Args:
            task: ``params`` has ``query``, ``k`` (8 if absent), and ``notes`` and ``tickets``,
                which are taken from the input when they are not there.

        Returns:
            ``query``, ``items`` (see ``choose``), ``timeline`` (see ``timeline``) and ``found``.

        """
        given = mapping_of(task.input)
        notes: list[Row] = task.params.get("notes", given.get("notes")) or []
        tickets: list[Row] = task.params.get("tickets", given.get("tickets")) or []
        query = str(task.params.get("query") or "")
        k, items = int(task.params.get("k", 8)), items_of(notes, tickets)
        accounts = (row.get("account_id") for row in (*notes, *tickets))
        scores = await _scores(task, next(accounts, None), items, query, k)
        chosen = choose(items, scores, k)
        quarters = timeline(notes, tickets)
        return {"query": query, "items": chosen, "timeline": quarters, "found": len(chosen)}

    run = recall_history


async def _scores(
    task: Task, account: str | None, items: Sequence[Row], query: str, k: int
) -> dict[str, float]:
    """Score the items of an account by memory, else by themselves."""
    found: Recollection | None = None
    # The records are those of everybody in a tenant, whoever wants to know of them.
    memory = task.memory_of(Scope(tenant=task.scope.tenant or TENANT))
    if memory is None:
        task.degraded(ABSENT)
    elif account:
        found, _ = await or_without(task, memory, _recall(memory, account, items, query, k))
    if found is None or found.degraded:
        return weigh(query, items)
    return {str(it.item.source.message_id): it.score for it in found.items}


async def _recall(
    memory: "Memory", account: str, items: Sequence[Row], query: str, k: int
) -> "Recollection":
    """Remember what is new about an account, then recall what bears on a query."""
    from stretto.memory.recollection import NewItem

    news = [
        NewItem(
            item["text"],
            kind="message",
            key=f"{account}.{item['id']}",
            subject=account,
            source=Source(message_id=item["id"]),
            at=_at(item["date"]),
        )
        for item in items
    ]
    await memory.remember_many(news)
    return await memory.recall(query, subject=account, k=k, neighbours=0)
