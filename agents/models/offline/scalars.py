"""Single values that fit a JSON Schema: taken from what is given, or the plainest that is valid."""

import json
import math
import re
from datetime import datetime
from typing import Any, Final

from stretto.agents.models.offline.documents import is_list, is_object
from stretto.agents.models.offline.extract import extract_answer
from stretto.agents.models.offline.facts import Facts, words_of
from stretto.agents.models.offline.schemas import Schema

UNKNOWN = "unknown"
"""Stands where a name, an id or an address is asked for and none is given."""
_TELLING = frozenset(
    "summary text answer reason message content description explanation conclusion body note "
    "advice rationale response report analysis overview comment output reply finding".split()
)
_NAMING = frozenset(
    "id ids name owner email url uri link time code number phone key currency country city "
    "language author user version".split()
)
_DATED = frozenset("date due day deadline by when until since".split())
_DATE = r"\d{4}-\d{2}-\d{2}"
_FORMATS = {
    "date": _DATE,
    "date-time": rf"{_DATE}[T ]\d{{2}}:\d{{2}}(?::\d{{2}})?(?:Z|[+-]\d{{2}}:\d{{2}})?",
    "time": r"\d{2}:\d{2}:\d{2}(?:Z|[+-]\d{2}:\d{2})?",
    "duration": r"P(?=[\dT])[\dYMWDTHS.]+",
    "email": r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    "uri": r"https?://[^\s<>\"')\]]+",
    "uuid": r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "ipv4": r"(?:\d{1,3}\.){3}\d{1,3}",
    "ipv6": r"(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}",
}
"""How values of a format look."""
_PLAINEST = {
    "date": "1970-01-01",
    "date-time": "1970-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "PT0S",
    "email": "unknown@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "ipv4": "0.0.0.0",
    "ipv6": "::",
}
"""The value of a format where none is given."""
_YES = frozenset({"yes", "true", "on", "y"})
_NO = frozenset({"no", "false", "off", "n", "not"})
_AMOUNT = re.compile(r"[^\w-]{0,2}(-?\d[\d,]*(?:\.\d+)?)(?![\w-]*-\d)")


class Nothing:
    """The type of ``NOTHING``: what is given cannot be a value of the schema."""


NOTHING: Final = Nothing()


def is_telling(name: str) -> bool:
    """Tell whether a name asks for prose, such as ``summary`` or ``reasons``."""
    return any(word in _TELLING or word.removesuffix("s") in _TELLING for word in words_of(name))


def equal(one: Any, other: Any) -> bool:
    """Compare as JSON does: ``true`` is no number."""
    return isinstance(one, bool) is isinstance(other, bool) and one == other


def choices_of(schema: Schema) -> list[Any]:
    """Give the values that an ``enum`` or ``const`` allows."""
    choices: list[Any] = schema["enum"] if "enum" in schema else [schema["const"]]
    return choices


def chosen(schema: Schema, given: Any) -> Any:
    """Take a value of an ``enum`` or ``const``, by its own form or by the words of a text."""
    choices = choices_of(schema)
    for choice in choices:
        if equal(choice, given):
            return choice
    if isinstance(given, str):
        for choice in choices:
            if words_of(given) == words_of(str(choice)) and not isinstance(choice, bool):
                return choice
    return NOTHING


def truth(given: Any) -> Any:
    """Take a yes or a no."""
    if isinstance(given, bool):
        return given
    first = (words_of(given) or ("",))[0] if isinstance(given, str) else ""
    return True if first in _YES else False if first in _NO else NOTHING


def number(schema: Schema, given: Any, whole: bool) -> Any:
    """Take a number, or the one that a text begins with, if it is within the bounds."""
    if isinstance(given, str):
        found = _AMOUNT.match(given.strip())
        given = float(found[1].replace(",", "")) if found else NOTHING
    if isinstance(given, bool) or not isinstance(given, int | float):
        return NOTHING
    if isinstance(given, float) and given.is_integer():
        given = int(given)
    if (whole and not isinstance(given, int)) or abs(given) == math.inf:
        return NOTHING
    try:
        return given if _within(schema, given) else NOTHING
    except OverflowError:  # an integer that no float can hold
        return NOTHING


def plain_number(schema: Schema, whole: bool) -> Any:
    """Give zero, or the number nearest to it that the bounds allow."""
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    step = schema.get("multipleOf") or (1 if whole else None)
    edges = [0, low, high, above, below]
    if step:
        near = [int(edge // step) for edge in edges if edge is not None]
        tries = [step * (count + shift) for count in near for shift in (0, 1, -1)]
    else:
        known = [edge for edge in edges if edge is not None]
        middles = [one / 2 + other / 2 for one in known for other in known]
        tries = [*known, *middles, *(edge + 1 for edge in known), *(edge - 1 for edge in known)]
    fitting = [value for value in tries if _within(schema, value)]
    best = min(fitting, key=abs, default=low or 0)
    return int(best) if whole else best


def text(schema: Schema, given: Any) -> Any:
    """Take a text that the schema allows; one that is too long is cut."""
    if (is_object(given) or is_list(given)) or given is None:
        return NOTHING
    value = given if isinstance(given, str) else json.dumps(given)
    kind = schema.get("format", "")
    if kind in _FORMATS and not _has_format(kind, value):
        return NOTHING
    value = _cut(value, schema.get("maxLength"))
    fits = len(value) >= schema.get("minLength", 0) and _matches(schema, value)
    return value if fits else NOTHING


def plain_text(schema: Schema, name: str, facts: Facts) -> str:
    """Give the text that suits a name best: an extract, a date, or that it is unknown."""
    kind = schema.get("format", "")
    if kind in _FORMATS:
        found = re.findall(rf"(?<![\w.+-]){_FORMATS[kind]}(?![\w-])", facts.text)
        value = next((it for it in found if _has_format(kind, it)), _PLAINEST[kind])
    elif "pattern" in schema:
        value = _like(schema, facts.text)
    else:
        value = _worded(name, facts)
    return _cut(value, schema.get("maxLength")).ljust(schema.get("minLength", 0), ".")


def _worded(name: str, facts: Facts) -> str:
    words = words_of(name)
    last = words[-1] if words else ""
    if last in _DATED:
        found = re.search(rf"\b{_DATE}\b", facts.text)
        return found[0] if found else UNKNOWN
    if last in _NAMING:
        return _named(words, facts.text) or UNKNOWN
    answer = extract_answer(facts.text)
    if is_telling(name):
        return answer
    first = next((line for line in answer.splitlines() if line.strip("*- ")), UNKNOWN)
    return re.split(r"(?<=[.!?])\s", first.removeprefix("- "), maxsplit=1)[0].strip("* ")


def _named(words: tuple[str, ...], data: str) -> str:
    """Find a token such as ``ACC-1`` behind the name without its last word, or else anywhere."""
    token = r"([A-Za-z]*[-_]?\d[\w-]*)"
    stem = r"[\s_-]*".join(map(re.escape, words[:-1]))
    found = re.search(rf"\b{stem}\b[^\w\n]{{1,3}}{token}", data, re.I) if stem else None
    if found is None and words[-1] == "id":
        found = re.search(r"\b([A-Z]{2,}[-_]\d[\w-]*)", data)
    return found[1] if found else ""


def _like(schema: Schema, data: str) -> str:
    try:
        tokens = [found[0] for found in re.finditer(r"\S+", data)]
        stripped = [token.strip(".,;:()\"'") for token in tokens]
        return next((token for token in stripped if text(schema, token) is not NOTHING), UNKNOWN)
    except re.error:
        return UNKNOWN


def _has_format(kind: str, value: str) -> bool:
    if not re.fullmatch(_FORMATS[kind], value):
        return False
    try:
        return not kind.startswith("date") or bool(datetime.fromisoformat(value))
    except ValueError:
        return False


def _matches(schema: Schema, value: str) -> bool:
    try:
        return "pattern" not in schema or re.search(schema["pattern"], value) is not None
    except re.error:
        return True


def _cut(value: str, most: int | None) -> str:
    if most is None or len(value) <= most:
        return value
    shorter = value[:most].rpartition(" ")[0]
    return shorter if len(shorter) > most // 2 else value[:most]


def _within(schema: Schema, value: float) -> bool:
    step = schema.get("multipleOf")
    return (
        schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf)
        and schema.get("exclusiveMinimum", -math.inf) < value
        and value < schema.get("exclusiveMaximum", math.inf)
        and (not step or value % step == 0)
    )
