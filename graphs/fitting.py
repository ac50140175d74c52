"""Whether a value fits a JSON Schema of a workflow, and whether such a schema can be used."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from referencing.exceptions import Unresolvable

from stretto.agents.references import NOTHING, held_by
from stretto.graphs.paths import join
from stretto.graphs.patterns import InputValidator, bad_patterns
from stretto.graphs.plaindata import is_dict, is_list


def validator_of(schema: Mapping[str, Any]) -> Any:
    """Make the validator of a schema; a ``$ref`` fetches nothing."""
    return InputValidator(
        schema, registry=NOTHING, format_checker=Draft202012Validator.FORMAT_CHECKER
    )


@lru_cache(maxsize=256)
def _kept_validator(schema: str) -> Any:
    return validator_of(json.loads(schema))


def misfit(value: Any, schema: Mapping[str, Any]) -> str | None:
    """Say where and why a value does not fit a schema; None when it does.

    Args:
        value: JSON data.
        schema: a JSON Schema.

    """
    try:
        errors: list[ValidationError] = list(
            _kept_validator(json.dumps(dict(schema))).iter_errors(value)
        )
    except (Unresolvable, SchemaError, RecursionError) as broken:
        return f"the schema cannot be used: {broken}"
    if not errors:
        return None
    error = min(errors, key=lambda e: len(e.absolute_path))
    path = join("", *error.absolute_path)
    return f"{path}: {error.message}" if path else error.message


def schema_problems(schema: Mapping[str, Any]) -> Iterator[str]:
    """Say what keeps a schema from being used, in sentences."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        yield f"This is no valid JSON Schema: {error.message}."
        return
    yield from unsafe_parts(schema)


def unsafe_parts(schema: Mapping[str, Any]) -> Iterator[str]:
    """Say what a valid schema must not have: some patterns, and references to what is not in it."""
    yield from bad_patterns(schema)
    holds = held_by(schema)
    for path, reference in _references(schema, ""):
        at = f" It is at {path}." if path else ""
        if not reference.startswith("#"):
            yield f"'{reference}' points outside this document; only '#...' is allowed.{at}"
        elif not holds(reference):
            yield f"'{reference}' points to nothing in this document.{at}"


def _references(schema: Any, path: str) -> Iterator[tuple[str, str]]:
    if is_dict(schema):
        for key, value in schema.items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield path, value
            else:
                yield from _references(value, join(path, key))
    elif is_list(schema):
        for index, value in enumerate(schema):
            yield from _references(value, join(path, index))
