"""What a caller may give: texts, flags, figures, scopes, ids."""

import math
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from stretto.errors import MemoryFault
from stretto.memory.item import Scope, Source


def check_number(name: str, value: Any, low: float, high: float, code: str) -> float:
    """Give a number within its limits.

    Raises:
        MemoryFault: it is none, or outside of them.

    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        limits = f"{low:,} or more" if high == math.inf else f"from {low:,} to {high:,}"
        raise MemoryFault(f"{name} is a number {limits}, not {value!r}", code=code)
    return value


def check_count(name: str, value: Any, low: int, high: float, code: str) -> int:
    """Give a whole number within its limits.

    Raises:
        MemoryFault: it is none, or outside of them.

    """
    if not isinstance(value, int):
        raise MemoryFault(f"{name} is a whole number, not {value!r}", code=code)
    return int(check_number(name, value, low, high, code))


def check_flag(name: str, value: Any) -> bool:
    """Give what is True or False.

    Raises:
        MemoryFault: it is neither; the code is ``item_invalid``.

    """
    if not isinstance(value, bool):
        raise MemoryFault(f"{name} is True or False, not {value!r}", code="item_invalid")
    return value


def check_several(name: str, value: Any) -> Iterable[Any]:
    """Give what is a list of things, or comes one after the other.

    Raises:
        MemoryFault: it does not, or is one text; the code is ``item_invalid``.

    """
    given: object = value
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        told = f"{name} are several; give a list of them, not {str(value)[:100]!r}"
        raise MemoryFault(told, code="item_invalid")
    several: Iterable[Any] = value
    return several


def check_whole(text: str) -> str:
    """Give a text that has a form in UTF-8.

    Raises:
        MemoryFault: it has none; the code is ``item_invalid``.

    """
    try:
        text.encode()
    except UnicodeEncodeError:
        told = "the text holds half of a character (a lone surrogate); give it as Unicode"
        raise MemoryFault(told, code="item_invalid") from None
    return text


def check_scope(scope: Any) -> Scope:
    """Give a scope whose fields are texts.

    Raises:
        MemoryFault: it is none; the code is ``scope_unknown``.

    """
    if not isinstance(scope, Scope):
        told = f"a scope is a Scope, not {scope!r}; give Scope(tenant=..., user=...)"
        raise MemoryFault(told, code="scope_unknown")
    _check_fields("scope", scope, "scope_unknown")
    return scope


def check_source(source: Any) -> Source:
    """Give a source whose fields are texts.

    Raises:
        MemoryFault: it is none; the code is ``item_invalid``.

    """
    if not isinstance(source, Source):
        told = f"a source is a Source, not {source!r}; give Source(run_id=..., author=...)"
        raise MemoryFault(told, code="item_invalid")
    _check_fields("source", source, "item_invalid")
    return source


def _check_fields(name: str, given: Scope | Source, code: str) -> None:
    values: dict[str, Any] = {**given.to_payload()}
    for field, value in values.items():
        if not isinstance(value, str):
            told = f"the {field} of a {name} is a text, not {value!r}"
            raise MemoryFault(told, code=code)
        check_whole(value)


def id_of(given: Any) -> str | None:
    """Give an id in the form that it is kept in, None for what is no id at all."""
    try:
        return str(uuid.UUID(given))
    except (ValueError, TypeError, AttributeError):
        return None
