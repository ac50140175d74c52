"""Redirects, followed one by one so that each hop is checked and credentials stay at home."""

from collections.abc import Mapping
from typing import Any, cast

import httpx2

from stretto.agents.transport import check_url, shown
from stretto.errors import StepFailed

MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
BODY_HEADERS = ("content-length", "content-type", "content-encoding", "transfer-encoding")


def target_of(url: str, query: Mapping[str, Any] | None = None) -> httpx2.URL:
    """Read and check a URL, with more added to its query.

    Args:
        url: an ``http`` or ``https`` URL without user name.
        query: texts, numbers, booleans, or lists of them; None values are left out.

    Raises:
        StepFailed: the URL is refused (``address_refused``), or a value of the query is no such
            value (``http_request_invalid``).

    """
    given = {name: value for name, value in (query or {}).items() if value is not None}
    for name, value in given.items():
        values = cast(list[Any], value) if isinstance(value, list | tuple) else [value]
        if any(isinstance(item, Mapping | list | tuple) for item in values):
            message = f"the request cannot be sent: '{name}' in its query is no plain value"
            raise StepFailed(message, code="http_request_invalid")
    try:
        target = httpx2.URL(url)
        target = target.copy_merge_params(given) if given else target
    except (httpx2.InvalidURL, TypeError, ValueError):
        raise StepFailed("the url is refused: it is not valid", code="address_refused") from None
    check_url(target)
    return target


async def follow(
    client: httpx2.AsyncClient, request: httpx2.Request, private: set[str]
) -> httpx2.Response:
    """Send a request and follow its redirects; the transport checks every hop.

    Args:
        client: sends each hop.
        request: the first hop.
        private: the lower-case names of the headers that stay with their origin.

    Raises:
        StepFailed: a hop is refused (``address_refused``), or there are too many
            (``http_too_many_redirects``).

    """
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
    target = _joined(request.url, to)
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


def _joined(base: httpx2.URL, location: str) -> httpx2.URL:
    try:
        return target_of(str(base.join(location)))
    except httpx2.InvalidURL:
        message = f"{shown(base)} redirects to a URL that is not valid"
        raise StepFailed(message, code="address_refused") from None


def _origin(url: httpx2.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme, 0)
