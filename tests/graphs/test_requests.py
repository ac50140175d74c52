"""HTTP steps: what they select, what they expect, and which secrets they may use."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stretto.graphs.requests import client_name
from tests.fakes.canary import Canary, running
from tests.graphs.running import Ran, perform


@pytest.fixture
async def server() -> AsyncIterator[Canary]:
    async with running(Canary()) as canary:
        items = [{"name": "Ada", "deals": 3}, {"name": "Bob", "deals": 0}]
        answer = json.dumps({"data": {"items": items}}).encode()
        canary.answer("/leads", answer, content_type="application/json")
        canary.answer("/gone", b"no such thing", status=404)
        yield canary


async def call(server: Canary, path: str = "/leads", input: Any = None, **http: Any) -> Ran:
    whole = {"url": server.url(path), "allow_private": True, **http}
    return await perform([{"id": "call", "http": whole}], [], input=input)


@pytest.mark.parametrize(
    ("select", "output"),
    [
        ("body.data.items[0].name", "Ada"),
        ("body.data.items.filter(i, i.deals > 0).map(i, i.name)", ["Ada"]),
        ("body", {"data": {"items": [{"name": "Ada", "deals": 3}, {"name": "Bob", "deals": 0}]}}),
        ("{'ok': status == 200, 'kind': headers['content-type']}",
         {"ok": True, "kind": "application/json"}),
    ],
)  # fmt: skip
async def test_the_output_is_what_is_selected(server: Canary, select: str, output: Any) -> None:
    assert (await call(server, select=select)).output == output


@pytest.mark.parametrize("select", ["body.data.people", "body.data.items[9].name", "body + 1"])
async def test_an_answer_that_does_not_fit_fails_once(server: Canary, select: str) -> None:
    ran = await call(server, select=select)
    (error,) = ran.summary.errors
    assert error.code == "http_select_failed"
    assert f"the answer is not as expected, {select}: " in error.message
    assert len(server.requests) == 1


async def test_an_expected_status_is_an_answer(server: Canary) -> None:
    assert (await call(server, "/gone")).errors == [("call", "http_status")]
    assert (await call(server, "/gone", expect=[200, 404], select="status")).output == 404


async def test_the_size_of_an_answer_is_bounded_by_the_step(server: Canary) -> None:
    assert (await call(server, max_bytes=50)).errors == [("call", "http_body_too_large")]


async def test_what_a_run_is_given_chooses_no_secret(
    server: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWN_TOKEN", "own-token-value")
    monkeypatch.setenv("OTHER_TOKEN", "other-token-value")
    headers = {"Authorization": "Bearer secret://OWN_TOKEN", "X-Note": "${input.note}"}
    await call(server, headers=headers, input={"note": "secret://OTHER_TOKEN"})
    sent = server.requests[0].headers
    assert (sent["authorization"], sent["x-note"]) == (
        "Bearer own-token-value",
        "secret://OTHER_TOKEN",
    )


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.example.com/x", "http api.example.com"),
        ("https://API.example.com", "http api.example.com"),
        ("https://api.example.com/${input.id}", "http api.example.com"),
        ("https://${input.host}/x", "http"),
        ("https://api.${input.host}/x", "http"),
        ("${input.url}", "http"),
    ],
)
def test_every_known_host_has_a_name_and_so_a_breaker_of_its_own(url: str, name: str) -> None:
    assert client_name(url) == name


async def test_a_host_that_is_down_does_not_keep_steps_from_another(server: Canary) -> None:
    down = {"url": "http://127.0.0.2:1/", "allow_private": True}
    up = {"url": server.url("/leads"), "allow_private": True}
    steps = [{"id": f"d{n}", "http": down, "on_error": "continue"} for n in range(6)]
    ran = await perform([*steps, {"id": "up", "http": up}], [], mode="sequential")
    assert ran.statuses["up"] == "completed"
    assert ran.errors[-1] == ("d5", "circuit_open")
