"""A small real HTTP server that speaks the OpenAI chat protocol on the loopback interface."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class OpenAIServer:
    """Answers every request in the same way and remembers what it was asked."""

    pieces: tuple[str, ...] = ("Hello", " there", ".")
    finish_reason: str | None = "stop"
    """Why the answer ends; with None the stream breaks off without saying so."""
    status: int = 200
    base_url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    authorizations: list[str] = field(default_factory=list[str])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        asked = json.loads(await reader.readexactly(int(headers["content-length"])))
        self.requests.append(asked)
        self.authorizations.append(headers["authorization"])
        streams = self.status == 200 and asked.get("stream") is True
        kind = "text/event-stream" if streams else "application/json"
        status = f"HTTP/1.1 {self.status} Status\r\ncontent-type: {kind}\r\nconnection: close\r\n"
        writer.write(f"{status}\r\n".encode())
        for part in self._stream() if streams else [self._whole()]:
            writer.write(part.encode())
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    def _whole(self) -> str:
        if self.status != 200:
            return json.dumps({"error": {"message": "slow down", "type": "rate_limit"}})
        message = {"role": "assistant", "content": "".join(self.pieces)}
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason}
        return json.dumps(self._body("chat.completion", [choice]) | {"usage": self.usage})

    def _stream(self) -> list[str]:
        deltas = [{"role": "assistant", "content": piece} for piece in self.pieces]
        choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
        bodies = [self._body("chat.completion.chunk", [choice]) for choice in choices]
        if self.finish_reason is None:
            return [_event(body) for body in bodies]
        last: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": self.finish_reason}
        bodies.append(self._body("chat.completion.chunk", [last]))
        bodies.append(self._body("chat.completion.chunk", []) | {"usage": self.usage})
        return [*map(_event, bodies), "data: [DONE]\n\n"]

    def _body(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": "1", "object": kind, "created": 1, "model": "tiny-1", "choices": choices}

    @property
    def usage(self) -> dict[str, int]:
        """What each answer says it cost."""
        return {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def _event(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body)}\n\n"


@asynccontextmanager
async def openai_server(**settings: Any) -> AsyncGenerator[OpenAIServer]:
    """Run a server for the time of the block; ``base_url`` says where it is."""
    fake = OpenAIServer(**settings)
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    fake.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with server:
        yield fake
