"""The agent that recalls what was said and reported about an account."""

import re
from collections import Counter
from collections.abc import Sequence
from math import log
from typing import Any

from stretto.agents.agent import Agent, Task
from stretto.agents.crm.factors import Row
from stretto.agents.crm.risk import mapping_of

K1, B = 1.5, 0.75
STOPWORDS = frozenset(
    "a about all an and are as at be by for from had has he his if in is it its of on or our she "
    "that the their they this to us was we were what when who will with".split()
)


def words_of(text: str) -> list[str]:
    """Split a text into lower-case words, cut to their stem by the commonest endings."""
    words = re.findall(r"[^\W_]+", text.lower())
    return [re.sub(r"(?<=\w{4})(?:ing|ed|es|s)$", "", word) for word in words if _counts(word)]


def _counts(word: str) -> bool:
    return len(word) > 1 and word not in STOPWORDS


def rank(query: str, texts: Sequence[str]) -> list[float]:
    """Score texts by how well they answer a query.

    Okapi BM25 with k1 = 1.5 and b = 0.75 (Robertson and Zaragoza, "The Probabilistic Relevance
    Framework: BM25 and Beyond", 2009); the texts are the whole collection.

    Args:
        query: the words looked for.
        texts: what is searched.

    Returns:
        One score per text, in their order; 0 when no word of the query occurs.

    """
    bags = [Counter(words_of(text)) for text in texts]
    mean = sum(bag.total() for bag in bags) / len(bags) if bags else 0.0
    scores = [0.0] * len(bags)
    for word in sorted(set(words_of(query))):
        having = sum(word in bag for bag in bags)
        rarity = log(1 + (len(bags) - having + 0.5) / (having + 0.5))
        for place, bag in enumerate(bags):
            if count := bag[word]:
                size = K1 * (1 - B + B * bag.total() / mean)
                scores[place] += rarity * count * (K1 + 1) / (count + size)
    return scores


def recall(notes: Sequence[Row], tickets: Sequence[Row], query: str, k: int) -> list[Row]:
    """Pick what bears most on a query, then put it in order of time.

    Where scores are equal, as they are for words that nobody used, the newer one comes first.

    Args:
        notes: the account's notes.
        tickets: the account's tickets.
        query: what is wanted.
        k: how many at most.

    Returns:
        Items with ``id``, ``kind``, ``date``, ``text`` and ``score``, oldest first.

    """
    items = [*map(_note, notes), *map(_ticket, tickets)]
    scores = rank(query, [item["text"] for item in items])
    scored = [{**item, "score": round(score, 3)} for item, score in zip(items, scores, strict=True)]
    best = sorted(scored, key=lambda item: (item["score"], item["date"]), reverse=True)[: max(k, 0)]
    return sorted(best, key=lambda item: (item["date"], item["id"]))


def _note(row: Row) -> Row:
    return {"id": row["note_id"], "kind": row["kind"], "date": row["date"], "text": row["text"]}


def _ticket(row: Row) -> Row:
    end = f"solved {row['resolved']}" if row["resolved"] else "still open"
    text = f"{row['subject']} ({row['priority']} ticket, {end})"
    return {"id": row["ticket_id"], "kind": "ticket", "date": row["opened"], "text": text}


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
    capabilities = frozenset({"memory"})
    max_concurrent_tasks = 4

    def recall_history(self, task: Task) -> dict[str, Any]:
        """Find what bears on ``params.query``.

        Args:
            task: ``params`` has ``query``, ``k`` (8 if absent), and ``notes`` and ``tickets``,
                which are taken from the input when they are not there.

        Returns:
            ``query``, ``items`` (see ``recall``), ``timeline`` (see ``timeline``) and ``found``.

        """
        given = mapping_of(task.input)
        notes: list[Row] = task.params.get("notes", given.get("notes")) or []
        tickets: list[Row] = task.params.get("tickets", given.get("tickets")) or []
        query = str(task.params.get("query") or "")
        items = recall(notes, tickets, query, int(task.params.get("k", 8)))
        quarters = timeline(notes, tickets)
        return {"query": query, "items": items, "timeline": quarters, "found": len(items)}

    run = recall_history
