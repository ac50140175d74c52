"""One HTTP request of a workflow: guarded, bounded, and with its secrets filled in last."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx2

from stretto.agents.body import decode_body, read_body
from stretto.agents.secrets import SECRET, fill_secrets
from stretto.agents.transport import GuardedTransport, check_url, shown
from stretto.errors import StepFailed

MAX_BYTES = 10_000_000
MAX_REDIRECTS = 5
# The step's own deadline ends slow calls; this only frees what a silent server would hold.
TIMEOUT = httpx2.Timeout(300.0, connect=10.0)
RETRYABLE = frozenset({408, 409, 425, 429})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
BODY_HEADERS = ("content-length", "content-type", "content-encoding", "transfer-encoding")


class HttpStatusError(StepFailed):
    """The server answered with a status of 400 or more."""

    code = "http_status"

    def __init__(self, message: str, status_code: int, retry_after: float | None = None) -> None:
        """Keep the status, and the seconds the server asks to wait before the next call."""
        super().__init__(message, retryable=status_code in RETRYABLE or status_code >= 500)
        self.status_code = status_code
        self.retry_after = retry_after


async def send_request(
    *,
    method: str,
    url: str,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, Any] | None = None,
    json: Any = None,
    body: str | None = None,
    allow_private: bool = False,
    max_bytes: int = MAX_BYTES,
    resolve_secret: Callable[[str], str] | None = None,
) -> dict[str, Any]:
    """Send one request, follow its redirects, and give the answer as plain data.

    Args:
        method: the HTTP method.
        url: an ``http`` or ``https`` URL without user name.
        headers: ``secret://NAME`` inside a value is replaced by that secret.
        query: added to the query of the URL; None values are left out.
        json: sent as a JSON body unless None.
        body: sent as it is; not together with ``json``.
        allow_private: let the request reach addresses that are not public.
        max_bytes: the longest body accepted, in bytes after decompression.
        resolve_secret: gives a secret by name or raises KeyError; the environment if None.

    Returns:
        ``status``, ``headers`` (lower-case names, no cookies) and ``body`` (JSON or text).

    Raises:
        ConfigurationError: a secret is missing or cannot stand in a header.
        HttpStatusError: the server answered with a status of 400 or more.
        StepFailed: the address is refused, the server cannot be reached, or its answer is too
            long or broken.

    """
    if json is not None and body is not None:
        raise _invalid("give json or body, not both")
    target = _target(url, query)
    values = {name.lower(): value for name, value in (headers or {}).items()}
    private = {"authorization", "cookie", "host"} | {n for n in values if SECRET.search(values[n])}
    filled = {name: fill_secrets(value, resolve_secret) for name, value in values.items()}
    filled.setdefault("accept-encoding", "gzip")
    transport = GuardedTransport(allow_private=allow_private)
    async with httpx2.AsyncClient(transport=transport, trust_env=False, timeout=TIMEOUT) as client:
        try:
            request = client.build_request(method, target, headers=filled, json=json, content=body)
        except (UnicodeEncodeError, TypeError, ValueError):
            raise _invalid("a header is not plain ASCII, or the body is no JSON") from None
        try:
            response = await _follow(client, request, private)
            return await _answer(response, max_bytes)
        except httpx2.LocalProtocolError:
            raise _invalid("the method or a header holds a character HTTP forbids") from None
        except httpx2.RequestError as error:
            raise _unreachable(target, error) from None


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Read a Retry-After header, which holds seconds or an HTTP date (RFC 9110, 10.2.3).

    Args:
        value: the header's text, or None when there is none.
        now: the time a date is compared with.

    """
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())


def _target(url: str, query: Mapping[str, Any] | None) -> httpx2.URL:
    try:
        target = httpx2.URL(url)
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = target.copy_merge_params(given) if given else target
    except (httpx2.InvalidURL, TypeError, ValueError):
        raise StepFailed("the url is refused: it is not valid", code="address_refused") from None
    check_url(target)
    return target


async def _follow(
    client: httpx2.AsyncClient, request: httpx2.Request, private: set[str]
) -> httpx2.Response:
    """Send a request and follow its redirects; the transport checks every hop."""
    first = request.url
    for _ in range(MAX_REDIRECTS + 1):
        response = await client.send(request, stream=True)
        location = response.headers.get("location")
        if response.status_code not in REDIRECTS or location is None:
            return response
        await response.aclose()
        request = _redirected(client, request, response.status_code, location, private)
    message = f"{shown(first)} redirects more than {MAX_REDIRECTS} times"
    raise StepFailed(message, code="http_too_many_redirects")


def _redirected(
    client: httpx2.AsyncClient, request: httpx2.Request, status: int, to: str, private: set[str]
) -> httpx2.Request:
    """Build the next hop; credentials stay with their origin, a body only with 307 and 308."""
    target = _target_of(request.url, to)
    became_get = status == 303 or (status in (301, 302) and request.method == "POST")
    method = "GET" if became_get and request.method != "HEAD" else request.method
    dropped = {"host", "cookie"}
    if _origin(target) != _origin(request.url):
        dropped |= private
    if became_get:
        dropped |= set(BODY_HEADERS)
    kept = {name: value for name, value in request.headers.items() if name not in dropped}
    content = None if became_get else request.content
    return client.build_request(method, target, headers=kept, content=content)


def _target_of(base: httpx2.URL, location: str) -> httpx2.URL:
    try:
        return _target(str(base.join(location)), None)
    except httpx2.InvalidURL:
        message = f"{shown(base)} redirects to a URL that is not valid"
        raise StepFailed(message, code="address_refused") from None


def _origin(url: httpx2.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme, 0)


async def _answer(response: httpx2.Response, max_bytes: int) -> dict[str, Any]:
    status = response.status_code
    where = f"{response.request.method} {shown(response.request.url)}"
    try:
        if status >= 400:
            wait = retry_after_seconds(response.headers.get("retry-after"), datetime.now(UTC))
            raise HttpStatusError(f"{where} answered {_phrase(status)}", status, wait)
        content = await read_body(response, max_bytes)
    finally:
        await response.aclose()
    names = {name: value for name, value in response.headers.items() if name != "set-cookie"}
    return {"status": status, "headers": names, "body": decode_body(response, content)}


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _invalid(reason: str) -> StepFailed:
    return StepFailed(f"the request cannot be sent: {reason}", code="http_request_invalid")


def _unreachable(url: httpx2.URL, error: httpx2.RequestError) -> StepFailed:
    reason = str(error) or type(error).__name__
    return StepFailed(
        f"{shown(url)} cannot be reached: {reason}", code="http_unreachable", retryable=True
    )
