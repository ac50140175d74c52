"""Values from the command line: inputs, context, answers."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from stretto.errors import InputInvalid


def read_pairs(pairs: Sequence[str], schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read ``key=value`` pairs; of several with the same key the last counts.

    A value is JSON when it parses as JSON and the declared type is not text, else it is text.
    ``key=@file`` takes the content of a file, ``key=@@x`` is the text ``@x``.

    Args:
        pairs: the texts.
        schema: the JSON Schema of the whole; without it no type is declared.

    Raises:
        InputInvalid: a pair has no ``=``, or its file cannot be read.

    """
    declared: Mapping[str, Any] = (schema or {}).get("properties") or {}
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise InputInvalid(f"write key=value, not '{pair}'")
        if text.startswith("@@"):
            text = text[1:]
        elif text.startswith("@"):
            text = read_text(text[1:])
        values[key] = text if _is_text(declared.get(key)) else json_or_text(text)
    return values


def _is_text(schema: Any) -> bool:
    return bool(record(schema).get("type") == "string")


def record(value: Any) -> Mapping[str, Any]:
    """Give a value if it is a mapping, else an empty one."""
    return cast(Mapping[str, Any], value) if isinstance(value, Mapping) else {}


def json_or_text(text: str) -> Any:
    """Read a text as JSON if it is JSON, else take it as it is."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def read_input(source: str) -> dict[str, Any]:
    """Read a whole input from a JSON file, or from stdin for ``-``.

    Raises:
        InputInvalid: it cannot be read, or is no JSON object.

    """
    name = "stdin" if source == "-" else source
    text = read_text(source)
    try:
        value: Any = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{name}:{error.lineno}:{error.colno}"
        raise InputInvalid(f"{where}: the input is not JSON: {error.msg}") from None
    except RecursionError:
        raise InputInvalid(f"{name}: the input is nested too deeply") from None
    if not isinstance(value, dict):
        found = type(value).__name__
        raise InputInvalid(f"{name}: the input is a JSON object of values, not a {found}")
    return cast(dict[str, Any], value)


def read_text(source: str) -> str:
    """Read a file, or stdin for ``-``, as UTF-8.

    Raises:
        InputInvalid: it cannot be read.

    """
    try:
        raw = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise InputInvalid(f"cannot read {source}: {error.strerror or error}") from None
    except (UnicodeDecodeError, ValueError):
        raise InputInvalid(f"cannot read {source}: it is not UTF-8 text") from None


def read_answer(text: str, questions: Sequence[Mapping[str, Any]]) -> Any:
    """Read what a person answers: JSON if it is JSON, text if that is one of the options.

    Args:
        text: the answer.
        questions: what the run waits for, as a result lists it.

    """
    for question in questions:
        if text in (record(question.get("value")).get("options") or ()):
            return text
    return json_or_text(text)
