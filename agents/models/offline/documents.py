"""JSON that stands inside of text."""

import json
import re
from collections.abc import Iterator
from typing import Any, TypeGuard

MOST_TRIES = 500
"""How many brackets are looked at; in a long text of other brackets the search ends."""
DEEPEST = 40
"""How deep a value may be nested to be read."""
_LABEL = re.compile(r"\s*(?:[-*]\s+)?[*_`]*([A-Za-z][\w .'-]{0,40}?)[*_`]*\s*[:=]\s*")
_DECODER = json.JSONDecoder()


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Tell whether a JSON value is an object."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Tell whether a JSON value is a list."""
    return isinstance(value, list)


def documents_in(text: str) -> list[Any]:
    """Find the JSON objects and lists in a text, outer ones only, in their order."""
    return [value for _, _, value in _found(text)]


def spelled_out(text: str) -> str:
    """Write the JSON objects and lists in a text as lines of ``- key: value``."""
    parts: list[str] = []
    done = 0
    for start, end, value in _found(text):
        parts += [text[done:start].rstrip(" "), "\n", "\n".join(_lines(value)), "\n"]
        done = end
    return "".join([*parts, text[done:]])


def left_out(text: str) -> str:
    """Give a text without the JSON objects and lists in it."""
    parts: list[str] = []
    done = 0
    for start, end, _ in _found(text):
        parts.append(text[done:start])
        done = end
    return "".join([*parts, text[done:]])


def said(value: Any) -> str:
    """Write one value as a person would."""
    if isinstance(value, str):
        return " ".join(value.split())
    return json.dumps(value, ensure_ascii=False, default=str)


def _found(text: str) -> Iterator[tuple[int, int, Any]]:
    """Give where each value begins and ends; one behind ``key:`` on its line belongs to the key."""
    place = 0
    for _ in range(MOST_TRIES):
        starts = [at for at in (text.find("{", place), text.find("[", place)) if at >= 0]
        if not starts:
            return
        start, before = min(starts), place
        try:
            value, place = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            place = start + 1
            continue
        if _too_deep(value):
            continue
        line = max(before, text.rfind("\n", 0, start) + 1)
        if label := _LABEL.fullmatch(text, line, start):
            yield line, place, {label[1]: value}
        elif _tells(value):
            yield start, place, value


def _tells(value: Any) -> bool:
    """Leave out what may be a footnote, as in ``[1]``."""
    inner = value if is_list(value) else [value]
    return any(item and not isinstance(item, int | float) for item in inner)


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for item in level for inner in _inside(item)]
    return bool(level)


def _inside(value: Any) -> list[Any]:
    if is_object(value):
        return list(value.values())
    return value if is_list(value) else []


def _lines(value: Any, above: str = "") -> Iterator[str]:
    """Write one line per plain value; a key inside of another names both."""
    if is_object(value):
        for key, inner in value.items():
            yield from _lines(inner, f"{above} {key}".strip())
    elif is_list(value):
        for item in value:
            told = _row(item) if is_object(item) else said(item)
            yield f"- {above}: {told}" if above and not is_object(item) else f"- {told}"
    elif value is not None:
        yield f"- {above}: {said(value)}" if above else f"- {said(value)}"


def _row(item: dict[str, Any]) -> str:
    return ", ".join(f"{key}: {said(value)}" for key, value in item.items() if value is not None)
