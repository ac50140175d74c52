"""A model agent that a file declares: texts become tools, schemas and paths."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stretto.agents.declared import find_type
from stretto.agents.llm.http_tool import HttpTool
from stretto.agents.llm.mcp import McpServer
from stretto.agents.llm.tools import MEMORY_TOOLS
from stretto.errors import ConfigurationError


def llm_arguments(config: Mapping[str, Any], name: str, folder: Path, model: Any) -> dict[str, Any]:
    """Turn what a file says into the arguments of ``LLMAgent``.

    Args:
        config: its ``config``: ``prompt`` may be the path of a file beside it; a tool is
            ``recall``, ``remember``, ``module:function``, or a mapping with the fields of
            ``HttpTool`` (``type: http``) or ``McpServer`` (``type: mcp``); ``output`` is
            ``module:Model`` or a JSON Schema.
        name: the agent's name.
        folder: where the file is.
        model: the chat model when the file names none.

    Raises:
        ConfigurationError: there is no prompt, or a tool is none.

    """
    arguments = {"name": name, "model": model, **config}
    if not isinstance(arguments.get("prompt"), str):
        raise ConfigurationError(
            f"agent '{name}' needs 'prompt' in its config: a prompt's name, a file or a text"
        )
    if (folder / arguments["prompt"]).is_file():
        arguments["prompt"] = str(folder / arguments["prompt"])
    if "tools" in arguments:
        arguments["tools"] = [_tool(entry, name, folder) for entry in arguments["tools"]]
    if isinstance(arguments.get("output"), str):
        arguments["output"] = find_type(arguments["output"], folder)
    return arguments


def _tool(entry: Any, agent: str, folder: Path) -> Any:
    if isinstance(entry, str):
        return entry if entry in MEMORY_TOOLS else find_type(entry, folder)
    if not isinstance(entry, Mapping):
        raise ConfigurationError(f"agent '{agent}': {entry!r} is no tool; write module:function")
    fields: dict[str, Any] = {str(key): value for key, value in entry.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    kinds = {"http": HttpTool, "mcp": McpServer}
    kind = fields.pop("type", None)
    if kind not in kinds:
        known = "'http' or 'mcp'"
        message = (
            f"agent '{agent}': the type of tool '{fields.get('name')}' is {known}, not {kind!r}"
        )
        raise ConfigurationError(message)
    try:
        return kinds[kind](**fields)
    except TypeError as error:
        raise ConfigurationError(
            f"agent '{agent}': tool '{fields.get('name')}' is not complete: {error}"
        ) from error
