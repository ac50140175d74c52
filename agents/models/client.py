"""The HTTP client of models: no answer is longer than agreed, no connection outlives its answer."""

import os
from collections.abc import AsyncIterator

import httpx2
from openai import DefaultAsyncHttpxClient

from stretto.agents.transport import shown
from stretto.errors import StepFailed

MAX_BYTES = 64_000_000
"""The longest answer in bytes; 128,000 tokens streamed one by one take about 45 million."""


def bounded_client() -> httpx2.AsyncClient:
    """Open a client for ``ChatOpenAI`` that needs no closing.

    A kept connection belongs to the event loop that opened it, and a model serves several: each
    ``run_sync`` has its own. So none is kept; a new one costs little beside a model's answer.
    """
    return DefaultAsyncHttpxClient(
        proxy=os.environ.get("OPENAI_PROXY") or None,
        limits=httpx2.Limits(max_connections=1000, max_keepalive_connections=0),
        headers={"accept-encoding": "identity"},  # what is unpacked could not be bounded here
        event_hooks={"response": [_bound]},
    )


async def _bound(response: httpx2.Response) -> None:
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise _refusal(response, f"is encoded as {coding[:20]!r}, which was not asked for")
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _BoundedStream(response, response.stream)


class _BoundedStream(httpx2.AsyncByteStream):
    """The body of an answer up to ``MAX_BYTES``."""

    def __init__(self, response: httpx2.Response, stream: httpx2.AsyncByteStream) -> None:
        self._response = response
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > MAX_BYTES:
                raise _refusal(self._response, f"is longer than {MAX_BYTES} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def _refusal(response: httpx2.Response, what: str) -> StepFailed:
    message = f"The answer of {shown(response.request.url)} {what}."
    return StepFailed(message, code="bad_answer")
