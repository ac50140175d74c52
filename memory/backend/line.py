"""One line to a Qdrant server: timeouts, retries, and a name for everything that goes wrong."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr
from qdrant_client import AsyncQdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random

from stretto.errors import MemoryFault

logger = logging.getLogger(__name__)
T = TypeVar("T")
READ_SECONDS = 2.0
WRITE_SECONDS = 5.0
ATTEMPTS = 3
TOLD = 300
"""Characters of what a server says that are passed on."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
AWAY = (408, 425, 429, 502, 503, 504)
"""Answers that say the server cannot be had now, as opposed to what was asked of it."""
REFUSED = (400, 409, 413, 422)
"""Answers about what was asked, which will be the same next time: a write is not kept for these."""


class Line:
    """Calls a server; after a call that did not reach it, leaves it alone for a while."""

    def __init__(
        self,
        url: str,
        api_key: SecretStr | None,
        on_degraded: Callable[[str], None] | None,
        pause: float,
    ) -> None:
        """Connect nowhere yet.

        Args:
            url: address of the server.
            api_key: what it asks for.
            on_degraded: told once per outage.
            pause: seconds to leave the server alone after it was not reached.

        """
        # As a header: given as a key, the client warns even of a server on this very machine.
        headers = {} if api_key is None else {"api-key": api_key.get_secret_value()}
        if headers and urlsplit(url).scheme == "http" and urlsplit(url).hostname not in LOOPBACK:
            logger.warning("the Qdrant key goes to %s without encryption; use https", url)
        self.url = url
        self.client = AsyncQdrantClient(
            url=url, headers=headers, timeout=int(WRITE_SECONDS), check_compatibility=False
        )
        self._on_degraded = on_degraded
        self._pause = pause
        self._away_until: float | None = None

    async def ask(
        self, call: Callable[[AsyncQdrantClient], Awaitable[T]], seconds: float = READ_SECONDS
    ) -> T:
        """Make one call that may be repeated, again when the connection failed.

        Args:
            call: what to ask; asked up to ``ATTEMPTS`` times.
            seconds: for all attempts together.

        Raises:
            MemoryFault: the server was not reached, refused the key, or failed.

        """
        if self._away_until is not None and time.monotonic() < self._away_until:
            raise self._unreachable("it was not reached a moment ago")
        try:
            async with asyncio.timeout(seconds):
                answer = await self._repeat(call)
        except TimeoutError:
            raise self._lost(f"no answer within {seconds:g} s") from None
        except ResourceExhaustedResponse as error:
            raise self._lost(str(error)) from error
        except ResponseHandlingException as error:
            if _is_transport(error):
                raise self._lost(str(error.source) or type(error.source).__name__) from error
            raise self._odd(error) from error
        except UnexpectedResponse as error:
            raise self._answered(error) from error
        except (ValueError, AssertionError) as error:  # what the client makes of other answers
            raise self._odd(error) from error
        self._away_until = None
        return answer

    async def close(self) -> None:
        """Close the connections."""
        await self.client.close()

    async def _repeat(self, call: Callable[[AsyncQdrantClient], Awaitable[T]]) -> T:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception(_is_transport),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random(0.02, 0.1),
            reraise=True,
        ):
            with attempt:
                return await call(self.client)
        raise AssertionError("the last attempt raises")

    def _answered(self, error: UnexpectedResponse) -> MemoryFault:
        status, told = error.status_code, _told(error)
        if status in AWAY:
            return self._lost(f"it answered {status}")
        if status in (401, 403):
            return MemoryFault(
                f"The Qdrant server at {self.url} refused the key; set QDRANT_API_KEY to one "
                "that may write there.",
                code="memory_denied",
            )
        if status == 404:
            return MemoryFault(
                f"The Qdrant server at {self.url} does not have what was asked for: {told}",
                code="memory_missing",
            )
        if status in REFUSED:
            return MemoryFault(
                f"The Qdrant server at {self.url} does not take this: {told}",
                code="memory_refused",
            )
        return self._failed(told)

    def _odd(self, error: Exception) -> MemoryFault:
        detail = " ".join(str(error).split())[:TOLD]
        return self._failed(f"its answer is none that a Qdrant server gives: {detail}")

    def _failed(self, detail: str) -> MemoryFault:
        return MemoryFault(
            f"The Qdrant server at {self.url} could not do this. ({detail})", code="memory_failed"
        )

    def _lost(self, detail: str) -> MemoryFault:
        fault = self._unreachable(detail)
        first = self._away_until is None
        self._away_until = time.monotonic() + self._pause
        if first and self._on_degraded is not None:
            self._on_degraded(fault.message)
        return fault

    def _unreachable(self, detail: str) -> MemoryFault:
        return MemoryFault(
            f"The Qdrant server at {self.url} cannot be reached ({detail}); start it, or correct "
            "QDRANT_URL.",
            code="memory_unreachable",
        )


def _told(error: UnexpectedResponse) -> str:
    """Give what the server says is wrong, in one line."""
    try:
        said = str(json.loads(error.content)["status"]["error"])
    except (ValueError, TypeError, KeyError):
        said = f"{error.reason_phrase} {error.content.decode(errors='replace')}"
    return f"{error.status_code} {' '.join(said.split())[:TOLD]}"


def _is_transport(error: BaseException) -> bool:
    return isinstance(error, ResponseHandlingException) and isinstance(
        error.source, httpx.TransportError
    )
