"""HTTP requests reach public addresses only, stay within bounds, and keep their secrets."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from stretto.agents.http import HttpStatusError, retry_after_seconds, send_request
from stretto.agents.transport import GuardedTransport
from stretto.errors import ConfigurationError, StepFailed


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
async def running(canary: Canary) -> AsyncGenerator[Canary]:
    server = await asyncio.start_server(canary.serve, "127.0.0.1", 0)
    canary.port = server.sockets[0].getsockname()[1]
    async with server:
        yield canary


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    async with running(Canary()) as server:
        server.answer("/", b"reached", content_type="text/plain")
        yield server


@pytest.fixture
async def other() -> AsyncIterator[Canary]:
    async with running(Canary()) as server:
        server.answer("/", b"other", content_type="text/plain")
        yield server


async def get(url: str, **options: Any) -> dict[str, Any]:
    return await send_request(method="GET", url=url, allow_private=True, **options)


SPELLINGS = [
    "http://127.0.0.1:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://127.255.255.254:{port}/",
    "http://2130706433:{port}/",
    "http://017700000001:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.0.0.1:{port}/",
    "http://0x7f.1:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0177.0.0.01:{port}/",
    "http://00000177.1:{port}/",
    "http://127.0.0.0x1:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://0x0:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST:{port}/",
    "http://localhost.:{port}/",
    "http://[::1]:{port}/",
    "http://[::]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://user@127.0.0.1:{port}/",
    "http://user:word@127.0.0.1:{port}/",
    "http://public.example@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@127.0.0.1:{port}/",
    "http://127。0。0。1:{port}/",
    "http://127．0．0．1:{port}/",
    "http://127｡0｡0｡1:{port}/",
    "http://１２７.0.0.1:{port}/",
    "http://①②⑦.0.0.1:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://127.0.0.1%2f:{port}/",
    "http://loc%61lhost:{port}/",
    "http://ⓛocalhost:{port}/",
    "http:\\\\127.0.0.1:{port}\\",
    "HTTP://127.0.0.1:{port}/",
    " http://127.0.0.1:{port}/",
    "http://127.0.0.1\t:{port}/",
    "//127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/",
    "file:///etc/hostname",
    "https://127.0.0.1:{port}/",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_no_spelling_of_loopback_reaches_it(canary: Canary, spelling: str) -> None:
    with pytest.raises(StepFailed) as failed:
        await send_request(method="GET", url=spelling.format(port=canary.port))
    assert failed.value.code in ("address_refused", "http_unreachable")
    assert canary.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "[::1]"])
async def test_a_loopback_host_is_refused_before_any_connection(canary: Canary, host: str) -> None:
    with pytest.raises(StepFailed) as failed:
        await send_request(method="GET", url=canary.url(host=host))
    assert failed.value.code == "address_refused"
    assert not failed.value.retryable
    assert canary.connections == 0


async def test_the_transport_alone_guards_any_client(canary: Canary) -> None:
    async with httpx2.AsyncClient(transport=GuardedTransport(), trust_env=False) as client:
        with pytest.raises(StepFailed) as failed:
            await client.get(canary.url())
    assert failed.value.code == "address_refused"
    assert canary.connections == 0


async def test_a_private_address_is_reached_when_allowed(canary: Canary) -> None:
    answer = await get(canary.url(host="localhost"))
    assert answer["status"] == 200
    assert answer["body"] == "reached"
    assert canary.requests[0].headers["host"] == f"localhost:{canary.port}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed(canary: Canary, status: int) -> None:
    canary.answer("/old", status=status, location="/?moved=1")
    assert (await get(canary.url("/old")))["body"] == "reached"
    assert [r.path for r in canary.requests] == ["/old", "/?moved=1"]


@pytest.mark.parametrize("to", ["http://user:word@127.0.0.1/", "file:///etc/hostname", "ftp://x/"])
async def test_every_hop_is_checked(canary: Canary, to: str) -> None:
    canary.answer("/old", status=302, location=to)
    with pytest.raises(StepFailed) as failed:
        await get(canary.url("/old"))
    assert failed.value.code == "address_refused"
    assert "word" not in str(failed.value)


class OnlyFirst(GuardedTransport):
    """A transport that lets the first request reach loopback, and guards the rest."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        self.allow_private = False
        return response


async def test_a_redirect_to_loopback_is_refused(canary: Canary, other: Canary) -> None:
    canary.answer("/out", status=302, location=other.url())
    transport = OnlyFirst(allow_private=True)
    async with httpx2.AsyncClient(
        transport=transport, trust_env=False, follow_redirects=True
    ) as client:
        with pytest.raises(StepFailed) as failed:
            await client.get(canary.url("/out"))
    assert failed.value.code == "address_refused"
    assert (canary.connections, other.connections) == (1, 0)


async def test_a_circle_of_redirects_ends(canary: Canary) -> None:
    canary.answer("/loop", status=302, location="/loop")
    with pytest.raises(StepFailed) as failed:
        await get(canary.url("/loop"))
    assert failed.value.code == "http_too_many_redirects"
    assert len(canary.requests) == 6


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [(301, "GET", b""), (302, "GET", b""), (303, "GET", b""), (307, "POST", b'{"a":1}')],
)
async def test_a_redirected_post_becomes_a_get_unless_it_must_stay(
    canary: Canary, status: int, method: str, body: bytes
) -> None:
    canary.answer("/form", status=status, location="/")
    await send_request(method="POST", url=canary.url("/form"), json={"a": 1}, allow_private=True)
    assert canary.requests[1].method == method
    assert canary.requests[1].body == body
    assert ("content-type" in canary.requests[1].headers) == (method == "POST")


async def test_credentials_stay_with_their_origin(canary: Canary, other: Canary) -> None:
    canary.answer("/same", status=302, location="/away")
    canary.answer("/away", status=302, location=other.url())
    headers = {"Authorization": "Basic x", "X-Api-Key": "secret://KEY", "X-Plain": "kept"}
    await get(canary.url("/same"), headers=headers, resolve_secret={"KEY": "k-1"}.__getitem__)
    assert canary.requests[1].headers["authorization"] == "Basic x"
    assert canary.requests[1].headers["x-api-key"] == "k-1"
    assert "authorization" not in other.requests[0].headers
    assert "x-api-key" not in other.requests[0].headers
    assert other.requests[0].headers["x-plain"] == "kept"
    assert other.requests[0].headers["host"] == f"127.0.0.1:{other.port}"


async def test_json_query_and_headers_go_through(canary: Canary) -> None:
    await send_request(
        method="PUT",
        url=canary.url("/?a=1"),
        query={"b": [2, 3], "c": None},
        headers={"X-Trace": "t"},
        json={"n": 1.5},
        allow_private=True,
    )
    sent = canary.requests[0]
    assert (sent.method, sent.path) == ("PUT", "/?a=1&b=2&b=3")
    assert json.loads(sent.body) == {"n": 1.5}
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["x-trace"] == "t"


async def test_text_goes_through_as_it_is(canary: Canary) -> None:
    await send_request(method="POST", url=canary.url(), body="grüße", allow_private=True)
    assert canary.requests[0].body == "grüße".encode()


async def test_json_and_body_together_are_refused(canary: Canary) -> None:
    with pytest.raises(StepFailed) as failed:
        await get(canary.url(), json={}, body="x")
    assert failed.value.code == "http_request_invalid"


async def test_a_json_answer_is_parsed_and_cookies_are_left_out(canary: Canary) -> None:
    kind = "application/problem+json; charset=utf-8"
    canary.answer("/j", b'{"a": [1]}', content_type=kind, set_cookie="s=1", X_Up="v")
    answer = await get(canary.url("/j"))
    assert answer["body"] == {"a": [1]}
    assert answer["headers"]["x-up"] == "v"
    assert "set-cookie" not in answer["headers"]


async def test_an_empty_json_answer_is_none(canary: Canary) -> None:
    canary.answer("/empty", b"", content_type="application/json")
    assert (await get(canary.url("/empty")))["body"] is None


@pytest.mark.parametrize("body", [b"{", b"[NaN]", b"[" * 100_000, b"\xff"])
async def test_an_answer_that_is_called_json_but_is_not_fails(canary: Canary, body: bytes) -> None:
    canary.answer("/bad", body, content_type="application/json")
    with pytest.raises(StepFailed) as failed:
        await get(canary.url("/bad"))
    assert failed.value.code == "http_body_invalid"
    assert not failed.value.retryable


@pytest.mark.parametrize(("size", "fits"), [(1000, True), (1001, False)])
async def test_a_body_over_the_cap_is_cut(canary: Canary, size: int, fits: bool) -> None:
    canary.answer("/big", b"x" * size)
    if fits:
        assert (await get(canary.url("/big"), max_bytes=1000))["body"] == "x" * size
        return
    with pytest.raises(StepFailed, match="longer than 1000 bytes") as failed:
        await get(canary.url("/big"), max_bytes=1000)
    assert failed.value.code == "http_body_too_large"


async def test_an_endless_body_is_cut(canary: Canary) -> None:
    canary.answers["/endless"] = lambda: b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5_000_000
    with pytest.raises(StepFailed) as failed:
        await get(canary.url("/endless"), max_bytes=1000)
    assert failed.value.code == "http_body_too_large"


async def test_a_compression_bomb_is_cut(canary: Canary) -> None:
    canary.answer("/bomb", gzip.compress(b"0" * 50_000_000), content_encoding="gzip")
    with pytest.raises(StepFailed) as failed:
        await get(canary.url("/bomb"), max_bytes=100_000)
    assert failed.value.code == "http_body_too_large"


@pytest.mark.parametrize(
    ("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)], ids=str
)
async def test_a_compressed_body_is_read(
    canary: Canary, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    text = "stretto " * 50_000
    canary.answer("/packed", pack(text.encode()), content_encoding=coding)
    assert (await get(canary.url("/packed")))["body"] == text


@pytest.mark.parametrize(
    ("coding", "body"), [("br", b"x"), ("gzip", b"x"), ("gzip", gzip.compress(b"x" * 99)[:-9])]
)
async def test_a_body_that_cannot_be_unpacked_fails(
    canary: Canary, coding: str, body: bytes
) -> None:
    canary.answer("/odd", body, content_encoding=coding)
    with pytest.raises(StepFailed) as failed:
        await get(canary.url("/odd"))
    assert failed.value.code == "http_body_invalid"


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(400, False), (401, False), (404, False), (408, True), (409, True), (422, False)]
    + [(425, True), (429, True), (500, True), (503, True), (599, True)],
)
async def test_an_error_status_fails_the_step(canary: Canary, status: int, retryable: bool) -> None:
    canary.answer("/err", b"no", status=status, retry_after="7")
    with pytest.raises(HttpStatusError, match=f"answered {status}") as failed:
        await get(canary.url("/err"))
    assert failed.value.status_code == status
    assert failed.value.code == "http_status"
    assert failed.value.retryable is retryable
    assert failed.value.retry_after == 7.0


NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("Thu, 01 Jan 2026 00:01:30 GMT", 90.0),
        ("Wed, 31 Dec 2025 23:00:00 GMT", 0.0),
        ("-5", None),
        ("soon", None),
        ("9" * 40, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, NOW) == seconds


def test_a_retry_after_date_counts_from_now() -> None:
    later = NOW + timedelta(seconds=30)
    assert retry_after_seconds("Thu, 01 Jan 2026 00:01:30 GMT", later) == 60.0


async def test_a_closed_port_is_a_fault_worth_a_retry(canary: Canary) -> None:
    server = await asyncio.start_server(canary.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(StepFailed) as failed:
        await get(f"http://127.0.0.1:{port}/path?token=hidden#part")
    assert failed.value.code == "http_unreachable"
    assert failed.value.retryable
    assert f"http://127.0.0.1:{port}/path " in str(failed.value)
    assert "hidden" not in str(failed.value)


async def test_an_unknown_name_is_a_fault_worth_a_retry() -> None:
    with pytest.raises(StepFailed) as failed:
        await send_request(method="GET", url="http://nowhere.invalid/")
    assert failed.value.code == "http_unreachable"
    assert failed.value.retryable


async def test_an_answer_that_is_no_http_is_a_fault_worth_a_retry(canary: Canary) -> None:
    canary.answers["/noise"] = lambda: b"\x00\x01 noise\r\n\r\n"
    with pytest.raises(StepFailed) as failed:
        await get(canary.url("/noise"))
    assert failed.value.code == "http_unreachable"


async def test_secrets_come_from_the_environment(
    canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_TOKEN", "t-123")
    await get(canary.url(), headers={"Authorization": "Bearer secret://CRM_TOKEN"})
    assert canary.requests[0].headers["authorization"] == "Bearer t-123"


async def test_a_missing_secret_is_named(canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRM_TOKEN", raising=False)
    with pytest.raises(ConfigurationError, match="CRM_TOKEN is not set"):
        await get(canary.url(), headers={"Authorization": "secret://CRM_TOKEN"})
    assert canary.connections == 0


@pytest.mark.parametrize("secret", ["s3cr3t\r\nX-Evil: 1", "s3cr3t\n", "s3cr3t\u00fc"])
async def test_a_secret_that_breaks_a_header_is_refused_unseen(canary: Canary, secret: str) -> None:
    with pytest.raises(ConfigurationError) as failed:
        await get(
            canary.url(), headers={"X": "secret://S"}, resolve_secret={"S": secret}.__getitem__
        )
    assert "secret S" in str(failed.value)
    assert "s3cr3t" not in str(failed.value)
    assert canary.connections == 0


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "grün"])
async def test_a_header_that_breaks_http_is_refused(canary: Canary, value: str) -> None:
    with pytest.raises(StepFailed) as failed:
        await get(canary.url(), headers={"X": value})
    assert failed.value.code == "http_request_invalid"
    assert canary.requests == []


async def test_secrets_never_show_in_errors(canary: Canary) -> None:
    canary.answer("/err", b"k-secret", status=500)
    with pytest.raises(HttpStatusError) as failed:
        await get(
            canary.url("/err?q=k-secret"),
            headers={"X": "secret://S"},
            resolve_secret={"S": "k-secret"}.__getitem__,
        )
    assert canary.requests[0].headers["x"] == "k-secret"
    assert "k-secret" not in str(failed.value)
    assert str(failed.value) == f"GET {canary.url('/err')} answered 500 Internal Server Error"
