"""Lengths of time as people write them: ``30``, ``30s``, ``5m``, ``2h``, ``PT5M``."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SHORT = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_ISO = re.compile(
    r"P(?:(?P<d>\d+)D)?(?:T(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+(?:\.\d+)?)S)?)?"
)
LONGEST = 366 * 86400.0


def parse_duration(value: Any) -> float:
    """Read a length of time.

    Args:
        value: seconds as a number, a text with one unit (``ms``, ``s``, ``m``, ``h``, ``d``), or an
            ISO 8601 duration without years and months.

    Returns:
        Seconds, not negative, at most a year.

    Raises:
        ValueError: the value is none of these.

    """
    seconds = _seconds(value)
    if seconds is None or not 0 <= seconds <= LONGEST:
        raise ValueError(f"{value!r} is no duration; write 30, '30s', '5m', '2h' or 'PT5M'")
    return seconds


def _seconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, int | float):
        return float(value)
    text = value.strip()
    if match := _SHORT.fullmatch(text):
        return float(match[1]) * _UNITS[match[2] or "s"]
    match = _ISO.fullmatch(text.upper())
    parts = {unit: part for unit, part in match.groupdict().items() if part} if match else {}
    return sum(float(part) * _UNITS[unit.lower()] for unit, part in parts.items()) or None


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    Field(ge=0, le=LONGEST),
    WithJsonSchema(
        {
            "anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}],
            "description": "A length of time: 30, 30s, 5m, 2h or PT5M.",
        }
    ),
]
