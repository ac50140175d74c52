"""A model's service in a process of its own, so that what it costs is not counted.

``python benchmarks/model_server.py TOKENS`` answers every request with so many tokens, one event
each, as OpenAI streams them; its first line on stdout is its address.
"""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


@asynccontextmanager
async def model_server(tokens: int) -> AsyncGenerator[str]:
    """Run the service for the time of the block, and give its base URL."""
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, __file__, str(tokens))
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe)
    try:
        assert process.stdout is not None
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.wait()


def text_of(number: int) -> str:
    """Give the token of this number."""
    return f"token{number} "


def _event(choices: list[dict[str, Any]], **more: Any) -> bytes:
    kind = "chat.completion.chunk"
    body = {"id": "c", "object": kind, "created": 0, "model": "bench", "choices": choices, **more}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def _events(tokens: int) -> list[bytes]:
    said = [
        {"index": 0, "delta": {"role": "assistant", "content": text_of(n)}, "finish_reason": None}
        for n in range(tokens)
    ]
    last: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": "stop"}
    ends = [_event([last]), _event([], usage=USAGE), b"data: [DONE]\n\n"]
    return [*(_event([choice]) for choice in said), *ends]


async def _serve(tokens: int) -> None:
    events = _events(tokens)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = head.partition("content-length: ")[2].partition("\r\n")[0]
        await reader.readexactly(int(length))
        writer.write(HEAD)
        for event in events:
            writer.write(event)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
