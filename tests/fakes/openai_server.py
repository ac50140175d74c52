"""A small real HTTP server that speaks the OpenAI chat protocol on the loopback interface."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.answers import Answer

HUGE = 200_000_000
"""Bytes of a body that nobody should read to its end."""
FILLER = b"x" * 65536


@dataclass
class Call:
    """One request, and what became of its answer."""

    request: dict[str, Any]
    authorization: str
    sent: int = 0
    """Bytes handed to the connection."""
    client_left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client closes the connection while the server hangs, drips or floods."""


@dataclass
class OpenAIServer:
    """Answers the first call with the first answer and so on; the last answer repeats."""

    answers: Sequence[Answer]
    keep_alive: bool = False
    """Whether connections stay open after answers without a fault."""
    base_url: str = ""
    calls: list[Call] = field(default_factory=list[Call])
    connections: int = 0
    _open: dict["asyncio.Task[Any]", asyncio.StreamWriter] = field(
        default_factory=dict["asyncio.Task[Any]", asyncio.StreamWriter]
    )

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The bodies of all requests."""
        return [call.request for call in self.calls]

    @property
    def authorizations(self) -> list[str]:
        """The authorization headers of all requests, in lower case."""
        return [call.authorization for call in self.calls]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        handler = asyncio.current_task()
        assert handler is not None
        self._open[handler] = writer
        self.connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client left
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            del self._open[handler]

    async def stop(self) -> None:
        """Break off what is still open, whatever it waits for."""
        handlers = tuple(self._open)
        for writer in self._open.values():
            writer.transport.abort()
        await asyncio.gather(*handlers)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; tell whether another may follow."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        asked = json.loads(await reader.readexactly(int(headers["content-length"])))
        call = Call(asked, headers["authorization"])
        answer = self.answers[min(len(self.calls), len(self.answers) - 1)]
        self.calls.append(call)
        start, *body = answer.reply(asked, call.authorization)
        stays = self.keep_alive and answer.fault is None
        start += b"\r\nconnection: " + (b"keep-alive" if stays else b"close")
        if stays and b"content-length" not in start:
            start += b"\r\ntransfer-encoding: chunked"
            body = [b"%x\r\n%b\r\n" % (len(part), part) for part in (*body, b"")]
        exchange = _Exchange(call, answer, reader, writer)
        await exchange.play([start + b"\r\n\r\n", *body])
        return stays


@dataclass
class _Exchange:
    """One answer on its way to the client."""

    call: Call
    answer: Answer
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def play(self, parts: list[bytes]) -> None:
        """Send an answer, up to its fault."""
        before = 2 if self.answer.midway else 0
        if self.answer.fault in ("hang", "drip", "huge_body"):
            watch = asyncio.create_task(self._watch())
            try:
                await self._keep_busy(parts, before)
            finally:
                watch.cancel()
        elif self.answer.fault in ("cut", "reset"):
            await self._send(*parts[:before])
            if self.answer.fault == "reset":
                self._reset()
        else:
            await self._send(*parts)

    async def _keep_busy(self, parts: list[bytes], before: int) -> None:
        if self.answer.fault == "huge_body":
            await self._send(*parts[: max(before, 1)])
            while self.call.sent < HUGE:
                await self._send(FILLER)
            return
        await self._send(*parts[:before])
        if self.answer.fault == "hang":
            await self.call.client_left.wait()
            return
        for byte in b"".join(parts[before:]):
            await self._send(bytes([byte]))
            with suppress(TimeoutError):
                await asyncio.wait_for(self.call.client_left.wait(), 1)

    async def _send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            self.call.sent += len(part)

    async def _watch(self) -> None:
        with suppress(ConnectionError):
            await self.reader.read()
        self.call.client_left.set()

    def _reset(self) -> None:
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@asynccontextmanager
async def openai_server(
    *answers: Answer, keep_alive: bool = False, **settings: Any
) -> AsyncGenerator[OpenAIServer]:
    """Run a server for the time of the block; ``base_url`` says where it is.

    Without ``answers`` every call gets one ``Answer`` made of ``settings``.
    """
    fake = OpenAIServer(answers or (Answer(**settings),), keep_alive)
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    fake.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with server:
        try:
            yield fake
        finally:
            await fake.stop()
