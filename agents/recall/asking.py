"""The words that stand in data: what a question to memory is made of."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

LONGEST = 4000
"""Characters of a question; more words find nothing better."""


def words_of(value: Any) -> str:
    """Give the texts and figures in a value, one after the other, without names of fields."""
    return " ".join(" ".join(_leaves(value)).split())[:LONGEST]


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = cast(Mapping[str, Any], value).values()
    elif isinstance(value, str):
        yield value
        return
    elif value is None or isinstance(value, bool):
        return
    elif not isinstance(value, list | tuple):
        yield str(value)
        return
    for item in cast("list[Any]", value):
        yield from _leaves(item)
