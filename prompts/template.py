"""Mustache texts: what they use, and what of it is not there."""

from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from typing import Any, cast

from langchain_core.utils import mustache
from typing_extensions import TypeIs

from stretto.errors import ConfigurationError

Token = tuple[str, str]
"""A tag's kind and its key, or ``literal`` and text."""
_SECTIONS = frozenset({"section", "inverted section"})


def is_list(value: object) -> TypeIs[list[Any]]:
    """Tell whether a value is a list, of whatever."""
    return isinstance(value, list)


def tokens_of(name: str, text: str) -> list[Token]:
    """Take a template apart; variables are never escaped for HTML.

    Args:
        name: what it is called, for the message.
        text: the template, with its includes resolved.

    Raises:
        ConfigurationError: it is no valid mustache.

    """
    try:
        tokens = list(mustache.tokenize(text, "{{", "}}"))
    except (mustache.ChevronError, SyntaxError) as error:
        lines = " ".join(str(error).split())
        raise ConfigurationError(f"prompt '{name}' is no valid mustache: {lines}") from error
    if partials := [key for kind, key in tokens if kind == "partial"]:
        message = f"prompt '{name}' includes '{partials[0]}'; write it as {{{{> name}}}}"
        raise ConfigurationError(f"{message}, with letters, digits, '_' and '-'")
    return [("no escape" if kind == "variable" else kind, key) for kind, key in tokens]


def names_used(tokens: Iterable[Token]) -> tuple[str, ...]:
    """List the values at the top of a template, in order; names inside a section belong to it."""
    names: dict[str, None] = {}
    depth = 0
    for kind, key in tokens:
        if kind == "end":
            depth -= 1
        elif kind in _SECTIONS or kind == "no escape":
            if depth == 0 and key != ".":
                names[key.split(".")[0]] = None
            depth += kind in _SECTIONS
    return tuple(names)


def blanks(tokens: list[Token], scopes: list[Any], inside: str = "") -> Iterator[str]:
    """Give the places of a template that would stay empty because the data has no such key.

    A section may ask for what is not there; that is what sections are for.

    Args:
        tokens: the template, or the inside of a section.
        scopes: the data, the innermost first.
        inside: the section.

    """
    place = 0
    while place < len(tokens):
        kind, key = tokens[place]
        found, value = _look_up(key, scopes)
        if kind == "no escape" and not found:
            yield f"'{key}' in '{inside}'" if inside else f"'{key}'"
        elif kind in _SECTIONS:
            end = _end_of(tokens, place)
            body = tokens[place + 1 : end]
            if kind == "section":
                for item in filter(None, value if is_list(value) else [value]):
                    yield from blanks(body, [item, *scopes], key)
            elif not value:
                yield from blanks(body, scopes, inside)
            place = end
        place += 1


def _end_of(tokens: list[Token], start: int) -> int:
    depth = 0
    for place in range(start, len(tokens)):
        kind = tokens[place][0]
        depth += (kind in _SECTIONS) - (kind == "end")
        if depth == 0:
            return place
    raise AssertionError("tokens_of refuses a section without an end")


def _look_up(key: str, scopes: list[Any]) -> tuple[bool, Any]:
    """Look a key up as the renderer does: in the innermost scope that has the whole path."""
    if key == ".":
        return True, scopes[0]
    for scope in scopes:
        try:
            return True, reduce(_step_into, key.split("."), scope)
        except (LookupError, ValueError):
            continue
    return False, None


def _step_into(value: Any, part: str) -> Any:
    if isinstance(value, Mapping):
        return cast(Mapping[str, Any], value)[part]
    if is_list(value):
        return value[int(part)]
    raise KeyError(part)
