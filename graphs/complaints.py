"""What pydantic finds, in sentences for the author of a workflow."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from stretto.errors import Fault
from stretto.graphs.aliases import RENAMED
from stretto.graphs.forms.kinds import KINDS
from stretto.graphs.keys import Place, known_keys
from stretto.graphs.names import nearest
from stretto.graphs.paths import join
from stretto.graphs.plaindata import is_list, is_mapping
from stretto.graphs.spec import (
    AggregateTransform,
    AtTrigger,
    CronTrigger,
    EventTrigger,
    Fallback,
    FilterTransform,
    MapTransform,
    OtherAgent,
)

_CHOICES: Mapping[str, Mapping[str, type[BaseModel]]] = {
    "on_error": {"fallback": Fallback, "agent": OtherAgent},
    "transform": {"filter": FilterTransform, "map": MapTransform, "aggregate": AggregateTransform},
    "triggers": {"cron": CronTrigger, "at": AtTrigger, "event": EventTrigger},
}
"""Places with several forms, and the key by which each is known."""
_EXPECTED = {
    "on_error": "fail, continue, {fallback: VALUE} or {agent: NAME}",
    "transform": "a mapping with `filter`, `map` or `aggregate`",
    "triggers": "a mapping with `cron`, `at` or `event`",
    "input_from": "a step's name or a list of them",
    "when": "an expression or a typed condition",
    "filter": "an expression or a mapping of criteria",
    "map": "an expression or a mapping of old keys to new ones",
}
_TYPES = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "datetime_type": "a date and time such as 2026-12-31T12:00:00Z",
    "datetime_parsing": "a date and time such as 2026-12-31T12:00:00Z",
    "datetime_from_date_parsing": "a date and time such as 2026-12-31T12:00:00Z",
}
_PATTERNS = {
    "id": ("bad_id", "is no id; use up to 100 letters, digits, '_', '.' and '-'"),
    "output_to": ("bad_id", "is no name; use up to 100 letters, digits, '_', '.' and '-'"),
    "version": ("bad_version", "is no version; write three numbers such as 1.2.0"),
    "as": ("bad_id", "is no name for an item; use letters, digits and '_'"),
}
_EMPTY = {"steps": "no_steps", "cases": "no_cases"}


@dataclass(frozen=True, slots=True)
class Complaint:
    """A fault, and the value that has to go."""

    fault: Fault
    place: Place
    required: bool = False
    """Whether the key cannot just be left out."""


def complaints(errors: Iterable[Any], document: Any) -> list[Complaint]:
    """Turn pydantic's errors into one fault for each place that is wrong.

    Args:
        errors: what ``ValidationError.errors()`` gives.
        document: the data that was validated.

    """
    found: dict[tuple[Place, str], Complaint] = {}
    for error in errors:
        for complaint in _complaints(error, document):
            found.setdefault((complaint.place, complaint.fault.code), complaint)
    return list(found.values())


def _complaints(error: Any, document: Any) -> list[Complaint]:
    place, chosen = _place(error, document)
    if error["type"] == "too_short" and _value(document, place):
        # Pydantic counts only the items that are right; the others have faults of their own.
        return []
    if chosen:
        return _one_of(place, document)
    return [_complaint(error, place, _value(document, place))]


def _place(error: Any, document: Any) -> tuple[Place, bool]:
    """Find where an error is; the flag says that it comes from one of several forms there.

    Pydantic mixes the names of the forms of a union into its locations. What is no key or index of
    the document is such a name, so the union stands where the walk ends.
    """
    place: list[str | int] = []
    holder = document
    parts: Sequence[str | int] = error["loc"]
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if not _has(holder, part):
            if last and error["type"] == "missing":
                return (*place, part), False
            return tuple(place), True
        place.append(part)
        if last and part == "[key]":
            return tuple(place[:-1]), False
        holder = holder[part]
    return tuple(place), False


def _has(holder: Any, part: Any) -> bool:
    if is_mapping(holder):
        return part in holder
    return is_list(holder) and isinstance(part, int) and part < len(holder)


def _value(document: Any, place: Place) -> Any:
    for part in place:
        if not _has(document, part):
            return None
        document = document[part]
    return document


def _one_of(place: Place, document: Any) -> list[Complaint]:
    """Say what is wrong with a value that may have one of several forms."""
    key = next((part for part in reversed(place) if isinstance(part, str)), "")
    value = _value(document, place)
    models = _CHOICES.get(key, {})
    named = [model for name, model in models.items() if is_mapping(value) and name in value]
    if len(named) == 1:
        try:
            named[0].model_validate(value)
        except ValidationError as error:
            inner = complaints(error.errors(include_url=False), value)
            return [_inside(place, complaint) for complaint in inner]
    expected = _EXPECTED.get(key, "another kind of value")
    message = f"Expected {expected}, got {_shown(value)}."
    word = isinstance(value, str) and key == "on_error"
    hint = nearest(str(value), ("fail", "continue")) if word else None
    fault = Fault(join("", *place), "wrong_type", message, nearest=hint)
    return [Complaint(fault, place)]


def _inside(place: Place, complaint: Complaint) -> Complaint:
    """Place what was found in a value on its own where the value stands; all of it has to go."""
    fault = complaint.fault
    path = join("", *place, *complaint.place)
    moved = Fault(path, fault.code, fault.message, None, None, fault.nearest, fault.allowed)
    return Complaint(moved, place)


def _complaint(error: Any, place: Place, value: Any) -> Complaint:
    path = join("", *place)
    key = place[-1] if place else ""
    kind: str = error["type"]
    if kind == "missing":
        return Complaint(_missing(path, key), place, required=True)
    if kind == "extra_forbidden":
        return Complaint(_unknown(path, str(key), place, value), place)
    if kind in ("literal_error", "enum"):
        return Complaint(_not_allowed(path, error, value), place)
    code, message = _said(kind, str(key), error, value)
    return Complaint(Fault(path, code, message), place, required=key in ("id", "steps", "name"))


def _missing(path: str, key: str | int) -> Fault:
    if key == "max_iterations":
        message = "The loop has no bound; give it `max_iterations`."
        return Fault(path, "no_bound", message)
    return Fault(path, "missing_key", f"`{key}` is missing; add it.")


def _unknown(path: str, key: str, place: Place, value: Any) -> Fault:
    meaning = RENAMED.get(key)
    if key == "step_type":
        message = f"'{value}' is no type of step."
        allowed = tuple(KINDS)
        return Fault(
            path, "not_allowed", message, nearest=nearest(str(value), allowed), allowed=allowed
        )
    if meaning is not None:
        message = f"`{key}` means `{meaning}`, which is given too; keep one of them."
        return Fault(path, "conflicting_keys", message)
    known = known_keys(place)
    hint = nearest(key, known) or nearest(key, RENAMED)
    message = f"`{key}` is not known here" + ("." if hint else f"; known are {', '.join(known)}.")
    return Fault(path, "unknown_key", message, nearest=hint, allowed=known)


def _not_allowed(path: str, error: Any, value: Any) -> Fault:
    listed: str = error["ctx"]["expected"]
    allowed = tuple(word.strip("' ") for word in listed.replace(" or ", ", ").split(", "))
    message = f"{_shown(value)} is not allowed; use one of {', '.join(allowed)}."
    hint = nearest(value, allowed) if isinstance(value, str) else None
    return Fault(path, "not_allowed", message, nearest=hint, allowed=allowed)


def _said(kind: str, key: str, error: Any, value: Any) -> tuple[str, str]:
    if kind in _TYPES:
        hint = "; put it in quotes" if kind == "string_type" and _is_number(value) else ""
        return "wrong_type", f"Expected {_TYPES[kind]}, got {_shown(value)}{hint}."
    if kind == "string_pattern_mismatch":
        code, words = _PATTERNS.get(key, ("bad_value", "does not have the expected form"))
        return code, f"{_shown(value)} {words}."
    if kind == "too_short":
        return _EMPTY.get(key, "too_short"), f"`{key}` is empty; give at least one."
    if kind == "string_too_short":
        return "too_short", "This is empty; give a name."
    if kind == "value_error":
        reason = str(error["ctx"]["error"])
        code = "bad_duration" if "is no duration" in reason else "bad_value"
        return code, f"{reason[:1].upper()}{reason[1:]}."
    message: str = error["msg"]
    return "bad_value", f"{_shown(value)} does not fit: {message[:1].lower()}{message[1:]}."


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    """Describe a value that came instead of what was expected."""
    if is_mapping(value):
        return "a mapping"
    if is_list(value):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
