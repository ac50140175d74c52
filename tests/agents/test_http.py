"""HTTP requests reach public addresses only, stay within bounds, and keep their secrets."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from stretto.agents.http import HttpStatusError, retry_after_seconds, send_request
from stretto.agents.transport import GuardedTransport
from stretto.errors import ConfigurationError, StepFailed, StepTimedOut
from tests.fakes.canary import Canary, running
from tests.graphs.running import perform


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


@pytest.mark.parametrize("port", [65536, 99999, 10**30])
async def test_a_port_that_no_server_can_have_is_refused(canary: Canary, port: int) -> None:
    bad = f"http://localhost:{port}/"
    canary.answer("/old", status=302, location=bad)
    for url in (bad, canary.url("/old")):
        with pytest.raises(StepFailed) as failed:
            await get(url)
        assert failed.value.code == "address_refused"


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
    ("coding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress)],
    ids=["gzip", "deflate"],
)
async def test_a_compressed_body_is_read(
    canary: Canary, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    text = "stretto " * 50_000
    canary.answer("/packed", pack(text.encode()), content_encoding=coding)
    assert (await get(canary.url("/packed")))["body"] == text


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("br", b"x"),
        ("gzip", b"x"),
        ("gzip", gzip.compress(b"x" * 99)[:-9]),
        ("gzip", gzip.compress(b"x") * 2),
        ("deflate", zlib.compress(b"x") + b"more"),
    ],
    ids=["unknown", "wrong", "cut", "two members", "more"],
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


async def test_a_header_may_be_kept_from_choosing_a_secret(canary: Canary) -> None:
    headers = {"X-Key": "secret://KEY", "X-Note": "secret://OTHER"}
    secrets = {"KEY": "k-123456", "OTHER": "other-secret"}
    await get(
        canary.url(), headers=headers, secret_headers=["x-key"], resolve_secret=secrets.__getitem__
    )
    assert canary.requests[0].headers["x-key"] == "k-123456"
    assert canary.requests[0].headers["x-note"] == "secret://OTHER"


async def test_a_secret_that_the_server_repeats_is_a_reference_again(canary: Canary) -> None:
    body = b'{"k-123456": ["Bearer k-123456", {"deep": "k-123456"}], "n": 1}'
    canary.answer("/echo", body, content_type="application/json", X_Seen="k-123456")
    answer = await get(
        canary.url("/echo"),
        headers={"Authorization": "Bearer secret://KEY"},
        resolve_secret={"KEY": "k-123456"}.__getitem__,
    )
    assert answer["body"] == {
        "secret://KEY": ["Bearer secret://KEY", {"deep": "secret://KEY"}],
        "n": 1,
    }
    assert answer["headers"]["x-seen"] == "secret://KEY"


async def test_a_secret_that_begins_with_another_one_is_hidden_whole(canary: Canary) -> None:
    canary.answer("/", b"abcdef-123456", content_type="text/plain")
    values = {"SHORT": "abcdef", "LONG": "abcdef-123456"}
    headers = {"x-a": "secret://SHORT", "x-b": "secret://LONG"}
    answer = await get(canary.url(), headers=headers, resolve_secret=values.__getitem__)
    assert answer["body"] == "secret://LONG"


@pytest.mark.parametrize("charset", ["undefined", "idna", "punycode", "nonsense"])
async def test_text_in_a_charset_that_cannot_be_read_is_read_as_utf8(
    canary: Canary, charset: str
) -> None:
    canary.answer("/", b"\xffok", content_type=f"text/plain; charset={charset}")
    assert (await get(canary.url()))["body"] == "\ufffdok"


async def test_a_redirect_cannot_put_a_secret_into_an_error(canary: Canary) -> None:
    canary.answer("/out", status=302, location="ftp://elsewhere.example/k-123456")
    with pytest.raises(StepFailed) as failed:
        await get(
            canary.url("/out"),
            headers={"X-Key": "secret://KEY"},
            resolve_secret={"KEY": "k-123456"}.__getitem__,
        )
    assert "elsewhere.example/secret://KEY" in str(failed.value)
    assert failed.value.message == str(failed.value)


@pytest.mark.parametrize(
    ("status", "expect", "fits"),
    [(404, [200, 404], True), (200, [201], False), (304, None, True), (500, [500], True)],
)
async def test_the_expected_statuses_are_no_failure_and_others_are(
    canary: Canary, status: int, expect: list[int] | None, fits: bool
) -> None:
    canary.answer("/s", b"body", status=status)
    if fits:
        assert (await get(canary.url("/s"), expect=expect))["status"] == status
        return
    with pytest.raises(HttpStatusError) as failed:
        await get(canary.url("/s"), expect=expect)
    assert failed.value.status_code == status


@pytest.mark.parametrize("value", [{"a": 1}, [[1]], [{"a": 1}]])
async def test_a_query_takes_plain_values_only(canary: Canary, value: Any) -> None:
    with pytest.raises(StepFailed, match="'q' in its query is no plain value") as failed:
        await get(canary.url(), query={"q": value})
    assert failed.value.code == "http_request_invalid"
    assert canary.connections == 0


@dataclass
class Dripping:
    """A server whose body never ends: a byte now and then, until somebody hangs up."""

    port: int = 0
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        with suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)
        self.hung_up.set()
        writer.close()


@pytest.fixture
async def dripping() -> AsyncIterator[Dripping]:
    server = Dripping()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server


async def test_a_server_that_only_drips_is_cut_off(dripping: Dripping) -> None:
    with pytest.raises(StepTimedOut, match="within 0.2 s") as failed:
        await get(f"http://127.0.0.1:{dripping.port}/", timeout=0.2)
    assert failed.value.retryable
    async with asyncio.timeout(10):
        await dripping.hung_up.wait()


async def test_a_step_cuts_such_a_server_off_at_its_own_deadline(dripping: Dripping) -> None:
    http = {"url": f"http://127.0.0.1:{dripping.port}/", "allow_private": True}
    ran = await perform([{"id": "call", "http": http, "timeout": 0.2}], [])
    assert ran.errors == [("call", "step_timed_out")]
    async with asyncio.timeout(10):
        await dripping.hung_up.wait()
