"""What of a value can be found by words: the texts at the paths that are indexed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, cast

from langgraph.store.base import get_text_at_path, tokenize_path

WHOLE: Final = "$"
MAX_CHARACTERS: Final = 100_000
"""How much of a text is indexed; the value itself is kept whole."""


def texts_of(
    value: Mapping[str, Any], index: Literal[False] | Sequence[str] | None, fields: Sequence[str]
) -> list[str]:
    """Give the texts by which a value can be found, one for each place that holds any.

    Args:
        value: the value.
        index: the paths that the caller asked for; False for none, None for those of the store.
        fields: the paths of the store.

    """
    if index is False:
        return []
    paths = fields if index is None else index
    texts = [text for path in paths for text in _at(value, path)]
    return [text for text in texts if text.strip()]


def _at(value: Mapping[str, Any], path: str) -> Iterator[str]:
    if path == WHOLE:
        yield _readable(value)
        return
    for text in get_text_at_path(dict(value), tokenize_path(path)):
        # What is no text itself comes as JSON, whose escapes would glue words together.
        yield _readable(_parsed(text) if text[:1] in ("{", "[") else text)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _readable(value: Any) -> str:
    text = "\n".join(_lines(value))[:MAX_CHARACTERS]
    return text.encode("utf-8", "replace").decode()


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, part in sorted(cast("Mapping[str, Any]", value).items()):
            lines = list(_lines(part))
            yield f"{key}: {lines[0]}" if len(lines) == 1 else f"{key}:"
            if len(lines) > 1:
                yield from lines
    elif isinstance(value, (list, tuple)):
        for item in cast("Sequence[Any]", value):
            yield from _lines(item)
    elif value is not None:
        yield str(value)
