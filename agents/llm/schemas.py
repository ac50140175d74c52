"""JSON Schemas of tools and answers: whether one can be used, and what does not fit it."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from jsonschema import Draft202012Validator, SchemaError

from stretto.agents.references import NOTHING, held_by
from stretto.errors import ConfigurationError

MOST_FAULTS = 8


def check_schema(schema: Mapping[str, Any], what: str) -> None:
    """Refuse a schema that is none, or that refers to something outside it.

    Args:
        schema: the JSON Schema.
        what: whose it is, for the message.

    Raises:
        ConfigurationError: it cannot be used.

    """
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        message = f"{what} is no valid JSON Schema: {error.message}"
        raise ConfigurationError(message) from error
    holds = held_by(schema)
    for reference in _references(schema):
        if not holds(reference):
            raise ConfigurationError(f"{what} refers to '{reference}', which it does not hold")


def schema_faults(schema: dict[str, Any], value: Any) -> str:
    """Say what is wrong with a value.

    Args:
        schema: the JSON Schema that it has to fit; nothing that it refers to is fetched.
        value: plain data.

    Returns:
        Where and what, the first few joined; an empty text when it fits.

    """
    validator: Any = Draft202012Validator(schema, registry=NOTHING)
    faults = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]
    return "; ".join(faults[:MOST_FAULTS])


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        for key, value in cast(Mapping[str, Any], schema).items():
            if key == "$ref" and isinstance(value, str):
                yield value
            yield from _references(value)
    elif isinstance(schema, list):
        for value in cast(Iterator[Any], schema):
            yield from _references(value)
