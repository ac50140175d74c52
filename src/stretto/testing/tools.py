"""Which of the tools that a model may call its data is meant for."""

from collections.abc import Mapping
from typing import Any, cast

from stretto.testing.script import ScriptError


def name_of(tool: Mapping[str, Any]) -> str:
    """Give the name of a tool, or of the choice of one."""
    return str(tool.get("function", tool).get("name") or tool.get("type"))


def checked_call(call: Any) -> Mapping[str, Any]:
    """Give a call of a tool as a script has it.

    Raises:
        ScriptError: it is none.

    """
    told: Mapping[str, Any] = cast(Any, call) if isinstance(call, Mapping) else {}
    fits = "name" in told and isinstance(told.get("args", {}), dict)
    if not fits or set(told) - {"name", "args", "id", "type"}:
        raise ScriptError(f'{call!r} calls no tool; write {{"name": ..., "args": {{...}}}}')
    return told


def fitting_tool(data: dict[str, Any], tools: list[dict[str, Any]], choice: Any) -> str:
    """Find the tool that structured data is meant for.

    Args:
        data: the data.
        tools: what a model may call, in the form of OpenAI.
        choice: the tool that it has to call, or a word for any of them.

    Raises:
        ScriptError: it fits none of the tools, or several.

    """
    names = [name_of(tool) for tool in tools]
    if isinstance(choice, dict):
        choice = name_of(cast(dict[str, Any], choice))
    if choice in names:
        return str(choice)
    fits = [name_of(tool) for tool in tools if _takes(tool, set(data))]
    found = names if len(names) == 1 else fits
    if len(found) == 1:
        return found[0]
    keys, listed = ", ".join(data), ", ".join(names)
    message = f"data with {keys} fits {len(fits)} of the tools {listed}; say which one is called"
    raise ScriptError(f'{message}: {{"tool_calls": [{{"name": ..., "args": {{...}}}}]}}')


def _takes(tool: Mapping[str, Any], keys: set[str]) -> bool:
    schema: Mapping[str, Any] = tool.get("function", {}).get("parameters", {})
    return set(schema.get("required", ())) <= keys <= set(schema.get("properties", ()))
