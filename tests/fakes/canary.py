"""A small HTTP server on a real socket that counts whoever reaches it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Received:
    """One request as the server saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Canary:
    """A loopback server that answers by path and remembers what reached it."""

    port: int = 0
    connections: int = 0
    requests: list[Received] = field(default_factory=list[Received])
    answers: dict[str, Callable[[], bytes]] = field(default_factory=dict[str, Callable[[], bytes]])

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def answer(self, path: str, body: bytes = b"", status: int = 200, **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", "connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        self.answers[path] = lambda: head + body

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError):  # who hangs up asks for nothing
            await self.reply(reader, writer)
        writer.close()

    async def reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {n.lower(): v for n, v in (h.split(": ", 1) for h in head[1:] if h)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.requests.append(Received(method, path, headers, body))
        writer.write(self.answers[path.partition("?")[0]]())


@asynccontextmanager
async def running(canary: Canary, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[Canary]:
    server = await asyncio.start_server(canary.serve, host, port)
    canary.port = server.sockets[0].getsockname()[1]
    async with server:
        yield canary
