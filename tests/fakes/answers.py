"""What an OpenAI-compatible service answers, and the ways in which it gets that wrong."""

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Fault = Literal[
    "hang",
    "drip",
    "cut",
    "reset",
    "huge_body",
    "malformed_json",
    "malformed_arguments",
    "empty_choices",
    "content_filter",
]
"""The first five are about the connection, the others about what is said on it."""
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
"""What each answer says it cost."""
DONE = "data: [DONE]\n\n"
BROKEN = '{"id": "1", "choi'


@dataclass(frozen=True)
class Answer:
    """How one call is answered."""

    pieces: tuple[str, ...] = ("Hello", " there", ".")
    tool_calls: tuple[tuple[str, str], ...] = ()
    """Names and arguments (JSON text); not repeated once the request ends in a tool's result."""
    finish_reason: str | None = "stop"
    """Why the answer ends; with None it breaks off without saying so."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    error: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the error of a status says beyond, or instead of, its defaults."""
    fault: Fault | None = None
    midway: bool = False
    """Whether the fault (also a status) comes after a first part of the answer."""
    dims: int = 8
    """Numbers of each vector, when vectors are asked for."""
    missing: int = 0
    """How many of the vectors that were asked for are left out."""
    number: float | None = None
    """What stands first in every vector, in place of what belongs there."""

    def reply(self, asked: Mapping[str, Any], secret: str) -> list[bytes]:
        """Give the head of the answer to a request and the parts of its body.

        An error's message repeats ``secret``, as careless services do.
        """
        fails = self.status != 200 and not self.midway
        streams = asked.get("stream") is True and not fails
        answer = self if "input" in asked else self._with_fault(asked)
        body = answer._events(secret) if streams else answer._halves(asked, secret)
        kind = "text/event-stream" if streams else "application/json"
        size = 200_000_000 if self.fault == "huge_body" else sum(map(len, body))
        head = [
            f"HTTP/1.1 {self.status if fails else 200} Status",
            f"content-type: {kind}",
            *([] if streams else [f"content-length: {size}"]),
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        return [part.encode() for part in ("\r\n".join(head), *body)]

    def _with_fault(self, asked: Mapping[str, Any]) -> "Answer":
        start = self.pieces[:1] if self.midway else ()
        if self.fault == "content_filter":
            return replace(self, pieces=start, finish_reason="content_filter")
        if self.fault == "malformed_arguments":
            broken = '{"city": "Par' if self.midway else '{"city": Paris}'
            calls = (("look_up", broken),)
            return replace(self, pieces=start, tool_calls=calls, finish_reason="tool_calls")
        if self.tool_calls and asked["messages"][-1]["role"] != "tool":
            return replace(self, pieces=(), finish_reason="tool_calls")
        return replace(self, tool_calls=())

    def _halves(self, asked: Mapping[str, Any], secret: str) -> list[str]:
        told = self._vectors(asked) if "input" in asked and self.status == 200 else None
        whole = json.dumps(told or self._whole(secret))
        if self.fault == "malformed_json":
            whole = BROKEN if self.midway else "<html>It works!</html>"
        middle = len(whole) // 2
        return [whole[:middle], whole[middle:]]

    def _whole(self, secret: str) -> dict[str, Any]:
        if self.status != 200:
            return self._error(secret)
        if self.fault == "empty_choices":
            return _body("chat.completion", None if self.midway else [])
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self.pieces) or None}
        if self.tool_calls:
            message["tool_calls"] = [_tool_call(n, *c) for n, c in enumerate(self.tool_calls)]
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason}
        return _body("chat.completion", [choice]) | {"usage": USAGE}

    def _vectors(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        texts: Sequence[str] = asked["input"]
        vectors = [words_as_vector(text, self.dims) for text in texts[: len(texts) - self.missing]]
        if self.number is not None:
            vectors = [[self.number, *vector[1:]] for vector in vectors]
        data = [
            {"object": "embedding", "index": n, "embedding": vector}
            for n, vector in enumerate(vectors)
        ]
        return {"object": "list", "model": asked["model"], "data": data, "usage": USAGE}

    def _events(self, secret: str) -> list[str]:
        start = [_event(_chunk({"role": "assistant", "content": piece})) for piece in self.pieces]
        first = start[:1] if self.midway else []
        if self.status != 200:
            return [*first, _event(self._error(secret))]
        if self.fault == "malformed_json":
            return [*first, f"data: {BROKEN}\n\n", DONE]
        if self.fault == "empty_choices":
            return [*first, _event(_body("chat.completion.chunk", [])), DONE]
        start += [_event(_chunk({"tool_calls": [delta]})) for delta in self._tool_deltas()]
        if self.finish_reason is None:
            return start
        usage = _body("chat.completion.chunk", []) | {"usage": USAGE}
        return [*start, _event(_chunk({}, self.finish_reason)), _event(usage), DONE]

    def _tool_deltas(self) -> list[dict[str, Any]]:
        deltas: list[dict[str, Any]] = []
        for index, (name, arguments) in enumerate(self.tool_calls):
            deltas.append({"index": index, **_tool_call(index, name, "")})
            split = [arguments[n : n + 4] for n in range(0, len(arguments), 4)]
            deltas += [{"index": index, "function": {"arguments": text}} for text in split]
        return deltas

    def _error(self, secret: str) -> dict[str, Any]:
        message = f"no, {secret}"
        error = {"message": message, "type": "fault", "code": self.status, **self.error}
        return {"error": error}


def words_as_vector(text: str, dims: int) -> list[float]:
    """Count the words of a text by their hash: texts that share words are near each other."""
    vector = [0.0] * dims
    for word in re.findall(r"\w+", text.lower()):
        vector[zlib.crc32(word.encode()) % dims] += 1.0
    return vector


def _tool_call(index: int, name: str, arguments: str) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"id": f"call-{index}", "type": "function", "function": function}


def _chunk(delta: Mapping[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return _body("chat.completion.chunk", [choice])


def _body(kind: str, choices: list[dict[str, Any]] | None) -> dict[str, Any]:
    return {"id": "1", "object": kind, "created": 1, "model": "tiny-1", "choices": choices}


def _event(body: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(body)}\n\n"
