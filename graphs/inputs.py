"""What a workflow wants to be given, and whether a caller gives it."""

import copy
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from jsonschema.exceptions import SchemaError, ValidationError
from referencing.exceptions import Unresolvable

from stretto.errors import Fault, InputInvalid
from stretto.graphs.fitting import validator_of
from stretto.graphs.names import nearest
from stretto.graphs.paths import join
from stretto.graphs.plaindata import is_dict, is_mapping
from stretto.graphs.spec import Workflow

TYPES = {
    "string": "string",
    "str": "string",
    "text": "string",
    "integer": "integer",
    "int": "integer",
    "number": "number",
    "float": "number",
    "boolean": "boolean",
    "bool": "boolean",
    "array": "array",
    "list": "array",
    "object": "object",
    "dict": "object",
    "any": "",
}
"""The words of the short form ``account_id: string``; a ``?`` at the end makes the key optional."""
_CODES = {
    "required": "missing_input",
    "additionalProperties": "unknown_input",
    "type": "wrong_type",
    "enum": "not_allowed",
    "const": "not_allowed",
    "pattern": "bad_pattern",
    "format": "bad_format",
}


def input_schema(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Turn what a workflow declares under ``inputs`` into one JSON Schema.

    Args:
        inputs: a JSON Schema of an object, or keys with a schema or a type word each.

    Returns:
        The schema; without declared inputs it accepts every object.

    Raises:
        ValueError: a type word is unknown.

    """
    if not inputs:
        return {"type": "object"}
    if inputs.get("type") == "object" and is_mapping(inputs.get("properties")):
        schema = dict(inputs)
        if not {"additionalProperties", "patternProperties", "unevaluatedProperties"} & set(schema):
            schema["additionalProperties"] = False
        return schema
    properties: dict[str, Any] = {}
    required: list[str] = []
    for key, declared in inputs.items():
        properties[key], needed = _property(key, declared)
        if needed:
            required.append(key)
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _property(key: str, declared: Any) -> tuple[dict[str, Any], bool]:
    if isinstance(declared, str):
        word = declared.strip()
        optional = word.endswith("?")
        kind = TYPES.get(word.rstrip("?").lower())
        if kind is None:
            message = f"'{declared}' is no type; use one of {', '.join(TYPES)}"
            raise InputTypeError(message, key)
        return ({"type": kind} if kind else {}), not optional
    if not is_mapping(declared):
        message = f"write a type word or a JSON Schema for '{key}', not {declared!r}"
        raise InputTypeError(message, key)
    schema: dict[str, Any] = {str(name): value for name, value in declared.items()}
    needed = schema.pop("required") if isinstance(schema.get("required"), bool) else True
    if isinstance(schema.get("type"), str):
        word, needed = schema["type"], needed and not schema["type"].endswith("?")
        schema["type"] = TYPES.get(word.rstrip("?"), word.rstrip("?"))
        if not schema["type"]:
            del schema["type"]
    return schema, needed and "default" not in schema


class InputTypeError(ValueError):
    """A declared input has a type that does not exist; ``key`` is which."""

    def __init__(self, message: str, key: str) -> None:
        """Keep the ``key``."""
        super().__init__(message)
        self.key = key


def check_input(workflow: Workflow, data: Mapping[str, Any]) -> dict[str, Any]:
    """Check what a caller gives, and fill in the declared defaults.

    Args:
        workflow: what is to be run.
        data: the input; it is not changed.

    Returns:
        The input with defaults.

    Raises:
        InputInvalid: it does not fit; every mismatch is in it.

    """
    faults = [_not_json(data)] if _not_json(data) else []
    given: dict[str, Any] = copy.deepcopy(dict(data)) if not faults else {}
    if workflow.inputs and not faults:
        validator = _validator(json.dumps(workflow.inputs))
        _fill(given, validator.schema)
        faults = _mismatches(validator, given)
    found = [fault for fault in faults if fault is not None]
    if found:
        message = "; ".join(str(fault) for fault in found)
        raise InputInvalid(f"The input of '{workflow.name}' does not fit: {message}", found)
    return given


def _not_json(data: Any) -> Fault | None:
    message = ""
    if not is_mapping(data):
        message = f"The input is a mapping of values, not a {type(data).__name__}."
    else:
        try:
            json.dumps(dict(data), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            message = f"The input must be JSON: {error}."
    return Fault("input", "not_json", message) if message else None


@lru_cache(maxsize=256)
def _validator(inputs: str) -> Any:
    return validator_of(input_schema(json.loads(inputs)))


def _fill(value: Any, schema: Any) -> None:
    """Put defaults where keys are missing, inside objects that are there too."""
    properties = schema.get("properties") if is_mapping(schema) else None
    if not is_mapping(properties) or not is_dict(value):
        return
    for key, inner in properties.items():
        if is_mapping(inner) and "default" in inner and key not in value:
            value[key] = copy.deepcopy(inner["default"])
        if key in value:
            _fill(value[key], inner)


def _mismatches(validator: Any, data: dict[str, Any]) -> list[Fault | None]:
    try:
        errors = sorted(
            validator.iter_errors(data), key=lambda e: [str(p) for p in e.absolute_path]
        )
    except (Unresolvable, SchemaError, RecursionError) as error:
        return [Fault("inputs", "bad_schema", f"The declared inputs cannot be checked: {error}.")]
    return [fault for error in errors for fault in _faults(error)]


def _faults(error: ValidationError) -> Iterable[Fault]:
    path = join("input", *error.absolute_path)
    code = _CODES.get(str(error.validator), "bad_value")
    if code == "unknown_input" and error.validator_value is False:
        return [_unknown(path, key, error.schema) for key in _extra(error)]
    if error.validator == "required":
        return [_missing(path, error)]
    if error.validator == "enum":
        choices: Any = error.validator_value
        allowed = tuple(str(value) for value in choices)
        message = f"{error.instance!r} is not allowed; use one of {', '.join(allowed)}."
        hint = nearest(error.instance, allowed) if isinstance(error.instance, str) else None
        return [Fault(path, code, message, nearest=hint, allowed=allowed)]
    return [Fault(path, code, f"{error.message}.")]


def _missing(path: str, error: ValidationError) -> Fault:
    key = error.message.split("'")[1] if "'" in error.message else ""
    return Fault(join(path, key), "missing_input", f"The input '{key}' is missing; give it.")


def _extra(error: ValidationError) -> list[str]:
    schema: Any = error.schema
    instance: Any = error.instance
    return [key for key in instance if key not in schema.get("properties", {})]


def _unknown(path: str, key: str, schema: Any) -> Fault:
    known = tuple(schema.get("properties", {}))
    message = f"'{key}' is no input of this workflow; it takes {', '.join(known) or 'none'}."
    return Fault(join(path, key), "unknown_input", message, nearest=nearest(key, known))
