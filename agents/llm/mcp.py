"""The tools of an MCP server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from httpx2 import URL

from stretto.agents.transport import shown
from stretto.agents.urls import url_problem
from stretto.errors import ConfigurationError

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool


@dataclass(frozen=True)
class McpServer:
    """A server of the Model Context Protocol, whose tools a model may call.

    Either ``command`` (started for each call, spoken to over its standard input and output) or
    ``url`` (streamable HTTP). Needs the extra ``mcp``.
    """

    name: str
    command: str | None = None
    args: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    tools: Sequence[str] | None = None
    """The tools that may be used; None for all that the server offers."""

    def __post_init__(self) -> None:
        """Check that it is clear how to reach it.

        Raises:
            ConfigurationError: there is neither a command nor a URL, or both, or a URL that is
                none, or no client.

        """
        if (self.command is None) == (self.url is None):
            raise ConfigurationError(f"MCP server '{self.name}': give either command or url")
        if self.url is not None and (problem := url_problem(self.url)) is not None:
            raise ConfigurationError(f"MCP server '{self.name}': the url {problem}")
        if find_spec("langchain_mcp_adapters") is None:
            raise ConfigurationError(
                f"MCP server '{self.name}' needs a client: pip install 'stretto[mcp]'"
            )

    async def load(self) -> "list[BaseTool]":
        """Ask the server for its tools.

        Raises:
            ConfigurationError: it cannot be reached, or does not offer a tool that is named.

        """
        from langchain_mcp_adapters.client import MultiServerMCPClient

        client = MultiServerMCPClient({self.name: self._connection()})
        try:
            found = {tool.name: tool for tool in await client.get_tools()}
        except Exception as error:
            where, told = self.command, _first(error)
            if self.url is not None:  # secrets tend to sit in its query, and in arguments
                where = shown(URL(self.url))
                told = told.replace(self.url, where)
            raise ConfigurationError(
                f"MCP server '{self.name}' at {where} gave no tools: {told}"
            ) from error
        wanted = list(found) if self.tools is None else list(self.tools)
        if missing := [name for name in wanted if name not in found]:
            raise ConfigurationError(
                f"MCP server '{self.name}' has no tool '{missing[0]}'; it has {sorted(found)}"
            )
        return [found[name] for name in wanted]

    def _connection(self) -> Any:
        if self.url is not None:
            headers = dict(self.headers)
            return {"transport": "streamable_http", "url": self.url, "headers": headers}
        command, args = self.command, list(self.args)
        return {"transport": "stdio", "command": command, "args": args, "env": dict(self.env)}


def _first(error: BaseException) -> str:
    """Say what lies at the bottom of a group of errors."""
    inside: Any = getattr(error, "exceptions", None)
    if inside:
        return _first(inside[0])
    return str(error) or type(error).__name__
