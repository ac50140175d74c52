"""Patterns in declared inputs, matched in linear time whatever the pattern and the text."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, cast

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError
from pydantic_core import SchemaError, SchemaValidator

from stretto.graphs.plaindata import is_list, is_mapping


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> SchemaValidator:
    return SchemaValidator({"type": "str", "pattern": pattern})


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Check a pattern in linear time: Python's own engine can be kept busy for years."""
    if isinstance(instance, str) and not _matcher(pattern).isinstance_python(instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def bad_patterns(schema: Any) -> Iterator[str]:
    """Say what is wrong with the patterns of a schema.

    Args:
        schema: a JSON Schema, or a part of one.

    """
    if is_mapping(schema):
        pattern = schema.get("pattern")
        if isinstance(pattern, str):
            try:
                _matcher(pattern)
            except SchemaError as error:
                reason = str(error).rstrip().splitlines()[-1].strip()
                yield f"The pattern {pattern!r} cannot be used: {reason}"
        if "patternProperties" in schema:
            yield "`patternProperties` is not supported; name the properties."
    for part in schema.values() if is_mapping(schema) else schema if is_list(schema) else ():
        yield from bad_patterns(part)


_extend = cast(Any, validators).extend
InputValidator: Any = _extend(Draft202012Validator, {"pattern": _pattern})
"""Checks inputs against a JSON Schema; Python's own patterns could keep it busy for years."""
