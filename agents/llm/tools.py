"""What a model may call: functions, tools of LangChain, HTTP endpoints, MCP servers."""

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, get_type_hints

from stretto.agents.llm.http_tool import HttpTool
from stretto.agents.llm.mcp import McpServer
from stretto.errors import ConfigurationError

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    ToolSource = Callable[..., Any] | BaseTool | HttpTool | McpServer | str

MEMORY_TOOLS = ("recall", "remember")
"""Tools that are given by name."""


def check_tools(agent: str, tools: "Sequence[ToolSource]") -> "tuple[ToolSource, ...]":
    """Check that a model can be told of every tool.

    Args:
        agent: whose tools they are.
        tools: the tools as they were given.

    Raises:
        ConfigurationError: a function has arguments without types or no docstring, a name is that
            of no tool, or two tools have one name.

    """
    names: set[str] = set()
    for tool in tools:
        if isinstance(tool, McpServer):
            continue
        if inspect.isroutine(tool):
            _check_function(agent, tool)
        name = _name_of(tool)
        if not name:
            raise ConfigurationError(
                f"agent '{agent}': {tool!r} is no tool; give a function with typed arguments, a "
                "LangChain tool, HttpTool, McpServer, 'recall' or 'remember'"
            )
        if name in names:
            raise ConfigurationError(f"agent '{agent}' has two tools '{name}'; rename one")
        names.add(name)
    return tuple(tools)


def make_tools(tools: "Sequence[ToolSource]") -> "list[BaseTool]":
    """Make tools of LangChain; those of MCP servers are not among them, see ``McpServer``."""
    from langchain_core.tools import BaseTool, StructuredTool

    made: list[BaseTool] = []
    for tool in tools:
        if isinstance(tool, str):
            from stretto.agents.llm.memory_tools import memory_tools

            made += memory_tools([tool])
        elif isinstance(tool, HttpTool):
            made.append(tool.to_langchain())
        elif isinstance(tool, BaseTool):
            made.append(tool)
        elif inspect.iscoroutinefunction(tool):
            made.append(StructuredTool.from_function(coroutine=tool))
        elif not isinstance(tool, McpServer):
            made.append(StructuredTool.from_function(tool))
    return made


def _name_of(tool: Any) -> str:
    """Give the name of a tool; an empty one if it is none."""
    if isinstance(tool, str):
        return tool if tool in MEMORY_TOOLS else ""
    if not (inspect.isroutine(tool) or isinstance(tool, HttpTool) or _is_tool(tool)):
        return ""
    return str(getattr(tool, "name", None) or getattr(tool, "__name__", None) or "")


def _is_tool(tool: Any) -> bool:
    from langchain_core.tools import BaseTool

    return isinstance(tool, BaseTool)


def _check_function(agent: str, function: Any) -> None:
    name = function.__name__
    try:
        hints = get_type_hints(function)
    except NameError as error:
        message = f"agent '{agent}': the types of tool '{name}' cannot be read: {error}"
        raise ConfigurationError(message) from error
    untyped = [p for p in inspect.signature(function).parameters if p not in hints]
    if untyped:
        raise ConfigurationError(
            f"agent '{agent}': argument '{untyped[0]}' of tool '{name}' has no type; "
            f"write '{untyped[0]}: str', so that the model knows what to give"
        )
    if not (function.__doc__ or "").strip():
        raise ConfigurationError(
            f"agent '{agent}': tool '{name}' has no docstring; say in it when to call the tool"
        )
