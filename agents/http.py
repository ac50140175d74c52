"""One HTTP request of a workflow: guarded, bounded, and with its secrets filled in last."""

import asyncio
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx2

from stretto.agents.body import decode_body, read_body
from stretto.agents.redirects import follow, target_of
from stretto.agents.secrets import SECRET, Resolve, Secrets
from stretto.agents.transport import GuardedTransport, shown
from stretto.errors import StepFailed, StepTimedOut

MAX_BYTES = 10_000_000
TIMEOUT_SECONDS = 300.0
CONNECT_SECONDS = 10.0
RETRYABLE = frozenset({408, 409, 425, 429})


class HttpStatusError(StepFailed):
    """The server answered with a status that is not expected."""

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
    timeout: float = TIMEOUT_SECONDS,
    expect: Collection[int] | None = None,
    secret_headers: Collection[str] | None = None,
    resolve_secret: Resolve | None = None,
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
        timeout: seconds until everything is there, redirects and body included.
        expect: the statuses that are no failure; all below 400 if None.
        secret_headers: the headers in which secrets are filled in; all if None.
        resolve_secret: gives a secret by name or raises KeyError; the environment if None.

    Returns:
        ``status``, ``headers`` (lower-case names, no cookies) and ``body`` (JSON or text); a secret
        of the request that the server repeats is its reference again.

    Raises:
        ConfigurationError: a secret is missing or cannot stand in a header.
        HttpStatusError: the server answered with a status that is not expected.
        StepTimedOut: the time is up.
        StepFailed: the address is refused, the server cannot be reached, or its answer is too
            long or broken.

    """
    if json is not None and body is not None:
        raise _invalid("give json or body, not both")
    target = target_of(url, query)
    secrets = Secrets(resolve_secret)
    filled, private = _filled(headers or {}, secret_headers, secrets)
    deadline = asyncio.timeout(timeout)
    try:
        async with deadline, _client(allow_private) as client:
            request = _built(client, method, target, filled, json, body)
            response = await follow(client, request, private)
            answer: dict[str, Any] = secrets.hide(await _answer(response, max_bytes, expect))
            return answer
    except StepFailed as error:  # a redirect may repeat a secret in its path
        error.message = secrets.hide(error.message)
        error.args = (error.message,)
        raise
    except TimeoutError:
        if not deadline.expired():
            raise
        message = f"{shown(target)} did not answer in full within {timeout:g} s"
        raise StepTimedOut(message, retryable=True) from None
    except httpx2.LocalProtocolError:
        raise _invalid("the method or a header holds a character HTTP forbids") from None
    except httpx2.RequestError as error:
        raise _unreachable(target, secrets.hide(str(error)) or type(error).__name__) from None


def _filled(
    headers: Mapping[str, str], with_secrets: Collection[str] | None, secrets: Secrets
) -> tuple[dict[str, str], set[str]]:
    """Fill secrets in; give the headers, and the names of those that stay with their origin."""
    values = {name.lower(): value for name, value in headers.items()}
    allowed = values if with_secrets is None else {name.lower() for name in with_secrets}
    holders = {name for name in values if name in allowed and SECRET.search(values[name])}
    filled = {n: secrets.fill(value) if n in holders else value for n, value in values.items()}
    filled.setdefault("accept-encoding", "gzip")
    return filled, {"authorization", "proxy-authorization", "cookie", "host"} | holders


def _client(allow_private: bool) -> httpx2.AsyncClient:
    # The whole request has one deadline; a name that leads nowhere is given up sooner.
    timeout = httpx2.Timeout(None, connect=CONNECT_SECONDS)
    transport = GuardedTransport(allow_private=allow_private)
    return httpx2.AsyncClient(transport=transport, trust_env=False, timeout=timeout)


def _built(
    client: httpx2.AsyncClient,
    method: str,
    target: httpx2.URL,
    headers: Mapping[str, str],
    json: Any,
    body: str | None,
) -> httpx2.Request:
    try:
        return client.build_request(method, target, headers=headers, json=json, content=body)
    except (UnicodeEncodeError, TypeError, ValueError):
        raise _invalid("a header is not plain ASCII, or the body is no JSON") from None


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


async def _answer(
    response: httpx2.Response, max_bytes: int, expect: Collection[int] | None
) -> dict[str, Any]:
    status = response.status_code
    where = f"{response.request.method} {shown(response.request.url)}"
    try:
        if status >= 400 if expect is None else status not in expect:
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


def _unreachable(url: httpx2.URL, reason: str) -> StepFailed:
    return StepFailed(
        f"{shown(url)} cannot be reached: {reason}", code="http_unreachable", retryable=True
    )
