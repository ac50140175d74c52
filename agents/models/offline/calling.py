"""Which tools a request names, and with which arguments."""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stretto.agents.models.offline.documents import is_object
from stretto.agents.models.offline.facts import Facts, facts_of, words_of
from stretto.agents.models.offline.filling import fill_schema
from stretto.agents.models.offline.schemas import Schema

_ARGUMENT = re.compile(
    r"""\s*(?:(\w+)\s*[:=]\s*)?("(?:[^"\\]|\\.)*"|'[^']*'|[^,"'\s][^,]*)\s*(?:,|$)"""
)


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as it is bound to a model."""

    name: str
    parameters: Schema


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call that the model asks for."""

    name: str
    args: dict[str, Any]

    def call_id(self, place: int) -> str:
        """Make the name of this call: the same request gives the same one."""
        text = json.dumps([self.name, self.args, place], sort_keys=True, default=str)
        return f"call_{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:16]}"


def tool_of(bound: dict[str, Any]) -> Tool:
    """Read a tool in the form of OpenAI."""
    function: dict[str, Any] = bound.get("function", bound)
    return Tool(function["name"], function.get("parameters") or {})


def calls_named(request: str, tools: Sequence[Tool], more: str = "") -> list[Call]:
    """Make the calls that a request names, in its order.

    A tool is named by its name as a word, also with spaces in it, or by ``name(argument=value)``,
    which may stand there several times. Arguments that are not given there are looked for in the
    whole request, and then in ``more``.

    """
    spots: list[tuple[int, Call]] = []
    facts = replace(facts_of(request), text=request)
    facts = facts.and_then(facts_of(more)) if more else facts
    for tool in tools:
        named = rf"(?<![\w-]){_flexible(tool.name)}(?![\w-])"
        written = list(re.finditer(rf"{named}\s*\(([^()]*)\)", request))
        if written:
            spots += [(it.start(), _call(tool, facts, _given(it[1], tool))) for it in written]
        elif found := re.search(named, request):
            spots.append((found.start(), _call(tool, facts, {})))
    spots.sort(key=lambda spot: spot[0])
    calls = [call for _, call in spots]
    return [call for place, call in enumerate(calls) if call not in calls[:place]]


def call_to_fill(tool: Tool, facts: Facts) -> Call:
    """Call a tool whose arguments are the answer that is asked for."""
    return _call(tool, facts, {})


def _call(tool: Tool, facts: Facts, given: dict[str, Any]) -> Call:
    known = replace(facts, documents=(given, *facts.documents)) if given else facts
    args: Any = fill_schema(tool.parameters, known)
    return Call(tool.name, args if is_object(args) else {})


def _given(inside: str, tool: Tool) -> dict[str, Any]:
    """Read what stands in the brackets of a call; values without a name go by their place."""
    free = list(tool.parameters.get("properties", ()))
    given: dict[str, Any] = {}
    for name, value in _arguments(inside):
        known = name or next((it for it in free if it not in given), "")
        # In a signature such as lookup(account_id) or lookup(...) nothing is given.
        if known and words_of(value) and value.strip() not in free:
            given[known] = _read(value.strip())
    return given


def _arguments(inside: str) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(inside) and (found := _ARGUMENT.match(inside, place)):
        yield found[1] or "", found[2]
        place = found.end()


def _read(value: str) -> Any:
    if len(value) > 1 and value[0] == value[-1] == "'":
        return value[1:-1]
    try:
        return json.loads(value)
    except ValueError:
        return value


def _flexible(name: str) -> str:
    """Match a name of several words however they are joined; one of a single word as it is."""
    words = words_of(name)
    if len(words) < 2:
        return re.escape(name)
    return rf"(?:{re.escape(name)}|(?i:{r'[ _-]'.join(map(re.escape, words))}))"
