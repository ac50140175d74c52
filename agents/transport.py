"""An HTTP transport that connects only to addresses it has looked up and checked itself."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

import httpx2

from stretto.agents.addresses import refused
from stretto.agents.urls import LAST_PORT
from stretto.errors import StepFailed

Resolve = Callable[[httpx2.Request], Awaitable[list[str]]]
"""Gives every address of a request's host."""
_sending: ContextVar[bool] = ContextVar("sending", default=False)


def _not_ours(record: logging.LogRecord) -> bool:
    """Keep the library below from logging answers, in which a server may repeat a secret."""
    return not _sending.get()


logging.getLogger("httpcore2.http11").addFilter(_not_ours)


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Send each request to a checked address of its host; names and certificates stay as they are.

    The host is resolved here and the connection goes to the very address that was checked, so a
    name that changes its address in between gains nothing. No connection is kept, because the
    next request to the same address may be meant for another name.
    """

    def __init__(self, *, allow_private: bool = False, resolve: Resolve | None = None) -> None:
        """Look hosts up by ``resolve``; refuse what is not public unless ``allow_private``."""
        self.allow_private = allow_private
        self._resolve = resolve or look_up
        # The inner transport takes only the certificate store (SSL_CERT_FILE) from the environment.
        self._inner = httpx2.AsyncHTTPTransport(limits=httpx2.Limits(max_keepalive_connections=0))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request to the first checked address that accepts a connection.

        Raises:
            StepFailed: code ``address_refused`` when the URL or an address of its host is not
                allowed.
            httpx2.ConnectError: the name is unknown, or no address accepts a connection.

        """
        check_url(request.url)
        addresses = await self._resolve(request)
        if not addresses:
            raise httpx2.ConnectError("the name has no address")
        barred = [] if self.allow_private else refused(addresses)
        if barred:
            raise refusal(request.url, f"it leads to {barred[0]}, which is not a public address")
        for address in addresses[:-1]:
            try:
                return await self._send(request, address)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue
        return await self._send(request, addresses[-1])

    async def aclose(self) -> None:
        """Close what is open."""
        await self._inner.aclose()

    async def _send(self, request: httpx2.Request, address: str) -> httpx2.Response:
        name = request.url.raw_host.decode("ascii").rstrip(".")
        pinned = httpx2.Request(
            request.method,
            request.url.copy_with(host=address),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": name},
        )
        sending = _sending.set(True)
        try:
            return await self._inner.handle_async_request(pinned)
        finally:
            _sending.reset(sending)


def check_url(url: httpx2.URL) -> None:
    """Refuse a URL that is no plain ``http`` or ``https`` one with a host.

    Raises:
        StepFailed: code ``address_refused``.

    """
    if url.scheme not in ("http", "https"):
        raise refusal(url, "only http and https are allowed")
    if url.userinfo:
        raise refusal(url, "it carries a user name; put credentials into a header")
    if not url.host:
        raise refusal(url, "it names no host")
    if (url.port or 0) > LAST_PORT:
        raise refusal(url, f"its port is above {LAST_PORT}")


def shown(url: httpx2.URL) -> str:
    """Render a URL without user name, query and fragment, where secrets tend to sit."""
    return str(url.copy_with(userinfo=b"", query=None, fragment=None))


def refusal(url: httpx2.URL, reason: str) -> StepFailed:
    """Build the error of a URL that may not be reached."""
    return StepFailed(f"{shown(url)} is refused: {reason}", code="address_refused")


async def look_up(request: httpx2.Request) -> list[str]:
    """Look up every address of a request's host, in the order to try them.

    Raises:
        StepFailed: code ``address_refused`` when the host is no possible name.
        httpx2.ConnectError: the name is unknown.

    """
    host, port = request.url.raw_host.decode("ascii"), request.url.port
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise refusal(request.url, "its host is no possible name") from None
    except socket.gaierror as error:
        raise httpx2.ConnectError(f"the name is unknown ({error.strerror})") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
