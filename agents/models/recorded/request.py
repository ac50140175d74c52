"""What one call of a chat model asks for, in a form that is the same in every run."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import TypeAdapter

_ASKED = ("tools", "tool_choice", "response_format")
_CHANGING = frozenset({"id", "index"})
"""What parts of a message carry that differs from run to run."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call: the model, the messages, and what else decides the answer."""

    content: dict[str, Any]

    @property
    def key(self) -> str:
        """The SHA-256 of the request's canonical JSON."""
        return hashlib.sha256(canonical(self.content).encode(errors="surrogatepass")).hexdigest()

    def lines(self) -> list[str]:
        """Give the request as text for people, to be compared line by line."""
        lines = [f"model: {self.content.get('model')}"]
        for message in self.content.get("messages", ()):
            lines.append(f"[{message.get('role')}]")
            said = message.get("content")
            lines += (said if isinstance(said, str) else canonical(said)).splitlines()
            rest = {k: v for k, v in message.items() if k not in ("role", "content")}
            lines += [canonical(rest)] if rest else []
        lines += [f"tool: {canonical(tool)}" for tool in self.content.get("tools", ())]
        others = [name for name in _ASKED[1:] if name in self.content]
        return [*lines, *(f"{name}: {canonical(self.content[name])}" for name in others)]


def request_of(model: str, messages: Sequence[BaseMessage], options: dict[str, Any]) -> Request:
    """Reduce a call to what its answer depends on; names of calls become their order.

    Args:
        model: the model's name.
        messages: the conversation.
        options: what is bound to the model; of it count tools, tool choice and response format.

    """
    calls: dict[str, int] = {}
    content: dict[str, Any] = {
        "model": model,
        "messages": [_message(message, calls) for message in messages],
    }
    if tools := options.get("tools"):
        plain = [convert_to_openai_tool(tool) for tool in tools]
        content["tools"] = sorted(plain, key=canonical)
    for name in _ASKED[1:]:
        if options.get(name) is not None:
            content[name] = _plain(options[name])
    # Through JSON, so that a request compares equal to the one that a file gives back.
    return Request(json.loads(canonical(content)))


def canonical(value: Any) -> str:
    """Write a value as JSON in the one form that equal values share."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)


def _message(message: BaseMessage, calls: dict[str, int]) -> dict[str, Any]:
    role = message.type.removesuffix("MessageChunk").lower()
    told: dict[str, Any] = {"role": role, "content": _parts(message.content)}
    if isinstance(message, AIMessage) and message.tool_calls:
        told["tool_calls"] = [
            {"call": _place(call["id"], calls), "name": call["name"], "args": call["args"]}
            for call in message.tool_calls
        ]
    if isinstance(message, ToolMessage):
        told["call"] = _place(message.tool_call_id, calls)
    return told


def _place(call_id: str | None, calls: dict[str, int]) -> int:
    return calls.setdefault(call_id or "", len(calls) + 1)


def _parts(content: str | list[str | dict[str, Any]]) -> Any:
    return content if isinstance(content, str) else [_part(part) for part in content]


def _part(part: str | dict[str, Any]) -> Any:
    if isinstance(part, str):
        return part
    return {name: value for name, value in part.items() if name not in _CHANGING}


def _plain(value: Any) -> Any:
    return TypeAdapter[Any](value).json_schema() if isinstance(value, type) else value
