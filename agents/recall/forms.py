"""What is recalled, as plain JSON."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stretto.memory.item import MemoryItem
    from stretto.memory.recollection import Recalled, Recollection


def harmless(text: str) -> str:
    """Keep what others wrote from ending the data section of a prompt."""
    return text.replace("<", "‹").replace(">", "›")


def moment(at: float) -> str:
    """Write a time, in seconds since the epoch, as ISO text in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def since(item: "MemoryItem") -> float:
    """Give since when something holds, in seconds since the epoch."""
    return item.created_at if item.valid_from is None else item.valid_from


def recalled_form(recalled: "Recalled", explain: bool = False) -> dict[str, Any]:
    """Give one thing that was recalled.

    Args:
        recalled: what was found.
        explain: whether to add ``why``, the factors of its score.

    """
    item = recalled.item
    source = {name: value for name, value in asdict(item.source).items() if value is not None}
    form: dict[str, Any] = {
        "id": item.id,
        "text": item.text,
        "date": moment(since(item)),
        "kind": str(item.kind),
        "score": round(recalled.score, 4),
        "source": source,
    }
    form |= {name: value for name in ("key", "subject") if (value := getattr(item, name))}
    form |= {"data": dict(item.data)} if item.data else {}
    return form | ({"why": recalled.why.to_dict()} if explain else {})


def recollection_form(
    query: str,
    found: "Recollection | None",
    degraded: str | None = None,
    explain: bool = False,
) -> dict[str, Any]:
    """Give everything that was recalled.

    Args:
        query: what was looked for.
        found: what came of it; None when memory could not be used.
        degraded: why it could not.
        explain: whether each item says how its score came about.

    """
    items = [recalled_form(one, explain) for one in found.items] if found else []
    return {
        "query": query,
        "items": items,
        "text": found.text() if found else "",
        "found": len(items),
        "tokens": found.tokens if found else 0,
        "degraded": degraded,
    }
