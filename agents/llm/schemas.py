"""Data against a JSON Schema, with everything that is wrong in words."""

from typing import Any

from jsonschema import Draft202012Validator

MOST_FAULTS = 8


def schema_faults(schema: dict[str, Any], value: Any) -> str:
    """Say what is wrong with a value.

    Args:
        schema: the JSON Schema that it has to fit.
        value: plain data.

    Returns:
        Where and what, the first few joined; an empty text when it fits.

    """
    validator: Any = Draft202012Validator(schema)  # its types are only partly known
    faults = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]
    return "; ".join(faults[:MOST_FAULTS])
