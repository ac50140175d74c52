"""An HTTP endpoint as a tool of a model: the model gives the arguments, never the address."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from stretto.agents.http import MAX_BYTES, send_request
from stretto.agents.llm.schemas import check_schema, schema_faults
from stretto.agents.secrets import Resolve
from stretto.errors import ConfigurationError, StepFailed

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True)
class HttpTool:
    """An endpoint that a model may call through the guarded transport.

    Arguments whose names stand in braces in the path of ``url`` go there, quoted; the others go
    into the JSON body of POST, PUT and PATCH, and into the query of the rest.
    """

    name: str
    description: str
    """When to call it, in words for the model."""
    url: str
    """The address; only its path may hold ``{argument}``."""
    method: str = "GET"
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """JSON Schema of each argument by name; all are required unless they have a default."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """``secret://NAME`` inside a value is replaced by that secret."""
    allow_private: bool = False
    max_bytes: int = MAX_BYTES
    resolve_secret: Resolve | None = None
    """Gives a secret by name or raises KeyError; the environment if None."""

    def __post_init__(self) -> None:
        """Check that every place in the path has an argument.

        Raises:
            ConfigurationError: it has none, or stands outside the path; or the arguments have no
                valid JSON Schemas.

        """
        check_schema(self.schema, f"tool '{self.name}': the schema of its arguments")
        start = re.match(r"https?://[^/{}]+(/|$)", self.url)
        if start is None:
            raise ConfigurationError(
                f"tool '{self.name}': url must begin with http:// or https:// and a fixed host"
            )
        path = re.split(r"[?#]", self.url, maxsplit=1)[0]
        if _PLACE.search(self.url, len(path)):
            raise ConfigurationError(
                f"tool '{self.name}': only the path of the url may hold {{argument}}; what is left"
                " over goes into the query or the body by itself"
            )
        for place in _PLACE.findall(self.url):
            if place not in self.arguments:
                raise ConfigurationError(
                    f"tool '{self.name}': the url needs '{place}'; declare it in arguments"
                )

    def to_langchain(self) -> "BaseTool":
        """Make the tool that the model is told of."""
        from langchain_core.tools import StructuredTool

        return StructuredTool(
            name=self.name,
            description=self.description,
            args_schema=self.schema,
            coroutine=self.call,
        )

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of all arguments together."""
        return {
            "type": "object",
            "properties": dict(self.arguments),
            "required": [n for n, s in self.arguments.items() if "default" not in s],
            "additionalProperties": False,
        }

    async def call(self, **arguments: Any) -> Any:
        """Send the request and give the body of the answer.

        Raises:
            StepFailed: an argument does not fit (``tool_arguments``), or the address is refused,
                cannot be reached, or answers with an error.

        """
        if faults := schema_faults(self.schema, arguments):
            raise StepFailed(faults, code="tool_arguments")
        defaults = {n: s["default"] for n, s in self.arguments.items() if "default" in s}
        rest = defaults | arguments
        url = _PLACE.sub(lambda place: quote(str(rest[place[1]]), safe=""), self.url)
        if not {".", ".."}.isdisjoint(url.partition("?")[0].split("/")):
            message = f"'{url}' would lead out of its path; no part of it may be '.' or '..'"
            raise StepFailed(message, code="tool_arguments")
        rest = {name: v for name, v in rest.items() if name not in _PLACE.findall(self.url)}
        has_body = self.method.upper() in _WITH_BODY
        answer = await send_request(
            method=self.method.upper(),
            url=url,
            headers=self.headers,
            query=None if has_body else rest,
            json=rest if has_body else None,
            allow_private=self.allow_private,
            max_bytes=self.max_bytes,
            resolve_secret=self.resolve_secret,
        )
        return answer["body"]
