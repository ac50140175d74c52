"""Outputs laid out for people: text as text, records as lines, lists as numbered items."""

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, cast

from rich.console import Group, RenderableType
from rich.markdown import Markdown
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stretto.cli.terminal import as_json, clean

MOST_ITEMS = 20
MOST_FIELDS = 16
SHORT = 80
"""Characters of a text that still counts as a field rather than a paragraph."""
HEADS = ("title", "name", "action", "text", "summary", "message", "answer")
"""Fields that tell what an item is, the most telling first."""
_MARKDOWN = re.compile(r"^(#{1,6} |[-*] |\d+\. |```|> )|\*\*", re.MULTILINE)


def readable(value: Any) -> RenderableType:
    """Lay a JSON value out; nothing in its texts is interpreted as markup of the terminal."""
    if isinstance(value, Mapping):
        return _mapping(cast(Mapping[str, Any], value))
    if isinstance(value, list):
        return _list(cast(Sequence[Any], value))
    return _text(value) if isinstance(value, str) else Text(_scalar(value))


def _mapping(value: Mapping[str, Any]) -> RenderableType:
    """Show the fields first, then everything longer under a heading each."""
    fields = {key: item for key, item in value.items() if _is_field(item)}
    parts: list[RenderableType] = [_fields(fields)] if fields else []
    for key, item in value.items():
        if key in fields:
            continue
        if parts:
            parts.append(Text(""))
        parts.append(Text(_title(key), "bold"))
        parts.append(Padding(_inside(item), (0, 0, 0, 2)))
    return Group(*parts) if parts else Text("(empty)", "dim")


def _inside(value: Any) -> RenderableType:
    if isinstance(value, Mapping):
        record = cast(Mapping[str, Any], value)
        return _fields({key: record[key] for key in list(record)[:MOST_FIELDS]}, len(record))
    return readable(value)


def _fields(fields: Mapping[str, Any], total: int = 0) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for key, value in fields.items():
        table.add_row(Text(_title(key), "dim"), Text(_scalar(value)))
    if total > len(fields):
        table.add_row(Text(f"… {total - len(fields)} more", "dim"), Text(""))
    return table


def _list(items: Sequence[Any]) -> RenderableType:
    if not items:
        return Text("(none)", "dim")
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    longer = _longer(items[:MOST_ITEMS])
    for number, item in enumerate(items[:MOST_ITEMS], start=1):
        table.add_row(Text(f"{number}.", "dim"), _item(item, longer))
    if len(items) > MOST_ITEMS:
        table.add_row(Text(""), Text(f"… {len(items) - MOST_ITEMS} more; --json has all", "dim"))
    return table


def _longer(items: Sequence[Any]) -> tuple[str, ...]:
    """List the fields that need a line of their own in some item, so that all items look alike."""
    records = [cast(Mapping[str, Any], item) for item in items if isinstance(item, Mapping)]
    long = (k for r in records for k, v in r.items() if isinstance(v, str) and len(v) > SHORT)
    return tuple(dict.fromkeys(long))


def _item(item: Any, longer: Sequence[str]) -> RenderableType:
    """Show what an item is on a line, and what else is known of it below."""
    if not isinstance(item, Mapping):
        return Text(_scalar(item))
    record = cast(Mapping[str, Any], item)
    head = next((key for key in HEADS if isinstance(record.get(key), str)), None)
    if head is None:
        return Text(_facts(record, ()))
    lines = [Text(_scalar(record[head]))]
    lines += [Text(_scalar(record[key]), "dim") for key in longer if key != head and key in record]
    if facts := _facts(record, (head, *longer)):
        lines.append(Text(facts, "dim"))
    return Group(*lines)


def _facts(record: Mapping[str, Any], without: Sequence[str]) -> str:
    told = [(k, v) for k, v in record.items() if k not in without and v not in (None, "", [], {})]
    return "  ·  ".join(f"{_title(key).lower()}: {_scalar(value)}" for key, value in told)


def _text(text: str) -> RenderableType:
    cleaned = clean(text).strip()
    if _MARKDOWN.search(cleaned):
        return Markdown(cleaned, hyperlinks=False)
    return Text(cleaned)


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return clean(value).strip()
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list) and all(
        isinstance(item, str) for item in cast(Sequence[Any], value)
    ):
        return clean(", ".join(cast(list[str], value))) or "none"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return clean(as_json(value, sys.stdout))


def _title(key: str) -> str:
    words = clean(str(key)).replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _is_field(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= SHORT * 2 and "\n" not in value
    return not isinstance(value, Mapping | list)
